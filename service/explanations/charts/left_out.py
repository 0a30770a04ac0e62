"""What leaving out each step changes, and how that is said. Imports nothing that draws: the server makes it."""

import msgspec

from service.explanations.record import Explanation
from service.schemas.faithfulness import Baseline

OWN_UNIT = "value of the prediction"  # of changes of a value whose spread the model does not say
HOLDS: dict[Baseline, str] = {
    "mean": "the training mean of each feature",
    "sequence": "the mean of the sequence",
    "last": "the last value kept",
    "zero": "zero",
    "unknown": "an unknown character",
}


class LeftOut(msgspec.Struct, frozen=True):
    """What leaving out each step of a sequence changes.

    Attributes:
        changes: by step, in units of `unit`.
        width: neighbouring steps that were left out together: they have the same change.
        baseline: what a step held that was left out; None where that is not known.
        unit: of the changes of a value, in units of the value; None where the model does not say its own. Of
            probabilities and of text, 1.
    """

    changes: list[float]
    width: int = 1
    baseline: Baseline | None = None
    unit: float | None = 1.0


def in_words(explanation: Explanation, left_out: LeftOut) -> str:
    """What removed steps hold, and what changes are in that are none of a probability; empty where it is not known."""
    if left_out.baseline is None:
        return ""
    holds = f"removed steps hold {HOLDS[left_out.baseline]}"
    if explanation.labels is not None:
        return holds
    if explanation.answers is not None:
        return f"{holds}; changes in shares of the characters of the answer"
    unit = "the unit of the prediction" if left_out.unit is None else "standard deviations of the training target"
    return f"{holds}; changes in {unit}"
