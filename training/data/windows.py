"""Forecasting: windows of a series in, the next values of one of its columns out.

The rows are parted before windows are cut: ten series or more by series, fewer by time, so that each series ends in
its test part and has its validation part before that. A window lies within one part, with the values that follow it.
So no row is in two parts, and a model is judged on what came after everything that it has seen, or on other series.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from pydantic import BaseModel, ConfigDict, Field

from training.data.datasets import Dataset
from training.data.samples import PARTS, draw_parts

ENOUGH = 10  # series, to put each of them into one part


class Windows(BaseModel):
    """How series are cut into windows, in rows; rows are taken as evenly spaced in time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    horizon: int = Field(gt=0, description="values to predict, the next ones of the target column")
    window: int = Field(gt=0, description="steps to predict them from")
    stride: int = Field(default=1, gt=0, description="from the start of a window to that of the next")

    @property
    def span(self) -> int:
        """Rows of a window with the values that follow it."""
        return self.window + self.horizon


def part_rows(lengths: np.ndarray, test_share: float, validation_share: float) -> np.ndarray:
    """Puts each row into a part, by series or by time; returns indices of `PARTS`, int8 `(series, time)`.

    Args:
        lengths: `(series,)`, real rows of each.
    """
    if len(lengths) >= ENOUGH:
        drawn = draw_parts(np.zeros(len(lengths)), test_share, validation_share)  # (series,)
        parts = np.array([PARTS.index(part) for part in drawn], np.int8)
        return np.repeat(parts[:, None], lengths.max(), axis=1)
    test = lengths - np.rint(test_share * lengths)  # (series,), its first row
    validation = test - np.rint(validation_share * lengths)
    row = np.arange(lengths.max())
    return (row >= validation[:, None]).astype(np.int8) + (row >= test[:, None])


def cut(
    sequences: np.ndarray, known: np.ndarray, lengths: np.ndarray, parts: np.ndarray, target: int, windows: Windows
) -> list[Dataset]:
    """The windows of each of `PARTS`, with targets `(sample, horizon)`.

    Args:
        sequences: float32 `(series, time, feature)`, without NaN.
        known: bool `(series, time)`, where the target was measured; a window is left out if it is followed by others.
        lengths: `(series,)`, real rows of each.
        parts: indices of `PARTS`, `(series, time)`.
        target: index of the feature to predict.

    Raises:
        ValueError: a part gets no window.
    """
    real = np.arange(sequences.shape[1]) < lengths[:, None]
    found = _starts(np.where(real, parts, -1), known, windows)
    if not all(map(len, found)):
        received = ", ".join(f"{len(starts)} for {part}" for starts, part in zip(found, PARTS, strict=True))
        raise ValueError(
            f"expected windows of {windows.window} + {windows.horizon} rows for train, validation and test, received "
            f"{received}; the longest series has {lengths.max()} rows, which the shares divide where series are few"
        )
    rows = sequences.reshape(-1, sequences.shape[2])
    return [_dataset(rows, starts, target, windows) for starts in found]


def _starts(parts: np.ndarray, known: np.ndarray, windows: Windows) -> list[np.ndarray]:
    """Where the windows of each part begin, `(sample,)`, as rows of all series one after another.

    Args:
        parts: `(series, time)`, -1 where there is no row.
        known: `(series, time)`.
    """
    time = parts.shape[1]
    if time < windows.span:
        return [np.empty(0, np.intp) for _ in PARTS]
    spans = sliding_window_view(parts, windows.span, axis=1)[:, :: windows.stride]  # (series, window, span)
    followed = sliding_window_view(known, windows.span, axis=1)[:, :: windows.stride, windows.window :]
    whole = (spans == spans[:, :, :1]).all(axis=2) & followed.all(axis=2)
    found = [np.nonzero(whole & (spans[:, :, 0] == index)) for index in range(len(PARTS))]
    return [series * time + window * windows.stride for series, window in found]


def _dataset(rows: np.ndarray, starts: np.ndarray, target: int, windows: Windows) -> Dataset:
    """The windows that begin at `starts (sample,)`, and what follows them; `rows (row, feature)`."""
    sequences = rows[starts[:, None] + np.arange(windows.window)]
    targets = rows[starts[:, None] + np.arange(windows.window, windows.span), target]
    return Dataset(sequences, np.full(len(starts), windows.window, np.int32), targets)
