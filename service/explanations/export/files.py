"""CSV and Parquet, written a few explanations at a time; and NumPy's NPZ, made as a whole."""

import io
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from service.explanations.export import numbers, texts
from service.explanations.record import Explanation


class Writer(Protocol):
    """Writes explanations of one version of a model, page by page, and gives the bytes as they come."""

    def write(self, explanations: Sequence[Explanation]) -> bytes:
        """The bytes of some more."""

    def end(self) -> bytes:
        """The last bytes."""


class CSVWriter:
    """A header, and a line for each step; what is missing is empty."""

    def __init__(self) -> None:
        self._begun = False

    def write(self, explanations: Sequence[Explanation]) -> bytes:
        """See `Writer.write`."""
        from pyarrow import csv  # slow to import

        buffer = io.BytesIO()
        csv.write_csv(table(explanations), buffer, csv.WriteOptions(include_header=not self._begun))
        self._begun = True
        return buffer.getvalue()

    def end(self) -> bytes:
        """See `Writer.end`."""
        return b""


class ParquetWriter:
    """A row group for each page."""

    def __init__(self) -> None:
        self._sink = _Sink()
        self._writer: Any = None

    def write(self, explanations: Sequence[Explanation]) -> bytes:
        """See `Writer.write`."""
        from pyarrow import parquet  # slow to import

        rows = table(explanations)
        if self._writer is None:
            self._writer = parquet.ParquetWriter(self._sink, rows.schema, compression="zstd")
        self._writer.write_table(rows)
        return self._sink.take()

    def end(self) -> bytes:
        """See `Writer.end`."""
        if self._writer is not None:
            self._writer.close()
        return self._sink.take()


class _Sink(io.RawIOBase):
    """A file whose bytes are taken away while it is written."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []
        self._length = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        self._length += len(self._parts[-1])
        return len(self._parts[-1])

    def tell(self) -> int:
        return self._length

    def take(self) -> bytes:
        """What was written since the last time."""
        data, self._parts = b"".join(self._parts), []
        return data


def table(explanations: Sequence[Explanation]) -> Any:
    """See `numbers.table` and `texts.table`."""
    return _kind(explanations).table(explanations)


def npz(explanations: Sequence[Explanation]) -> bytes:
    """See `numbers.arrays` and `texts.arrays`; and `ids`, `created` (seconds since 1970) and `index` (which of its
    request), `(sequence,)` each.
    """
    counts = [len(one) for one in explanations]
    arrays: dict[str, Any] = {
        "ids": np.repeat([one.id for one in explanations], counts),
        "created": np.repeat([one.created for one in explanations], counts),
        "index": np.concatenate([np.arange(count) for count in counts]).astype("i4"),
        **_kind(explanations).arrays(explanations),
    }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


class PaddedSize:
    """How many values the padded arrays of `npz` hold, added up page by page."""

    def __init__(self) -> None:
        self._count = 0
        self._longest = np.zeros(2, np.int64)

    def add(self, explanations: Sequence[Explanation]) -> int:
        """Values of all so far, with these, at least one."""
        self._count += sum(map(len, explanations))
        self._longest = np.maximum(self._longest, _kind(explanations).longest(explanations))
        return self._count * int(self._longest.prod())


def _kind(explanations: Sequence[Explanation]) -> Any:
    return numbers if explanations[0].answers is None else texts
