"""Where answers wait until those made with them are made, too."""

import asyncio
import time
from collections.abc import Callable

from service import deferred

AWAKE_S = 0.0001  # see AnswerWriter


class AnswerWriter:
    """Answers written together, once those of a batch are all made.

    Each write wakes up its reader. Between the making of two answers that costs as much as all the rest.

    A client alone may ask again at once. To go to sleep before it does and to be woken up takes a core longer than a
    small model, so if its last request came within `AWAKE_S` of an answer, the next is waited for so long, awake.

    Attributes:
        asked: when the last request came, by `time.perf_counter`.
    """

    def __init__(self) -> None:
        self.asked = self._answered = 0.0
        self._waiting: list[Callable[[], None]] = []
        self._default: list[tuple[bytes, bytes]] = []
        self._rendered = b""

    def headers(self, default: list[tuple[bytes, bytes]]) -> bytes:
        """The default headers of uvicorn as bytes; it makes a new list every second, for the date."""
        if default is not self._default:
            self._default, self._rendered = default, b"".join([b"%s: %s\r\n" % header for header in default])
        return self._rendered

    def put(self, write: Callable[[], None]) -> None:
        """Has an answer written once those made with it are made, too."""
        if not self._waiting:
            deferred.after_run(self._write)
        self._waiting.append(write)

    def _write(self) -> None:
        waiting, self._waiting = self._waiting, []
        prompt = 0 < self.asked - self._answered < AWAKE_S
        for write in waiting:
            write()
        self._answered = time.perf_counter()
        if prompt and len(waiting) == 1:
            self._wait()

    def _wait(self) -> None:
        """Keeps the event loop from sleeping."""
        if self.asked < self._answered and time.perf_counter() - self._answered < AWAKE_S:
            asyncio.get_running_loop().call_soon(self._wait)
