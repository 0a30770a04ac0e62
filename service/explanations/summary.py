"""What the weights of many sequences have in common: their mean and spread by step, and which steps weigh most."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.arrays import FloatArray
from service.explanations.measures import concentrations, heaviest
from service.explanations.record import Explanation, steps_of
from service.ragged import Ragged

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
TOP_STEPS = 5


def weights_of(explanations: Sequence[Explanation], label: str | None) -> Ragged | None:
    """The weights by step, `(time,)`, of all sequences that were given this label; None where there are none.

    Args:
        explanations: with attention over the steps of their sequences.
        label: None for any.
    """
    parts: list[Ragged] = []
    for one in explanations:
        if one.attention is None:
            continue
        weights = steps_of(one.attention)
        if label is None:
            parts.append(weights)
        elif rows := [row for row, name in enumerate(one.labels or []) if name == label]:
            parts.append(weights.take(np.array(rows)))
    return Ragged.join(parts) if parts else None


def summarize(weights: Ragged | None) -> dict[str, Any]:
    """The profile of weights `(time,)`: see `SummaryResponse`. Steps count from the start of each sequence."""
    if weights is None:
        return {"count": 0, "steps": [], "concentration": None, "top": []}
    values, lengths = weights.values, weights.lengths
    step = np.arange(len(values)) - weights.starts.repeat(lengths)
    counts = np.bincount(step)
    means = np.bincount(step, values) / counts
    quantiles = _by_step(values[np.lexsort((values, step))], counts)
    shares = np.bincount(heaviest(weights), minlength=len(counts)) / len(weights)
    return {
        "count": len(weights),
        "steps": [
            {
                "step": step,
                "count": int(counts[step]),
                "share": float(shares[step]),
                "mean": float(means[step]),
                "quantiles": _named(quantiles[:, step]),
            }
            for step in range(len(counts))
        ],
        "concentration": _concentration(weights),
        "top": _top(shares),
    }


def _by_step(ordered: FloatArray, counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Quantiles over the sequences that have the step, `(quantile, time)`, between the two nearest of them.

    Args:
        ordered: the weights, step by step, the smallest of each first.
        counts: how many each step has.
    """
    places = np.array(QUANTILES)[:, None] * (counts - 1)
    low = np.floor(places).astype(np.int64)
    first = np.cumsum(counts) - counts
    below, above = (ordered[first + np.minimum(low + i, counts - 1)] for i in (0, 1))
    found: NDArray[np.float64] = below + (above - below) * (places - low)
    return found


def _concentration(weights: Ragged) -> dict[str, Any] | None:
    found = concentrations(weights)
    if not len(found):
        return None
    return {"mean": float(found.mean()), "quantiles": _named(np.quantile(found, QUANTILES))}


def _top(shares: NDArray[np.float64]) -> list[dict[str, Any]]:
    """The steps that are most often the heaviest of their sequence, of the share that each step is, `(time,)`."""
    order = np.argsort(-shares, kind="stable")[:TOP_STEPS]
    return [{"step": int(step), "share": float(shares[step])} for step in order if shares[step] > 0]


def _named(quantiles: NDArray[np.float64]) -> dict[str, float]:
    return {str(share): float(value) for share, value in zip(QUANTILES, quantiles, strict=True)}
