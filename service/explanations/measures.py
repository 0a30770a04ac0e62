"""What is measured on predictions and weights alone: the classes, the steps that weigh most, how far the weights are
from all the same, how their orders agree.

Of many sequences at once, the weights `(time,)` of each, at least one, lie end to end: padded, a long one among many
short ones would take as much memory as if all were long.
"""

import math
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from service.arrays import FloatArray
from service.manifest import PROFILE_BINS, Task
from service.ragged import Ragged

F = TypeVar("F", bound=np.floating)


def classes_of(predictions: FloatArray, task: Task) -> NDArray[np.intp]:
    """The predicted classes `(sequence,)`, as indices, of probabilities `(sequence, 1 or classes)`: of two, the second
    from 0.5 on.
    """
    found: NDArray[np.intp] = (predictions[:, 0] >= 0.5).astype(int) if task == "binary" else predictions.argmax(axis=1)
    return found


def by_step(attention: FloatArray) -> FloatArray:
    """Weights by step `(sequence, time)`: as they are when shared, the mean over features of `(sequence, time,
    feature)`.
    """
    weights: FloatArray = attention if attention.ndim == 2 else attention.mean(axis=2)
    return weights


def top_steps(weights: NDArray[F], count: int) -> list[tuple[int, F]]:
    """The `count` steps of largest weight, heaviest first, the earlier step first among equals.

    Args:
        weights: `(time,)`.

    Returns:
        Pairs of step and weight; fewer than `count` when the sequence is shorter.
    """
    order = np.argsort(-weights, kind="stable")[:count]
    return [(int(step), weights[step]) for step in order]


def concentration(weights: FloatArray) -> float | None:
    """How far the weights are from uniform: 0 when all are equal, 1 when one step has all the weight.

    1 - H / log(n), with Shannon's entropy H of the n weights, compared with that of uniform weights, log(n).

    Args:
        weights: `(time,)`, summing to 1.

    Returns:
        None for a single step, where uniform and concentrated are the same.
    """
    if len(weights) == 1:
        return None
    positive = weights[weights > 0].astype(np.float64)
    entropy = float(-(positive * np.log(positive)).sum())
    return min(1.0, max(0.0, 1.0 - entropy / math.log(len(weights))))


def distance_from_uniform(weights: FloatArray) -> float:
    """How much of the weight would have to move until all steps weigh the same: 0 when they do, below 1 always.

    Args:
        weights: `(time,)`, summing to 1.
    """
    return float(np.abs(weights.astype(np.float64) - 1 / len(weights)).sum() / 2)


def concentrations(weights: Ragged) -> NDArray[np.float64]:
    """The `concentration` of each sequence of more than one step, `(sequence,)` or fewer."""
    values, lengths = weights.values, weights.lengths
    terms = values * np.log(np.maximum(values, np.finfo(np.float32).tiny))
    entropy = -np.add.reduceat(terms, weights.starts, dtype=np.float64)
    several = lengths > 1
    found: NDArray[np.float64] = np.clip(1 - entropy[several] / np.log(lengths[several]), 0, 1)
    return found


def heaviest(weights: Ragged) -> NDArray[np.int64]:
    """The step of largest weight of each sequence, the first among equals, `(sequence,)`."""
    values, starts, lengths = weights.values, weights.starts, weights.lengths
    places = np.flatnonzero(values == np.maximum.reduceat(values, starts).repeat(lengths))
    owners = np.arange(len(lengths)).repeat(lengths)[places]
    found: NDArray[np.int64] = places[np.diff(owners, prepend=-1) > 0] - starts
    return found


def top_positions(weights: Ragged) -> NDArray[np.float64]:
    """Where the middle of the heaviest step is in its sequence, above 0 and below 1, `(sequence,)`."""
    positions: NDArray[np.float64] = (heaviest(weights) + 0.5) / weights.lengths
    return positions


def profile(weights: Ragged) -> NDArray[np.float64]:
    """Weight of each twentieth of a sequence, the sum over sequences, `(20,)`.

    A step that lies in two twentieths gives each its part: equal weights give an even profile, whatever the length.
    """
    if (block := weights.block) is not None:  # as one sequence: so many of equal length are quick
        weights = Ragged(block.sum(axis=0, dtype=np.float64), weights.lengths[:1])
    up_to = np.zeros(len(weights.values) + 2)  # a step more, of weight 0, for the end of the last
    np.cumsum(weights.values, dtype=np.float64, out=up_to[1:-1])
    up_to[-1] = up_to[-2]
    ends = weights.lengths[:, None] * np.arange(PROFILE_BINS + 1) / PROFILE_BINS
    step = ends.astype(np.int64)
    before, behind = (up_to[weights.starts[:, None] + step + i] for i in (0, 1))
    at_ends = (before + (ends - step) * (behind - before)).sum(axis=0)
    found: NDArray[np.float64] = at_ends[1:] - at_ends[:-1]
    return found


def rank_correlation(one: NDArray[np.floating], other: NDArray[np.floating]) -> float | None:
    """Spearman's rank correlation, ties at their mean rank; None where either is constant. Both `(n,)`."""
    ranks = [_ranks(values) for values in (one, other)]
    if any(np.ptp(rank) == 0 for rank in ranks):
        return None
    first, second = (rank - rank.mean() for rank in ranks)
    return float((first @ second) / math.sqrt((first @ first) * (second @ second)))


def _ranks(values: NDArray[np.floating]) -> NDArray[np.float64]:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return ranks
