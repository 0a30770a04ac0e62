"""The formats of pictures: all are one Vega-Lite definition, drawn by the server or in the browser.

.vl.json    the definition, with its data
.svg .png   drawn by the server, see renderer.py
.html       drawn in the browser by what is in the page itself
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal

import anyio.to_thread
from fastapi import Depends, Header, Path, Query, Request, Response
from starlette.convertors import StringConvertor, register_url_convertor

from service import VERSION, wire
from service.explanations import charts, themes
from service.explanations.charts import Chart
from service.explanations.standalone import standalone
from service.renderer import Renderer
from service.routes import problems
from service.routes.caching import etag, is_known

Format = Literal["svg", "png", "html", "vl.json"]
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
ThemeName = Annotated[themes.ThemeName, Query(description="what the picture is to stand on")]
Known = Annotated[str | None, Header(alias="If-None-Match", include_in_schema=False)]


async def answer(
    renderer: Renderer,
    draw: Callable[[], Chart],
    format: Format,
    theme: themes.ThemeName,
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
    tag = etag(VERSION.encode(), format.encode(), definition)
    headers = {"ETag": tag, "Cache-Control": keep, "Vary": "Accept"}
    if is_known(tag, known):
        return Response(status_code=304, headers=headers)
    if format in POLICIES:
        headers["Content-Security-Policy"] = POLICIES[format]
    return Response(await _write(renderer, chart, definition, format, tag), headers=headers, media_type=TYPES[format])


async def answer_once(renderer: Renderer, chart: Chart, format: Format) -> Response:
    """A picture of what is kept nowhere, and has no address of its own."""
    definition = wire.dump(chart)
    headers = {"Content-Security-Policy": POLICIES[format]} if format in POLICIES else {}
    tag = etag(VERSION.encode(), format.encode(), definition)
    return Response(await _write(renderer, chart, definition, format, tag), headers=headers, media_type=TYPES[format])


async def _write(renderer: Renderer, chart: Chart, definition: bytes, format: Format, tag: str) -> bytes:
    if format == "vl.json":
        return definition
    if format == "html":
        return standalone(chart, await renderer.bundle())
    return await renderer.draw(tag, format, definition)
