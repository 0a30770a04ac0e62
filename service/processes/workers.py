"""Several processes that serve one port: started, replaced when they end, stopped together."""

import logging
import multiprocessing
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

from service.errors import StartupError
from service.processes.sockets import reserve
from service.processes.worker import stop_within, work
from service.settings import Settings

logger = logging.getLogger(__name__)
SPAWN = multiprocessing.get_context("spawn")  # ONNX Runtime does not survive a fork
TICK_S = 0.1
STEADY_S = 10.0  # a worker that served so long did not end for how it was started
LONGEST_PAUSE_S = 30.0


def serve(settings: Settings, started: Callable[[str], None]) -> int:
    """Serves with `settings.workers` processes until it is told to stop; returns the exit status.

    Args:
        started: told the greeting, once all workers listen.

    Raises:
        StartupError: the port is taken, or a worker cannot start, and why.
    """
    if sys.platform != "linux":
        raise StartupError(f"expected --workers 1: processes share a port on Linux only, and this is {sys.platform}")
    supervisor = Supervisor()
    with reserve(settings.host, settings.port) as reserved, _folder() as folder:
        supervisor.run(settings.model_copy(update={"port": reserved.getsockname()[1]}), folder, started)
    return 0


class Supervisor:
    """Keeps as many workers as the settings say, until it is told to stop."""

    def __init__(self) -> None:
        self._seats: list[Seat] = []
        self._told_to_stop = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop_soon)

    def run(self, settings: Settings, folder: Path, started: Callable[[str], None]) -> None:
        """Returns when it was told to stop, and all workers have.

        Args:
            folder: where the workers leave their numbers.

        Raises:
            StartupError: not all workers came up at first.
        """
        self._seats = [Seat(number + 1, settings, folder) for number in range(settings.workers)]
        try:
            self._start(started)
            while not self._told_to_stop:
                self._rest()
                for seat in self._seats:
                    seat.look_after()
        finally:
            self._stop(stop_within(settings))

    def _stop_soon(self, *_: object) -> None:
        self._told_to_stop = True

    def _start(self, started: Callable[[str], None]) -> None:
        while not self._told_to_stop and not all(seat.greeting for seat in self._seats):
            self._rest()
            for seat in self._seats:
                if seat.has_ended():
                    raise StartupError(seat.fault)
        if not self._told_to_stop:
            started(self._seats[0].greeting)

    def _rest(self) -> None:
        """Until a process ends, or for a tick."""
        wait([seat.process.sentinel for seat in self._seats if seat.start_at is None], TICK_S)

    def _stop(self, within: float) -> None:
        for seat in self._seats:
            seat.process.terminate()
        deadline = time.monotonic() + within
        for seat in self._seats:
            seat.process.join(max(0.0, deadline - time.monotonic()))
            if seat.process.is_alive():
                logger.error("worker %d did not stop within %.0f s: killed", seat.number, within)
                seat.process.kill()
                seat.process.join()


class Seat:
    """The place of one worker, whose processes come and go.

    Attributes:
        process: the last one.
        greeting: what it said when it came up; empty until then.
        start_at: when the next one starts, while there is none; by the monotonic clock.
    """

    def __init__(self, number: int, settings: Settings, folder: Path) -> None:
        self.number, self._settings, self._folder = number, settings, folder
        self._short_lives, self._came_up = 0, 0.0
        self.greeting, self._fault = "", ""
        self.start_at: float | None = None
        self.process, self._pipe = self._start()

    @property
    def fault(self) -> str:
        """Why the process has ended: in its own words, if it had any."""
        status = self.process.exitcode or 0
        return self._fault or (f"exit status {status}" if status >= 0 else f"killed by signal {-status}")

    def look_after(self) -> None:
        """Starts a process where there is none, at once or after a pause; says so."""
        if self.has_ended() and self.start_at is None:
            pause = self._pause()
            when = f"in {pause:.1f} s" if pause else "at once"
            logger.error("worker %d ended, the next starts %s: %s", self.number, when, self.fault)
            self.start_at = time.monotonic() + pause
        if self.start_at is not None and time.monotonic() >= self.start_at:
            self._pipe.close()
            self.greeting, self._fault, self.start_at = "", "", None
            self.process, self._pipe = self._start()

    def has_ended(self) -> bool:
        """Hears what the process said of its start, and whether it is no more."""
        has_ended = not self.process.is_alive()
        try:
            while not self.greeting and self._pipe.poll():
                came_up, words = self._pipe.recv()
                self.greeting, self._fault = (words, "") if came_up else ("", words)
                self._came_up = time.monotonic()
        except EOFError:  # it said nothing, or nothing more
            return has_ended
        return has_ended

    def _start(self) -> tuple[SpawnProcess, Connection]:
        ours, theirs = SPAWN.Pipe(duplex=False)
        process = SPAWN.Process(target=work, args=(self.number, self._settings, self._folder, theirs))
        with _ctrl_c_held():
            process.start()
        theirs.close()
        return process, ours

    def _pause(self) -> float:
        """Seconds until the next start: none at first, then longer and longer while processes keep ending early."""
        steady = self.greeting and time.monotonic() - self._came_up >= STEADY_S
        self._short_lives = 0 if steady else self._short_lives + 1
        return min(LONGEST_PAUSE_S, 2.0 ** (self._short_lives - 2)) if self._short_lives > 1 else 0.0


@contextmanager
def _ctrl_c_held() -> Iterator[None]:
    """A process started in here never sees Ctrl-C, which a terminal sends to all: its parent tells it to stop."""
    resource_tracker.ensure_running()  # which lets signals in again when the first process starts it
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


@contextmanager
def _folder() -> Iterator[Path]:
    """Where the workers leave their numbers for each other.

    Raises:
        StartupError: there is no folder to write in.
    """
    try:
        folder = tempfile.TemporaryDirectory(prefix="attention-lstm-", ignore_cleanup_errors=True)
    except OSError as error:
        raise StartupError(f"expected a folder for what the workers share, set by TMPDIR: {error}") from error
    with folder as path:
        yield Path(path)
