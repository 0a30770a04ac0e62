"""A chunk of sequences through a model: a row of predictions for each, and what is wrong with the others."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from service import padding
from service.arrays import FloatArray, IntArray
from service.errors import ModelError, StartupError
from service.explanations.measures import by_step, classes_of
from service.manifest import GRAPH_FILE, Manifest, RuntimeOptions
from service.models.cost import Cost
from service.models.folders import scan
from service.models.loading import Model, load
from service.models.runtime import Outputs, Runtime
from service.ragged import Ragged
from service.score.chunks import Chunk, said, to_chunk
from service.score.columns import Columns
from service.settings import Provider

BATCH = 256  # sequences of a run, where the model does not say
MAX_VALUES = 250_000  # of a run: batch, time and feature multiplied; an LSTM takes some hundred times as many bytes
NEVER_SPLIT = Cost(math.inf, 0.0, 0.0)  # a cost that was measured would make other runs, and other last digits
NOT_COMPUTED = (
    "values that the model can compute with",
    "values that it fails on, or so large that its answer is not finite",
)


class Fault(NamedTuple):
    """What is wrong with a sequence.

    Attributes:
        row: in the file; of a CSV or Parquet table as a person counts, the header being row 1; of arrays from 0.
        id: of the sequence, where the file has one.
    """

    row: int
    id: str | None
    expected: str
    received: str


def find_folder(models: Path, name: str, version: int | None) -> Path:
    """The folder of a version of a model, the newest where none is named.

    Raises:
        StartupError: there is none.
    """
    try:
        found = [folder for folder in scan(models) if folder.split("/")[0] == name]
    except OSError as error:
        raise StartupError(f"expected a folder of models, received: {error}") from error
    folder = f"{name}/{version}" if version is not None else (found or [f"{name}/1"])[-1]
    if folder not in found:
        raise StartupError(f"expected a model {folder} in {models}, received {', '.join(found) or 'none of that name'}")
    return models / folder


def load_model(folder: Path, provider: Provider) -> Model:
    """The model on one thread: as many runs as there are cores go on at a time.

    Its runs are alike, so that it keeps their memory (`arena`).

    Raises:
        StartupError: it cannot be loaded.
    """
    try:
        model = load(folder, provider, RuntimeOptions(batch=BATCH, arena=True))
    except ModelError as error:
        raise StartupError(f"{folder}: {error}") from error
    options = model.runtime.options
    if options.threads > 1:
        runtime = Runtime(folder / GRAPH_FILE, provider, options.model_copy(update={"threads": 1}))
        model = replace(model, runtime=runtime)
    return model


class Scorer:
    """Predicts chunks; several threads may use one.

    Args:
        attention: also give the weights of every step.
    """

    def __init__(self, model: Model, attention: bool) -> None:
        self._model = model
        self._attention = attention and model.manifest.attention is not None

    def score(self, table: pa.Table, rows: IntArray, columns: Columns) -> tuple[pa.Table, list[Fault]]:
        """A row for each sequence, empty where something is wrong with it; and what that is.

        Args:
            table: whole sequences.
            rows: `(row,)`, of the table in the file.
        """
        chunk = to_chunk(table, rows, columns)
        faults = _find_faults(chunk, self._model.manifest)
        good = np.ones(len(chunk.lengths), bool)
        good[list(faults)] = False
        predictions, weights = self._run(Ragged(chunk.values, chunk.lengths), good)
        for sequence in _not_finite(predictions, weights, chunk.lengths):
            good[sequence] = False
            faults[sequence] = _fault(chunk, sequence, *NOT_COMPUTED)
        return self._table(chunk, predictions, weights, good), [faults[sequence] for sequence in sorted(faults)]

    def _run(self, items: Ragged, good: np.ndarray) -> tuple[FloatArray, FloatArray | None]:
        """Predictions `(sequence, output)` and weights `(step,)`, end to end; zeros for those that are not `good`, not
        a number where the model fails.
        """
        predictions = np.zeros((len(items), self._model.manifest.outputs), np.float32)
        weights = Ragged(np.zeros(len(items.values), np.float32), items.lengths) if self._attention else None
        for rows, batch in self._batches(items, good):
            outputs = self._run_batch(batch, items.lengths[rows])
            predictions[rows] = outputs.prediction
            if weights is not None and outputs.attention is not None:
                weights.put(rows, by_step(outputs.attention))
        return predictions, None if weights is None else weights.values

    def _run_batch(self, batch: FloatArray, lengths: IntArray) -> Outputs:
        """Runs a batch `(batch, time, feature)`; where that fails, each sequence by itself."""
        try:
            return self._model.runtime.run(batch, lengths)
        except Exception:  # noqa: BLE001  onnxruntime's exceptions share no base but Exception
            if len(batch) == 1:
                nothing = np.full((1, self._model.manifest.outputs), np.nan, np.float32)
                return Outputs(nothing, np.zeros(batch.shape[:2], np.float32))
        each = [self._run_batch(batch[i : i + 1], lengths[i : i + 1]) for i in range(len(batch))]
        attention = [one.attention for one in each if one.attention is not None]
        predictions = np.concatenate([one.prediction for one in each])
        return Outputs(predictions, np.concatenate(attention) if len(attention) == len(each) else None)

    def _batches(self, items: Ragged, good: np.ndarray) -> Iterator[tuple[IntArray, FloatArray]]:
        """Which sequences run together, and these, padded `(batch, time, feature)`: always the same ones, by length."""
        time, features = self._model.runtime.time, items.values.shape[1]
        if not good.any():
            return
        most = self._model.runtime.options.batch
        steps = MAX_VALUES // features
        block = items.block if good.all() else None
        if block is not None and time in (None, block.shape[1]):
            count = max(1, min(most, steps // block.shape[1]))
            for start in range(0, len(block), count):
                yield np.arange(start, min(start + count, len(block))), block[start : start + count]
            return
        rows_of_good = np.flatnonzero(good)
        padded = items.lengths[rows_of_good] if time is None else np.full(len(rows_of_good), time)
        for order in padding.plan(padded, most, steps, NEVER_SPLIT):
            yield rows_of_good[order], items.padded(rows_of_good[order], int(padded[order].max()))

    def _table(self, chunk: Chunk, predictions: FloatArray, weights: FloatArray | None, good: np.ndarray) -> pa.Table:
        manifest, empty = self._model.manifest, pa.array(~good)
        columns = {} if chunk.ids is None else {"id": chunk.ids}
        columns["prediction"] = _column(predictions, empty)
        if manifest.labels:
            indices = pa.array(classes_of(predictions, manifest.task).astype(np.int16), mask=~good)
            columns["label"] = pa.DictionaryArray.from_arrays(indices, pa.array(manifest.labels))
        if weights is not None:
            offsets = np.append(0, np.cumsum(chunk.lengths)).astype(np.int32)
            columns["attention"] = pa.ListArray.from_arrays(pa.array(offsets), pa.array(weights), mask=empty)
        return pa.table(columns)


def _column(predictions: FloatArray, empty: pa.Array) -> pa.Array:
    """Predictions `(sequence, output)`: a number for each, or a list."""
    if predictions.shape[1] == 1:
        return pa.array(predictions[:, 0], mask=empty.to_numpy(zero_copy_only=False))
    offsets = np.arange(0, predictions.size + 1, predictions.shape[1], dtype=np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(predictions.ravel()), mask=empty)


def _find_faults(chunk: Chunk, manifest: Manifest) -> dict[int, Fault]:
    """What is wrong with each sequence: as the file has it, its length, or its first value that is no number."""
    faults = {sequence: _fault(chunk, sequence, *wrong) for sequence, wrong in chunk.faults.items()}
    low, high = manifest.lengths.min, manifest.lengths.max or np.iinfo(np.int32).max
    for sequence in np.flatnonzero((chunk.lengths < low) | (chunk.lengths > high)).tolist():
        received = f"{chunk.lengths[sequence]} time steps"
        faults.setdefault(sequence, _fault(chunk, sequence, manifest.sequences_shape, received))
    if math.isfinite(np.add.reduce(chunk.values, axis=None)):  # a sum is finite only if all are
        return faults
    ends = np.cumsum(chunk.lengths)
    steps, features = np.nonzero(~np.isfinite(chunk.values))
    sequences, firsts = np.unique(np.searchsorted(ends, steps, "right"), return_index=True)
    for sequence, first in zip(sequences.tolist(), firsts.tolist(), strict=True):
        place = chunk.place(int(steps[first]), int(features[first]))
        fault = _fault(chunk, sequence, f"a finite number in {place.where}", said(place.received))
        faults.setdefault(sequence, fault._replace(row=place.row))
    return faults


def _not_finite(predictions: FloatArray, weights: FloatArray | None, lengths: IntArray) -> list[int]:
    """The sequences of which a prediction, or a weight, is no number."""
    wrong = np.array(~np.isfinite(predictions).all(axis=1))
    if weights is not None:
        steps = np.flatnonzero(~np.isfinite(weights))
        wrong[np.searchsorted(np.cumsum(lengths), steps, "right")] = True
    return np.flatnonzero(wrong).tolist()


def _fault(chunk: Chunk, sequence: int, expected: str, received: str) -> Fault:
    id = None if chunk.ids is None else chunk.ids[sequence].as_py()
    return Fault(int(chunk.rows[sequence]), None if id is None else str(id), expected, received)
