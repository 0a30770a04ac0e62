"""POST /predict as a stream: NDJSON in, NDJSON out, at the same time."""

from collections.abc import AsyncIterator
from contextlib import aclosing

from fastapi import Request, Response
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from service import reading, streams
from service.errors import UnsupportedMediaType
from service.predictor import Predictor
from service.telemetry.requests import current

NDJSON = "application/x-ndjson"


class StreamResponse(Response):
    """Answers while the body still comes. (Starlette's own reads the body itself, to see the client go.)"""

    def __init__(self, stream: streams.Stream) -> None:
        super().__init__(media_type=NDJSON)
        del self.headers["content-length"]
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI; what goes wrong before the first line is answered as any error."""
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        try:
            async with aclosing(self._stream.answer(_chunks(receive))) as answers:
                async for lines in answers:
                    if start:
                        await send(start)
                        start = {}
                    await send({"type": "http.response.body", "body": lines, "more_body": True})
        except ClientDisconnect:
            return
        if start:
            await send(start)
        await send({"type": "http.response.body", "body": b""})


async def stream(request: Request, predictor: Predictor) -> StreamResponse:
    """The answer to a stream.

    Raises:
        HttpError: the query is at fault, there is no such model, or the body is compressed.
    """
    if (encoding := request.headers.get("content-encoding", "identity")) != "identity":
        raise UnsupportedMediaType(f"expected a stream that is not compressed, received Content-Encoding: {encoding}")
    fields = reading.read_query(request.query_params)
    streams.check(fields)
    id, _ = current.get()
    model = await predictor.model(fields)
    return StreamResponse(streams.Stream(predictor, request.app.state.settings, model, fields, id))


async def _chunks(receive: Receive) -> AsyncIterator[bytes]:
    """The body as it comes, an empty chunk for its end.

    Raises:
        ClientDisconnect: when the client goes, behind the end, too.
    """
    ended = False
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        if message.get("body"):
            yield message["body"]
        if not ended and not message.get("more_body"):
            ended = True
            yield b""
