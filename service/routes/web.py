"""The explorer page at / and its files: our own, from the disk, and Vega; nothing from elsewhere."""

import asyncio
import gzip
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

from fastapi import APIRouter, Request, Response
from starlette.datastructures import State

from service import VERSION
from service.errors import NotFound
from service.routes.caching import FOREVER, etag, is_known
from service.routes.formats import RendererDep

router = APIRouter(include_in_schema=False)
FOLDER = Path(__file__).parent.parent / "web"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
FILES = {path.name: path.read_bytes() for path in FOLDER.iterdir() if path.suffix in TYPES}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# The browser asks each time, so that a new server has a new page at once.
ASKED = {"Cache-Control": "no-cache", "Vary": "Accept"}
VEGA = f"/web/vega.js?version={VERSION}-{version('vl-convert-python')}"
INDEX = FILES["index.html"].replace(b"VEGA", VEGA.encode())


@router.get("/")
async def explorer(request: Request) -> Response:
    """The page; see `page`."""
    return page(request)


@router.get("/web/vega.js")
async def vega(request: Request, renderer: RendererDep) -> Response:
    """What draws the charts, 0.9 MB, or 0.3 where gzip is accepted. The page's link to it names its version, so that a
    browser asks for it once. The first request of a server takes some seconds.
    """
    content, headers = await renderer.bundle(), {"Cache-Control": FOREVER, "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        content = await asyncio.to_thread(_gzipped, content)
        headers["Content-Encoding"] = "gzip"
    return _answer(request, content, TYPES[".js"], headers)


@router.get("/web/{name}")
async def file(request: Request, name: str) -> Response:
    """A file of the page."""
    if name not in FILES or name == "index.html":
        raise NotFound(f"expected a file of the page, received {name!r}")
    return _answer(request, FILES[name], TYPES[Path(name).suffix])


def page(request: Request) -> Response:
    """The page, which knows what is kept, and by its address what to show: `/`, or `/attention/{id}`."""
    return _answer(request, INDEX.replace(b"STORE", _kept(request.app.state)), TYPES[".html"])


def _kept(state: State) -> bytes:
    """What the server keeps of a prediction: `none`, its `answer`, or `all` of it, inputs too."""
    if state.store is None:
        return b"none"
    return b"all" if state.settings.store_inputs else b"answer"


@lru_cache(maxsize=1)
def _gzipped(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)  # the same of every process


def _answer(request: Request, content: bytes, media_type: str, caching: dict[str, str] = ASKED) -> Response:
    """The content, or 304 where the browser has it."""
    tag = etag(content)
    headers = {
        "Content-Security-Policy": POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "ETag": tag,
        **caching,
    }
    if is_known(tag, request.headers.get("if-none-match")):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=media_type, headers=headers)
