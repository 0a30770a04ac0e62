"""What Keras is fed: arrays where the sequences are in memory, batches where they are on disk."""

import math
from typing import Any

import keras
import numpy as np

from training.datasets import Dataset, forget

BLOCK = 2_000_000  # bytes of sequences that are neighbours on disk, and stay so in every epoch
MIXED = 16  # blocks of different places, whose sequences are mixed
KEPT = 32_000_000  # bytes read before they are forgotten


def feed(split: Dataset, variable_length: bool, batch_size: int, seed: int | None = None) -> tuple[Any, Any]:
    """The inputs and targets of a split, as `fit`, `predict` and `validation_data` take them.

    Args:
        seed: of the order of sequences on disk, which `fit` does not shuffle; None: as they are.
    """
    if split.on_disk:
        return Batches(split, variable_length, batch_size, seed), None
    return split.inputs(variable_length), split.targets


class Batches(keras.utils.PyDataset):
    """Batches of sequences on disk, in another order in every epoch.

    A disk reads neighbours fast and single sequences slowly. So blocks of neighbours are drawn by chance, and the
    sequences of 16 blocks mixed: about 32 MB, thousands of sequences. As stream.py writes sequences in the order of a
    hash of their ids, neighbours on disk are no neighbours in the table.
    """

    def __init__(self, split: Dataset, variable_length: bool, batch_size: int, seed: int | None) -> None:
        super().__init__()
        self.split, self.variable_length, self.batch_size = split, variable_length, batch_size
        self.random = None if seed is None else np.random.default_rng(seed)
        self.forget_after = max(1, KEPT // (split.sequences[0].nbytes * batch_size))  # batches
        self.rows = np.arange(len(split))  # (sample,)
        self.on_epoch_end()

    def __len__(self) -> int:
        return math.ceil(len(self.rows) / self.batch_size)

    def __getitem__(self, index: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Inputs by name, and targets, of one batch."""
        batch = self.split.take(self.rows[index * self.batch_size : (index + 1) * self.batch_size])
        if index % self.forget_after == 0:
            forget(self.split.sequences)
        return batch.inputs(self.variable_length), batch.targets

    def on_epoch_end(self) -> None:
        """Draws the order of the next epoch."""
        if self.random is not None:
            self.rows = shuffled(len(self.split), max(1, BLOCK // self.split.sequences[0].nbytes), self.random)


def shuffled(samples: int, block: int, random: np.random.Generator) -> np.ndarray:
    """Rows `(sample,)` in an order in which reading from disk is fast: blocks by chance, `MIXED` of them mixed."""
    starts = random.permutation(np.arange(0, samples, block))
    rows = np.concatenate([np.arange(start, min(start + block, samples)) for start in starts])
    for start in range(0, samples, MIXED * block):
        random.shuffle(rows[start : start + MIXED * block])
    return rows
