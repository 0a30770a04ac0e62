"""Jobs that wait while the runtime is busy run together next. Knows no HTTP and no ONNX.

There is no timer: a job that finds nothing running runs in the same turn of the event loop, together with all that
arrived in that turn. After a run of several jobs, whose callers ask again one by one, the next waits for as many turns
as bring more, until they fill a run. A short run happens right there, because a thread would cost more; a long one on
a thread, while the loop reads what comes next. Jobs of one key (a model, say) run together; between keys, the one that
has used least time is next; a long job is cut into parts, and others run between them.

Every job is finished once, whatever happens: with its result, with the error of its own run, with `DeadlineExceeded`,
or with `Stopped`; and a cancelled one is dropped without a trace in its neighbours.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Generic, Protocol, TypeVar

from service import deferred

logger = logging.getLogger(__name__)

# Runs estimated to be shorter happen on the event loop. A longer one leaves it free, where another core can read what
# comes meanwhile; where there is none, a thread costs a tenth of a run of 256 sequences and gains nothing.
INLINE_S, INLINE_ALONE_S = 0.002, 0.01
BACKGROUND_S = 0.01  # seconds of background work run at once, so that interactive jobs do not wait long behind it


class Work(Protocol):
    """A part of a job, small enough for one run."""

    @property
    def count(self) -> int:
        """Sequences in it."""

    @property
    def time(self) -> int:
        """Steps of the longest."""

    @property
    def values(self) -> int:
        """Values computed with at each step, of each sequence."""


K = TypeVar("K", bound=Hashable)
W = TypeVar("W", bound=Work)
R = TypeVar("R")


class Full(Exception):
    """There is too much waiting already; `retry_after` is the seconds that it is estimated to take."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"{retry_after:.3f} s of work are waiting")
        self.retry_after = retry_after


class DeadlineExceeded(Exception):
    """The job was not finished in time."""


class Stopped(Exception):
    """The batcher was closed before the job was finished."""


@dataclass(eq=False, slots=True)
class Job(Generic[K, W, R]):
    """Something to run.

    Attributes:
        key: jobs of the same key may run together.
        parts: of the work, each small enough for one run.
        done: called once with the results of the parts, in order, or with the error.
        deadline: by `time.monotonic`.
        background: runs when nothing else waits.
        seconds: estimate of its share of all its runs.
        entered: when it was submitted, by `time.monotonic`.
    """

    key: K
    parts: Sequence[W]
    done: Callable[[Sequence[R] | Exception], None]
    deadline: float
    background: bool = False
    seconds: float = 0.0
    entered: float = 0.0
    results: list[R] = field(default_factory=list)
    next: int = 0
    finished: bool = False

    def finish(self, outcome: Sequence[R] | Exception) -> None:
        """Finishes it, unless it is finished."""
        if not self.finished:
            self.finished = True
            try:
                self.done(outcome)
            except Exception:  # its neighbours have to be finished, too
                logger.exception("the receiver of a result failed")


@dataclass(slots=True)
class Queue(Generic[K, W, R]):
    """The jobs of one key that wait, and the seconds that were spent on the key."""

    used: float
    jobs: deque[Job[K, W, R]] = field(default_factory=deque)


@dataclass(frozen=True, slots=True)
class Limits:
    """What may run together.

    Attributes:
        count: sequences.
        values: once padded: sequences × time × values of a step.
    """

    count: int
    values: int

    def hold(self, count: int, time: int, values: int) -> bool:
        """Whether as much may run together."""
        return count <= self.count and count * time * values <= self.values


