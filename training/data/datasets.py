"""The built-in data sets, each with its official split; a validation part is taken from the training part."""

import mmap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from service.manifest import Task

SPLIT_SEED = 20170320  # the validation part is the same for every training seed, so that seeds can be compared


@dataclass(frozen=True)
class Dataset:
    """Labelled sequences, padded on the right with zeros.

    Attributes:
        sequences: float32 `(sample, time, feature)`.
        lengths: int32 `(sample,)`, the real steps of each sequence.
        targets: `(sample,)`; class indices (int64) or values (float32); of a forecast `(sample, horizon)`.
    """

    sequences: np.ndarray
    lengths: np.ndarray
    targets: np.ndarray

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, rows: np.ndarray) -> Self:
        """The samples at `rows (k,)`, in that order."""
        return replace(self, sequences=self.sequences[rows], lengths=self.lengths[rows], targets=self.targets[rows])

    @property
    def on_disk(self) -> bool:
        """Whether the sequences are a file, too large for memory; see stream.py."""
        return isinstance(self.sequences, np.memmap)

    def inputs(self, variable_length: bool) -> dict[str, np.ndarray]:
        """The arrays by the names of a model's inputs."""
        return {"sequences": self.sequences} | ({"lengths": self.lengths} if variable_length else {})


@dataclass(frozen=True)
class Data:
    """A task: three splits and what they mean.

    Attributes:
        source: where the data come from, for the model card.
        labels: class names in the order of the class indices; else none.
        step: the one step that decides the target, where the data were made so.
        target: of a forecast, the feature whose next values are predicted.
    """

    name: str
    source: str
    task: Task
    features: list[str]
    labels: list[str]
    train: Dataset
    validation: Dataset
    test: Dataset
    step: int | None = None
    target: str | None = None

    @property
    def outputs(self) -> int:
        """How many numbers a prediction has: of classes, one each; of a forecast, its horizon; else 1."""
        if self.task == "forecast":
            return int(self.train.targets.shape[1])
        return len(self.labels) if self.task == "multiclass" else 1

    @property
    def time(self) -> int:
        """Steps of the padded sequences."""
        return int(self.train.sequences.shape[1])

    @property
    def variable_length(self) -> bool:
        """Whether sequences differ in length."""
        return any(len(set(split.lengths)) > 1 for split in (self.train, self.validation, self.test))

    def __str__(self) -> str:
        """In one line, for people."""
        low, high = self.train.lengths.min(), self.train.lengths.max()
        kind = f"{self.task} ({_listed(self.labels)})" if self.labels else self.task
        if self.target is not None:
            kind = f"forecast of the next {self.outputs} of {self.target}"
        counts = f"{len(self.train)} training, {len(self.validation)} validation, {len(self.test)} test sequences"
        steps = f"{low} steps" if low == high else f"{low} to {high} steps"
        return f"{self.name}: {kind}; {counts} of {steps} × {_listed(self.features)}"


