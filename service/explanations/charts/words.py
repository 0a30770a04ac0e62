"""What charts say: titles, the sentence for who does not see them, numbers short enough for a label."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from service.explanations.record import Explanation

LINE = 112  # characters of a line beneath the title, and of a title, which is larger
TITLE = 72
NO_ATTENTION = "this model has no attention"
SHOWN = 6  # numbers of a prediction that has many, and values of a step
NAMED = 12  # features, and characters, of which there are many
NAME, LABEL = 24, 80  # characters of the name of a feature, and of a label
QUOTED, ANSWERED = 160, 60  # characters of a text, and of what was written


@dataclass(frozen=True)
class Mark:
    """A step that is marked, or steps next to each other that are one: `first` to `last`.

    Attributes:
        text: what belongs to it, such as its weight.
    """

    first: int
    last: int
    text: str

    @property
    def middle(self) -> float:
        """Where it is on the axis of steps."""
        return self.first if self.first == self.last else (self.first + self.last) / 2

    @property
    def name(self) -> str:
        """Which steps, in words."""
        return str(self.first) if self.first == self.last else f"{self.first} to {self.last}"

    @property
    def named(self) -> str:
        """The same in a sentence; that they are left out as one is said as well."""
        return f"step {self.first}" if self.first == self.last else f"steps {self.name} together"


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


def short(text: str, most: int) -> str:
    """The text in so many characters at most. The middle is left out: names that begin alike differ at their ends."""
    head = (most - 1) // 2
    return text if len(text) <= most else f"{text[:head]}…{text[head + 1 - most :]}"


def quote(text: str, most: int = QUOTED) -> str:
    """The text in quotes, or so many characters of it and how many there are more."""
    return repr(text) if len(text) <= most else f"{text[:most]!r} and {len(text) - most} more characters"


def first_few(parts: Sequence[str], most: int, between: str = ", ") -> str:
    """So many of them, and how many there are more: "a, b and 7 more"."""
    more = f" and {len(parts) - most} more" if len(parts) > most else ""
    return between.join(parts[:most]) + more


def count(number: int, what: str) -> str:
    """So many: "1 step", "20 steps"."""
    return f"{number} {what}{'s' * (number != 1)}"


def heading(explanation: Explanation, index: int) -> str:
    """What was predicted, by which model."""
    return f"{explanation.model}, version {explanation.version}, {said(explanation, index)}"


def said(explanation: Explanation, index: int) -> str:
    """What was predicted, with a verb."""
    return f"{'writes' if explanation.answers is not None else 'predicts'} {outcome(explanation, index)}"


def outcome(explanation: Explanation, index: int) -> str:
    """A prediction with its probability."""
    prediction = explanation.predictions[index]
    if explanation.answers is not None:
        return f"{quote(explanation.answers[index], ANSWERED)} ({prediction.item():.0%})"
    if explanation.labels is None:
        return first_few([f"{value:.4g}" for value in prediction], SHOWN)
    likely = prediction.max() if len(prediction) > 1 else max(prediction.item(), 1 - prediction.item())
    return f"{short(explanation.labels[index], LABEL)} ({likely:.0%})"


def enumerate_steps(marks: Sequence[Mark]) -> str:
    """Steps with what belongs to each, at least one: "step 10 (97%), 9 (1%)", "steps 813 to 815 together (0.36)"."""
    first, *others = marks
    return ", ".join([f"{first.named} ({first.text})", *(f"{one.name} ({one.text})" for one in others)])


def features(names: Sequence[str]) -> str:
    """What the lines are, in words."""
    shown = [short(name, NAME) for name in names]
    return shown[0] if len(names) == 1 else f"{len(names)} features ({first_few(shown, NAMED)})"


def lines(text: str, width: int = LINE) -> list[str]:
    """The text in lines of so many characters."""
    return textwrap.wrap(text, width) or [""]


def sentence(text: str) -> str:
    """With a capital letter and a full stop."""
    return f"{text[:1].upper()}{text[1:]}."


def describe(explanation: Explanation, index: int) -> str:
    """What was predicted of what, in a sentence."""
    if explanation.texts is not None:
        seen = f"read from {quote(explanation.texts[index])}"
    else:
        seen = f"from {count(explanation.length(index), 'step')} of {features(explanation.features)}"
    return f"{heading(explanation, index)}, {seen}."


def describe_values(explanation: Explanation, index: int, marks: Sequence[Mark], what: str, nothing: str) -> str:
    """What a chart of a sequence shows, in sentences: the prediction, and the marked steps with their values.

    Args:
        what: is said of them: "Most weight lies on".
        nothing: is said where none is marked.
    """
    found = ", ".join(_with_values(explanation, index, mark) for mark in marks)
    return f"{describe(explanation, index)} {sentence(f'{what} {found}' if found else nothing)}"


def _with_values(explanation: Explanation, index: int, mark: Mark) -> str:
    """A step, with its character or with its values; of several together only that of text."""
    if explanation.texts is not None:
        text = explanation.texts[index][mark.first : mark.last + 1]
        return f"{quote(text, NAME)} at {mark.name} ({mark.text})"
    if explanation.sequences is None or mark.first < mark.last:
        return f"{mark.named} ({mark.text})"
    row = zip(explanation.features, explanation.sequences[index][mark.first], strict=True)
    values = first_few([f"{short(name, NAME)} {value:.3g}" for name, value in row], SHOWN)
    return f"{mark.named} ({mark.text}; {values})"
