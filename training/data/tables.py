"""The user's own data: a long or wide table (CSV, Parquet) or arrays (NPZ), made into a task with three splits.

A long table has a row for each time step: id, time, features, target. A wide table has a row for each sequence of one
feature: the columns are its steps, beside target and perhaps id. A long table can also be forecast: its target is then
one more feature, whose next values are predicted; without a column id it is one series. Rows in messages count as a
person counts them in a file: the header is row 1. Items of an NPZ file count from 0, as in Python.
"""

import hashlib
from pathlib import Path
from typing import Literal, Self
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, model_validator

from service.manifest import Task
from training.data.datasets import Data, Dataset, blocks, pad
from training.data.frames import is_text, read_frame, require, times_of, values_of
from training.data.samples import (
    LARGEST,
    PARTS,
    Impute,
    Samples,
    check_parts,
    draw_parts,
    fill_missing,
    read_targets,
    refuse,
)
from training.data.windows import ENOUGH, Windows, cut, part_rows

SPLIT = "split"  # an optional column with one of PARTS in each row


class TableOptions(BaseModel):
    """How to read a file; kept in run.json, so that it is read the same way again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str | None = Field(default=None, description="column of the sequence's name; default: id")
    time: str | None = Field(default=None, description="column of numbers or dates; default: time, else it is wide")
    target: str = Field(default="target", description="column of what is to be predicted")
    feature_columns: list[str] | None = Field(default=None, description="default: all other columns of numbers")
    task: Literal["binary", "multiclass", "regression"] | None = Field(
        default=None, description="default: told by the targets"
    )
    forecast: Windows | None = Field(default=None, description="predict next values of the target instead")
    test_share: float = Field(default=0.2, gt=0, lt=1, description="of all sequences")
    validation_share: float = Field(default=0.2, gt=0, lt=1, description="of all sequences")
    impute: Impute = Field(default="none", description="what stands in for a missing value")
    memory: int = Field(default=500, ge=0, description="megabytes a Parquet table may take, before it is streamed")
    sha256: str | None = Field(default=None, description="of the file that was fitted; another one is refused")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.forecast is not None and self.task is not None:
            raise ValueError(f"expected no task with a horizon, which makes it a forecast, received {self.task}")
        if self.test_share + self.validation_share >= 1:
            raise ValueError(
                f"expected test_share and validation_share to leave something for training, received "
                f"{self.test_share} and {self.validation_share}"
            )
        return self


def load_table(path: Path, options: TableOptions) -> Data:
    """Reads a file into a task.

    Raises:
        ValueError: something in the file is not as expected; says what, and in which row and column.
        OSError: the file cannot be read.
    """
    check_unchanged(path, options)
    if options.forecast is not None:
        return _to_forecast(path, options, options.forecast)
    samples = read_samples(path, options)
    task, labels, targets, parts = assign(samples.targets, samples.split, options)
    filled = fill_missing(samples, (parts == "train")[:, None], options.impute)
    whole = Dataset(filled, samples.lengths, targets)
    train, validation, test = (whole.take(np.flatnonzero(parts == part)) for part in PARTS)
    return Data(
        name=path.stem,
        source=source(path, samples, options, "at random", imputed=has_missing(samples.sequences)),
        task=task,
        features=samples.features,
        labels=labels,
        train=train,
        validation=validation,
        test=test,
    )


def assign(
    column: pd.Series, split: pd.Series | None, options: TableOptions
) -> tuple[Task, list[str], np.ndarray, np.ndarray]:
    """The task, its class names, and the target and part of each sequence, `(sample,)`.

    Args:
        column: targets `(sample,)` as the file has them; its index is the row in the file.
        split: `(sample,)`, one of `PARTS`, where the file says it.
    """
    task, labels, targets = read_targets(column, options.task)
    parts = draw_parts(targets if labels else np.zeros(len(targets)), options.test_share, options.validation_share)
    if split is not None:
        parts = split.to_numpy(str)
    check_parts(parts, targets, labels)
    return task, labels, targets, parts


def _to_forecast(path: Path, options: TableOptions, windows: Windows) -> Data:
    """Windows of the series of a file, each with the next values of its target column."""
    samples, parts = read_series(path, options)
    how = "by series" if len(samples.lengths) >= ENOUGH else "by time"
    if parts is None:
        parts = part_rows(samples.lengths, options.test_share, options.validation_share)
    target = samples.features.index(options.target)
    known = ~np.isnan(samples.sequences[:, :, target])
    filled = fill_missing(samples, parts == PARTS.index("train"), options.impute)
    train, validation, test = cut(filled, known, samples.lengths, parts, target, windows)
    return Data(
        name=path.stem,
        source=source(path, samples, options, how, imputed=has_missing(samples.sequences)),
        task="forecast",
        features=samples.features,
        labels=[],
        train=train,
        validation=validation,
        test=test,
        target=options.target,
    )


def source(path: Path, samples: Samples, options: TableOptions, how: str, *, imputed: bool) -> str:
    """Where the data come from, for the model card; `how` they were split where no column says it."""
    text = f"{samples.layout}, split {how if samples.split is None else f'by its column {SPLIT}'}"
    if imputed:
        text += f", missing values filled in: {options.impute}"
    return f"{path.name} ({text})"


def has_missing(sequences: np.ndarray) -> bool:
    """Whether a value of `sequences (sample, time, feature)` is missing."""
    return any(bool(np.isnan(block).any()) for block in blocks(sequences))


def check_unchanged(path: Path, options: TableOptions) -> None:
    """Raises ValueError if it is not the file that was fitted."""
    if options.sha256 is not None and options.sha256 != fingerprint(path):
        raise ValueError(f"expected the file that was fitted, received one changed since then: {path}. Fit again")


def fingerprint(path: Path) -> str:
    """The SHA-256 of a file. With other rows in it, those trained on could come into the test part."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_samples(path: Path, options: TableOptions) -> Samples:
    """The sequences and targets of a file, by its suffix and layout."""
    if path.suffix.lower() == ".npz":
        return _from_arrays(path, options)
    return to_samples(read_frame(path), options)


