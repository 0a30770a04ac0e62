"""Scores to weights: functions an `AttentionBlock` chooses from by name.

Each takes scores `(batch, time, n)` and, or None, the valid steps `(batch, time, 1)`, and gives weights of the same
shape: not negative, 0 on steps that are not valid, summing to 1 over the others, and finite whatever the scores.
"""

from collections.abc import Callable
from typing import Any

from keras import ops

LOWEST = -3.4e38  # nearly the lowest float32: exp() of it is exactly 0 beside any real score
TINY = 1e-6


def softmax(scores: Any, valid: Any = None) -> Any:
    """a[t] = exp(e[t]) / sum over valid u of exp(e[u])."""
    if scores.shape[1] == 1:
        return ops.ones_like(scores)  # Keras warns of a softmax over one value
    if valid is not None:
        scores = ops.where(valid, scores, LOWEST)
    return ops.softmax(scores, axis=1)


def plain_sum(scores: Any, valid: Any = None) -> Any:
    """Plain normalizing: a[t] = s(e[t]) / sum over valid u of s(e[u]), with s(e) = sigmoid(e) + 1e-6.

    Dividing scores by their sum is not defined for negative ones: the sum may be 0 and the weights negative. The
    sigmoid takes every score into (0, 1) first, in the same order. Unlike a softmax, two steps that both score high
    share the weight, however far apart their scores are. The 1e-6 keeps scores that are all hugely negative from
    dividing 0 by 0; they weigh the same then.
    """
    positive = ops.sigmoid(scores) + TINY
    if valid is not None:
        positive = positive * ops.cast(valid, positive.dtype)
    return positive / ops.sum(positive, axis=1, keepdims=True)


def sparsemax(scores: Any, valid: Any = None) -> Any:
    """The weights nearest to the scores: many are exactly 0. Source: Martins and Astudillo 2016, algorithm 1.

    With z sorted from the largest, k the number of steps for which 1 + k z(k) > z(1) + ... + z(k), and
    tau = (z(1) + ... + z(k) - 1) / k: a[t] = max(e[t] - tau, 0).
    """
    if valid is not None:
        scores = ops.where(valid, scores, LOWEST)
    # Only differences matter, and what is 1 below the largest has weight 0: at -2 its sums stay small and exact.
    shifted = ops.maximum(scores - ops.max(scores, axis=1, keepdims=True), -2.0)
    time_last = ops.transpose(shifted, (0, 2, 1))
    falling = -ops.sort(-time_last, axis=-1)
    sums = ops.cumsum(falling, axis=-1)
    ranks = ops.cumsum(ops.ones_like(falling), axis=-1)
    support = ops.cast(1.0 + ranks * falling > sums, falling.dtype)
    size = ops.sum(support, axis=-1, keepdims=True)
    tau = (ops.sum(falling * support, axis=-1, keepdims=True) - 1.0) / size
    return ops.transpose(ops.maximum(time_last - tau, 0.0), (0, 2, 1))


NORMALIZERS: dict[str, Callable[[Any, Any], Any]] = {"softmax": softmax, "sum": plain_sum, "sparsemax": sparsemax}
