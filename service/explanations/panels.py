"""What charts over time are put together from: lines, a band of heat, bars; all on one axis of steps.

A panel is a layered Vega-Lite view. Its marks have styles and no colours, see `themes.py`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.arrays import FloatArray
from service.explanations.measures import top_steps
from service.explanations.words import change, percent

Panel = dict[str, Any]
TOP = 3  # steps that are marked
TOGETHER = 4  # features that share a panel; of more, each has its own
LANES = 24  # features that are drawn at most
COLUMNS = 800  # steps that are drawn one by one; of more, neighbours together
NEAR = 0.05  # of the axis: labels of steps that are as near would be on top of each other
DASHES = [[1, 0], [6, 3], [2, 2], [9, 3, 2, 3]]


@dataclass(frozen=True)
class Sizes:
    """A number for each step, and how it is drawn and told: a weight, or a change.

    Attributes:
        name: of the data.
        values: `(time,)`.
        title: of the axis.
        style: of the bars of the top steps, see `themes.py`; `rest` of the others.
        range: of the heat, see `themes.py`.
        say: the number as text.
        least: upper end of the axis at least: what is less than nothing much is not to look like it.
        marked: steps that are marked, of those that are more than 0.
    """

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
    return Sizes(name, values, "weight", "top", "rest", "heatmap", percent, "~%")


def changes_of(values: NDArray[np.float64], least: float) -> Sizes:
    """What leaving out each step changes, `(time,)`."""
    return Sizes("changes", values, "change without", "change-top", "change-rest", "ramp", change, "~g", least)


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
            "scale": {"domain": [-0.5, length - 0.5], "nice": False},
            "axis": shown,
        }
        for layer in panel["layer"]:
            layer["encoding"].setdefault("x", x)
    return list(panels)


def value_panels(sequence: FloatArray, names: Sequence[str], top: Sequence[int], height: int = 150) -> list[Panel]:
    """The values of a sequence as lines: of few features in one panel, of many in one each.

    Args:
        sequence: `(time, feature)`.
        top: steps that are marked, the most important first.
    """
    if len(names) <= TOGETHER:
        return [_lines("values", sequence, names, top, height, len(sequence))]
    lanes = [_lane(sequence[:, [i]], name, top) for i, name in enumerate(names[:LANES])]
    lanes[0]["layer"].append(_step_names(top, len(sequence)))
    return lanes


def overview_panel(name: str, sequence: FloatArray, names: Sequence[str], top: Sequence[int], span: int) -> Panel:
    """The values of a sequence in one small panel; of many features without their names.

    Args:
        name: of the data.
        span: steps of the axis.
    """
    if len(names) <= TOGETHER:
        return _lines(name, sequence, names, top, 50, span)
    points = [
        {"step": step, "feature": name, "value": float(sequence[step, column])}
        for column, name in enumerate(names[:LANES])
        for step in _thinned(sequence[:, column])
    ]
    axis = {"tickCount": 2, "minExtent": 54}
    y = {"field": "value", "type": "quantitative", "title": "value", "scale": {"zero": False}, "axis": axis}
    lines = {
        "data": {"name": name, "values": points},
        "mark": {"type": "line", "style": "line", "strokeWidth": 1, "opacity": 0.6},
        "encoding": {"y": y, "detail": {"field": "feature", "type": "nominal"}},
    }
    return {"height": 50, "layer": [_rules(top), lines, _step_names(top, span)]}


def heat_panel(values: NDArray[np.floating], rows: Sequence[str], range: str = "heatmap") -> Panel:
    """Numbers `(time, row)` as a band of heat with a row for each."""
    every = group(len(values))
    cells = [
        {"step": start - 0.5, "end": min(start + every, len(values)) - 0.5, "row": row, "size": float(size)}
        for column, row in enumerate(rows[:LANES])
        for start, size in _largest(values[:, column], every)
    ]
    rect = {
        "data": {"values": cells},
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
    return {"height": 16 if len(rows) == 1 else 12 * min(len(rows), LANES), "layer": [rect]}


def bars_panel(sizes: Sizes, height: int = 80, span: int | None = None) -> Panel:
    """A bar for each step, the top steps in another colour and with their numbers above.

    Args:
        span: steps of the axis, where it has more than there are numbers.
    """
    length, top = len(sizes.values), sizes.top
    every = group(length)
    bars = [
        {
            "step": start - 0.5 + 0.1 * every,
            "end": start + every - 0.5 - 0.1 * every,
            "size": float(size),
            "top": any(start <= step < start + every for step in top),
        }
        for start, size in _largest(sizes.values, every)
    ]
    named = [
        {"step": step, "size": float(sizes.values[step]), "text": text}
        for step, text in sizes.told()
        if step in apart(top, span or length)
    ]
    scale = {"domain": [0, float(max(sizes.least, sizes.values.max())) or 1.0], "nice": False}
    axis = {"tickCount": 3, "format": sizes.format, "minExtent": 54}
    y = {"field": "size", "type": "quantitative", "title": sizes.title, "axis": axis, "scale": scale}
    encoding = {"x2": {"field": "end"}, "y": y, "y2": {"datum": 0}}
    rest = {"mark": {"type": "bar", "style": sizes.rest}, "transform": [{"filter": "!datum.top"}]}
    best = {"mark": {"type": "bar", "style": sizes.style}, "transform": [{"filter": "datum.top"}]}
    names = {
        "data": {"values": named},
        "mark": {"type": "text", "dy": -7},
        "encoding": {"y": y, "text": {"field": "text"}},
    }
    layers = [{"encoding": dict(encoding), **layer} for layer in (rest, best)]
    return {"height": height, "data": {"name": sizes.name, "values": bars}, "layer": [*layers, names]}


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


def _thinned(values: FloatArray) -> list[int]:
    """Steps that a line `(time,)` needs in order to look as with all: of neighbours the smallest and the largest."""
    every = group(len(values))
    if every == 1:
        return list(range(len(values)))
    kept = {0, len(values) - 1}
    for start in range(0, len(values), 2 * every):
        part = values[start : start + 2 * every]
        kept |= {start + int(part.argmin()), start + int(part.argmax())}
    return sorted(kept)


def _lines(name: str, sequence: FloatArray, names: Sequence[str], top: Sequence[int], height: int, span: int) -> Panel:
    """All features in one panel; each has its own dashes and its name at its end."""
    values = [
        {"step": step, "feature": name, "value": float(sequence[step, column])}
        for column, name in enumerate(names)
        for step in _thinned(sequence[:, column])
    ]
    title = names[0] if len(names) == 1 and height > 100 else "value"
    axis = {"tickCount": 4 if height > 100 else 2, "minExtent": 54, "titleLimit": height}
    scale = {"domain": list(_ends(sequence)), "nice": True}
    y = {"field": "value", "type": "quantitative", "title": title, "scale": scale, "axis": axis}
    told = {"field": "feature", "type": "nominal", "sort": None, "legend": None}
    domain = list(names)
    lines = {
        "data": {"name": name, "values": values},
        "mark": {"type": "line", "strokeWidth": 1.5, "point": {"size": 14} if len(sequence) <= 100 else False},
        "encoding": {
            "y": y,
            "color": {**told, "scale": {"domain": domain, "range": "category"}},
            "strokeDash": {**told, "scale": {"domain": domain, "range": DASHES[: len(names)]}},
        },
    }
    layers = [_rules(top), lines, _step_names(top, span)]
    if len(names) > 1:
        layers.append(_line_names(sequence, names, height, y))
    return {"height": height, "layer": layers}


def _line_names(sequence: FloatArray, names: Sequence[str], height: int, y: dict[str, Any]) -> Panel:
    """The names of the lines, at their ends and not on top of each other."""
    low, high = _ends(sequence)
    room = 13 / height * (high - low)
    order = np.argsort(sequence[-1], kind="stable")
    places = sequence[-1].astype(np.float64)
    for below, above in pairwise(order):
        places[above] = max(places[above], places[below] + room)
    for below, above in pairwise(order[::-1]):  # what was pushed out at the top comes back, and pushes the others down
        places[below] = min(places[below], high)
        places[above] = min(places[above], places[below] - room)
    step = len(sequence) - 1
    values = [{"step": step, "name": name, "value": float(place)} for name, place in zip(names, places, strict=True)]
    return {
        "data": {"values": values},
        "mark": {"type": "text", "align": "left", "dx": 6, "limit": 84},
        "encoding": {
            "y": y,
            "text": {"field": "name"},
            "color": {"field": "name", "type": "nominal", "scale": {"domain": list(names), "range": "category"}},
        },
    }


def _lane(values: FloatArray, name: str, top: Sequence[int]) -> Panel:
    """One of many features `(time, 1)`: a narrow panel with its own scale, the name above its line."""
    points = [{"step": step, "value": float(values[step, 0])} for step in _thinned(values[:, 0])]
    low, high = _ends(values)
    axis = {"values": [low, high], "format": ".3~g", "minExtent": 54, "labelFontSize": 9, "labelOverlap": False}
    scale = {"domain": [low, high], "nice": False}
    y = {"field": "value", "type": "quantitative", "title": None, "scale": scale, "axis": axis}
    line = {
        "data": {"values": points},
        "mark": {"type": "line", "style": "line", "strokeWidth": 1.25, "point": len(values) == 1},
        "encoding": {"y": y},
    }
    label = {
        "data": {"values": [{"name": name}]},
        "mark": {"type": "text", "align": "left", "dx": 6, "limit": 84},
        "encoding": {"x": {"value": "width"}, "text": {"field": "name"}},
    }
    return {"height": 26, "layer": [_rules(top), line, label]}


def _ends(values: FloatArray) -> tuple[float, float]:
    """The smallest and the largest value, further apart where they are the same."""
    low, high = float(values.min()), float(values.max())
    apart = 0.0 if low < high else max(0.5, 0.1 * abs(low))
    return low - apart, high + apart


def _rules(top: Sequence[int]) -> Panel:
    """A vertical line at each top step."""
    return {
        "data": {"values": [{"step": step} for step in top]},
        "mark": {"type": "rule", "style": "rule"},
        "encoding": {},
    }


def _step_names(top: Sequence[int], length: int) -> Panel:
    """The numbers of the top steps, above the panel."""
    return {
        "data": {"values": [{"step": step, "text": str(step)} for step in apart(top, length)]},
        "mark": {"type": "text", "style": "name", "baseline": "bottom", "dy": -2},
        "encoding": {"y": {"value": 0}, "text": {"field": "text"}},
    }
