"""Arrays of different lengths, end to end in one array: nothing touches them one by one unless it must.

A request of many sequences is read into one, runs through the model as padded batches cut out of one, and its weights
come back as one.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from service.arrays import IntArray


class Ragged(Sequence[np.ndarray]):
    """Items of different lengths.

    Args:
        values: `(steps of all items, ...)`.
        lengths: `(item,)` steps of each.
        widths: of items that are matrices of different widths, the width of each; `values` has one axis then.
        time: steps of every item, where they are known to have as many; spares to look.
    """

    __slots__ = ("_starts", "_time", "lengths", "values", "widths")

    def __init__(
        self, values: np.ndarray, lengths: IntArray, widths: IntArray | None = None, time: int | None = None
    ) -> None:
        self.values, self.lengths, self.widths, self._time = values, lengths, widths, time
        self._starts: IntArray | None = None

    @classmethod
    def of(cls, items: Sequence[np.ndarray]) -> "Ragged":
        """Items `(time_i, ...)`, at least one."""
        return cls(np.concatenate(items), np.array([len(item) for item in items], np.int32))

    @classmethod
    def of_matrices(cls, items: Sequence[np.ndarray]) -> "Ragged":
        """Items `(rows_i, columns_i)`, at least one."""
        sizes = np.array([item.size for item in items], np.int32)
        widths = np.array([item.shape[1] for item in items], np.int32)
        return cls(np.concatenate([item.ravel() for item in items]), sizes, widths)

    @classmethod
    def join(cls, parts: Sequence["Ragged"]) -> "Ragged":
        """The items of all parts, in order."""
        if len(parts) == 1:
            return parts[0]
        widths = [part.widths for part in parts if part.widths is not None]
        times = {part._time for part in parts}
        return cls(
            np.concatenate([part.values for part in parts]),
            np.concatenate([part.lengths for part in parts]),
            np.concatenate(widths) if widths else None,
            times.pop() if len(times) == 1 else None,
        )

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: Any) -> Any:
        start, length = int(self.starts[index]), int(self.lengths[index])
        item = self.values[start : start + length]
        return item if self.widths is None else item.reshape(-1, int(self.widths[index]))

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[index] for index in range(len(self)))

    @property
    def starts(self) -> IntArray:
        """Where each item begins, `(item,)`."""
        if self._starts is None:
            self._starts = np.cumsum(self.lengths, dtype=np.int64) - self.lengths
        return self._starts

    @property
    def time(self) -> int | None:
        """Steps of every item; None where they differ."""
        if self._time is None and bool((self.lengths == self.lengths[0]).all()):
            self._time = int(self.lengths[0])
        return self._time

    @property
    def longest(self) -> int:
        """Steps of the longest item."""
        return self._time or int(self.lengths.max())

    @property
    def block(self) -> np.ndarray | None:
        """All items as one array `(item, time, ...)`, without a copy; None where they differ in length."""
        if self.widths is not None or (time := self.time) is None:
            return None
        return self.values.reshape(len(self.lengths), time, *self.values.shape[1:])

    def nested(self) -> Any:
        """What orjson writes as nested lists: one array where it can be, since that is faster."""
        block = self.block
        return list(self) if block is None else block

    def cut(self, start: int, stop: int) -> "Ragged":
        """The items from `start` up to `stop`, without a copy."""
        if self._time is not None and self.widths is None:
            return Ragged(
                self.values[start * self._time : stop * self._time], self.lengths[start:stop], time=self._time
            )
        first = int(self.starts[start])
        last = int(self.starts[stop]) if stop < len(self) else len(self.values)
        widths = None if self.widths is None else self.widths[start:stop]
        return Ragged(self.values[first:last], self.lengths[start:stop], widths)

    def take(self, rows: IntArray) -> "Ragged":
        """The items of these indices."""
        if self._time is not None and (block := self.block) is not None:
            values = block[rows].reshape(-1, *self.values.shape[1:])
            return Ragged(values, self.lengths[rows], time=self._time)
        widths = None if self.widths is None else self.widths[rows]
        return Ragged(self.values[self._steps(rows)], self.lengths[rows], widths)

    def copy(self) -> "Ragged":
        """The same with values of its own: what it was cut out of is not kept for it."""
        return Ragged(self.values.copy(), self.lengths, self.widths, self._time)

    def padded(self, rows: IntArray, time: int) -> np.ndarray:
        """The items of these indices, padded on the right with zeros, `(row, time, ...)`."""
        out = np.zeros((len(rows), time, *self.values.shape[1:]), self.values.dtype)
        out[np.arange(time) < self.lengths[rows, None]] = self.values[self._steps(rows)]
        return out

    def padded_matrices(self, columns: int) -> np.ndarray:
        """Matrices, padded at the bottom and on the right with zeros, `(item, rows, columns)`."""
        matrices = list(self)
        out = np.zeros((len(matrices), max(map(len, matrices)), columns), self.values.dtype)
        for place, matrix in zip(out, matrices, strict=True):
            place[: matrix.shape[0], : matrix.shape[1]] = matrix
        return out

    def put(self, rows: IntArray, padded: np.ndarray) -> None:
        """The inverse of `padded`: writes what is not padding into the items of these indices."""
        real = np.arange(padded.shape[1]) < self.lengths[rows, None]
        self.values[self._steps(rows)] = padded[real]

    def _steps(self, rows: IntArray) -> IntArray:
        """Indices into `values` of every step of these items, in order."""
        lengths = self.lengths[rows].astype(np.int64)
        ends = np.cumsum(lengths)
        return np.arange(ends[-1]) + np.repeat(self.starts[rows] - ends + lengths, lengths)
