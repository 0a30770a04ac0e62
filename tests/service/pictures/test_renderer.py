import asyncio
import json
import signal
import subprocess
import sys

import numpy as np
import pytest

from service.errors import TooMany, Unavailable
from service.explanations.charts.left_out import LeftOut
from service.explanations.summary import summarize
from service.pictures import renderer
from service.pictures.orders import REQUEST, All, Attention, Faithfulness, Occlusion, Order, Profile, Two, encode
from service.pictures.renderer import Renderer
from tests.service.explanations.builders import explanation

SUBJECT = Attention(explanation(labels=["<yes>"]))
PICTURE = Order(SUBJECT, "svg", "light")


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
    async def story(one):
        asking = [asyncio.create_task(one.draw("x", PICTURE)) for _ in range(3)]
        turns = 0
        while not asking[0].done():
            await asyncio.sleep(0.001)
            turns += 1
        assert turns > 20  # drawn in a thread of the server, it is 1: vl_convert does not let go of Python's lock
        first, *others = await asyncio.gather(*asking)
        assert all(other is first for other in others)
        assert b'role="img" aria-label="m, version 1, predicts &lt;yes&gt; (75%), from 5 steps of' in first
        assert await one.draw("x", "is not looked at") is first
        assert (await one.draw("y", Order(SUBJECT, "png", "dark"))).startswith(b"\x89PNG")

    told(story)


def test_what_a_picture_is_of_arrives_as_it_is():
    one = explanation(steps=(5, 3), per_feature=True, predictions=np.array([[0.75], [0.9]], np.float32))
    left_out = LeftOut([0.0, 0.25, 0.5, 0.1, 0.0], 1, "last")
    together = LeftOut([0.5, 0.5, 0.2], 2)
    text = explanation(texts=["ab"], answers=["c"], sequences=None, with_attention=False, labels=None, unknown=[[1]])
    subjects = {
        "from 5 steps of 2 features": Attention(one.cut(0, 1)),
        "changes most without step 2 (0.50)": Attention(one.cut(0, 1), left_out),
        "yes (90%), from 3 steps of 2 features": Occlusion(one.cut(1, 2), LeftOut([0.0, 0.5, 0.2])),
        "changes most without steps 0 to 1 together": Occlusion(one.cut(1, 2), together),
        "Supported: so it is.": Faithfulness(one.cut(0, 1), [0.1, 0.2, 0.3, 0.4, 0], left_out, "supported: so it is"),
        "removed steps hold the last value kept": Faithfulness(one.cut(0, 1), [0.2] * 5, left_out, "weak"),
        "the first 2 of 3 sequences": All(one, 3),
        "they differ in length, 5 and 3 steps": Two(one.cut(0, 1), one.cut(1, 2)),
        "Weights of m in 2 sequences": Profile({"model": "m", **summarize(explanation(steps=(5, 3)).attention)}),
        "unknown to the model: 'b'": Attention(text),
    }

    async def story(one):
        for told, subject in subjects.items():
            definition = json.loads(await one.draw(told, Order(subject, "vl.json", "light")))
            title = definition["title"]
            assert told.lower() in " ".join([*title["text"], *title["subtitle"], definition["description"]]).lower()

    told(story)


def test_a_process_that_dies_does_not_stop_the_next():
    async def story(one):
        picture = await one.draw("x", PICTURE)
        one._process.kill()
        with pytest.raises(Unavailable, match="it has ended; try again"):
            await one.draw("y", PICTURE)
        assert await one.draw("y", PICTURE) == picture

    told(story)


def test_what_waits_is_bounded_and_an_idle_process_ends(monkeypatch):
    monkeypatch.setattr(renderer, "WAITING", 1)
    monkeypatch.setattr(renderer, "IDLE_S", 0)

    async def story(one):
        first = asyncio.create_task(one.draw("x", PICTURE))
        while one._process is None:  # noqa: ASYNC110
            await asyncio.sleep(0)
        process = one._process
        with pytest.raises(TooMany):
            await one.draw("y", PICTURE)
        await first
        await process.communicate()
        assert process.returncode < 0
        assert one._process is None

    told(story)


def test_a_server_that_ends_while_a_picture_is_drawn_leaves_no_traceback():
    command = [sys.executable, "-m", "service.pictures.process"]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, cwd=renderer.PACKAGES, **pipes) as process:
        process.stdout.close()  # as its end does
        request = encode(PICTURE)
        process.stdin.write(REQUEST.pack(len(request)) + request)
        process.stdin.close()
        assert process.stderr.read() == b""
        assert process.wait() == -signal.SIGPIPE
