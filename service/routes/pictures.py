"""Explanations as pictures: /attention/{id}.svg, .png, .html and .vl.json, and the test of one.

All are one Vega-Lite definition, `.vl.json`, drawn by the server (`.svg`, `.png`) or in the browser (`.html`).
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal

import anyio.to_thread
from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from pydantic import PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError
from starlette.convertors import StringConvertor, register_url_convertor

from service import wire
from service.errors import Fault, Invalid
from service.explanations import charts
from service.explanations.comparing import comparison_chart
from service.explanations.standalone import standalone
from service.renderer import Renderer
from service.routes import problems
from service.routes.caching import FOREVER, etag, is_known
from service.routes.examining import ExaminerDep, Held, ask
from service.routes.faithfulness import verdict_in_words
from service.routes.finding import Id, Sequence, StoreDep, find_sequence

router = APIRouter(tags=["pictures"])
Format = Literal["svg", "png", "html", "vl.json"]
Chart = dict[str, Any]
TYPES: dict[Format, str] = {
    "svg": "image/svg+xml",
    "png": "image/png",
    "html": "text/html; charset=utf-8",
    "vl.json": "application/vnd.vegalite.v6+json",
}
# Of an HTML page that needs nothing but what is in it, and of an SVG that somebody opens by itself.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
POLICIES: dict[Format, str] = {"svg": POLICY, "html": f"{POLICY}; script-src 'unsafe-inline'"}


class PictureSuffix(StringConvertor):
    """The formats as the end of a path."""

    regex = r"svg|png|html|vl\.json"


register_url_convertor("picture", PictureSuffix())


def read_which(value: Any) -> int | Literal["all"]:
    """The query parameter `sequence`."""
    if value == "all":
        return "all"
    if str(value).isdecimal() and len(str(value)) < 10:
        return int(value)
    raise PydanticCustomError("sequence", "the index of a sequence, from 0, or all")


def get_renderer(request: Request) -> Renderer:
    """The app's renderer."""
    renderer: Renderer = request.app.state.renderer
    return renderer


def pictures(*statuses: int) -> dict[int | str, Any]:
    """What a route of pictures answers."""
    content: dict[str, Any] = {kind: {} for kind in TYPES.values()}
    return {200: {"content": content}, 304: {"description": "the picture of If-None-Match"}, **problems(*statuses)}


RendererDep = Annotated[Renderer, Depends(get_renderer)]
Suffix = Annotated[Format, Path(description="vl.json is the Vega-Lite definition of the others, with its data")]
Which = Annotated[
    int | Literal["all"],
    PlainValidator(read_which),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, {"const": "all"}]}),
    Query(description=f"which sequence of the request; or all, {charts.MOST} at most, above each other"),
]
Method = Annotated[
    Literal["attention", "occlusion"],
    Query(description="what a picture shows: the weights, or what leaving out each step changes"),
]
ThemeName = Annotated[Literal["light", "dark"], Query(description="what the picture is to stand on")]
Known = Annotated[str | None, Header(alias="If-None-Match", include_in_schema=False)]


@router.get(
    "/attention/compare.{format:picture}",
    summary="Two explanations as a picture",
    response_class=Response,
    responses=pictures(404, 422, 429, 503, 504),
)
async def draw_comparison(
    a: Annotated[str, Query(description="the `id` of a POST /predict answer")],
    b: Annotated[str, Query(description="the `id` of another")],
    format: Suffix,
    store: StoreDep,
    renderer: RendererDep,
    sequence: Sequence = 0,
    theme: ThemeName = "light",
    known: Known = None,
) -> Response:
    """A sequence of each request, one above the other, and by how much the weights of the second are more."""
    first, second = await find_sequence(store, a, sequence), await find_sequence(store, b, sequence)
    if (first.texts is None) != (second.texts is None):
        text = first if first.texts is not None else second
        fault = Fault(
            pointer="the query parameter b",
            expected="both of texts, or neither",
            received=f"one of texts, by {text.model}",
        )
        raise Invalid([fault])

    def draw() -> Chart:
        return comparison_chart(first, second, sequence)

    return await answer(renderer, draw, format, theme, known, FOREVER)


@router.get(
    "/attention/{id}.{format:picture}",
    summary="One explanation as a picture",
    response_class=Response,
    responses=pictures(404, 422, 429, 503, 504),
)
async def draw_explanation(
    id: Id,
    format: Suffix,
    store: StoreDep,
    examiner: ExaminerDep,
    renderer: RendererDep,
    sequence: Which = 0,
    method: Method = "attention",
    theme: ThemeName = "light",
    known: Known = None,
) -> Response:
    """A sequence drawn over time: its values, the weights as a heat band and as bars, the steps that weigh most marked.

    Of text, the weights of each character of the answer over those of the text. With `method=occlusion`, what leaving
    out each step changes instead of the weights. `.html` needs nothing but itself; it is as wide as the window.
    """
    explanation = await find_sequence(store, id, 0 if sequence == "all" else sequence)
    draw: Callable[[], Chart]
    if method == "occlusion":
        index = 0 if sequence == "all" else sequence
        occluded = await ask(examiner.occlude(explanation, index, None))
        draw = lambda: charts.occlusion_chart(explanation, index, occluded.importance)  # noqa: E731
    else:
        draw = lambda: charts.explanation_chart(explanation, sequence)  # noqa: E731
    return await answer(renderer, draw, format, theme, known, FOREVER)


@router.get(
    "/attention/{id}/faithfulness.{format:picture}",
    summary="The test of an explanation as a picture",
    response_class=Response,
    responses=pictures(404, 422, 429, 503, 504),
)
async def draw_test(
    id: Id,
    format: Suffix,
    store: StoreDep,
    examiner: ExaminerDep,
    renderer: RendererDep,
    sequence: Sequence = 0,
    baseline: Held = None,
    theme: ThemeName = "light",
    known: Known = None,
) -> Response:
    """The weights of a sequence, and what leaving out each step changes, on one time axis."""
    explanation = await find_sequence(store, id, sequence)
    examined = await ask(examiner.examine(explanation, sequence, baseline))
    found, verdict = examined.measured, verdict_in_words(examined)

    def draw() -> Chart:
        return charts.faithfulness_chart(explanation, sequence, found.weights, found.importance, verdict)

    return await answer(renderer, draw, format, theme, known, FOREVER)


async def answer(
    renderer: Renderer,
    draw: Callable[[], Chart],
    format: Format,
    theme: Literal["light", "dark"],
    known: str | None,
    keep: str,
) -> Response:
    """A picture of what `draw` returns.

    Args:
        known: the client's `If-None-Match`.
        keep: `Cache-Control`.
    """
    chart = await anyio.to_thread.run_sync(lambda: charts.themed(draw(), theme))
    definition = wire.dump(chart)
    tag = etag(format.encode(), definition)
    headers = {"ETag": tag, "Cache-Control": keep, "Vary": "Accept"}
    if is_known(tag, known):
        return Response(status_code=304, headers=headers)
    if format in POLICIES:
        headers["Content-Security-Policy"] = POLICIES[format]
    return Response(await _write(renderer, chart, definition, format, tag), headers=headers, media_type=TYPES[format])


async def _write(renderer: Renderer, chart: Chart, definition: bytes, format: Format, tag: str) -> bytes:
    if format == "vl.json":
        return definition
    if format == "html":
        return standalone(chart, definition, await renderer.bundle())
    return await renderer.draw(tag, format, definition)
