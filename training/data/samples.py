"""The samples of a file made into a task: targets, parts, and something in the place of missing values."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from service.manifest import Task
from training.data.datasets import SPLIT_SEED

Impute = Literal["none", "zero", "mean", "last"]
PARTS = ("train", "validation", "test")
MOST_INTEGERS = 20  # so many different integers still are classes
LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Samples:
    """What a file holds, one item for each sequence.

    Attributes:
        sequences: float32 `(sample, time, feature)`, padded with zeros; NaN where a value is missing.
        lengths: int32 `(sample,)`.
        targets: `(sample,)`, texts or numbers; its index is the row in the file.
        split: `(sample,)`, one of `PARTS`, where the file says it.
    """

    layout: str
    sequences: np.ndarray
    lengths: np.ndarray
    targets: pd.Series
    split: pd.Series | None
    features: list[str]


def read_targets(column: pd.Series, task: Task | None) -> tuple[Task, list[str], np.ndarray]:
    """What is to be predicted: the task, its sorted class names, and class indices (int64) or values (float32).

    Args:
        column: `(sample,)`; its index is the row in the file.
        task: None: two texts or integers are binary, more texts or up to 20 integers multiclass, all else regression.
    """
    if pd.api.types.is_bool_dtype(column):
        column = column.astype("str")
    numbers = to_numbers(column)
    refuse(column.isna() | np.isinf(numbers), f"expected a finite value in column {column.name}", column)
    are_numbers = not np.isnan(numbers).any()
    different = column.nunique() if not are_numbers else len(np.unique(numbers))
    if different < 2:
        raise ValueError(
            f"expected at least two different targets, received only {column.iloc[0]} in column {column.name} of all "
            f"{len(column)} sequences, from row {column.index[0]} on"
        )
    if task is None:
        are_classes = not are_numbers or ((numbers % 1 == 0).all() and different <= MOST_INTEGERS)
        task = "regression" if not are_classes else "binary" if different == 2 else "multiclass"
    if task == "regression":
        faulty = np.isnan(numbers) | (np.abs(numbers) > LARGEST)
        refuse(faulty, f"expected a number in column {column.name} for a regression", column)
        return task, [], numbers.astype(np.float32)
    if task == "binary" and different > 2:
        raise ValueError(f"expected two different targets for a binary task, received {different}")
    values = pd.Series(numbers, column.index) if are_numbers else column.astype("str")
    names, classes, counts = np.unique(values.to_numpy(), return_inverse=True, return_counts=True)
    labels = [f"{name:.15g}" if are_numbers else str(name) for name in names]
    refuse(counts[classes] < 2, "expected at least 2 sequences of each class", column)
    return task, labels, classes.astype(np.int64)


def draw_parts(strata: np.ndarray, test_share: float, validation_share: float) -> np.ndarray:
    """Puts each sequence into one of `PARTS`, by chance but always the same; returns `(sample,)`.

    Args:
        strata: `(sample,)`; from each different value the shares are taken, rounded, and at least one if there are two.
    """
    random = np.random.default_rng(SPLIT_SEED)
    parts = np.full(len(strata), "train", dtype="U10")
    for value in np.unique(strata):
        rows = random.permutation(np.flatnonzero(strata == value))
        test = min(max(1, round(test_share * len(rows))), len(rows) - 1)
        validation = min(max(1, round(validation_share * len(rows))), len(rows) - 1 - test)
        parts[rows[:test]] = "test"
        parts[rows[test : test + validation]] = "validation"
    return parts


def check_parts(parts: np.ndarray, targets: np.ndarray, labels: list[str]) -> None:
    """Holds every part to have sequences, and the train part to have every class; all arrays `(sample,)`.

    Raises:
        ValueError: which part or class is empty.
    """
    counts = {part: int((parts == part).sum()) for part in PARTS}
    if 0 in counts.values():
        found = ", ".join(f"{count} for {part}" for part, count in counts.items())
        raise ValueError(f"expected sequences for train, validation and test, received {found}")
    for i, label in enumerate(labels):
        if i not in targets[parts == "train"]:
            raise ValueError(f"expected every class in the train part, received none of {label}")


def fill_missing(samples: Samples, train: np.ndarray, impute: Impute) -> np.ndarray:
    """The sequences `(sample, time, feature)` without NaN; a mean is that of where `train (sample, time or 1)`."""
    sequences = samples.sequences
    missing = np.isnan(sequences)
    if not missing.any():
        return sequences
    if impute == "last":
        return _carry_on(samples, missing)
    if impute == "zero":
        return np.where(missing, np.float32(0), sequences)
    real = np.arange(sequences.shape[1]) < samples.lengths[:, None]
    known = sequences[real & train].astype(np.float64)  # (step, feature)
    for name, column in zip(samples.features, known.T, strict=True):
        if np.isnan(column).all():
            raise ValueError(f"expected a number for --impute mean in column {name}, received none in the train part")
    return np.where(missing, np.nanmean(known, axis=0), sequences).astype(np.float32)


def _carry_on(samples: Samples, missing: np.ndarray) -> np.ndarray:
    """Every missing value becomes the last one before it in its sequence."""
    latest = np.where(missing, 0, np.arange(missing.shape[1])[:, None])  # (sample, time, feature)
    filled = np.take_along_axis(samples.sequences, np.maximum.accumulate(latest, axis=1), axis=1)
    for sample, _, feature in np.argwhere(np.isnan(filled))[:1]:
        raise ValueError(
            f"expected a number before the first missing one for --impute last, received none in column "
            f"{samples.features[feature]} of the sequence that begins in row {samples.targets.index[sample]}"
        )
    return filled


def to_numbers(column: pd.Series) -> np.ndarray:
    """A column as float64 `(row,)`; NaN where it holds no number."""
    if not pd.api.types.is_numeric_dtype(column):
        column = pd.to_numeric(column.astype("str"), errors="coerce")
    return np.asarray(column.to_numpy(np.float64, na_value=np.nan))


def refuse(faulty: pd.Series | np.ndarray, expected: str, column: pd.Series) -> None:
    """Raises ValueError for the first row that is faulty."""
    for i in np.flatnonzero(faulty)[:1]:
        value = column.iloc[i]
        received = "nothing" if pd.isna(value) or str(value).strip() == "" else value
        raise ValueError(f"{expected}, received {received}, row {column.index[i]}")
