"""What is measured on weights alone: the steps that weigh most, and how far the weights are from all the same."""

import math
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from service.arrays import FloatArray

F = TypeVar("F", bound=np.floating)


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
