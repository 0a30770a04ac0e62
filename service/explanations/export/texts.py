"""Explanations of texts as columns, a row for each character written and each character read, and as arrays."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from service.explanations.export.columns import origin
from service.explanations.record import Explanation
from service.ragged import Ragged


def table(explanations: Sequence[Explanation]) -> Any:
    """A `pyarrow.Table` of all weights. An answer that is empty has none, and no row.

    Its columns: id, created, model, version, sequence (which of its request), prediction (the answer), probability (of
    the answer), out_step and out_character (that was written), in_step and in_character (that was read), weight.

    Args:
        explanations: of one version of a model that writes text.
    """
    import pyarrow as pa  # slow to import

    attention = _attention(explanations)
    assert attention.widths is not None  # noqa: S101 (of text)
    every, widths = attention.lengths.astype("i8"), attention.widths.repeat(attention.lengths)
    place = np.arange(len(widths)) - attention.starts.repeat(every)
    out_step, in_step = place // widths, place % widths
    text = np.arange(len(every)).repeat(every)  # which each row is of
    answers = [answer for one in explanations for answer in one.answers or []]
    return pa.table(
        {
            **origin(explanations, every),
            "prediction": pa.array(answers, pa.string()).take(text),
            "probability": np.concatenate([one.predictions[:, 0] for one in explanations])[text],
            "out_step": out_step.astype("i4"),
            "out_character": _characters(answers, text, out_step),
            "in_step": in_step.astype("i4"),
            "in_character": _characters(_texts(explanations), text, in_step),
            "weight": attention.values,
        }
    )


def arrays(explanations: Sequence[Explanation]) -> dict[str, np.ndarray]:
    """`attention (text, out_time, in_time)`, padded with 0; and `predictions` (the answers), `probabilities`, `lengths`
    (characters read), `out_lengths` (characters written) and, where inputs are kept, `texts`, `(text,)` each.
    """
    attention = _attention(explanations)
    assert attention.widths is not None  # noqa: S101 (of text)
    answers = [answer for one in explanations for answer in one.answers or []]
    found = {
        "predictions": np.array(answers, np.str_),
        "probabilities": np.concatenate([one.predictions[:, 0] for one in explanations]),
        "lengths": attention.widths.astype("i4"),
        "out_lengths": np.array([len(answer) for answer in answers], "i4"),
        "attention": attention.padded_matrices(int(attention.widths.max())),
    }
    if all(one.texts is not None for one in explanations):
        found["texts"] = np.array(_texts(explanations), np.str_)
    return found


def longest(explanations: Sequence[Explanation]) -> tuple[int, int]:
    """Characters of the longest text, and of the longest answer."""
    attention = _attention(explanations)
    assert attention.widths is not None  # noqa: S101 (of text)
    return int(attention.widths.max()), max(len(answer) for one in explanations for answer in one.answers or [])


def _attention(explanations: Sequence[Explanation]) -> Ragged:
    return Ragged.join([one.attention for one in explanations if one.attention is not None])


def _texts(explanations: Sequence[Explanation]) -> list[str | None]:
    """What was read; None where it is not kept."""
    texts: list[str | None] = []
    for one in explanations:
        texts += one.texts or [None] * len(one)
    return texts


def _characters(texts: Sequence[str | None], which: np.ndarray, step: np.ndarray) -> Any:
    """A column: of each row the character at this step of this text; null where that is not kept."""
    import pyarrow as pa

    starts = np.cumsum([0] + [len(text or "") for text in texts])
    missing = np.array([text is None for text in texts])[which]
    characters = pa.array([character for text in texts for character in text or ""], pa.string())
    return characters.take(pa.array(starts[which] + step, mask=missing))
