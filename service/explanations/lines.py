"""The values of a sequence as lines: of few features in one panel, of many in one each."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from service.arrays import FloatArray
from service.explanations.panels import LANES, Layer, Panel, Row, apart, group, held, identifier

TOGETHER = 4  # features that share a panel; of more, each has its own
DASHES = [[1, 0], [6, 3], [2, 2], [9, 3, 2, 3]]


def value_panels(sequence: FloatArray, names: Sequence[str], top: Sequence[int], height: int = 150) -> list[Panel]:
    """The values of a sequence as lines: of few features in one panel, of many in one each.

    Args:
        sequence: `(time, feature)`.
        top: steps that are marked, the most important first.
    """
    if len(names) <= TOGETHER:
        return [_lines("", sequence, names, top, height, len(sequence))]
    data = {"values": _rows(sequence, names[:LANES]), "top": _top(top, len(sequence))}
    views = [_lane(lane, sequence[:, [lane]], name) for lane, name in enumerate(names[:LANES])]
    views[0]["layer"].append(_step_names("top"))
    return [Panel(view, dict(data), "values", [name]) for view, name in zip(views, names, strict=False)]


def characters_panel(text: str, top: Sequence[int]) -> Panel:
    """The characters of a text, one for each step."""
    values = [{"step": step, "character": character} for step, character in enumerate(text)]
    characters = {
        "data": {"name": "characters"},
        "mark": {"type": "text", "style": "name", "fontSize": 14, "baseline": "middle"},
        "encoding": {"text": {"field": "character"}},
    }
    view = {"height": 28, "layer": [characters, _step_names("top")]}
    return Panel(view, {"characters": values, "top": _top(top, len(text))}, "characters")


def overview_panel(suffix: str, sequence: FloatArray, names: Sequence[str], top: Sequence[int], span: int) -> Panel:
    """The values of a sequence in one small panel; of many features without their names.

    Args:
        suffix: of the names of the data.
        span: steps of the axis.
    """
    if len(names) <= TOGETHER:
        return _lines(suffix, sequence, names, top, 50, span)
    axis = {"tickCount": 2, "minExtent": 54}
    y = {"field": "value", "type": "quantitative", "title": "value", "scale": {"zero": False}, "axis": axis}
    lines = {
        "data": {"name": f"values{suffix}"},
        "mark": {"type": "line", "style": "line", "strokeWidth": 1, "opacity": 0.6},
        "encoding": {"y": y, "detail": {"field": "feature", "type": "nominal"}},
    }
    view = {"height": 50, "layer": [_rules(f"top{suffix}"), lines, _step_names(f"top{suffix}")]}
    data = {f"values{suffix}": _rows(sequence, names[:LANES]), f"top{suffix}": _top(top, span)}
    return Panel(view, data, "values", names[:LANES])


def _rows(sequence: FloatArray, names: Sequence[str]) -> list[Row]:
    return [
        {"step": step, "feature": name, "value": float(sequence[step, column])}
        for column, name in enumerate(names)
        for step in _thinned(sequence[:, column])
    ]


def _top(top: Sequence[int], span: int) -> list[Row]:
    """The top steps, with their number where there is room for it."""
    named = apart(top, span)
    return [{"step": step, "text": str(step) if step in named else ""} for step in top]


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


def _lines(
    suffix: str, sequence: FloatArray, names: Sequence[str], top: Sequence[int], height: int, span: int
) -> Panel:
    """All features in one panel; each has its own dashes and its name at its end."""
    view = identifier(f"values{suffix}")
    title = names[0] if len(names) == 1 and height > 100 else "value"
    axis = {"tickCount": 4 if height > 100 else 2, "minExtent": 54, "titleLimit": height}
    y = {
        "field": "value",
        "type": "quantitative",
        "title": title,
        "scale": _scale(view, sequence, nice=True),
        "axis": axis,
    }
    told = {"field": "feature", "type": "nominal", "sort": None, "legend": None}
    domain = list(names)
    lines = {
        "data": {"name": f"values{suffix}"},
        "mark": {"type": "line", "strokeWidth": 1.5, "point": {"size": 14} if len(sequence) <= 100 else False},
        "encoding": {
            "y": y,
            "color": {**told, "scale": {"domain": domain, "range": "category"}},
            "strokeDash": {**told, "scale": {"domain": domain, "range": DASHES[: len(names)]}},
        },
    }
    layers = [_rules(f"top{suffix}"), lines, _step_names(f"top{suffix}")]
    data = {f"values{suffix}": _rows(sequence, names), f"top{suffix}": _top(top, span)}
    if len(names) > 1:
        layers.append(_line_names(f"ends{suffix}", names, y))
        data[f"ends{suffix}"] = _line_ends(sequence, names, height)
    return Panel({"name": view, "height": height, "layer": layers}, data, "values", names)


def _scale(view: str, values: FloatArray, nice: bool) -> dict[str, Any]:
    """From the smallest to the largest value, whatever they become; those that are all the same, in the middle."""
    scale: dict[str, Any] = {"zero": False, "nice": nice, "domainRaw": held(view)}
    if values.min() == values.max():
        scale["domain"] = list(_ends(values))
    return scale


def _line_names(name: str, names: Sequence[str], y: dict[str, Any]) -> Layer:
    return {
        "data": {"name": name},
        "mark": {"type": "text", "align": "left", "dx": 6, "limit": 84},
        "encoding": {
            "y": y,
            "text": {"field": "feature"},
            "color": {"field": "feature", "type": "nominal", "scale": {"domain": list(names), "range": "category"}},
        },
    }


def _line_ends(sequence: FloatArray, names: Sequence[str], height: int) -> list[Row]:
    """Places for the names of the lines, at their ends and not on top of each other."""
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
    return [{"step": step, "feature": name, "value": float(place)} for name, place in zip(names, places, strict=True)]


def _lane(lane: int, values: FloatArray, name: str) -> dict[str, Any]:
    """One of many features `(time, 1)`: a narrow panel with its own scale, the name above its line."""
    view, (low, high) = f"values_{lane}", _ends(values)
    axis = {"values": [low, high], "format": ".3~g", "minExtent": 54, "labelFontSize": 9, "labelOverlap": False}
    y = {
        "field": "value",
        "type": "quantitative",
        "title": None,
        "scale": _scale(view, values, nice=False),
        "axis": axis,
    }
    line = {
        "data": {"name": "values"},
        "transform": [{"filter": {"field": "feature", "equal": name}}],
        "mark": {"type": "line", "style": "line", "strokeWidth": 1.25, "point": len(values) == 1},
        "encoding": {"y": y},
    }
    label = {
        "data": {"values": [{"feature": name}]},
        "mark": {"type": "text", "align": "left", "dx": 6, "limit": 84},
        "encoding": {"x": {"value": "width"}, "text": {"field": "feature"}},
    }
    return {"name": view, "height": 26, "layer": [_rules("top"), line, label]}


def _ends(values: FloatArray) -> tuple[float, float]:
    """The smallest and the largest value, further apart where they are the same."""
    low, high = float(values.min()), float(values.max())
    apart = 0.0 if low < high else max(0.5, 0.1 * abs(low))
    return low - apart, high + apart


def _rules(name: str) -> Layer:
    """A vertical line at each top step."""
    return {"data": {"name": name}, "mark": {"type": "rule", "style": "rule"}, "encoding": {}}


def _step_names(name: str) -> Layer:
    """The numbers of the top steps, above the panel."""
    return {
        "data": {"name": name},
        "mark": {"type": "text", "style": "name", "baseline": "bottom", "dy": -2},
        "encoding": {"y": {"value": 0}, "text": {"field": "text"}},
    }
