"""What charts over time are put together from, beside the lines of lines.py: bars, and a band of heat."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import altair as alt
import numpy as np
from numpy.typing import NDArray

from service.arrays import FloatArray
from service.explanations.charts.chart import Row
from service.explanations.charts.stacking import Panel, held, identifier
from service.explanations.charts.words import change, percent
from service.explanations.measures import top_steps

SIDE = 54  # pixels of the labels of a y axis, so that those of all panels are in line
TOP = 3  # steps that are marked
LANES = 24  # features that are drawn at most
COLUMNS = 800  # steps that are drawn one by one; of more, neighbours together
NEAR = 0.05  # of the axis: labels of steps that are as near would be on top of each other


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
        least: upper end of the axis at least: what is less than nothing much is not to look like it.
        marked: steps that are marked, of those that are more than 0.
    """

    kind: Literal["weights", "changes", "counts"]
    name: str
    values: NDArray[np.floating]
    title: str
    style: str
    rest: str
    say: Callable[[float], str]
    format: str
    least: float = 0.0
    marked: int = TOP

    @property
    def top(self) -> list[int]:
        """The steps of largest number, largest first."""
        return [step for step, size in top_steps(self.values, self.marked) if size > 0]

    def told(self) -> list[tuple[int, str]]:
        """The top steps with their numbers as text."""
        return [(step, self.say(float(self.values[step]))) for step in self.top]


def weights_of(values: FloatArray, name: str = "weights") -> Sizes:
    """Weights `(time,)`."""
    return Sizes("weights", name, values, "weight", "top", "rest", percent, "~%")


def changes_of(values: NDArray[np.float64], least: float) -> Sizes:
    """What leaving out each step changes, `(time,)`."""
    return Sizes("changes", "changes", values, "change without", "change-top", "change-rest", change, "~g", least)


def group(length: int) -> int:
    """How many neighbouring steps are drawn together."""
    return math.ceil(length / COLUMNS)


def heat_panel(values: NDArray[np.floating], rows: Sequence[str], name: str = "cells", range: str = "heatmap") -> Panel:
    """Numbers `(time, row)` as a band of heat with a row for each.

    Args:
        name: of the data.
        range: of colours, see `themes.py`.
    """
    every = group(len(values))
    cells = [
        {"step": start - 0.5, "end": min(start + every, len(values)) - 0.5, "row": row, "size": float(size)}
        for column, row in enumerate(rows[:LANES])
        for start, size in _largest(values[:, column], every)
    ]
    of = [] if len(rows) == 1 else [alt.Tooltip("row:N").title("feature")]
    size = alt.Tooltip("size:Q").title(rows[0] if len(rows) == 1 else "weight").format(".2~g")
    heat = (
        alt.Chart(alt.NamedData(name))
        .transform_calculate(first="datum.step + 0.5")
        .mark_rect()
        .encode(
            tooltip=[alt.Tooltip("first:Q").title("step"), *of, size],
            x2=alt.X2("end"),
            y=alt.Y("row:N").sort(None).title(None).axis(ticks=False, domain=False, minExtent=SIDE),
            color=alt.Color("size:Q").scale(range=range, domainMin=0, interpolate="rgb").legend(None),
        )
    )
    height = 16 if len(rows) == 1 else 12 * min(len(rows), LANES)
    return Panel("heat", [heat], {name: cells}, height, rows[:LANES], name=identifier(name))


def bars_panel(sizes: Sizes, height: int = 80, span: int | None = None) -> Panel:
    """A bar for each step, the top steps in another colour and with their numbers above.

    Args:
        span: steps of the axis, where it has more than there are numbers.
    """
    every = group(len(sizes.values))
    bars = [
        {**bounds(start, every), "size": float(size), "top": any(start <= step < start + every for step in sizes.top)}
        for start, size in _largest(sizes.values, every)
    ]
    told = [
        {"step": step, "size": float(sizes.values[step]), "text": text}
        for step, text in sizes.told()
        if step in apart(sizes.top, span or len(sizes.values))
    ]
    data = {sizes.name: bars, **({f"{sizes.name}-top": told} if sizes.top else {})}
    return Panel(sizes.kind, _bars(sizes), data, height, name=identifier(sizes.name))


def _bars(sizes: Sizes) -> list[alt.Chart]:
    scale = alt.Scale(nice=False, domainRaw=held(identifier(sizes.name)))
    if sizes.least:
        scale.domain = [0, max(sizes.least, float(sizes.values.max()))]
    y = alt.Y("size:Q", title=sizes.title, scale=scale).axis(tickCount=3, format=sizes.format, minExtent=SIDE)
    every = alt.Chart(alt.NamedData(sizes.name)).encode(x2=alt.X2("end"), y=y, y2=alt.Y2Datum(0))
    rest = every.mark_bar(style=sizes.rest)
    top = every.mark_bar(style=sizes.style).transform_filter("datum.top")  # on top of those
    names = alt.Chart(alt.NamedData(f"{sizes.name}-top")).mark_text(dy=-7).encode(y=y, text=alt.Text("text:N"))
    return [rest, top, names] if sizes.top else [rest]


def bounds(start: int, every: int) -> Row:
    """Where the bar of so many neighbouring steps begins and ends, with room between bars."""
    return {"step": start - 0.5 + 0.1 * every, "end": start + every - 0.5 - 0.1 * every}


def apart(top: Sequence[int], length: int) -> list[int]:
    """Of the top steps those that have room for a label: not next to a more important one."""
    kept: list[int] = []
    for step in top:
        if all(abs(step - other) >= NEAR * length for other in kept):
            kept.append(step)
    return kept


def _largest(values: NDArray[np.floating], every: int) -> list[tuple[int, float]]:
    """The largest of so many neighbours each, with the first step of them."""
    starts = np.arange(0, len(values), every)
    return list(zip(starts.tolist(), np.maximum.reduceat(values, starts).tolist(), strict=True))
