"""What never changes is not sent twice: ETag, If-None-Match and Cache-Control (RFC 9110, RFC 9111)."""

import hashlib
from typing import Any

from fastapi import Response

FOREVER = "private, max-age=31536000, immutable"  # of what has its version in its address
# May be kept, but is asked for with its ETag each time. An explanation never changes, but it may be deleted: then a
# browser must not go on showing it, nor the pictures and tests that are made of it. To ask costs a look into the store,
# and what is known already is not made again.
ASK_AGAIN = "private, no-cache"
NOT_MODIFIED: dict[int | str, dict[str, Any]] = {304: {"description": "the answer of If-None-Match"}}  # for /docs


def etag(*parts: bytes) -> str:
    """A strong ETag of this content."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return f'"{digest.hexdigest()[:32]}"'


def is_known(tag: str, if_none_match: str | None) -> bool:
    """Whether the client says that it has it already."""
    known = [one.strip().removeprefix("W/") for one in (if_none_match or "").split(",")]
    return tag in known or "*" in known


def json_of(content: bytes, known: str | None, vary: str | None = None) -> Response:
    """JSON made from kept explanations, or 304 where the client has it.

    Args:
        known: the client's `If-None-Match`.
        vary: request headers that the answer depends on.
    """
    headers = {"ETag": etag(content), "Cache-Control": ASK_AGAIN} | ({"Vary": vary} if vary else {})
    if is_known(headers["ETag"], known):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type="application/json", headers=headers)
