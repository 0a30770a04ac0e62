"""The fast path of predictions, beneath ASGI: no scope, no task, no middleware for each request.

ASGI and FastAPI take longer than a small model. So a `POST /predict` as most clients send it (HTTP/1.1, JSON of known
length, nothing encoded, nothing pipelined) goes from uvicorn's HTTP parser straight to the predictor, and so do arrays
(formats.py). Everything else, other predictions included, goes uvicorn's usual way, through FastAPI; both ends at the
same `Predictor`.
"""

import asyncio
import logging
import time
from functools import partial
from typing import Any, NamedTuple

from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from service import fast
from service.errors import HttpError
from service.fastpath import formats
from service.fastpath.formats import BodyFormat
from service.fastpath.writer import AnswerWriter
from service.predictor import NotLoaded, Prediction, Predictor, as_http
from service.settings import Settings
from service.telemetry.collect import Telemetry
from service.telemetry.requests import NOBODY, current, identify, log_access

logger = logging.getLogger(__name__)
ENCODINGS = (b"content-encoding", b"transfer-encoding")
OWN = (b"x-request-id", b"traceparent")  # headers that are a request's own
PATH, ARRAYS = b"/predict", (b"/predict?", b"/v2/models/")
JSON = b"application/json"
END = b"\r\n\r\n"  # of a head
KNOWN, LONGEST_HEAD = 1024, 512  # heads that are kept, and bytes of one


class Head(NamedTuple):
    """The head of a request, line and headers, that the parser has read: a client sends the same again and again.

    Attributes:
        url: of the first line.
        length: of the body.
        keep_alive: whether the connection stays.
        format: for which it was found; see `BodyFormat.for_next_request`.
    """

    url: bytes
    length: int
    keep_alive: bool
    format: BodyFormat


class Headers(NamedTuple):
    """What of the headers of a request decides whether it takes the fast path, and with which format.

    Attributes:
        json_length: the header Inference-Header-Content-Length.
        encoded: whether the body is compressed or chunked.
        own: whether some header is this request's own.
    """

    length: int
    type: bytes
    accept: bytes
    json_length: bytes | None
    encoded: bool
    own: bool


class PredictProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 connection, with the fast path.

    Args:
        service: the app; its `state` has the predictor, the telemetry and the settings.
        writer, known: of all connections; the answers to be written, and the heads that have been read before.
    """

    def __init__(
        self, *args: Any, service: FastAPI, writer: AnswerWriter, known: dict[bytes, Head], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.writer, self.known = writer, known
        self.predictor: Predictor = service.state.predictor
        self.telemetry: Telemetry = service.state.telemetry
        self.log_requests: bool = service.state.settings.access_log
        self.settings: Settings = service.state.settings
        self.largest = min(self.settings.max_body, fast.LARGE_BODY)
        self.plain = formats.Plain(self.predictor)
        self.reading = False  # a request has begun and not ended
        self.head: Head | None = None  # of the request that was begun last, where it is one to know again
        self.missing = 0  # bytes of the body of one whose head was known
        self.idle_since = 0.0

    def data_received(self, data: bytes) -> None:
        """Reads on. A request whose head is known needs no parser, which takes longer than a small model."""
        if self.missing:
            self._read_body(data)
            return
        if self.reading or self._is_busy():
            super().data_received(data)
            return
        end = data.find(END) + len(END)
        head = self.known.get(data[:end])
        if head is not None:
            self.url, self.headers, self.missing = head.url, [], head.length
            self.cycle = PredictCycle(self, head.format.for_next_request(), head.keep_alive)  # type: ignore[assignment]
            self._read_body(data[end:])
            return
        self.head = None
        super().data_received(data)
        if self.head is not None and len(data) - end <= self.head.length and end <= LONGEST_HEAD:
            if len(self.known) == KNOWN:
                self.known.clear()
            self.known[data[:end]] = self.head

    def on_message_begin(self) -> None:
        """Makes ready for a request; uvicorn's scope for ASGI is made only where it is needed."""
        self.url, self.headers, self.expect_100_continue = b"", [], False
        self.reading = True

    def on_headers_complete(self) -> None:
        """Takes the fast path if the request is a prediction of those that may."""
        if (self.url == PATH or self.url.startswith(ARRAYS)) and (format := self._format()) is not None:
            self.cycle = PredictCycle(self, format, self.parser.should_keep_alive())  # type: ignore[assignment]
            return
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers += headers
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Adds to the body; its length is bounded by its header."""
        if isinstance(self.cycle, PredictCycle):
            self.cycle.pieces.append(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Predicts."""
        self.reading = False
        if isinstance(self.cycle, PredictCycle):
            self.cycle.start()
        else:
            super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Drops the work that nobody waits for any more."""
        if isinstance(self.cycle, PredictCycle):
            self.cycle.cancel()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()  # uvicorn does not where the client has broken off

    def on_response_complete(self) -> None:
        """Goes on as uvicorn does, but without a timer for each request: one looks now and then."""
        if self.pipeline or self.timeout_keep_alive_task is None:
            super().on_response_complete()
        else:
            self.server_state.total_requests += 1
            self.flow.resume_reading()
        self.idle_since = self.loop.time()

    def timeout_keep_alive_handler(self) -> None:
        """Closes the connection, if nothing was asked for so long."""
        self.timeout_keep_alive_task = None
        left = self.idle_since + self.timeout_keep_alive - self.loop.time()
        if self._is_busy() or left > 0:
            after = max(left, 0.0) or self.timeout_keep_alive
            self.timeout_keep_alive_task = self.loop.call_later(after, self.timeout_keep_alive_handler)
        else:
            super().timeout_keep_alive_handler()

    def _read_body(self, data: bytes) -> None:
        """Reads on in the body of a request whose head was known."""
        cycle: Any = self.cycle
        piece, rest = (data, b"") if len(data) <= self.missing else (data[: self.missing], data[self.missing :])
        cycle.pieces.append(piece)
        self.missing -= len(piece)
        if not self.missing:
            cycle.start()
        if rest:
            self.data_received(rest)

    def _is_busy(self) -> bool:
        """Whether a request is not answered yet, or its answer is not read."""
        busy = self.cycle is not None and not self.cycle.response_complete
        return busy or bool(self.pipeline) or self.flow.write_paused

    def _format(self) -> BodyFormat | None:
        parser = self.parser
        if self._is_busy() or self.expect_100_continue:
            return None
        if parser.get_method() != b"POST" or parser.get_http_version() != "1.1" or parser.should_upgrade():
            return None
        headers = self._read_headers()
        if not 0 <= headers.length <= self.largest or headers.encoded:
            return None
        if self.url == PATH and headers.type == JSON and b"application/x-np" not in headers.accept:
            format: BodyFormat | None = self.plain
        else:
            known = (self.predictor, self.settings, self.url)
            format = formats.find(*known, headers.type, headers.accept, headers.json_length)
        if format is not None and not headers.own:
            self.head = Head(self.url, headers.length, parser.should_keep_alive(), format)
        return format

    def _read_headers(self) -> Headers:
        length, media_type, accept, json_length, encoded, own = -1, JSON, b"", None, False, False
        for name, value in self.headers:
            if name == b"content-length":
                length = int(value)  # the parser has checked it
            elif name == b"content-type":
                media_type = value
            elif name == b"accept":
                accept = value
            elif name == b"inference-header-content-length":
                json_length = value
            elif name in ENCODINGS:
                encoded = True
            elif name in OWN:
                own = True
        return Headers(length, media_type, accept, json_length, encoded, own)


class PredictCycle:
    """One prediction on its connection. It stands in the place of uvicorn's RequestResponseCycle, and has of its
    attributes what the connection looks at.
    """

    __slots__ = (
        "_begun",
        "_format",
        "_ids",
        "_prediction",
        "_protocol",
        "_url",
        "_waiting",
        "disconnected",
        "keep_alive",
        "pieces",
        "response_complete",
    )
    message_event = asyncio.Event()  # nobody waits for it

    def __init__(self, protocol: PredictProtocol, format: BodyFormat, keep_alive: bool) -> None:
        self._protocol, self._format, self.keep_alive = protocol, format, keep_alive
        self._begun = protocol.writer.asked = time.perf_counter()
        self._ids = identify(protocol.headers)
        self._prediction: Prediction | None = None
        self._waiting: asyncio.Task[None] | None = None
        self._url = protocol.url
        self.pieces: list[bytes] = []  # of the body
        self.disconnected = self.response_complete = False

    def start(self) -> None:
        """Reads the request and has it run."""
        predictor = self._protocol.predictor
        current.set(self._ids)
        body = b"".join(self.pieces)
        try:
            predictor.check()
            self._prediction = self._format.read(body)
            predictor.submit(self._prediction, self.answer)
        except NotLoaded:
            self._waiting = asyncio.create_task(self._predict(body))
        except Exception as error:  # noqa: BLE001 (whatever it is, the caller gets an answer)
            self.answer(as_http(error))
        current.set(NOBODY)  # all requests of a connection have one context

    def cancel(self) -> None:
        """The client has gone."""
        if not self.response_complete:
            self.disconnected = True
            if self._prediction is not None:
                self._protocol.predictor.cancel(self._prediction)
            if self._waiting is not None:
                self._waiting.cancel()

    def answer(self, found: bytes | HttpError) -> None:
        """Has the answer written."""
        if self.disconnected:
            return
        current.set(self._ids)  # another request's run may have brought us here
        protocol, status = self._protocol, 200
        if isinstance(found, HttpError):
            status, more, found = self._problem(found)
        else:
            more = self._format.head()
        head = b"%s%scontent-length: %d\r\nx-request-id: %s\r\n%s%s\r\n" % (
            STATUS_LINE[status],
            protocol.writer.headers(protocol.server_state.default_headers),
            len(found),
            self._ids[0].encode(),
            more,
            b"" if self.keep_alive else b"connection: close\r\n",
        )
        protocol.writer.put(partial(self.write, head + found, status))
        current.set(NOBODY)

    def write(self, answer: bytes, status: int) -> None:
        """Writes the answer, which ends the cycle."""
        if self.disconnected:
            return
        protocol = self._protocol
        protocol.transport.write(answer)
        self.response_complete = True
        if not self.keep_alive:
            protocol.transport.close()
        protocol.on_response_complete()
        seconds = time.perf_counter() - self._begun
        protocol.telemetry.http("POST", self._format.route, status, seconds)
        if protocol.log_requests:
            current.set(self._ids)
            log_access("POST", self._url.partition(b"?")[0].decode("ascii", "backslashreplace"), status, seconds)
            current.set(NOBODY)

    async def _predict(self, body: bytes) -> None:
        """Predicts with a model that has to be loaded first."""
        try:
            self.answer(await self._protocol.predictor.answer(partial(self._format.read, body)))
        except Exception as error:  # noqa: BLE001 (whatever it is, the caller gets an answer)
            self.answer(as_http(error))

    def _problem(self, error: HttpError) -> tuple[int, bytes, bytes]:
        """Status, more headers and body of an error."""
        self._protocol.telemetry.error(type(error).__name__, error.status)
        media_type, body = self._format.problem(error.problem(self._ids[0]))
        headers = {"content-type": media_type, **error.headers}
        return error.status, b"".join(f"{name}: {value}\r\n".encode() for name, value in headers.items()), body