def to_samples(frame: pd.DataFrame, options: TableOptions) -> Samples:
    """The sequences and targets of a table, by its layout; its index is the row in the file."""
    time = options.time or "time"
    is_long = options.time is not None or time in frame
    identifier = options.id or "id"
    required = [identifier] * (is_long or options.id is not None) + [time] * is_long + [options.target]
    _check_columns(frame, required, identifier)
    columns = _feature_columns(frame, options, {identifier, options.target, SPLIT} | ({time} if is_long else set()))
    values = values_of(frame, columns, options.impute)
    if is_long:
        return _from_long(frame, values, columns, identifier, time, options.target)
    return _from_wide(frame, values, identifier, options.target)


def read_series(path: Path, options: TableOptions) -> tuple[Samples, np.ndarray | None]:
    """The series of a long table, one sample each, and the parts of their rows where a column split says them.

    Returns:
        The samples, their targets the first of each series; and indices of `PARTS`, int8 `(series, time)`, or None.
    """
    if path.suffix.lower() == ".npz":
        raise ValueError(f"expected a long table, .csv or .parquet, for a forecast, received {path}")
    frame = read_frame(path)
    time = options.time or "time"
    identifier = options.id or "id"
    has_id = options.id is not None or identifier in frame
    _check_columns(frame, [time] + [identifier] * has_id, identifier)
    columns = _feature_columns(frame, options, {identifier, time, SPLIT})
    values = values_of(frame, columns, options.impute)
    codes, order = _series(frame, identifier if has_id else None, time)
    sequences, lengths = _pad(values[order], codes[order])
    firsts = frame[~pd.Series(codes, frame.index).duplicated()]
    parts = None
    if SPLIT in frame:
        indices = frame[SPLIT].map({part: float(i) for i, part in enumerate(PARTS)}).to_numpy(np.float64)
        parts = _pad(indices[order, None], codes[order])[0][:, :, 0].astype(np.int8)
    layout = f"a long table whose {options.target} is forecast"
    samples = Samples(layout, sequences, lengths, firsts[options.target], firsts.get(SPLIT), columns)
    return samples, parts


def _check_columns(frame: pd.DataFrame, required: list[str], identifier: str) -> None:
    """Holds required columns to be there, and them, ids and parts to be filled."""
    for name in required:
        require(frame, name)
    for name in (identifier, *required, SPLIT):
        if name in frame:
            refuse(frame[name].isna(), f"expected a value in column {name}", frame[name])
    if SPLIT in frame:
        refuse(~frame[SPLIT].isin(PARTS), f"expected train, validation or test in column {SPLIT}", frame[SPLIT])


def _feature_columns(frame: pd.DataFrame, options: TableOptions, others: set[str]) -> list[str]:
    """The columns asked for, or all with at least one number; a column of nothing but text is left out.

    What is forecast is always one of them.
    """
    names = options.feature_columns
    if names is None:
        names = [name for name in frame.columns if name not in others and not is_text(frame[name])]
    if options.forecast is not None and options.target not in names:
        names = [options.target, *names]
    if not names:
        raise ValueError(f"expected a column of numbers, received columns {', '.join(frame.columns)}")
    for name in names:
        require(frame, name)
        if name == options.target and options.forecast is None:
            raise ValueError(f"expected features other than the target, received {name}")
    return names


