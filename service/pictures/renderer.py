"""Pictures, drawn outside of the server's process, and the latest of them kept."""

import asyncio
import sys
from asyncio import StreamReader, StreamWriter
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from pathlib import Path
from typing import cast

from service.errors import TooLate, TooMany, Unavailable
from service.once import Once
from service.pictures.orders import ANSWER, REQUEST, Order, encode

KEPT = 64  # pictures; the least recently asked for goes first
WAITING = 32  # pictures that may wait for those before them
EACH_S = 0.2  # that a picture takes, about
LONGEST_S = 20.0  # that one may take
IDLE_S = 60.0  # after which the process that draws gives its memory back
PACKAGES = Path(__file__).parents[2]  # where the process finds this one
BUNDLE = Order(None, "svg", "light")


class Renderer:
    """Draws, one picture at a time, in a process that starts with the first; see `process.py`.

    One that is asked for again, or by several at once, is drawn once.
    """

    def __init__(self) -> None:
        self._pictures = Once[str](KEPT)
        self._one_at_a_time = asyncio.Lock()
        self._waiting = 0
        self._process: Process | None = None
        self._idle: asyncio.TimerHandle | None = None

    async def draw(self, name: str, order: Order) -> bytes:
        """A picture.

        Args:
            name: of this picture and no other, in all formats and themes.

        Raises:
            TooMany: too many wait.
            TooLate: it took too long.
            Unavailable: the process that draws has died.
        """
        picture: bytes = await self._pictures.ask(name, lambda: self._draw(order))
        return picture

    async def bundle(self) -> bytes:
        """The JavaScript that draws definitions in a browser: Vega, Vega-Lite and Vega-Embed. Raises: see `draw`."""
        return await self.draw("bundle", BUNDLE)

    async def close(self) -> None:
        """Ends the process that draws."""
        await self._pictures.close()
        process = self._process
        self._stop()
        if process is not None:
            await process.communicate()  # to the end of its pipes

    async def _draw(self, order: Order) -> bytes:
        if self._waiting >= WAITING:
            raise TooMany(self._waiting * EACH_S)
        self._waiting += 1
        try:
            async with self._one_at_a_time:
                return await self._ask(await asyncio.to_thread(encode, order))
        finally:
            self._waiting -= 1

    async def _ask(self, request: bytes) -> bytes:
        """The process's answer. What interrupts it ends the process: the answer would be taken for the next one's."""
        if self._idle is not None:
            self._idle.cancel()
        try:
            async with asyncio.timeout(LONGEST_S):
                drawn, answer = await self._exchange(request)
        except TimeoutError as error:
            self._stop()
            raise TooLate(f"expected to have drawn this picture within {LONGEST_S:.0f} s") from error
        except (OSError, asyncio.IncompleteReadError) as error:
            self._stop()
            raise Unavailable("expected a picture of the process that draws, but it has ended; try again") from error
        except asyncio.CancelledError:
            self._stop()
            raise
        self._idle = asyncio.get_running_loop().call_later(IDLE_S, self._stop)
        if not drawn:
            raise RuntimeError(f"expected a definition that can be drawn: {answer.decode()}")
        return answer

    async def _exchange(self, request: bytes) -> tuple[bool, bytes]:
        if self._process is None:
            command = (sys.executable, "-m", "service.pictures.process")
            self._process = await asyncio.create_subprocess_exec(*command, cwd=PACKAGES, stdin=PIPE, stdout=PIPE)
        asks, answers = cast(StreamWriter, self._process.stdin), cast(StreamReader, self._process.stdout)
        asks.write(REQUEST.pack(len(request)) + request)
        await asks.drain()
        drawn, size = ANSWER.unpack(await answers.readexactly(ANSWER.size))
        return drawn, await answers.readexactly(size)

    def _stop(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        if self._process is not None:
            cast(StreamWriter, self._process.stdin).close()
            with suppress(ProcessLookupError):
                self._process.kill()
            self._process = None
