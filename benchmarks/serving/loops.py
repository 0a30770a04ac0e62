"""The two kinds of load: so many clients that wait for their answers, and requests at a rate that wait for nobody."""

import asyncio
import gc
import socket
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import numpy as np
import uvloop

from benchmarks.serving.load import OK, Answers, Connection, Request, clock
from benchmarks.serving.measured import BenchmarkError

FULL = 429
HANG_S = 60  # seconds after which a request without an answer hangs
READ = 1 << 18  # bytes that one client reads at once
IDLE_S = 2  # seconds after which a connection is not used again: servers close them (uvicorn after 5)
LONGEST_S = 3600  # of a load without an end of its own


class Load(ABC):
    """Requests under way, and what came back: what both kinds of load share.

    Args:
        requests: asked in turn.
        allowed: every other status fails the load.
    """

    def __init__(self, url: str, requests: Iterable[Request], answers: Answers, allowed: set[int]) -> None:
        self._host, self._port = urlsplit(url).hostname or "", urlsplit(url).port or 80
        self._requests, self.answers, self._allowed = iter(requests), answers, allowed
        self._connections: list[Connection] = []
        self._under_way = 0
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def close(self) -> None:
        """Ends every connection."""
        for connection in self._connections:
            connection.transport.abort()

    async def _connect(self) -> Connection:
        connection, loop = Connection(self._answered, self._fail), asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: connection, self._host, self._port)
        except OSError as error:
            raise BenchmarkError(f"expected a connection to {self._host}:{self._port}, received {error}") from error
        self._connections.append(connection)
        return connection

    def _fail(self, error: Exception) -> None:
        if not self._over.done():
            self._over.set_exception(error)

    def _answered(self, connection: Connection, now: float) -> None:
        self._under_way -= 1
        self.answers.add(connection, now)
        if connection.status not in self._allowed:
            body = b"".join(connection.body)[:500]
            self._fail(BenchmarkError(f"expected status {self._allowed}, received {connection.status}: {body!r}"))
        self._next(connection, now)

    @abstractmethod
    def _next(self, connection: Connection, now: float) -> None:
        """What a connection does after its answer."""

    async def _finish(self, seconds: float) -> None:
        """Waits until the load is over, at most so long.

        Raises:
            BenchmarkError: it failed, or a request hangs.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._over
        except TimeoutError as error:
            raise BenchmarkError(f"expected answers within {HANG_S} s, {self._under_way} are missing") from error


class ClosedLoop(Load):
    """Each of so many clients asks again as soon as it is answered, until time or requests are over."""

    async def run(self, clients: int) -> None:
        """Runs it."""
        connections = [await self._connect() for _ in range(clients)]
        for connection in connections:
            self._next(connection, clock())
        await self._finish(max(0.0, min(self.answers.end - clock(), LONGEST_S)) + HANG_S)

    def _next(self, connection: Connection, now: float) -> None:
        request = next(self._requests, None) if now <= self.answers.end else None
        if request is not None:
            self._under_way += 1
            connection.ask(request, now)
        elif not self._under_way and not self._over.done():
            self._over.set_result(None)


class OpenLoop(Load):
    """Requests at a rate, at random times, whether or not the ones before are answered.

    A request's time counts from when it was due, so that waiting for a connection counts too.
    """

    async def run(self, rate: float) -> None:
        """Runs it, at so many requests a second."""
        self._asking = True
        self._idle: deque[Connection] = deque()
        self._connecting: set[asyncio.Task[None]] = set()
        random, due = np.random.default_rng(0), clock()
        while (due := due + random.exponential(1 / rate)) <= self.answers.end and not self._over.done():
            while clock() < due:  # noqa: ASYNC110 (a timer of the event loop is good to a millisecond only)
                await asyncio.sleep(0)
            self.answers.late.append(clock() - due)
            self._ask(due)
        self._asking = False
        self._end()
        await self._finish(HANG_S)

    def _ask(self, due: float) -> None:
        self._under_way += 1
        while self._idle:
            connection = self._idle.pop()
            if connection.open and due - connection.idle_since < IDLE_S:
                connection.ask(next(self._requests), due)
                return
        task = asyncio.create_task(self._connect_and_ask(next(self._requests), due))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect_and_ask(self, request: Request, due: float) -> None:
        try:
            (await self._connect()).ask(request, due)
        except BenchmarkError as error:
            self._fail(error)

    def _next(self, connection: Connection, now: float) -> None:
        connection.idle_since = now
        self._idle.append(connection)
        self._end()

    def _end(self) -> None:
        if not self._asking and not self._under_way and not self._over.done():
            self._over.set_result(None)


def closed_loop(
    url: str, requests: Iterable[Request], clients: int, seconds: float, warm_up: float = 0, keep: bool = False
) -> Answers:
    """See `ClosedLoop`; `seconds` may be infinite where the requests end.

    Raises:
        BenchmarkError: an answer was not 200, not the expected one, or did not come.
    """
    if clients == 1:
        return _checked(lambda: polling(url, requests, seconds, warm_up, keep))

    async def run() -> Answers:
        begin = clock() + warm_up
        with closing(ClosedLoop(url, requests, Answers(begin, begin + seconds, keep=keep), {OK})) as load:
            await load.run(clients)
            return load.answers

    return _checked(lambda: uvloop.run(run()))


def polling(url: str, requests: Iterable[Request], seconds: float, warm_up: float, keep: bool) -> Answers:
    """One client, which never sleeps while it waits: a core takes up to 0.1 ms to wake up, and an event loop as much as
    a small model; both would be measured as the server's.
    """
    begin = clock() + warm_up
    answers = Answers(begin, begin + seconds, keep=keep)
    with _connected(url) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(answers.add, _raise)
        connection.connection_made(_Writer(client.sendall))
        for request in requests:
            connection.ask(request, clock())
            while connection.busy:
                try:
                    data = client.recv(READ, socket.MSG_DONTWAIT)
                except BlockingIOError:
                    if clock() - connection.due > HANG_S:
                        raise BenchmarkError(f"expected an answer within {HANG_S} s, it is missing") from None
                    continue
                if data:
                    connection.data_received(data)
                else:
                    connection.connection_lost(None)
            if connection.status != OK:
                body = b"".join(connection.body)[:500]
                raise BenchmarkError(f"expected status {OK}, received {connection.status}: {body!r}")
            if clock() > answers.end:
                break
    return answers


def _connected(url: str) -> socket.socket:
    host, port = urlsplit(url).hostname, urlsplit(url).port or 80
    try:
        return socket.create_connection((host, port))
    except OSError as error:
        raise BenchmarkError(f"expected a connection to {host}:{port}, received {error}") from error


@dataclass(frozen=True)
class _Writer:
    """What a `Connection` needs of a transport."""

    write: Callable[[bytes], None]


def _raise(error: Exception) -> None:
    raise error


def open_loop(url: str, requests: Iterable[Request], rate: float, seconds: float, warm_up: float) -> Answers:
    """See `OpenLoop`.

    Raises:
        BenchmarkError: an answer was neither 200 nor 429, not the expected one, or did not come.
    """

    async def run() -> Answers:
        begin = clock() + warm_up
        with closing(OpenLoop(url, requests, Answers(begin, begin + seconds, by="due"), {OK, FULL})) as load:
            await load.run(rate)
            return load.answers

    return _checked(lambda: uvloop.run(run()))


def _checked(load: Callable[[], Answers]) -> Answers:
    with _no_collection():
        answers = load()
    answers.check()
    return answers


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keeps the garbage collector out of the measurement."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
