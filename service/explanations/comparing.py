"""Two explanations as one picture, one above the other, and the difference of their weights."""

from typing import Any

import numpy as np

from service.arrays import FloatArray
from service.explanations.charts import NO_ATTENTION, Chart, above_each_other, stacked
from service.explanations.lines import overview_panel
from service.explanations.matrix import FRAMED, describe_matrix, matrix_view
from service.explanations.measures import top_steps
from service.explanations.panels import TOP, Panel, apart, bars_panel, group, over_time, weights_of
from service.explanations.record import Explanation, steps
from service.explanations.words import enumerate_steps, heading, lines, percent, title

PHONE = 47  # characters of a title that a phone has room for


def comparison_chart(a: Explanation, b: Explanation, index: int) -> Chart:
    """A sequence of each: values and weights of the first, then of the second, then by how much the second's are more.

    Args:
        index: which sequence of both.
    """
    if a.texts is not None and b.texts is not None:
        return _texts(a, b, index)
    weights = [None if one.attention is None else steps(one.attention[index]) for one in (a, b)]
    span = max(len((one.sequences or [])[index]) for one in (a, b))
    panels = [
        panel
        for one, of, letter in zip((a, b), weights, "ab", strict=True)
        for panel in _side(one, index, of, letter, span)
    ]
    first, second = weights
    if first is None or second is None:
        found = f"one of them has no weights: {NO_ATTENTION}"
    elif len(first) != len(second):
        found = f"they differ in length, {len(first)} and {len(second)} steps, so their weights are not subtracted"
    else:
        difference = (second - first).astype(np.float32)
        panels.append(_difference(difference))
        moved = float(np.abs(difference).sum() / 2)
        found = f"{percent(moved)} of the weight lies elsewhere; b differs most on step "
        found += enumerate_steps([(step, _signed(float(difference[step]))) for step in _largest(difference)])
    told = f"Two explanations. a: {heading(a, index)}. b: {heading(b, index)}. {found[0].upper()}{found[1:]}."
    return stacked(title(f"a and b: {_names(a, b)}", found), told, over_time(panels, span))


def _names(a: Explanation, b: Explanation) -> str:
    if a.model != b.model:
        return f"{a.model} and {b.model}"
    return f"{a.model}, version {a.version}" + ("" if a.version == b.version else f" and version {b.version}")


def _side(one: Explanation, index: int, weights: FloatArray | None, letter: str, span: int) -> list[Panel]:
    sizes = None if weights is None else weights_of(weights, f"weights-{letter}")
    top = [] if sizes is None else sizes.top
    values = overview_panel(f"-{letter}", (one.sequences or [])[index], one.features, top, span)
    values.view.update(height=80, title=_side_title(one, index, letter))
    return [values] if sizes is None else [values, bars_panel(sizes, 60, span)]


def _side_title(one: Explanation, index: int, letter: str) -> dict[str, Any]:
    return {"text": lines(f"{letter}: {heading(one, index)}", PHONE), "fontSize": 12, "anchor": "start", "offset": 16}


def _largest(difference: FloatArray) -> list[int]:
    return [step for step, size in top_steps(np.abs(difference), TOP) if size > 0]


def _signed(change: float) -> str:
    return ("+" if change >= 0 else "\N{MINUS SIGN}") + percent(abs(change))


def _difference(difference: FloatArray) -> Panel:
    """By how much the weights of the second are more, upwards, or less, downwards."""
    length, every = len(difference), group(len(difference))
    top = _largest(difference)
    bars = [
        {
            "step": start - 0.5 + 0.1 * every,
            "end": start + every - 0.5 - 0.1 * every,
            "size": float(part[np.abs(part).argmax()]),
        }
        for start in range(0, length, every)
        for part in [difference[start : start + every]]
    ]
    named = [
        {"step": step, "size": float(difference[step]), "text": _signed(float(difference[step]))}
        for step in apart(top, length)
    ]
    most = float(np.abs(difference).max()) or 1.0
    axis = {"tickCount": 3, "format": "+~%", "minExtent": 54}
    scale = {"domain": [-1.25 * most, 1.25 * most], "nice": False}
    y = {"field": "size", "type": "quantitative", "title": "b \N{MINUS SIGN} a", "axis": axis, "scale": scale}
    sides = [
        {
            "data": {"name": "difference"},
            "mark": {"type": "bar", "style": style},
            "transform": [{"filter": f"datum.size {side} 0"}],
            "encoding": {"x2": {"field": "end"}, "y": y, "y2": {"datum": 0}},
        }
        for side, style in ((">=", "top"), ("<", "change-top"))
    ]
    names = [
        {
            "data": {"name": "difference-top"},
            "transform": [{"filter": f"datum.size {'>=' if up else '<'} 0"}],
            "mark": {"type": "text", "dy": -7 if up else 8},
            "encoding": {"y": y, "text": {"field": "text"}},
        }
        for up in (True, False)
    ]
    view = {"height": 100, "layer": [*sides, *names]}
    return Panel(view, {"difference": bars, "difference-top": named}, "difference")


def _texts(a: Explanation, b: Explanation, index: int) -> Chart:
    """The two matrices."""
    views = [
        {"title": _side_title(one, index, letter), **matrix_view(one, index, letter)}
        for one, letter in ((a, "a"), (b, "b"))
    ]
    told = f"Two explanations. a: {describe_matrix(a, index)} b: {describe_matrix(b, index)}"
    return above_each_other(title(f"a and b: {_names(a, b)}", FRAMED), told, views, spacing=20)
