"""How long a run takes, from a few measured ones: what is short enough for the event loop, how much padding pays, how
much work waits.
"""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

REPEATS = 3
MANY, SLOW_S = 32, 0.02  # a run of many sequences is not measured where a single one takes so long


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of a run of `count` sequences of `time` steps: overhead + time × (per_time + count × per_step).

    Attributes:
        overhead: of a run.
        per_time: of a step of time, whatever the number of sequences.
        per_step: of a step of one sequence.
    """

    overhead: float
    per_time: float
    per_step: float

    def seconds(self, count: int, time: int) -> float:
        """The estimate for one run."""
        return self.overhead + time * (self.per_time + count * self.per_step)

    def share(self, count: int, time: int) -> float:
        """What sequences add to a run of others."""
        return time * count * self.per_step


def measure(run: Callable[[int, int], object], short: int, long: int) -> Cost:
    """Measures `run(count, time)`, for which `short` and `long` are possible times; they may be the same."""
    one = _fastest(run, 1, short)
    by_time = (_fastest(run, 1, long) - one) / (long - short) if long > short else one / short
    if one > SLOW_S:
        per_step = max(0.0, by_time)
    else:
        per_step = max(0.0, (_fastest(run, MANY, short) - one) / ((MANY - 1) * short))
    per_time = max(0.0, by_time - per_step)
    return Cost(max(0.0, one - short * (per_time + per_step)), per_time, per_step)


def _fastest(run: Callable[[int, int], object], count: int, time: int) -> float:
    """The least disturbed of several, the first of which pays for memory."""
    seconds = []
    for _ in range(REPEATS):
        start = perf_counter()
        run(count, time)
        seconds.append(perf_counter() - start)
    return min(seconds)