def planted(n: int = 20_000, time_steps: int = 20, features: int = 2, step: int = 10, seed: int = 0) -> Data:
    """Noise in which one step, the same in every sequence, holds the answer.

    Every value is standard normal, but at `step` all features hold the target, 0 or 1. A model that explains itself
    well puts its weight there. Source: `get_data_recurrent` of P. Rémy's keras-attention-mechanism (2017).

    Args:
        n: number of training and validation sequences, a fifth of them for validation; as many are made for the test.

    Raises:
        ValueError: `step` is not one of the steps, or a size is not positive.
    """
    if min(n, time_steps, features) < 1 or not 0 <= step < time_steps:
        raise ValueError(
            f"expected n, time_steps and features of at least 1 and a step from 0 to time_steps - 1; "
            f"received n {n}, time_steps {time_steps}, features {features}, step {step}"
        )

    def draw(count: int, part: int) -> Dataset:
        random = np.random.default_rng([seed, part])
        sequences = random.standard_normal((count, time_steps, features)).astype(np.float32)
        targets = random.integers(0, 2, count)
        sequences[:, step, :] = targets[:, None]
        return Dataset(sequences, np.full(count, time_steps, np.int32), targets)

    return Data(
        name="planted",
        source=f"planted-step generator: {n} × {time_steps} × {features}, step {step}, seed {seed}",
        task="binary",
        features=[f"x{i}" for i in range(features)],
        labels=["0", "1"],
        train=draw(n - n // 5, 0),
        validation=draw(max(n // 5, 1), 1),
        test=draw(max(n // 5, 1), 2),
        step=step,
    )


def italy_power() -> Data:
    """ItalyPowerDemand: a day of power demand, 24 hours, from October to March or from April to September.

    67 training and 1,029 test days (E. Keogh, UCR archive), as shipped with sktime.
    """
    from sktime.datasets import load_italy_power_demand

    def load(split: str) -> Dataset:
        values, labels = load_italy_power_demand(split=split, return_X_y=True, return_type="numpy3D")
        sequences = values.transpose(0, 2, 1).astype(np.float32)  # sktime: (sample, feature, time)
        return Dataset(sequences, np.full(len(labels), sequences.shape[1], np.int32), labels.astype(int) - 1)

    train, validation = _split(load("train"), 0.25)
    return Data(
        name="italy-power",
        source="ItalyPowerDemand (UCR archive, official split), from sktime",
        task="binary",
        features=["demand"],
        labels=["October to March", "April to September"],
        train=train,
        validation=validation,
        test=load("test"),
    )


def japanese_vowels() -> Data:
    """JapaneseVowels: nine speakers, 12 cepstrum coefficients, 7 to 29 steps.

    270 training and 370 test utterances (M. Kudo et al. 1999, UEA archive), as shipped with sktime.
    """
    from sktime.datasets import load_japanese_vowels

    def load(split: str) -> Dataset:
        frame, labels = load_japanese_vowels(split=split, return_X_y=True, return_type="nested_univ")
        rows = [np.stack([series.to_numpy() for series in row], axis=1) for row in frame.itertuples(index=False)]
        return Dataset(*pad(rows, 29), labels.astype(int) - 1)

    train, validation = _split(load("train"), 0.2)
    return Data(
        name="japanese-vowels",
        source="JapaneseVowels (UEA archive, official split), from sktime",
        task="multiclass",
        features=[f"lpc{i}" for i in range(1, 13)],
        labels=[f"speaker {i}" for i in range(1, 10)],
        train=train,
        validation=validation,
        test=load("test"),
    )


def tecator() -> Data:
    """Tecator: the fat in chopped meat, in percent, from the light it absorbs at 100 wavelengths from 850 to 1050 nm.

    172 training and 43 test spectra (C. Borggaard and H. H. Thodberg 1992), as shipped with sktime. How much light a
    sample scatters shifts and stretches its whole spectrum: its shape says more than its level.
    """
    from sktime.datasets import load_tecator

    def load(split: str) -> Dataset:
        values, targets = load_tecator(split=split, return_X_y=True, return_type="numpy3D")
        sequences = values.transpose(0, 2, 1).astype(np.float32)  # sktime: (sample, feature, time)
        return Dataset(sequences, np.full(len(targets), sequences.shape[1], np.int32), targets.astype(np.float32))

    train, validation = _split(load("train"), 0.2)
    return Data(
        name="tecator",
        source="Tecator (official split), from sktime",
        task="regression",
        features=["absorbance"],
        labels=[],
        train=train,
        validation=validation,
        test=load("test"),
    )


BUILT_IN: dict[str, Callable[..., Data]] = {
    "planted": planted,
    "italy-power": italy_power,
    "japanese-vowels": japanese_vowels,
    "tecator": tecator,
}


def pad(rows: list[np.ndarray], time: int) -> tuple[np.ndarray, np.ndarray]:
    """Pads sequences `(time_i, feature)` on the right to `(sample, time, feature)`; also returns their lengths."""
    padded = np.zeros((len(rows), time, rows[0].shape[1]), np.float32)
    for i, row in enumerate(rows):
        padded[i, : len(row)] = row
    return padded, np.array([len(row) for row in rows], np.int32)


def blocks(sequences: np.ndarray, values: int = 4_000_000) -> Iterator[np.ndarray]:
    """Sequences `(sample, time, feature)` in blocks of about so many values; of a file only a block is in memory."""
    size = max(1, values // sequences[0].size)
    for start in range(0, len(sequences), size):
        yield np.array(sequences[start : start + size])
        forget(sequences)


def forget(sequences: np.ndarray) -> None:
    """Frees what was read of sequences that are a file; they are read again when needed."""
    if isinstance(sequences, np.memmap):
        sequences._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]


def _listed(names: list[str], most: int = 12) -> str:
    """Names as people list them; of many, the first."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _split(data: Dataset, share: float) -> tuple[Dataset, Dataset]:
    """Takes `share` of every class, or of all values, out of the training part, for validation."""
    from sklearn.model_selection import train_test_split

    classes = data.targets if np.issubdtype(data.targets.dtype, np.integer) else None
    rows: list[Any] = train_test_split(np.arange(len(data)), test_size=share, stratify=classes, random_state=SPLIT_SEED)
    return data.take(rows[0]), data.take(rows[1])
