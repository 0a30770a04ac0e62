"""The formats of pictures: all are one chart, made and drawn in a process of its own, see pictures/.

.vl.json    its Vega-Lite definition, with its data
.svg .png   drawn
.html       drawn in the browser by what is in the page itself
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal

import orjson
from fastapi import Depends, Header, Path, Query, Request, Response
from starlette.convertors import StringConvertor, register_url_convertor

from service import VERSION
from service.explanations.charts import formats
from service.explanations.charts.standalone import standalone
from service.pictures.orders import Order, Subject
from service.pictures.renderer import Renderer
from service.routes import problems
from service.routes.caching import ASK_AGAIN, etag, is_known

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
ThemeName = Annotated[formats.ThemeName, Query(description="what the picture is to stand on")]
Known = Annotated[str | None, Header(alias="If-None-Match", include_in_schema=False)]


async def answer(
    renderer: Renderer,
    make: Callable[[], Awaitable[Subject]],
    identity: tuple[object, ...],
    format: Format,
    theme: formats.ThemeName,
    known: str | None,
) -> Response:
    """A picture, or 304 where the client has it.

    Args:
        make: gives what it is of, where the client does not have it.
        identity: of it.
        known: the client's `If-None-Match`.
    """
    name = etag(repr((VERSION, theme, *identity)).encode())
    tag = etag(name.encode(), format.encode())
    headers = {"ETag": tag, "Cache-Control": ASK_AGAIN, "Vary": "Accept"}
    if is_known(tag, known):
        return Response(status_code=304, headers=headers)
    return await draw(renderer, name, await make(), format, theme, headers)


async def draw(
    renderer: Renderer,
    name: str,
    subject: Subject,
    format: Format,
    theme: formats.ThemeName,
    headers: dict[str, str],
) -> Response:
    """A picture.

    Args:
        name: of this one in all its formats, and of no other.
        headers: more of the answer.
    """
    drawn = format if format != "html" else "vl.json"
    content = await renderer.draw(f"{drawn} {name}", Order(subject, drawn, theme))
    if format == "html":
        content = standalone(orjson.loads(content), await renderer.bundle())
    policy = {"Content-Security-Policy": POLICIES[format]} if format in POLICIES else {}
    return Response(content, headers=headers | policy, media_type=TYPES[format])