class Batcher(Generic[K, W, R]):
    """Runs jobs; see the module.

    Args:
        run: runs parts of the same key together and returns the result of each, or its error, in order.
        estimate: seconds that a run of so many sequences of so many steps takes.
        share: seconds that a part adds to the run of others.
        limits: of what runs together.
        wait: seconds of work that may wait before a job is refused.
        inline: seconds of a run that may happen on the event loop.
        observe: told of every run that starts: its key, its jobs, and when.
    """

    def __init__(
        self,
        run: Callable[[K, Sequence[W]], Sequence[R | Exception]],
        estimate: Callable[[K, int, int], float],
        share: Callable[[K, int, int], float],
        limits: Limits,
        wait: float,
        inline: float = INLINE_S,
        observe: Callable[[K, Sequence[Job[K, W, R]], float], None] = lambda *_: None,
    ) -> None:
        self._run, self._estimate, self._share = run, estimate, share
        self._limits, self._wait, self._inline, self._observe = limits, wait, inline, observe
        self._waiting: tuple[dict[K, Queue[K, W, R]], ...] = ({}, {})  # interactive, background
        self._running: Sequence[Job[K, W, R]] = ()
        self._busy = self._scheduled = self._closed = False
        self._arrived = self._seen = 0  # sequences since the last run, now and one turn ago
        self._together = 1  # jobs of the last run
        self._clock = 0.0  # seconds used by the key that ran last: where a new key starts
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._thread = ThreadPoolExecutor(1, "run")
        self._seconds = [0.0, 0.0]  # estimates of all that waits or runs: interactive, background

    def check(self, background: bool = False) -> None:
        """Refuses a job before any work is spent on it. Background work is no reason to refuse an interactive job.

        Raises:
            Full: more work waits than the limit.
        """
        seconds = self._seconds[0] + self._seconds[1] if background else self._seconds[0]
        if seconds > self._wait:
            raise Full(seconds)

    def submit(self, job: Job[K, W, R]) -> None:
        """Queues the job; its `done` is called later, never from here.

        Raises:
            Full: more work waits than the limit.
            Stopped: the batcher is closed.
        """
        if self._closed:
            raise Stopped("the server is stopping")
        self.check(job.background)
        for part in job.parts:
            job.seconds += self._share(job.key, part.count, part.time)
            self._arrived += part.count
        job.entered = monotonic()
        self._seconds[job.background] += job.seconds
        queues = self._waiting[job.background]
        queue = queues.get(job.key)
        if queue is None:
            queue = queues[job.key] = Queue(self._clock)
        queue.jobs.append(job)
        self._watch(job.deadline)
        self._wake()

    def cancel(self, job: Job[K, W, R]) -> None:
        """Drops a job that nobody waits for any more."""
        if not job.finished:
            job.finished = True
            self._forget(job)

    def close(self) -> None:
        """Finishes every job that is left with `Stopped`; what runs on the thread runs to its end."""
        self._closed = True
        for job in self._all():
            job.finish(Stopped("the server stopped before it could answer"))
        if self._timer is not None:
            self._timer.cancel()
        self._thread.shutdown(wait=False, cancel_futures=True)

    @property
    def length(self) -> int:
        """Jobs that wait."""
        return sum(len(queue.jobs) for queues in self._waiting for queue in queues.values())

    def _wake(self) -> None:
        if not self._busy and not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        """Runs what is next: here if it is short, else on the thread."""
        self._scheduled = False
        if self._busy or self._more_may_come():
            return
        self._arrived = self._seen = 0
        key, jobs, seconds = self._next()
        if not jobs:
            return
        self._together = len(jobs)
        parts = [job.parts[job.next] for job in jobs]
        self._running = jobs
        self._observe(key, jobs, monotonic())
        if seconds <= self._inline:
            self._ran(key, jobs, self._outcomes(key, parts))
            return
        self._busy = True
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._thread, self._outcomes, key, parts)
        future.add_done_callback(lambda future: self._ran_on_thread(key, jobs, future))

    def _more_may_come(self) -> bool:
        """Whether to look once more what comes before the next run: if the last turn has brought something."""
        if self._together == 1 or self._seen == self._arrived or self._arrived >= self._limits.count:
            return False
        self._seen = self._arrived
        self._wake()
        return True

    def _next(self) -> tuple[Any, list[Job[K, W, R]], float]:
        """Takes the jobs of the next run out of their queue; with their key and the estimated seconds."""
        for background, queues in enumerate(self._waiting):
            while queues:
                key = min(queues, key=lambda key: queues[key].used) if len(queues) > 1 else next(iter(queues))
                queue = queues[key]
                jobs, seconds = self._take(key, queue.jobs, BACKGROUND_S if background else float("inf"))
                self._clock = queue.used
                queue.used += seconds
                if not queue.jobs and not any(job.next + 1 < len(job.parts) for job in jobs):
                    del queues[key]
                if jobs:
                    return key, jobs, seconds
        return None, [], 0.0

    def _take(self, key: K, waiting: deque[Job[K, W, R]], most: float) -> tuple[list[Job[K, W, R]], float]:
        """As many jobs from the front as one run may hold, at least one if there is one that is still wanted."""
        jobs: list[Job[K, W, R]] = []
        count = time = 0
        seconds = 0.0
        now = monotonic()
        while waiting:
            job = waiting[0]
            if job.deadline <= now:
                job.finish(DeadlineExceeded())
                self._forget(job)
            if job.finished:
                waiting.popleft()
                continue
            part = job.parts[job.next]
            more, longest = count + part.count, max(time, part.time)
            estimate = self._estimate(key, more, longest)
            if jobs and (estimate > most or not self._limits.hold(more, longest, part.values)):
                break
            jobs.append(waiting.popleft())
            count, time, seconds = more, longest, estimate
        return jobs, seconds

    def _outcomes(self, key: K, parts: Sequence[W]) -> Sequence[R | Exception]:
        """Runs parts together; where that fails each alone, so that a poisonous one does not fail its neighbours."""
        try:
            return self._run(key, parts)
        except Exception as error:  # noqa: BLE001 (it reaches the callers)
            if len(parts) == 1:
                return [error]
            return [self._outcomes(key, [part])[0] for part in parts]

    def _ran_on_thread(self, key: K, jobs: Sequence[Job[K, W, R]], future: Any) -> None:
        self._busy = False
        if future.cancelled():  # by close()
            return
        self._ran(key, jobs, future.result())

    def _ran(self, key: K, jobs: Sequence[Job[K, W, R]], outcomes: Sequence[R | Exception]) -> None:
        """Gives each job its part's outcome; one with more parts waits again, behind the others."""
        self._running = ()
        with deferred.Run():
            for job, outcome in zip(jobs, outcomes, strict=True):
                job.next += 1
                if isinstance(outcome, Exception):
                    self._forget(job)
                    job.finish(outcome)
                    continue
                job.results.append(outcome)
                if job.next == len(job.parts):
                    self._forget(job)
                    job.finish(job.results)
                elif not job.finished:
                    self._waiting[job.background].setdefault(key, Queue(self._clock)).jobs.append(job)
        if self._waiting[0] or self._waiting[1]:
            self._wake()

    def _forget(self, job: Job[K, W, R]) -> None:
        """Takes its estimate out of the sum of what waits, once."""
        self._seconds[job.background] -= job.seconds
        job.seconds = 0.0

    def _watch(self, deadline: float) -> None:
        """Sees to it that the job is finished at its deadline even if nothing else happens."""
        if self._timer is None or deadline < self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = deadline
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, deadline - monotonic()), self._expire)

    def _expire(self) -> None:
        self._timer, now = None, monotonic()
        for job in self._all():
            if job.deadline <= now:
                job.finish(DeadlineExceeded())
                self._forget(job)
            elif not job.finished:
                self._watch(job.deadline)

    def _all(self) -> list[Job[K, W, R]]:
        waiting = [job for queues in self._waiting for queue in queues.values() for job in queue.jobs]
        return [*self._running, *waiting]
