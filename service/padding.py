"""Sequences of different lengths to arrays and back."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np

from service.arrays import FloatArray, IntArray

Array = TypeVar("Array", FloatArray, IntArray)


def plan(lengths: IntArray, values: int, max_values: int) -> Iterator[IntArray]:
    """Groups sequences into runs: of similar length, and none larger than `max_values` once padded.

    Without the bound, one long sequence among thousands of short ones would pad to gigabytes.

    Args:
        lengths: `(sequence,)`, what each would be padded to alone.
        values: computed with at each step, the size of the feature axis.
        max_values: bound on batch × time × values; one sequence alone may exceed it.

    Yields:
        Indices of the sequences of each run. Together they are every index once, in order of length.
    """
    order = np.argsort(lengths, kind="stable")
    start = 0
    while start < len(order):
        stop = start + 1
        while stop < len(order) and (stop + 1 - start) * int(lengths[order[stop]]) * values <= max_values:
            stop += 1
        yield order[start:stop]
        start = stop


def pad(sequences: Sequence[Array], time: int) -> Array:
    """Pads sequences `(time_i, ...)` on the right with zeros, to `(batch, time, ...)`."""
    if all(len(sequence) == time for sequence in sequences):
        return np.stack(sequences)
    padded = np.zeros((len(sequences), time, *sequences[0].shape[1:]), sequences[0].dtype)
    for row, sequence in zip(padded, sequences, strict=True):
        row[: len(sequence)] = sequence
    return padded