def _from_long(
    frame: pd.DataFrame, values: np.ndarray, columns: list[str], identifier: str, time: str, target: str
) -> Samples:
    """A row for each step: `values (row, feature)`. Sequences stand in the order of their first rows."""
    codes, order = _series(frame, identifier, time)
    firsts = frame[~pd.Series(codes, frame.index).duplicated()]  # (sample,)
    for name in (target, SPLIT):
        if name in frame:
            changed = frame[name].to_numpy() != firsts[name].to_numpy()[codes]
            for i in np.flatnonzero(changed)[:1]:
                first, row = firsts[name].iloc[codes[i]], firsts.index[codes[i]]
                expected = f"expected the same {name} in every row of each {identifier}, {first} as in row {row}"
                refuse(changed, expected, frame[name])
    sequences, lengths = _pad(values[order], codes[order])
    return Samples("a long table", sequences, lengths, firsts[target], firsts.get(SPLIT), columns)


def _series(frame: pd.DataFrame, identifier: str | None, time: str) -> tuple[np.ndarray, np.ndarray]:
    """Which sequence each row is of, from 0 in the order of their first rows; and the order of rows by it and time."""
    times = times_of(frame[time])
    codes = np.zeros(len(frame), np.intp) if identifier is None else pd.factorize(frame[identifier])[0]
    twice = pd.DataFrame({"id": codes, "time": times}, frame.index).duplicated()
    refuse(twice, f"expected every {time} once" + f" within each {identifier}" * (identifier is not None), frame[time])
    return codes, np.lexsort((times, codes))


def _pad(values: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ordered rows `(row, feature)` as `(sample, time, feature)`, and lengths; `codes (row,)` says whose each is."""
    rows = np.split(values, np.flatnonzero(np.diff(codes)) + 1)  # (time_i, feature) each
    return pad(rows, max(map(len, rows)))


def _from_wide(frame: pd.DataFrame, values: np.ndarray, identifier: str, target: str) -> Samples:
    """A row for each sequence: `values (row, time)`."""
    if identifier in frame:
        expected = f"expected every {identifier} once, as there is no column time (--time names it in a long table)"
        refuse(frame[identifier].duplicated(), expected, frame[identifier])
    lengths = np.full(len(frame), values.shape[1], np.int32)
    sequences = values[:, :, None].astype(np.float32)
    return Samples("a wide table", sequences, lengths, frame[target], frame.get(SPLIT), ["value"])


def _from_arrays(path: Path, options: TableOptions) -> Samples:
    """Arrays `sequences (n, time, feature)`, `targets (n,)` and, where they differ, `lengths (n,)`."""
    if options.id or options.time or options.target != "target":
        raise ValueError(f"expected no names of columns for arrays named sequences and targets, received some: {path}")
    arrays = _read_arrays(path)
    sequences, targets = arrays["sequences"], arrays["targets"]
    n, time, features = sequences.shape
    lengths = arrays.get("lengths", np.full(n, time))
    for name, array in (("targets", targets), ("lengths", lengths)):
        if array.shape != (n,):
            raise ValueError(f"expected {name} of shape ({n},), one for each sequence, received {array.shape}")
    names = options.feature_columns or [f"x{i}" for i in range(features)]
    if len(names) != features:
        raise ValueError(f"expected {features} feature columns, received {len(names)}: {', '.join(names)}")
    column = pd.Series(lengths)
    refuse(~column.isin(range(1, time + 1)), f"expected lengths from 1 to {time}", column)
    real = (np.arange(time) < lengths[:, None])[:, :, None]
    _refuse_item(real & (np.abs(sequences) > LARGEST), sequences, "a finite number")
    if options.impute == "none":
        _refuse_item(real & np.isnan(sequences), sequences, "a number, or --impute")
    padded = np.where(real, sequences, 0).astype(np.float32)
    return Samples("arrays", padded, lengths.astype(np.int32), pd.Series(targets, name="targets"), None, names)


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        with path.open("rb") as opened, np.load(opened) as file:
            arrays = {name: file[name] for name in file.files}
    except BadZipFile:
        raise ValueError(f"expected an NPZ file, received something else: {path}") from None
    for name in ("sequences", "targets"):
        if name not in arrays:
            raise ValueError(f"expected an array {name}, received {', '.join(arrays) or 'none'}")
    sequences = arrays["sequences"]
    if sequences.ndim != 3 or 0 in sequences.shape or sequences.dtype.kind not in "fiu":
        found = f"{sequences.dtype} of shape {sequences.shape}"
        raise ValueError(f"expected sequences of numbers (n, time, feature), none of them 0, received {found}")
    return arrays


def _refuse_item(faulty: np.ndarray, sequences: np.ndarray, expected: str) -> None:
    """Raises ValueError for the first item of `sequences (sample, time, feature)` that is faulty."""
    for sample, step, feature in np.argwhere(faulty)[:1]:
        place, found = f"sequences[{sample}, {step}, {feature}]", sequences[sample, step, feature]
        raise ValueError(f"expected {expected} in {place}, received {found}")
