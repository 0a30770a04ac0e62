"""The bodies of requests, read no further than a bound; and work that stops when nobody waits for it any more."""

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

from fastapi import Request
from starlette.requests import ClientDisconnect

from service import encodings
from service.errors import TooLarge

T = TypeVar("T")


async def read_body(request: Request) -> bytes:
    """The body, expanded where it is compressed.

    Raises:
        TooLarge: it is larger than the settings allow, as it comes or expanded.
        UnsupportedMediaType: it is compressed in a way that we do not know.
        NotJson: what is compressed is damaged.
    """
    limit = request.app.state.settings.max_body
    body = await _read(request, limit)
    if (encoding := request.headers.get("content-encoding")) is not None:
        return await asyncio.to_thread(encodings.expand, body, encoding, limit)
    return body


async def unless_gone(request: Request, answering: Coroutine[None, None, T]) -> T:
    """The answer; when the client hangs up before it is there, the work is dropped.

    Raises:
        ClientDisconnect: it did.
    """
    answer, gone = asyncio.ensure_future(answering), asyncio.ensure_future(request.receive())
    try:
        await asyncio.wait([answer, gone], return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            return answer.result()
        raise ClientDisconnect
    finally:
        answer.cancel()
        gone.cancel()


async def _read(request: Request, limit: int) -> bytes:
    if int(request.headers.get("content-length", 0)) > limit:
        raise TooLarge(f"expected a body of at most {limit} bytes, received {request.headers['content-length']}")
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise TooLarge(f"expected a body of at most {limit} bytes, received more")
        chunks.append(chunk)
    return b"".join(chunks)
