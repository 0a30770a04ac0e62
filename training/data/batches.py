"""What Keras is fed: arrays where the sequences are in memory, a stream of batches where they are on disk."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from training.data.datasets import Dataset, forget

JUDGED = 256  # sequences to a batch where nothing is learned from them
BLOCK = 2_000_000  # bytes of sequences that are neighbours on disk, and stay so in every epoch
MIXED = 16  # blocks from anywhere, whose sequences are mixed


def feed(split: Dataset, variable_length: bool, batch_size: int, seed: int | None = None) -> tuple[Any, Any]:
    """The inputs and targets of a split, as `fit` and `predict` take them.

    Args:
        batch_size: of what is streamed; arrays are cut by Keras.
        seed: of the order of sequences on disk, another one in each epoch; None: as they are, and arrays in batches,
            because what Keras makes of arrays takes longer to prepare, in every epoch, than small data to be judged.
    """
    if not split.on_disk:
        arrays = split.inputs(variable_length), split.targets
        return arrays if seed is not None else (tf.data.Dataset.from_tensor_slices(arrays).batch(batch_size), None)
    random = None if seed is None else np.random.default_rng(seed)
    block = max(1, BLOCK // split.sequences[0].nbytes)  # sequences

    def windows() -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
        rows = np.arange(len(split)) if random is None else shuffled(len(split), block, random)
        for start in range(0, len(rows), MIXED * block):
            window = split.take(rows[start : start + MIXED * block])
            forget(split.sequences)
            yield window.inputs(variable_length), window.targets

    some = split.take(np.arange(1))
    signature = tf.nest.map_structure(_any_number_of, (some.inputs(variable_length), some.targets))
    stream = tf.data.Dataset.from_generator(windows, output_signature=signature).prefetch(1).rebatch(batch_size)
    batches = math.ceil(len(split) / batch_size)
    return stream.apply(tf.data.experimental.assert_cardinality(batches)).prefetch(2), None


def shuffled(samples: int, block: int, random: np.random.Generator) -> np.ndarray:
    """Rows `(sample,)` in an order by chance that is fast to read from disk, where neighbours are, and single ones not.

    Blocks of neighbours are drawn, and the sequences of 16 of them mixed, 32 MB together. What stream.py writes stands
    in the order of a hash of the ids: neighbours on disk are no neighbours in the table.
    """
    starts = random.permutation(np.arange(0, samples, block))
    rows = np.concatenate([np.arange(start, min(start + block, samples)) for start in starts])
    for start in range(0, samples, MIXED * block):
        random.shuffle(rows[start : start + MIXED * block])
    return rows


def _any_number_of(array: np.ndarray) -> tf.TensorSpec:
    return tf.TensorSpec((None, *array.shape[1:]), array.dtype)
