"""Kept explanations as files: CSV and Parquet, a row for each step, a few explanations at a time; and NumPy's NPZ."""

import io
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from service.arrays import FloatArray
from service.explanations.record import Explanation, steps
from service.ragged import Ragged

WEIGHT, PREDICTION = "weight", "prediction"


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
    """A `pyarrow.Table` with a row for each step of each sequence.

    Its columns: id, created, model, version, sequence (which of its request), label, prediction (of several numbers
    `prediction CLASS` for each class, or `prediction 1` and so on for the next values), step, one for each feature
    (`feature NAME` where another column has its name), weight (by step), and of models with weights by feature `weight
    FEATURE` for each.

    Args:
        explanations: of one version of a model, not of text.
    """
    import pyarrow as pa  # slow to import

    first = explanations[0]
    lengths = [_lengths(one) for one in explanations]
    counts, rows = np.array([len(each) for each in lengths]), np.array([each.sum() for each in lengths])
    every, which = np.concatenate(lengths), np.repeat(np.arange(len(rows)), rows)
    starts = np.cumsum(every) - every
    labels = [one.labels[i] if one.labels else None for one in explanations for i in range(len(one))]
    predictions = np.concatenate([one.predictions for one in explanations]).repeat(every, axis=0)
    columns: dict[str, Any] = {
        "id": pa.array([one.id for one in explanations]).take(which),
        "created": pa.array([one.created_at for one in explanations], pa.timestamp("us", tz="UTC")).take(which),
        "model": pa.array([first.model]).take(np.zeros(rows.sum(), "i8")),
        "version": np.full(rows.sum(), first.version, "i4"),
        "sequence": np.repeat(np.concatenate([np.arange(count) for count in counts]), every).astype("i4"),
        "label": pa.array(labels, pa.string()).take(np.repeat(np.arange(len(every)), every)),
        **dict(zip(_outputs(first), predictions.T, strict=True)),
        "step": (np.arange(every.sum()) - np.repeat(starts, every)).astype("i4"),
    }
    names = _free(first.features, {*columns, WEIGHT, *(f"{WEIGHT} {name}" for name in first.features)})
    return pa.table(columns | _values(explanations, rows, names))


def _free(features: Sequence[str], taken: set[str]) -> list[str]:
    """The names of the features, each as a column that no other has."""
    names = []
    for feature in features:
        name = feature
        while name in taken:
            name = f"feature {name}"
        taken.add(name)
        names.append(name)
    return names


def _outputs(one: Explanation) -> list[str]:
    """Names of the numbers that the model predicts."""
    count = one.predictions.shape[1]
    if one.task == "forecast":
        return [f"{PREDICTION} {step}" for step in range(1, count + 1)]
    return [PREDICTION] if count == 1 else [f"{PREDICTION} {name}" for name in one.classes]


def _lengths(one: Explanation) -> Any:
    part = one.attention if one.attention is not None else one.sequences
    return np.zeros(len(one), "i8") if part is None else part.lengths.astype("i8")


def _values(explanations: Sequence[Explanation], rows: Any, features: Sequence[str]) -> dict[str, Any]:
    """The columns of the features, by these names, and of the weights; `rows` of each explanation."""
    first = explanations[0]
    columns = _columns([one.sequences for one in explanations], rows, features, lambda values: values)
    columns |= _columns([one.attention for one in explanations], rows, [WEIGHT], lambda w: steps(w)[:, None])
    if first.attention is not None and first.attention.values.ndim == 2:
        names = [f"{WEIGHT} {name}" for name in first.features]
        columns |= _columns([one.attention for one in explanations], rows, names, lambda values: values)
    return columns


def _columns(
    parts: Sequence[Ragged | None], rows: Any, names: Sequence[str], of: Callable[[FloatArray], FloatArray]
) -> dict[str, Any]:
    """Columns of these names, of the values of all parts end to end; null where there is no part."""
    import pyarrow as pa

    missing = np.repeat([part is None for part in parts], rows)
    nothing = np.zeros((1, len(names)), np.float32)
    values = [
        nothing.repeat(count, axis=0) if part is None else of(part.values)
        for part, count in zip(parts, rows, strict=True)
    ]
    together = np.concatenate(values)
    return {name: pa.array(together[:, i], mask=missing) for i, name in enumerate(names)}


def npz(explanations: Sequence[Explanation]) -> bytes:
    """Arrays padded on the right with 0: `sequences (sequence, time, feature)` where inputs are kept, `attention
    (sequence, time)` or `(sequence, time, feature)` of models with attention, `predictions (sequence, output)`; and
    `lengths`, `ids`, `created` (seconds since 1970), `index` (which of its request) and `labels`, `(sequence,)` each.
    """
    counts = [len(one) for one in explanations]
    arrays: dict[str, Any] = {
        "ids": np.repeat([one.id for one in explanations], counts),
        "created": np.repeat([one.created for one in explanations], counts),
        "index": np.concatenate([np.arange(count) for count in counts]).astype("i4"),
        "labels": np.array([label for one in explanations for label in one.labels or [""] * len(one)], np.str_),
        "lengths": np.concatenate([_lengths(one) for one in explanations]).astype("i4"),
        "predictions": np.concatenate([one.predictions for one in explanations]),
        "features": np.array(explanations[0].features, np.str_),
        "classes": np.array(explanations[0].classes, np.str_),
    }
    for name in ("sequences", "attention"):
        parts = [part for one in explanations if (part := getattr(one, name)) is not None]
        if len(parts) == len(explanations):
            joined = Ragged.join(parts)
            arrays[name] = joined.padded(np.arange(len(joined)), joined.longest)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


class PaddedSize:
    """How many values the padded arrays of `npz` hold, added up page by page."""

    def __init__(self) -> None:
        self._count = self._longest = 0

    def add(self, explanations: Sequence[Explanation]) -> int:
        """Values of all so far, with these, at least one."""
        self._count += sum(map(len, explanations))
        self._longest = max(self._longest, *(int(_lengths(one).max()) for one in explanations))
        first = explanations[0]
        weights = len(first.features) if first.attention is not None and first.attention.values.ndim == 2 else 1
        return self._count * self._longest * (len(first.features) + weights)
