"""The columns that say where a row is from, whatever it holds."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from service.explanations.record import Explanation


def origin(explanations: Sequence[Explanation], every: np.ndarray) -> dict[str, Any]:
    """Columns id, created, model, version and sequence (which of its request).

    Args:
        explanations: of one version of a model.
        every: `(sequence,)`, rows of each sequence of all explanations.
    """
    import pyarrow as pa  # slow to import

    counts, rows = np.array([len(one) for one in explanations]), int(every.sum())
    which = np.repeat(np.repeat(np.arange(len(counts)), counts), every)
    return {
        "id": pa.array([one.id for one in explanations]).take(which),
        "created": pa.array([one.created_at for one in explanations], pa.timestamp("us", tz="UTC")).take(which),
        "model": pa.array([explanations[0].model]).take(np.zeros(rows, "i8")),
        "version": np.full(rows, explanations[0].version, "i4"),
        "sequence": np.repeat(np.concatenate([np.arange(count) for count in counts]), every).astype("i4"),
    }
