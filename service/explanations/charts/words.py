"""What charts say: titles, the sentence for who does not see them, numbers short enough for a label."""

import textwrap
from collections.abc import Sequence

from service.explanations.record import Explanation

LINE = 96  # characters of a line beneath the title, and of a title, which is larger
TITLE = 72
NOTHING = "no step alone changes anything"
SHOWN = 6  # numbers of a prediction that has many


def percent(share: float) -> str:
    """A share in percent with two digits that count: 97%, 3%, 0.12%."""
    if share == 0 or share >= 0.0095:
        return f"{share:.0%}"
    return f"{share * 100:.2g}%" if share >= 1e-5 else "<0.001%"


def change(size: float) -> str:
    """A change of a prediction: 0.30, <0.01, 1.2e+03."""
    if 0 < size < 0.005:
        return "<0.01"
    return f"{size:.2f}" if size < 1000 else f"{size:.2g}"


def heading(explanation: Explanation, index: int) -> str:
    """What was predicted, by which model."""
    verb = "writes" if explanation.answers is not None else "predicts"
    return f"{explanation.model}, version {explanation.version}, {verb} {outcome(explanation, index)}"


def outcome(explanation: Explanation, index: int) -> str:
    """A prediction with its probability."""
    prediction = explanation.predictions[index]
    if explanation.answers is not None:
        return f"{explanation.answers[index]!r} ({prediction.item():.0%})"
    if explanation.labels is None:
        return ", ".join(f"{value:.4g}" for value in prediction[:SHOWN]) + ", ..." * (len(prediction) > SHOWN)
    likely = prediction.max() if len(prediction) > 1 else max(prediction.item(), 1 - prediction.item())
    return f"{explanation.labels[index]} ({likely:.0%})"


def enumerate_steps(top: Sequence[tuple[int, str]]) -> str:
    """Steps with what belongs to each: "10 (97%), 9 (1%)"."""
    return ", ".join(f"{step} ({text})" for step, text in top)


def features(names: Sequence[str]) -> str:
    """What the lines are, in words."""
    return (
        names[0] if len(names) == 1 else f"{len(names)} features ({', '.join(names[:12])}{', ...' * (len(names) > 12)})"
    )


def lines(text: str, width: int = LINE) -> list[str]:
    """The text in lines of so many characters."""
    return textwrap.wrap(text, width) or [""]


def describe_values(explanation: Explanation, index: int, top: Sequence[tuple[int, str]], what: str) -> str:
    """What a chart of a sequence shows, in sentences: the prediction, and the top steps with their values.

    Args:
        top: steps with what belongs to each.
        what: what is said of them: "Most weight lies on".
    """
    if explanation.texts is not None:
        text = explanation.texts[index]
        found = [f"{text[step]!r} at {step} ({told})" for step, told in top]
        said = f"{what} {', '.join(found)}." if found else f"{NOTHING.capitalize()}."
        return f"{heading(explanation, index)}, from {text!r}. {said}"
    sequences, names = explanation.sequences, explanation.features
    found = []
    for step, text in top:
        row = [] if sequences is None else zip(names, sequences[index][step], strict=True)
        values = ", ".join(f"{name} {value:.3g}" for name, value in row)
        found.append(f"step {step} ({text}; {values})" if values else f"step {step} ({text})")
    seen = f"{explanation.length(index)} steps of {features(names)}"
    said = f"{what} {', '.join(found)}." if found else f"{NOTHING.capitalize()}."
    return f"{heading(explanation, index)}, from {seen}. {said}"
