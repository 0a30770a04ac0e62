"""Sequences of different lengths, grouped into runs."""

from collections.abc import Iterator

import numpy as np

from service.arrays import IntArray
from service.models.cost import Cost


def plan(lengths: IntArray, max_count: int, max_steps: int, cost: Cost) -> Iterator[IntArray]:
    """Groups sequences into runs of similar length: a shorter one is padded where that costs less than a run more.

    Without the bound, one long sequence among thousands of short ones would pad to gigabytes.

    Args:
        lengths: `(sequence,)`, what each would be padded to alone.
        max_count: sequences of a run.
        max_steps: of a run once padded, sequences × time; one sequence alone may exceed it.
        cost: of a run.

    Yields:
        Indices of the sequences of each run. Together they are every index once, in order of length.
    """
    order = np.argsort(lengths, kind="stable")
    ordered = lengths[order].astype(np.int64)
    start = 0
    for stop in [*_cuts(ordered, cost), len(order)]:
        while start < stop:
            steps = np.arange(1, stop - start + 1) * ordered[start:stop]  # of a run up to each
            count = min(max_count, max(1, int(np.searchsorted(steps, max_steps, "right"))))
            yield order[start : start + count]
            start += count


def _cuts(ordered: IntArray, cost: Cost) -> list[int]:
    """Where a new run begins, other than at 0: where padding all before it to its length costs more than a run.

    Args:
        ordered: lengths, the shortest first.
    """
    times, firsts = np.unique(ordered, return_index=True)
    cuts: list[int] = []
    start, before, padded = 0, int(times[0]), 0  # padded: steps, of the run so far
    for time, first in zip(times[1:].tolist(), firsts[1:].tolist(), strict=True):
        padded += (first - start) * (time - before)
        if padded * cost.per_step > cost.overhead + before * cost.per_time:
            cuts.append(first)
            start, padded = first, 0
        before = time
    return cuts
