"""An answer that a client has, read as if it had been kept: for pictures of what is not."""

from collections.abc import Sequence

import numpy as np

from service.arrays import FloatArray
from service.errors import Invalid
from service.explanations.charts.left_out import OWN_UNIT, LeftOut
from service.explanations.record import Explanation
from service.ragged import Ragged
from service.schemas.drawing import DrawRequest

LONGEST = 200  # characters of the name of a feature, which stands beside each of its values


def read_explanation(given: DrawRequest, max_steps: int) -> Explanation:
    """The sequence or text, its prediction and its weights, or these alone; it has no id.

    Args:
        max_steps: steps that a sequence may have, and characters a text.

    Raises:
        Invalid: the parts do not fit each other, there are too many steps, or the name of a feature is too long.
    """
    pointer, length = _measure(given)
    if not 1 <= length <= max_steps:
        raise Invalid.at(pointer, f"1 to {max_steps} steps", f"{length}")
    features = _read_features(given)
    return Explanation(
        id="",
        created=0.0,
        model=given.model,
        version=given.version,
        task="",
        features=features,
        classes=[],
        sequences=None if given.sequence is None else Ragged.of([_array("/sequence", given.sequence, len(features))]),
        predictions=np.array([given.prediction], np.float32),
        labels=None if given.label is None else [given.label],
        texts=None if given.text is None else [given.text],
        answers=None if given.text is None else [_read_answer(given)],
        attention=_read_weights(given, length, len(features)),
    )


def read_left_out(given: DrawRequest, explanation: Explanation) -> LeftOut:
    """What leaving out each step changes.

    Raises:
        Invalid: it is not there, or not of as many steps.
    """
    length = explanation.length(0)
    expected = f"a number for each of {length} steps"
    if given.importance is None:
        raise Invalid.at("/importance", expected, "nothing")
    if len(given.importance) != length:
        raise Invalid.at("/importance", expected, f"{len(given.importance)}")
    unit = None if given.unit == OWN_UNIT else 1.0
    return LeftOut(given.importance, given.width, given.baseline, unit)


def _measure(given: DrawRequest) -> tuple[str, int]:
    """Where the steps are, and how many."""
    if given.sequence is not None and given.text is not None:
        raise Invalid.at("", "either a sequence or a text", "both")
    for pointer, part in (("/text", given.text), ("/sequence", given.sequence), ("/attention", given.attention)):
        if part is not None:
            return pointer, len(part)
    raise Invalid.at("", "a sequence, a text, or the weights of a sequence alone", "none of them")


def _read_features(given: DrawRequest) -> list[str]:
    if given.text is not None:
        return ["character"]
    rows = given.sequence or given.attention or [[]]
    names = given.features or [f"x{column}" for column in range(len(rows[0]))]
    if not names:
        raise Invalid.at("/sequence/0", "at least one number", "none")
    for index, name in enumerate(names):
        if len(name) > LONGEST:
            raise Invalid.at(f"/features/{index}", f"a name of at most {LONGEST} characters", f"{len(name)}")
    if len(set(names)) < len(names):
        raise Invalid.at("/features", "a name for each that no other has", ", ".join(names)[:60])
    return names


def _read_answer(given: DrawRequest) -> str:
    if given.answer is None:
        raise Invalid.at("/answer", "what was written", "nothing")
    if len(given.prediction) > 1:
        raise Invalid.at(
            "/prediction", "one number, the probability of the answer", f"a list of {len(given.prediction)}"
        )
    return given.answer


def _read_weights(given: DrawRequest, length: int, features: int) -> Ragged | None:
    """Weights `(time,)`, `(time, feature)` or, of text, `(out_time, in_time)`."""
    if given.attention is None:
        return None
    rows = length if given.text is None else len(given.answer or "")
    if len(given.attention) != rows:
        of = "a weight for each step" if given.text is None else "a row for each character of the answer"
        raise Invalid.at("/attention", f"{of}, {rows}", f"{len(given.attention)}")
    if given.text is not None:
        return Ragged.of_matrices([_array("/attention", given.attention, length)])
    if all(len(row) == 1 for row in given.attention):
        return Ragged.of([_array("/attention", given.attention, 1)[:, 0]])
    return Ragged.of([_array("/attention", given.attention, features)])


def _array(pointer: str, rows: Sequence[Sequence[float]], width: int) -> FloatArray:
    """Rows as an array `(row, width)`."""
    for index, row in enumerate(rows):
        if len(row) != width:
            raise Invalid.at(f"{pointer}/{index}", f"{width} numbers", f"{len(row)}")
    return np.array(rows, np.float32).reshape(len(rows), width)
