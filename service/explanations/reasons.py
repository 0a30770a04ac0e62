"""The verdict on the weights of one sequence, as a sentence with its numbers."""

from service.explanations.faithfulness import EFFECT, Measured
from service.explanations.verdicts import contradicted, nearly_uniform
from service.manifest import AnswerVerdict


def reason(measured: Measured, verdict: AnswerVerdict, *, of_values: bool = False, has_unit: bool = True) -> str:
    """Why the verdict is what it is.

    Args:
        of_values: whether a value is predicted, which moves, and not a probability, which drops.
        has_unit: whether it is known in what values are counted, and so what a small change is.
    """
    if len(measured.weights) == 1:
        return "there is a single step, and no other to compare it with"
    verb, unit = ("moves", " standard deviations" if has_unit else "") if of_values else ("drops", "")
    if verdict == "inconclusive":
        return f"whatever was removed, the prediction hardly {verb}: with this baseline there is nothing to explain"
    without = (
        f"without the heaviest steps the prediction {verb} by {_number(measured.comprehensiveness, has_unit)}{unit}, "
        f"without random ones by {_number(measured.random_comprehensiveness, has_unit)}"
    )
    if verdict == "no better than random":
        return f"{without}, which is not clearly more"
    most = f"without those that change most by {_number(measured.occlusion_comprehensiveness, has_unit)}"
    return f"{without}, {most}" if verdict == "supported" else f"{without}, {_weakness(measured, most, verb, has_unit)}"


def _weakness(measured: Measured, most: str, verb: str, has_unit: bool) -> str:
    """What keeps it from being supported."""
    least = EFFECT if has_unit else 0.0
    if measured.comprehensiveness < least:
        return f"and hardly {verb} in all"
    if measured.comprehensiveness - measured.random_comprehensiveness < least:
        return "which is little more"
    if contradicted([measured], least):
        alone, random = (_number(value, has_unit) for value in (measured.sufficiency, measured.random_sufficiency))
        return f"but with the heaviest steps alone by {alone}, with random ones alone by {random}"
    return "but the weights are nearly all the same" if nearly_uniform(measured) else f"but {most}"


def _number(value: float, has_unit: bool) -> str:
    """Two decimals, or where the unit is not known three digits that count."""
    return f"{value:z.2f}" if has_unit else f"{value:z.3g}"
