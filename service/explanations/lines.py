"""The values of a sequence as lines: of few features in one panel, of many in one each."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from service.arrays import FloatArray
from service.explanations.panels import LANES, Panel, apart, group

TOGETHER = 4  # features that share a panel; of more, each has its own
DASHES = [[1, 0], [6, 3], [2, 2], [9, 3, 2, 3]]


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


def characters_panel(text: str, top: Sequence[int]) -> Panel:
    """The characters of a text, one for each step."""
    values = [{"step": step, "character": character} for step, character in enumerate(text)]
    characters = {
        "data": {"name": "characters", "values": values},
        "mark": {"type": "text", "style": "name", "fontSize": 14, "baseline": "middle"},
        "encoding": {"text": {"field": "character"}},
    }
    return {"height": 28, "layer": [characters, _step_names(top, len(text))]}


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
