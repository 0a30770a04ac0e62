"""Explanations of sequences of numbers as columns, a row for each step, and as arrays."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from service.arrays import FloatArray
from service.explanations.export.columns import origin
from service.explanations.record import Explanation, steps
from service.ragged import Ragged

WEIGHT, PREDICTION = "weight", "prediction"


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
    rows, every = np.array([each.sum() for each in lengths]), np.concatenate(lengths)
    starts = np.cumsum(every) - every
    labels = [one.labels[i] if one.labels else None for one in explanations for i in range(len(one))]
    predictions = np.concatenate([one.predictions for one in explanations]).repeat(every, axis=0)
    columns: dict[str, Any] = {
        **origin(explanations, every),
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


def arrays(explanations: Sequence[Explanation]) -> dict[str, np.ndarray]:
    """Padded on the right with 0: `sequences (sequence, time, feature)` where inputs are kept, `attention (sequence,
    time)` or `(sequence, time, feature)` of models with attention, `predictions (sequence, output)`; and `lengths` and
    `labels`, `(sequence,)` each.
    """
    found = {
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
            found[name] = joined.padded(np.arange(len(joined)), joined.longest)
    return found


def longest(explanations: Sequence[Explanation]) -> tuple[int, int]:
    """Steps of the longest sequence, and numbers of a step in the padded arrays."""
    first = explanations[0]
    weights = len(first.features) if first.attention is not None and first.attention.values.ndim == 2 else 1
    return max(int(_lengths(one).max()) for one in explanations), len(first.features) + weights
