"""What charts over time are put together from: bars, a band of heat, and the lines of lines.py, on one axis of steps.

A panel is a layered Vega-Lite view. Its marks have styles and no colours, see `themes.py`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from service.arrays import FloatArray
from service.explanations.measures import top_steps
from service.explanations.words import change, percent

Row = dict[str, Any]
Layer = dict[str, Any]
TOP = 3  # steps that are marked
LANES = 24  # features that are drawn at most
COLUMNS = 800  # steps that are drawn one by one; of more, neighbours together
HELD = "held"  # the parameter that holds axes, see choosing.py
NEAR = 0.05  # of the axis: labels of steps that are as near would be on top of each other


@dataclass(frozen=True)
class Panel:
    """A layered view and its data.

    Attributes:
        view: its Vega-Lite definition, which names its data.
        data: rows, by the name of the data.
        kind: what it shows; see `stacked`.
        features: that it shows, where it shows features.
    """

    view: dict[str, Any]
    data: dict[str, list[Row]]
    kind: Literal["values", "characters", "heat", "weights", "changes", "profile", "counts", "difference", "nothing"]
    features: Sequence[str] = ()


@dataclass(frozen=True)
class Sizes:
    """A number for each step, and how it is drawn and told: a weight, or a change.

    Attributes:
        kind: "weights", "changes" or "counts".
        name: of the data.
        values: `(time,)`.
        title: of the axis.
        style: of the bars of the top steps, see `themes.py`; `rest` of the others.
        range: of the heat, see `themes.py`.
        say: the number as text.
        least: upper end of the axis at least: what is less than nothing much is not to look like it.
        marked: steps that are marked, of those that are more than 0.
    """

    kind: Literal["weights", "changes", "counts"]
    name: str
    values: NDArray[np.floating]
    title: str
    style: str
    rest: str
    range: str
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
    return Sizes("weights", name, values, "weight", "top", "rest", "heatmap", percent, "~%")


def changes_of(values: NDArray[np.float64], least: float) -> Sizes:
    """What leaving out each step changes, `(time,)`."""
    return Sizes(
        "changes", "changes", values, "change without", "change-top", "change-rest", "ramp", change, "~g", least
    )


def identifier(name: str) -> str:
    """The name of a view of this data, by which its scales are called."""
    return name.replace("-", "_")


def held(view: str) -> dict[str, str]:
    """Where the axis of a view ends, if a page holds it."""
    return {"expr": f"{HELD}.{view}"}


def group(length: int) -> int:
    """How many neighbouring steps are drawn together."""
    return math.ceil(length / COLUMNS)


def over_time(panels: Sequence[Panel], length: int, axis: str = "step") -> list[Panel]:
    """The panels on one axis of this many steps, which is written out beneath the last."""
    ticks: dict[str, Any] = {"values": [0]} if length == 1 else {"tickMinStep": 1, "format": "d"}
    for panel in panels:
        shown = {"title": axis, **ticks} if panel is panels[-1] else None
        x = {
            "field": "step",
            "type": "quantitative",
            "scale": {"domain": [-0.5, length - 0.5], "nice": False, "padding": 0},
            "axis": shown,
        }
        for layer in panel.view["layer"]:
            layer["encoding"].setdefault("x", x)
    return list(panels)


def heat_panel(values: NDArray[np.floating], rows: Sequence[str], name: str = "cells", range: str = "heatmap") -> Panel:
    """Numbers `(time, row)` as a band of heat with a row for each."""
    every = group(len(values))
    cells = [
        {"step": start - 0.5, "end": min(start + every, len(values)) - 0.5, "row": row, "size": float(size)}
        for column, row in enumerate(rows[:LANES])
        for start, size in _largest(values[:, column], every)
    ]
    rect = {
        "data": {"name": name},
        "mark": {"type": "rect", "tooltip": True},
        "encoding": {
            "x2": {"field": "end"},
            "y": {
                "field": "row",
                "type": "nominal",
                "sort": None,
                "title": None,
                "axis": {"ticks": False, "domain": False, "minExtent": 54},
            },
            "color": {
                "field": "size",
                "type": "quantitative",
                "scale": {"range": range, "domainMin": 0, "interpolate": "rgb"},
                "legend": None,
            },
        },
    }
    height = 16 if len(rows) == 1 else 12 * min(len(rows), LANES)
    return Panel({"name": name, "height": height, "layer": [rect]}, {name: cells}, "heat", rows[:LANES])


def bars_panel(sizes: Sizes, height: int = 80, span: int | None = None) -> Panel:
    """A bar for each step, the top steps in another colour and with their numbers above.

    Args:
        span: steps of the axis, where it has more than there are numbers.
    """
    every = group(len(sizes.values))
    bars = [
        {
            "step": start - 0.5 + 0.1 * every,
            "end": start + every - 0.5 - 0.1 * every,
            "size": float(size),
            "top": any(start <= step < start + every for step in sizes.top),
        }
        for start, size in _largest(sizes.values, every)
    ]
    told = [
        {"step": step, "size": float(sizes.values[step]), "text": text}
        for step, text in sizes.told()
        if step in apart(sizes.top, span or len(sizes.values))
    ]
    view = {"name": identifier(sizes.name), "height": height, "layer": _bars(sizes)}
    return Panel(view, {sizes.name: bars, f"{sizes.name}-top": told}, sizes.kind)


def _bars(sizes: Sizes) -> list[Layer]:
    scale: dict[str, Any] = {"nice": False, "domainRaw": held(identifier(sizes.name))}
    if sizes.least:
        scale["domain"] = [0, max(sizes.least, float(sizes.values.max()))]
    axis = {"tickCount": 3, "format": sizes.format, "minExtent": 54}
    y = {"field": "size", "type": "quantitative", "title": sizes.title, "axis": axis, "scale": scale}
    encoding = {"x2": {"field": "end"}, "y": y, "y2": {"datum": 0}}
    rest = {"mark": {"type": "bar", "style": sizes.rest}}
    best = {"mark": {"type": "bar", "style": sizes.style}, "transform": [{"filter": "datum.top"}]}  # on top of those
    bars = [{"data": {"name": sizes.name}, "encoding": dict(encoding), **layer} for layer in (rest, best)]
    names = {
        "data": {"name": f"{sizes.name}-top"},
        "mark": {"type": "text", "dy": -7},
        "encoding": {"y": y, "text": {"field": "text"}},
    }
    return [*bars, names] if sizes.top else [*bars[:1]]


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
