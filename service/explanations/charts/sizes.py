"""A number for each step, a weight or a change: which are the largest, how they are drawn and what is said of them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from service.arrays import FloatArray
from service.explanations.charts.left_out import LeftOut
from service.explanations.charts.words import Mark, change, enumerate_steps, percent
from service.explanations.faithfulness import EFFECT
from service.explanations.measures import top_steps

TOP = 3  # steps that are marked


@dataclass(frozen=True)
class Sizes:
    """A number for each step, and how it is drawn and told: a weight, or a change.

    Attributes:
        kind: "weights", "changes" or "counts".
        name: of the data.
        values: `(time,)`.
        title: of the axis.
        style: of the bars of the top steps, see `themes.py`; `rest` of the others.
        say: the number as text.
        format: of the axis.
        most, nothing: what is said of the top steps, and where there are none.
        least: upper end of the axis at least: what is less than nothing much is not to look like it.
        marked: steps that are marked, of those that are more than 0.
        width: neighbouring steps that have their number together.
    """

    kind: Literal["weights", "changes", "counts"]
    name: str
    values: NDArray[np.floating]
    title: str
    style: str
    rest: str
    say: Callable[[float], str]
    format: str
    most: str = ""
    nothing: str = ""
    least: float = 0.0
    marked: int = TOP
    width: int = 1

    @cached_property
    def top(self) -> list[Mark]:
        """The steps of largest number, largest first, each with its number as text."""
        each = top_steps(self.values[:: self.width], self.marked)
        return [self._mark(place * self.width, float(size)) for place, size in each if size > 0]

    def _mark(self, first: int, size: float) -> Mark:
        return Mark(first, min(first + self.width, len(self.values)) - 1, self.say(size))

    def found(self) -> str:
        """The top steps in words."""
        return f"{self.most} {enumerate_steps(self.top)}" if self.top else self.nothing


def weights_of(values: FloatArray, name: str = "weights", least: float = 0.0) -> Sizes:
    """Weights `(time,)`; for `least` see `Sizes`."""
    words = ("most weight on", "no step has any weight")
    return Sizes("weights", name, values, "weight", "top", "rest", percent, "~%", *words, least)


def changes_of(left_out: LeftOut) -> Sizes:
    """What leaving out each step changes."""
    known = left_out.unit is not None  # or nobody can say which change is a small one
    return Sizes(
        "changes",
        "changes",
        np.array(left_out.changes),
        "change without",
        "change-top",
        "change-rest",
        change if known else "{:.3g}".format,
        "~g",
        "changes most without",
        "no step alone changes anything",
        EFFECT if known else 0.0,
        width=left_out.width,
    )
