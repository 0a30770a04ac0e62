"""What differs between two explanations: in the predictions, and in the weights."""

from typing import Any

import numpy as np

from service import wire
from service.explanations.measures import rank_correlation, top_steps
from service.explanations.record import Explanation, steps

TOP_STEPS = 5


def compare(a: Explanation, b: Explanation) -> list[dict[str, Any]]:
    """Every sequence of `a` beside that of `b` with the same index; see `ComparedSequence`.

    Args:
        a, b: of as many sequences.
    """
    return [_compare_sequence(a, b, index) for index in range(len(a))]


def _compare_sequence(a: Explanation, b: Explanation, index: int) -> dict[str, Any]:
    change = None
    if _alike(a, b):
        change = wire.squeeze(b.predictions)[index] - wire.squeeze(a.predictions)[index]
    return {
        "same_input": a.hash(index) == b.hash(index) if a.has_inputs and b.has_inputs else None,
        "a": _side(a, index),
        "b": _side(b, index),
        "change": change,
        "weights": _compare_weights(a, b, index),
    }


def _alike(a: Explanation, b: Explanation) -> bool:
    """Whether the numbers that both predict mean the same."""
    same = a.task == b.task and a.classes == b.classes and a.predictions.shape[1] == b.predictions.shape[1]
    return same and a.answers is None


def _side(one: Explanation, index: int) -> dict[str, Any]:
    prediction = wire.squeeze(one.predictions)[index] if one.answers is None else one.answers[index]
    label = one.labels[index] if one.labels is not None else None
    return {"prediction": prediction, "label": label, "attention": _weights(one, index)}


def _weights(one: Explanation, index: int) -> Any:
    """By step; of text, those of each character."""
    if one.attention is None:
        return None
    return one.attention[index] if one.answers is not None else steps(one.attention[index])


def _compare_weights(a: Explanation, b: Explanation, index: int) -> dict[str, Any] | None:
    """See `ComparedWeights`; None where they do not lie over as many steps, and of text."""
    first, second = _weights(a, index), _weights(b, index)
    if first is None or second is None or first.ndim == 2 or second.ndim == 2 or len(first) != len(second):
        return None
    difference = second.astype(np.float64) - first
    tops = [{step for step, _ in top_steps(weights, TOP_STEPS)} for weights in (first, second)]
    return {
        "difference": difference,
        "total_variation": float(np.abs(difference).sum() / 2),
        "rank_correlation": rank_correlation(first, second),
        "shared_top": sorted(tops[0] & tops[1]),
    }
