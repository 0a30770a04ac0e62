"""The load generator: many keep-alive connections in one event loop, requests rendered before the clock runs.

It must never be what is measured, so it does as little as it can: writes bytes, reads the status and Content-Length,
notes the time. Bodies are looked at after the clock has stopped: the first and the last of every connection.
"""

import asyncio
import gc
import itertools
import re
import time
from array import array
from collections import defaultdict, deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import uvloop

from benchmarks.serving.measured import BenchmarkError, Measured

LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
HANG_S = 60  # seconds after which a request without an answer hangs
OK, FULL = 200, 429
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


def render(url: str, body: bytes) -> bytes:
    """A POST of JSON as HTTP/1.1."""
    parts = urlsplit(url)
    head = f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


@dataclass
class Answers:
    """What came back between `begin` and `end`, on the clock.

    Attributes:
        seconds: of every answer by its status.
        sequences: predicted between them.
        answered: sequences predicted at all, warm-up included.
        kept: answers to look at later.
    """

    begin: float
    end: float
    seconds: defaultdict[int, array] = field(default_factory=lambda: defaultdict(lambda: array("d")))
    sequences: int = 0
    answered: int = 0
    kept: list[tuple[Request, int, bytes]] = field(default_factory=list)

    def add(self, connection: "Connection", now: float) -> None:
        """Notes the answer a connection holds."""
        if connection.status == OK:
            self.answered += connection.request.sequences
        if self.begin <= now <= self.end:
            self.seconds[connection.status].append(now - connection.due)
            if connection.status == OK:
                self.sequences += connection.request.sequences
        if connection.answers == 1 or now > self.end or connection.status not in (OK, FULL):
            self.kept.append((connection.request, connection.status, b"".join(connection.body)))

    def check(self, allowed: set[int]) -> None:
        """Looks at what was kept.

        Raises:
            BenchmarkError: an answer was an error, or not the expected one.
        """
        for request, status, body in self.kept:
            if status not in allowed:
                raise BenchmarkError(f"expected status {sorted(allowed)}, received {status}: {body[:500]!r}")
            if status == OK:
                try:
                    request.check(body)
                except ValueError as error:
                    raise BenchmarkError(f"{error}, in {body[:500]!r}") from error

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
        self.busy, self.open, self.answers = False, True, 0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def ask(self, request: Request, due: float) -> None:
        """Sends a request that was due at that time."""
        self.request, self.due, self.busy = request, due, True
        self.transport.write(request.raw)

    def data_received(self, data: bytes) -> None:
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
        self.open = False
        if self.busy:
            self._failed(BenchmarkError(f"expected an answer, received the end of the connection ({error})"))


def closed_loop(url: str, requests: list[Request], clients: int, seconds: float, warm_up: float) -> Answers:
    """Each of so many clients asks again as soon as it is answered; the requests are asked in turn.

    Raises:
        BenchmarkError: an answer was not 200, not the expected one, or did not come.
    """
    answers = _run(_closed_loop(url, itertools.cycle(requests), clients, seconds, warm_up))
    answers.check({OK})
    return answers


async def _closed_loop(url: str, requests: Iterator[Request], clients: int, seconds: float, warm_up: float) -> Answers:
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    left = clients

    def answered(connection: Connection, now: float) -> None:
        nonlocal left
        answers.add(connection, now)
        if connection.status != OK:
            fail(BenchmarkError(f"expected status 200, received {connection.status}: {b''.join(connection.body)!r}"))
        elif now <= answers.end:
            connection.ask(next(requests), now)
        else:
            left -= 1
            if not left and not done.done():
                done.set_result(None)

    def fail(error: Exception) -> None:
        if not done.done():
            done.set_exception(error)

    connections = [await _connect(url, answered, fail) for _ in range(clients)]
    start = clock()
    answers = Answers(start + warm_up, start + warm_up + seconds)
    for connection in connections:
        connection.ask(next(requests), clock())
    await _within(done, warm_up + seconds + HANG_S)
    for connection in connections:
        connection.transport.close()
    return answers


def open_loop(url: str, requests: list[Request], rate: float, seconds: float, warm_up: float) -> Answers:
    """Requests at that rate (a second, at random times), whether or not the ones before are answered.

    A request's time counts from when it was due, so that waiting for a connection counts too.

    Raises:
        BenchmarkError: an answer was neither 200 nor 429, not the expected one, or did not come.
    """
    answers = _run(_open_loop(url, itertools.cycle(requests), rate, seconds, warm_up))
    answers.check({OK, FULL})
    return answers


async def _open_loop(url: str, requests: Iterator[Request], rate: float, seconds: float, warm_up: float) -> Answers:
    failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    idle: deque[Connection] = deque()
    under_way = 0

    def answered(connection: Connection, now: float) -> None:
        nonlocal under_way
        under_way -= 1
        answers.add(connection, now)
        idle.append(connection)

    def fail(error: Exception) -> None:
        if not failed.done():
            failed.set_exception(error)

    async def connect_and_ask(request: Request, due: float) -> None:
        try:
            (await _connect(url, answered, fail)).ask(request, due)
        except OSError as error:
            fail(BenchmarkError(f"expected a connection, received {error}"))

    tasks: set[asyncio.Task[None]] = set()
    gaps = np.random.default_rng(0).exponential(1 / rate, int(2 * rate * (seconds + warm_up)) + 1)
    start = clock()
    answers = Answers(start + warm_up, start + warm_up + seconds)
    for due in start + np.cumsum(gaps):
        if due > answers.end or failed.done():
            break
        while clock() < due:
            await asyncio.sleep(0)  # a timer of the event loop is good to a millisecond only
        under_way += 1
        while idle and not idle[-1].open:
            idle.pop()  # the server closed it
        if idle:
            idle.pop().ask(next(requests), float(due))
        else:
            tasks.add(task := asyncio.create_task(connect_and_ask(next(requests), float(due))))
            task.add_done_callback(tasks.discard)
    while under_way and not failed.done() and clock() < answers.end + HANG_S:
        await asyncio.sleep(0.001)
    if failed.done():
        failed.result()
    if under_way:
        raise BenchmarkError(f"expected an answer within {HANG_S} s, {under_way} requests received none")
    for connection in idle:
        connection.transport.close()
    return answers


async def _connect(
    url: str, answered: Callable[[Connection, float], None], failed: Callable[[Exception], None]
) -> Connection:
    parts = urlsplit(url)
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(lambda: Connection(answered, failed), parts.hostname, parts.port)
    return connection


async def _within(done: asyncio.Future[None], seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await done
    except TimeoutError as error:
        raise BenchmarkError(f"expected an answer within {HANG_S} s, received none") from error


def _run(load: Coroutine[Any, Any, Answers]) -> Answers:
    with _no_collection():
        return uvloop.run(load)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keeps the garbage collector out of the measurement."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
