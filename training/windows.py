"""Forecasting: windows of a series in, the next values of one of its columns out.

The rows are parted before windows are cut: ten series or more by series, fewer by time, so that each series ends in
its test part and has its validation part before that. A window lies within one part, with the values that follow it.
So no row is in two parts, and a model is judged on what came after everything that it has seen, or on other series.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from pydantic import BaseModel, ConfigDict, Field

from training.datasets import Dataset
from training.samples import PARTS, draw_parts

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
    found: list[list[np.ndarray]] = [[] for _ in PARTS]  # of each part, (sample, feature, span)
    for i in np.flatnonzero(lengths >= windows.span):
        rows = slice(0, lengths[i])
        part = sliding_window_view(parts[i, rows], windows.span)[:: windows.stride]  # (sample, span)
        measured = sliding_window_view(known[i, rows], windows.span)[:: windows.stride]
        taken = (part == part[:, :1]).all(axis=1) & measured[:, windows.window :].all(axis=1)
        cuts = sliding_window_view(sequences[i, rows], windows.span, axis=0)[:: windows.stride]
        for index, into in enumerate(found):
            into.append(cuts[taken & (part[:, 0] == index)])
    counts = [sum(map(len, cuts)) for cuts in found]
    if 0 in counts:
        received = ", ".join(f"{count} for {part}" for count, part in zip(counts, PARTS, strict=True))
        raise ValueError(
            f"expected windows of {windows.window} + {windows.horizon} rows for train, validation and test, received "
            f"{received}; the longest series has {lengths.max()} rows, which the shares divide where series are few"
        )
    return [_dataset(np.concatenate(cuts), target, windows) for cuts in found]


def _dataset(cuts: np.ndarray, target: int, windows: Windows) -> Dataset:
    """Windows and what follows them, from `cuts (sample, feature, span)`."""
    sequences = np.ascontiguousarray(cuts[:, :, : windows.window].transpose(0, 2, 1))
    lengths = np.full(len(cuts), windows.window, np.int32)
    return Dataset(sequences, lengths, np.ascontiguousarray(cuts[:, target, windows.window :]))
