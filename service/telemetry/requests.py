"""What every request has: an id, in its answer and in the log lines written while it is handled; and its count."""

import itertools
import logging
import os
import re
import time
from collections.abc import Awaitable, Iterable
from contextvars import ContextVar

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.telemetry.collect import Telemetry

logger = logging.getLogger(__name__)
HEADER = b"x-request-id"
NO_ROUTE = "none"  # a path that is none of ours is not counted by its name: there is no end of those
_usable = re.compile(rb"[!-~]{1,128}").fullmatch  # printable ASCII without spaces: it goes into headers and logs
_usable_trace = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}").fullmatch
_mine = os.urandom(8).hex()  # of this process: ids of several workers never meet
_count = itertools.count()
NOBODY = ("", "")
current: ContextVar[tuple[str, str]] = ContextVar("current", default=NOBODY)  # id and trace of the request at hand


def identify(headers: Iterable[tuple[bytes, bytes]]) -> tuple[str, str]:
    """The client's X-Request-Id, or a new one; and the client's W3C `traceparent`, empty where there is none.

    While they are `current`, log lines carry them.

    Args:
        headers: as ASGI has them, names in lower case.
    """
    id = trace = ""
    for name, value in headers:
        if name == HEADER and _usable(value):
            id = value.decode()
        elif name == b"traceparent" and _usable_trace(value):
            trace = value.decode()
    return id or f"{_mine}{next(_count):08x}", trace


class Observed:
    """An ASGI app whose every request has an id and is counted by route and status.

    Args:
        access_log: writes a line for every request: method, path as received, status, milliseconds.
    """

    def __init__(self, app: ASGIApp, telemetry: Telemetry, access_log: bool) -> None:
        self._app, self._telemetry, self._access_log = app, telemetry, access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        current.set(ids := identify(scope["headers"]))  # of this task alone: each request has its own
        id = ids[0].encode()
        begun, status = time.perf_counter(), 500  # what uvicorn answers for an app that does not

        def send_with_id(message: Message) -> Awaitable[None]:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (HEADER, id)]
            return send(message)

        try:
            await self._app(scope, receive, send_with_id)
        finally:
            self._observe(scope, status, time.perf_counter() - begun)

    def _observe(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", NO_ROUTE)
        self._telemetry.http(scope["method"], route, status, seconds)
        if self._access_log:
            log_access(scope["method"], scope["raw_path"].decode("ascii", "backslashreplace"), status, seconds)


def log_access(method: str, path: str, status: int, seconds: float) -> None:
    """Writes the line of one request; `path` as received."""
    logger.info("%s %s %d %.1f ms", method, path, status, seconds * 1000)
