"""A lane of its own for plain predictions, beneath ASGI: no scope, no task, no middleware for each request.

ASGI and FastAPI take longer than a small model. So a `POST /predict` as most clients send it (HTTP/1.1, JSON of known
length, nothing encoded, nothing pipelined) goes from uvicorn's HTTP parser straight to the predictor. Everything else,
other predictions included, goes uvicorn's usual way, through FastAPI; both ends at the same `Predictor`.
"""

import asyncio
import logging
import time
from typing import Any

from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from service import fast, wire
from service.errors import HttpError
from service.predictor import NotLoaded, Prediction, Predictor, as_http
from service.telemetry.collect import Telemetry
from service.telemetry.requests import NOBODY, current, identify, log_access

logger = logging.getLogger(__name__)
PATH = b"/predict"


class Outbox:
    """Answers written together, once those of a batch are all made.

    Each write wakes up its reader. Between the making of two answers that costs as much as all the rest.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[Passage, bytes, int]] = []
        self._default: list[tuple[bytes, bytes]] = []
        self._rendered = b""

    def headers(self, default: list[tuple[bytes, bytes]]) -> bytes:
        """uvicorn's default headers as bytes; it makes a new list every second, for the date."""
        if default is not self._default:
            self._default, self._rendered = default, b"".join([b"%s: %s\r\n" % header for header in default])
        return self._rendered

    def put(self, passage: "Passage", answer: bytes, status: int) -> None:
        """Has the answer written at the end of this turn of the event loop."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._write)
        self._waiting.append((passage, answer, status))

    def _write(self) -> None:
        waiting, self._waiting = self._waiting, []
        for passage, answer, status in waiting:
            passage.write(answer, status)


class Lane(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 connection, with the lane.

    Args:
        service: the app; its `state` has the predictor, the telemetry and the settings.
        outbox: of all connections.
    """

    def __init__(self, *args: Any, service: FastAPI, outbox: Outbox, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.outbox = outbox
        self.predictor: Predictor = service.state.predictor
        self.telemetry: Telemetry = service.state.telemetry
        self.log_requests: bool = service.state.settings.access_log
        self.largest = min(service.state.settings.max_body, fast.LARGE)

    def on_message_begin(self) -> None:
        """Makes ready for a request; uvicorn's scope for ASGI is made only where it is needed."""
        self.url, self.headers, self.expect_100_continue = b"", [], False

    def on_headers_complete(self) -> None:
        """Takes the lane if the request is a plain prediction."""
        if self.url == PATH and self._is_plain():
            self.cycle = Passage(self)  # type: ignore[assignment]
            return
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers += headers
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Adds to the body; its length is bounded by its header."""
        if isinstance(self.cycle, Passage):
            self.cycle.body += body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Predicts."""
        if isinstance(self.cycle, Passage):
            self.cycle.start()
        else:
            super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Drops the work that nobody waits for any more."""
        if isinstance(self.cycle, Passage):
            self.cycle.cancel()
        super().connection_lost(exc)

    def _is_plain(self) -> bool:
        parser, busy = self.parser, self.cycle is not None and not self.cycle.response_complete
        if busy or self.pipeline or self.flow.write_paused or self.expect_100_continue:
            return False
        if parser.get_method() != b"POST" or parser.get_http_version() != "1.1" or parser.should_upgrade():
            return False
        length = -1
        for name, value in self.headers:
            if name == b"content-length":
                length = int(value)  # the parser has checked it
            elif name == b"content-type":
                if value != b"application/json":
                    return False
            elif name in (b"content-encoding", b"transfer-encoding"):
                return False
        return bool(0 <= length <= self.largest)


class Passage:
    """One plain prediction on its connection. It stands in the place of uvicorn's RequestResponseCycle, and has of its
    attributes what the connection looks at.
    """

    __slots__ = (
        "_begun",
        "_ids",
        "_lane",
        "_prediction",
        "_waiting",
        "body",
        "disconnected",
        "keep_alive",
        "response_complete",
    )
    message_event = asyncio.Event()  # nobody waits for it

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self._begun = time.perf_counter()
        self._ids = identify(lane.headers)
        self._prediction: Prediction | None = None
        self._waiting: asyncio.Task[None] | None = None
        self.body = b""
        self.disconnected = self.response_complete = False
        self.keep_alive = lane.parser.should_keep_alive()

    def start(self) -> None:
        """Reads the request and has it run."""
        predictor = self._lane.predictor
        current.set(self._ids)
        try:
            predictor.check()
            self._prediction = predictor.read(self.body)
            predictor.submit(self._prediction, self.answer)
        except NotLoaded:
            self._waiting = asyncio.create_task(self._predict())
        except Exception as error:  # noqa: BLE001 (whatever it is, the caller gets an answer)
            self.answer(as_http(error))
        current.set(NOBODY)  # all requests of a connection have one context

    def cancel(self) -> None:
        """The client has gone."""
        if not self.response_complete:
            self.disconnected = True
            if self._prediction is not None:
                self._lane.predictor.cancel(self._prediction)
            if self._waiting is not None:
                self._waiting.cancel()

    def answer(self, found: bytes | HttpError) -> None:
        """Has the answer written."""
        if self.disconnected:
            return
        current.set(self._ids)  # another request's run may have brought us here
        lane, status, more = self._lane, 200, b""
        if isinstance(found, HttpError):
            status, more, found = self._problem(found)
        media_type = b"application/json" if status == 200 else b"application/problem+json"
        head = b"%s%scontent-type: %s\r\ncontent-length: %d\r\nx-request-id: %s\r\n%s%s\r\n" % (
            STATUS_LINE[status],
            lane.outbox.headers(lane.server_state.default_headers),
            media_type,
            len(found),
            self._ids[0].encode(),
            more,
            b"" if self.keep_alive else b"connection: close\r\n",
        )
        lane.outbox.put(self, head + found, status)
        current.set(NOBODY)

    def write(self, answer: bytes, status: int) -> None:
        """Writes the answer, which ends the passage."""
        if self.disconnected:
            return
        lane = self._lane
        lane.transport.write(answer)
        self.response_complete = True
        if not self.keep_alive:
            lane.transport.close()
        lane.on_response_complete()
        seconds = time.perf_counter() - self._begun
        lane.telemetry.http("POST", "/predict", status, seconds)
        if lane.log_requests:
            current.set(self._ids)
            log_access("POST", "/predict", status, seconds)
            current.set(NOBODY)

    async def _predict(self) -> None:
        """Predicts with a model that has to be loaded first."""
        try:
            self.answer(await self._lane.predictor.predict(self.body))
        except Exception as error:  # noqa: BLE001 (whatever it is, the caller gets an answer)
            self.answer(as_http(error))

    def _problem(self, error: HttpError) -> tuple[int, bytes, bytes]:
        """Status, more headers and body of an error."""
        self._lane.telemetry.error(type(error).__name__, error.status)
        more = b"".join(f"{name}: {value}\r\n".encode() for name, value in error.headers.items())
        return error.status, more, wire.dump(error.problem(self._ids[0]))
