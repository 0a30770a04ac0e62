"""What charts over time are put together from, beside the lines of lines.py: bars, and a band of heat."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt
import numpy as np
from altair.utils.schemapi import UndefinedType
from numpy.typing import NDArray

from service.explanations.charts.chart import Row
from service.explanations.charts.names import labels
from service.explanations.charts.sizes import Sizes
from service.explanations.charts.stacking import WIDTH, Panel, held, identifier
from service.explanations.charts.words import Mark

SIDE = 54  # pixels of the labels of a y axis, so that those of all panels are in line
LANES = 24  # features that are drawn at most
COLUMNS = 800  # steps that are drawn one by one; of more, neighbours together
NEAR = 0.06  # of the axis: labels of steps that are as near would be on top of each other
LETTER = 7.5  # pixels
ROW_NAME = 8  # characters beside a row of heat


@dataclass(frozen=True)
class Shared:
    """What the sequences of one picture share, so that what looks the same is the same.

    Attributes:
        span: steps of the axis.
        values: the smallest and the largest, where they are of the same features.
        weight: the largest.
        columns: bars, and steps of a line, that are drawn of each at most; of more steps, neighbours together.
    """

    span: int
    values: tuple[float, float] | None = None
    weight: float = 0.0
    columns: int = COLUMNS


def group(length: int, columns: int = COLUMNS) -> int:
    """How many neighbouring steps are drawn together, for so many columns at most."""
    return math.ceil(length / columns)


def heat_panel(
    values: NDArray[np.floating],
    rows: Sequence[str],
    name: str = "cells",
    range: str = "heatmap",
    least: float = 0.0,
) -> Panel:
    """Numbers `(time, row)` as a band of heat with a row for each.

    Args:
        name: of the data.
        range: of colours, see `themes.py`.
        least: the number of the last colour at least, see `Sizes`.
    """
    every = group(len(values))
    cells = [
        {"step": start - 0.5, "end": min(start + every, len(values)) - 0.5, "row": row, "size": float(size)}
        for column, row in enumerate(rows[:LANES])
        for start, size in _largest(values[:, column], every)
    ]
    of = [] if len(rows) == 1 else [alt.Tooltip("row:N").title("feature")]
    size = alt.Tooltip("size:Q").title(rows[0] if len(rows) == 1 else "weight").format(".2~g")
    color = alt.Scale(range=range, domainMin=0, interpolate="rgb")
    if least > values.max():
        color.domainMax = least
    heat = (
        alt.Chart(alt.NamedData(name))
        .transform_calculate(first="datum.step + 0.5")
        .mark_rect()
        .encode(
            tooltip=[alt.Tooltip("first:Q").title("step"), *of, size],
            x2=alt.X2("end"),
            y=alt.Y("row:N")
            .sort(None)
            .title(None)
            .axis(ticks=False, domain=False, minExtent=SIDE, labelExpr=_row_names(rows[:LANES])),
            color=alt.Color("size:Q", scale=color).legend(None),
        )
    )
    height = 16 if len(rows) == 1 else 12 * min(len(rows), LANES)
    return Panel("heat", [heat], {name: cells}, height, rows[:LANES], name=identifier(name))


def _row_names(rows: Sequence[str]) -> str | UndefinedType:
    """What makes an axis say shorter names than the data have, where those are long."""
    shown = dict(zip(rows, labels(rows, ROW_NAME), strict=True))
    if all(name == label for name, label in shown.items()):
        return alt.Undefined
    return f"({json.dumps(shown)})[datum.label] || datum.label"


def bars_panel(sizes: Sizes, height: int = 80, shared: Shared | None = None) -> Panel:
    """A bar for each step, the top steps in another colour and with their numbers above.

    Args:
        shared: with other sequences; None for one alone.
    """
    shared = shared or Shared(len(sizes.values))
    every = sizes.width * math.ceil(group(len(sizes.values), shared.columns) / sizes.width)
    bars = [
        {
            **bounds(start, every),
            "size": float(size),
            "top": any(start <= one.first < start + every for one in sizes.top),
        }
        for start, size in _largest(sizes.values, every)
    ]
    told = [
        {"step": one.middle, "size": float(sizes.values[one.first]), "text": one.text}
        for one in apart(sizes.top, shared.span)
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


def apart(top: Sequence[Mark], length: int, letters: int = 0) -> list[Mark]:
    """Of the top steps those that have room for a label: not next to a more important one.

    Args:
        length: steps of the axis.
        letters: of the longest label, where one may be longer than four letters.
    """
    kept: list[Mark] = []
    near = max(NEAR, LETTER * letters / WIDTH) * length
    for one in top:
        if all(abs(one.middle - other.middle) >= near for other in kept):
            kept.append(one)
    return kept


def _largest(values: NDArray[np.floating], every: int) -> list[tuple[int, float]]:
    """The largest of so many neighbours each, with the first step of them."""
    starts = np.arange(0, len(values), every)
    return list(zip(starts.tolist(), np.maximum.reduceat(values, starts).tolist(), strict=True))
