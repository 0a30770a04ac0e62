"""What never changes is not sent twice: ETag, If-None-Match and Cache-Control (RFC 9110, RFC 9111)."""

import hashlib

FOREVER = "private, max-age=31536000, immutable"
ASK_AGAIN = "private, no-cache"  # may be kept, but is asked for with its ETag each time


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
