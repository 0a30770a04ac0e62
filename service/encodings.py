"""Compressed bodies, expanded no further than a bound."""

import io
import zlib
from collections.abc import Callable

import zstandard

from service.errors import NotJson, TooLarge, UnsupportedMediaType

GZIP_BITS = 31  # zlib's way of saying: with a gzip header


def expand(body: bytes, encoding: str, limit: int) -> bytes:
    """The body as it was before it was compressed.

    Args:
        encoding: the header Content-Encoding.
        limit: bytes of the expanded body.

    Raises:
        UnsupportedMediaType: it is another encoding than gzip, deflate or zstd.
        TooLarge: it expands to more than the limit.
        NotJson: it is damaged.
    """
    expander = EXPANDERS.get(encoding.strip().lower())
    if expander is None:
        raise UnsupportedMediaType(f"expected Content-Encoding: gzip, deflate or zstd, received {encoding}")
    try:
        expanded = expander(body, limit + 1)
    except (zlib.error, zstandard.ZstdError, EOFError) as error:
        raise NotJson(f"expected a body in {encoding}, received: {error}") from error
    if len(expanded) > limit:
        raise TooLarge(f"expected a body of at most {limit} bytes, received one that expands to more")
    return expanded


def _gunzip(body: bytes, most: int) -> bytes:
    return _inflate(body, most, GZIP_BITS)


def _inflate(body: bytes, most: int, bits: int = zlib.MAX_WBITS) -> bytes:
    expander = zlib.decompressobj(bits)
    expanded = expander.decompress(body, most)
    if not expander.eof and len(expanded) < most:
        raise EOFError("it ends too early")
    return expanded


def _unzstd(body: bytes, most: int) -> bytes:
    reader = zstandard.ZstdDecompressor(max_window_size=2**27).stream_reader(io.BytesIO(body))
    pieces, size = [], 0
    while size < most and (piece := reader.read(most - size)):
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)


EXPANDERS: dict[str, Callable[[bytes, int], bytes]] = {
    "identity": lambda body, most: body,
    "gzip": _gunzip,
    "x-gzip": _gunzip,
    "deflate": _inflate,
    "zstd": _unzstd,
}
