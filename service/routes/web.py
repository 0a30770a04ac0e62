"""The explorer page at / and its files: our own, from the disk, with nothing from elsewhere."""

from pathlib import Path

from fastapi import APIRouter, Request, Response

from service.errors import NotFound
from service.routes.caching import etag, is_known

router = APIRouter(include_in_schema=False)
FOLDER = Path(__file__).parent.parent / "web"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
FILES = {path.name: path.read_bytes() for path in FOLDER.iterdir() if path.suffix in TYPES}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@router.get("/")
async def explorer(request: Request) -> Response:
    """The page; see `page`."""
    return page(request)


@router.get("/web/{name}")
async def file(request: Request, name: str) -> Response:
    """A file of the page."""
    if name not in FILES or name == "index.html":
        raise NotFound(f"expected a file of the page, received {name!r}")
    return _answer(request, FILES[name], TYPES[Path(name).suffix])


def page(request: Request) -> Response:
    """The page, which knows whether there is a store, and by its address what to show: `/`, or `/attention/{id}`."""
    kept = "none" if request.app.state.store is None else "kept"
    return _answer(request, FILES["index.html"].replace(b"STORE", kept.encode()), TYPES[".html"])


def _answer(request: Request, content: bytes, media_type: str) -> Response:
    """The content, or 304 where the browser has it; it asks each time, so that a new server has a new page at once."""
    tag = etag(content)
    headers = {
        "Content-Security-Policy": POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
        "Vary": "Accept",
        "ETag": tag,
    }
    if is_known(tag, request.headers.get("if-none-match")):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=media_type, headers=headers)
