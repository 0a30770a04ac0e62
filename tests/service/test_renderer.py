import asyncio
import json

import pytest

from service import renderer
from service.errors import TooMany, Unavailable
from service.explanations import charts
from service.renderer import Renderer
from tests.service.explanations.builders import explanation

CHART = json.dumps({"mark": "point", "data": {"values": [{}]}, "description": "a <point>"}).encode()


def told(story):
    """Runs `story(renderer)`."""

    async def tell():
        one = Renderer()
        try:
            await story(one)
        finally:
            await one.close()

    asyncio.run(tell())


def test_a_picture_is_drawn_once_for_all_who_ask_while_the_server_goes_on():
    chart = json.dumps(charts.explanation_chart(explanation(), 0)).encode()

    async def story(one):
        asking = [asyncio.create_task(one.draw("x", "svg", chart)) for _ in range(3)]
        turns = 0
        while not asking[0].done():
            await asyncio.sleep(0.001)
            turns += 1
        assert turns > 20  # drawn in a thread of the server, it is 1: vl_convert does not let go of Python's lock
        first, *others = await asyncio.gather(*asking)
        assert all(other is first for other in others)
        assert await one.draw("x", "svg", b"is not looked at") is first
        assert (await one.draw("y", "png", chart)).startswith(b"\x89PNG")

    told(story)


def test_a_definition_that_cannot_be_drawn_and_a_process_that_dies_do_not_stop_the_next():
    async def story(one):
        with pytest.raises(RuntimeError, match="expected a definition that can be drawn: Vega-Lite to SVG"):
            await one.draw("bad", "svg", b'{"mark": 1}')
        picture = await one.draw("x", "svg", CHART)
        assert b'role="img" aria-label="a &lt;point&gt;"' in picture
        one._process.kill()
        with pytest.raises(Unavailable, match="it has ended; try again"):
            await one.draw("y", "svg", CHART)
        assert await one.draw("y", "svg", CHART) == picture

    told(story)


def test_what_waits_is_bounded_and_an_idle_process_ends(monkeypatch):
    monkeypatch.setattr(renderer, "WAITING", 1)
    monkeypatch.setattr(renderer, "IDLE_S", 0)

    async def story(one):
        first = asyncio.create_task(one.draw("x", "svg", CHART))
        while one._process is None:  # noqa: ASYNC110
            await asyncio.sleep(0)
        process = one._process
        with pytest.raises(TooMany):
            await one.draw("y", "svg", CHART)
        await first
        await process.communicate()
        assert process.returncode < 0
        assert one._process is None

    told(story)
