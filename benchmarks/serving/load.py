"""The load generator: keep-alive connections, requests rendered before the clock runs, answers counted.

It must never be what is measured, so it does as little as it can: writes bytes, reads the status and Content-Length,
notes the time. Bodies are looked at after the clock has stopped: the first and the last of every connection.
"""

import asyncio
import re
import time
from array import array
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

import numpy as np

from benchmarks.serving.measured import BenchmarkError, Measured

LENGTH = re.compile(rb"\ncontent-length: *(\d+)", re.IGNORECASE)
OK = 200
clock = time.perf_counter


@dataclass(frozen=True)
class Request:
    """A request, rendered.

    Attributes:
        raw: head and body.
        sequences: how many it holds.
        check: raises ValueError where the body of an answer is not the one expected.
    """

    raw: bytes
    sequences: int
    check: Callable[[bytes], None]


JSON = {"Content-Type": "application/json"}


def render(url: str, body: bytes, headers: Mapping[str, str] = JSON) -> bytes:
    """A POST as HTTP/1.1."""
    parts = urlsplit(url)
    head = f"POST {parts.path}{'?' * bool(parts.query)}{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


@dataclass(frozen=True)
class Kept:
    """An answer to look at later; times on `clock`."""

    request: Request
    asked: float
    answered: float
    status: int
    body: bytes


@dataclass
class Answers:
    """What came back between `begin` and `end`, on `clock`.

    Attributes:
        by: what must lie between them: the time a request was due, or the time of its answer.
        keep: whether every answer is kept, not only the first and the last of each connection.
        seconds: of every answer by its status.
        sequences: predicted between them.
        answered: sequences predicted at all, warm-up included.
        late: seconds by which each request of an open loop was sent later than due.
    """

    begin: float
    end: float
    by: Literal["due", "answered"] = "answered"
    keep: bool = False
    seconds: defaultdict[int, "array[float]"] = field(default_factory=lambda: defaultdict(lambda: array("d")))
    sequences: int = 0
    answered: int = 0
    late: "array[float]" = field(default_factory=lambda: array("d"))
    kept: list[Kept] = field(default_factory=list)

    def add(self, connection: "Connection", now: float) -> None:
        """Notes the answer a connection holds."""
        request, status = connection.request, connection.status
        if status == OK:
            self.answered += request.sequences
        if now > self.end and not self.seconds:
            self.end = now  # one answer at least, however long it takes
        if self.begin <= (now if self.by == "answered" else connection.due) <= self.end:
            self.seconds[status].append(now - connection.due)
            if status == OK:
                self.sequences += request.sequences
        if self.keep or connection.answers == 1 or now > self.end:
            self.kept.append(Kept(request, connection.due, now, status, b"".join(connection.body)))

    def check(self) -> None:
        """Holds what was kept to be what was expected.

        Raises:
            BenchmarkError: an answer was not the expected one.
        """
        for each in self.kept:
            if each.status == OK:
                try:
                    each.request.check(each.body)
                except (ValueError, LookupError) as error:
                    raise BenchmarkError(f"{error}, in the answer {each.body[:500]!r}") from error

    def measured(self, cpu: float) -> Measured:
        """Rates and percentiles of the predictions, for which the server took `cpu` seconds, warm-up included."""
        seconds, length = np.array(self.seconds[OK]), self.end - self.begin
        return Measured.of(seconds, self.sequences / length, len(seconds) / length, cpu / max(1, self.answered))


class Connection(asyncio.Protocol):
    """A keep-alive connection with at most one request under way.

    Args:
        answered: called with the connection and the time when an answer is complete.
        failed: called with the reason when the connection ends before its answer.
    """

    def __init__(self, answered: Callable[["Connection", float], None], failed: Callable[[Exception], None]) -> None:
        self._answered, self._failed = answered, failed
        self._head, self._missing = b"", -1
        self.body: list[bytes] = []
        self.busy, self.open, self.answers, self.idle_since = False, True, 0, 0.0

    def connection_made(self, transport: Any) -> None:
        """Remembers where to write."""
        self.transport = transport

    def ask(self, request: Request, due: float) -> None:
        """Sends a request that was due at that time."""
        self.request, self.due, self.busy = request, due, True
        self.transport.write(request.raw)

    def data_received(self, data: bytes) -> None:
        """Reads on; tells when the answer is complete."""
        if self._missing < 0:
            data = self._read_head(data)
            if self._missing < 0:
                return
        self._missing -= len(data)
        self.body.append(data)
        if not self._missing:
            now = clock()
            self._head, self._missing, self.busy = b"", -1, False
            self.answers += 1
            self._answered(self, now)

    def _read_head(self, data: bytes) -> bytes:
        """Reads status and length; returns what of the body came with them."""
        self._head += data
        end = self._head.find(b"\r\n\r\n")
        if end < 0:
            return b""
        found = LENGTH.search(self._head, 0, end)
        if found is None:
            self._failed(BenchmarkError(f"expected a Content-Length, received {self._head[:end]!r}"))
            return b""
        self.status, self._missing, self.body = int(self._head[9:12]), int(found[1]), []
        return self._head[end + 4 :]

    def connection_lost(self, error: Exception | None) -> None:
        """Fails where an answer was still to come."""
        self.open = False
        if self.busy:
            found = f"received the end of the connection after {clock() - self.due:.3f} s ({error})"
            self._failed(BenchmarkError(f"expected answer {self.answers + 1} of a connection, {found}"))
