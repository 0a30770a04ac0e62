"""Two explanations as one picture, one above the other, and the difference of their weights."""

import altair as alt
import numpy as np

from service.arrays import FloatArray
from service.explanations.charts.chart import Chart, title
from service.explanations.charts.lines import overview_panel
from service.explanations.charts.matrix import FRAMED, describe_matrix, matrices_chart
from service.explanations.charts.panels import SIDE, TOP, apart, bars_panel, bounds, group, weights_of
from service.explanations.charts.sequences import NO_ATTENTION
from service.explanations.charts.stacking import Panel, stacked
from service.explanations.charts.words import enumerate_steps, heading, lines, percent
from service.explanations.measures import top_steps
from service.explanations.record import Explanation, steps

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
    return stacked(title(f"a and b: {_names(a, b)}", found), told, panels, span)


def _names(a: Explanation, b: Explanation) -> str:
    if a.model != b.model:
        return f"{a.model} and {b.model}"
    return f"{a.model}, version {a.version}" + ("" if a.version == b.version else f" and version {b.version}")


def _side(one: Explanation, index: int, weights: FloatArray | None, letter: str, span: int) -> list[Panel]:
    sizes = None if weights is None else weights_of(weights, f"weights-{letter}")
    top = [] if sizes is None else sizes.top
    sequence, head = (one.sequences or [])[index], _side_title(one, index, letter)
    values = overview_panel(f"-{letter}", sequence, one.features, top, span, head, height=80)
    return [values] if sizes is None else [values, bars_panel(sizes, 60, span)]


def _side_title(one: Explanation, index: int, letter: str) -> alt.Title:
    return alt.Title(lines(f"{letter}: {heading(one, index)}", PHONE), fontSize=12, anchor="start", offset=16)


def _largest(difference: FloatArray) -> list[int]:
    return [step for step, size in top_steps(np.abs(difference), TOP) if size > 0]


def _signed(change: float) -> str:
    return ("+" if change >= 0 else "\N{MINUS SIGN}") + percent(abs(change))


def _difference(difference: FloatArray) -> Panel:
    """By how much the weights of the second are more, upwards, or less, downwards."""
    length, every = len(difference), group(len(difference))
    top = _largest(difference)
    bars = [
        {**bounds(start, every), "size": float(part[np.abs(part).argmax()])}
        for start in range(0, length, every)
        for part in [difference[start : start + every]]
    ]
    named = [
        {"step": step, "size": float(difference[step]), "text": _signed(float(difference[step]))}
        for step in apart(top, length)
    ]
    most = float(np.abs(difference).max()) or 1.0
    y = alt.Y("size:Q", title="b \N{MINUS SIGN} a").scale(domain=[-1.25 * most, 1.25 * most], nice=False)
    y = y.axis(tickCount=3, format="+~%", minExtent=SIDE)
    bar = alt.Chart(alt.NamedData("difference")).encode(x2=alt.X2("end"), y=y, y2=alt.Y2Datum(0))
    name = alt.Chart(alt.NamedData("difference-top")).encode(y=y, text=alt.Text("text:N"))
    layers = [
        bar.mark_bar(style="top").transform_filter("datum.size >= 0"),
        bar.mark_bar(style="change-top").transform_filter("datum.size < 0"),
        name.mark_text(dy=-7).transform_filter("datum.size >= 0"),
        name.mark_text(dy=8).transform_filter("datum.size < 0"),
    ]
    return Panel("difference", layers, {"difference": bars, "difference-top": named}, height=100)


def _texts(a: Explanation, b: Explanation, index: int) -> Chart:
    """The two matrices."""
    sides = [(one, index, letter, _side_title(one, index, letter)) for one, letter in ((a, "a"), (b, "b"))]
    told = f"Two explanations. a: {describe_matrix(a, index)} b: {describe_matrix(b, index)}"
    return matrices_chart(title(f"a and b: {_names(a, b)}", FRAMED), told, sides)
