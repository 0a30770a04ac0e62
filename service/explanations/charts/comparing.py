"""Two explanations as one picture, one above the other on the same axes, and the difference of their weights."""

import altair as alt
import numpy as np

from service.arrays import FloatArray
from service.explanations.charts.chart import Chart, title
from service.explanations.charts.matrix import FRAMED, describe_matrix, matrices_chart
from service.explanations.charts.panels import SIDE, Shared, apart, bounds, group
from service.explanations.charts.several import PHONE, drawn, panels_of, share
from service.explanations.charts.sizes import TOP
from service.explanations.charts.stacking import Panel, stacked
from service.explanations.charts.words import (
    NO_ATTENTION,
    Mark,
    enumerate_steps,
    heading,
    lines,
    percent,
    said,
    sentence,
)
from service.explanations.measures import top_steps
from service.explanations.record import Explanation, steps

HEIGHTS = 80, 60  # pixels of values and of weights
ROOM = 1.45  # of the largest difference, up and down: for its number


def comparison_chart(a: Explanation, b: Explanation, index: int) -> Chart:
    """A sequence of each: values and weights of the first, then of the second, then by how much the second's are more.

    Args:
        index: which sequence of both.
    """
    heads = [_head(letter, one, other, index) for letter, one, other in (("a", a, b), ("b", b, a))]
    names = f"a and b: {_names(a, b)}"
    if a.texts is not None and b.texts is not None:
        told = f"Two explanations. a: {describe_matrix(a, index)} b: {describe_matrix(b, index)}"
        sides = [(one, index, letter, head) for one, letter, head in zip((a, b), "ab", heads, strict=True)]
        return matrices_chart(title(names, FRAMED), told, sides)
    shared = share([(a, index), (b, index)])
    panels = [
        panel
        for one, letter, head in zip((a, b), "ab", heads, strict=True)
        for panel in panels_of(one, index, letter, head, shared, HEIGHTS)
    ]
    difference, found = _differ(a, b, index)
    if difference is not None:
        panels.append(_difference(difference, shared))
    told = f"Two explanations. a: {heading(a, index)}. b: {heading(b, index)}. {sentence(found)}"
    return stacked(title(names, found, *_drawn(a, b, shared)), told, panels, shared.span)


def _names(a: Explanation, b: Explanation) -> str:
    if a.model != b.model:
        return f"{a.model} and {b.model}"
    return f"{a.model}, version {a.version}" + ("" if a.version == b.version else f" and version {b.version}")


def _head(letter: str, one: Explanation, other: Explanation, index: int) -> list[str]:
    """What one of them predicts, and which model it is where the other is not of the same."""
    which = "" if one.version == other.version else f"version {one.version}, "
    which = which if one.model == other.model else f"{one.model}, version {one.version}, "
    told = f"{letter}: {which}{said(one, index)}"
    if len(told) <= PHONE:
        return [told]
    return [line for part in (f"{letter}: {which}".rstrip(", "), said(one, index)) for line in lines(part, PHONE)]


def _drawn(a: Explanation, b: Explanation, shared: Shared) -> list[str]:
    if a.features == b.features:
        return [drawn(a, shared)]
    each = [(letter, drawn(one, shared)) for letter, one in (("a", a), ("b", b))]
    return [f"{letter}: {told}" for letter, told in each if told]


def _differ(a: Explanation, b: Explanation, index: int) -> tuple[FloatArray | None, str]:
    """The weights of the second less those of the first, `(time,)`, and what is found; None where there are none."""
    if a.attention is None or b.attention is None:
        return None, f"one of them has no weights: {NO_ATTENTION}"
    first, second = steps(a.attention[index]), steps(b.attention[index])
    if len(first) != len(second):
        differ = f"they differ in length, {len(first)} and {len(second)} steps"
        return None, f"{differ}, so their weights are not subtracted"
    difference = (second - first).astype(np.float32)
    found = f"{percent(float(np.abs(difference).sum() / 2))} of the weight lies elsewhere"
    largest = _largest(difference)
    return difference, f"{found}; b differs most on {enumerate_steps(largest)}" if largest else found


def _largest(difference: FloatArray) -> list[Mark]:
    top = [step for step, size in top_steps(np.abs(difference), TOP) if size > 0]
    return [Mark(step, step, _signed(float(difference[step]))) for step in top]


def _signed(change: float) -> str:
    return ("+" if change >= 0 else "\N{MINUS SIGN}") + percent(abs(change))


def _difference(difference: FloatArray, shared: Shared) -> Panel:
    """By how much the weights of the second are more, upwards, or less, downwards."""
    length, every = len(difference), group(len(difference), shared.columns)
    bars = [
        {**bounds(start, every), "size": float(part[np.abs(part).argmax()])}
        for start in range(0, length, every)
        for part in [difference[start : start + every]]
    ]
    named = [
        {"step": one.first, "size": float(difference[one.first]), "text": one.text}
        for one in apart(_largest(difference), length)
    ]
    most = ROOM * (float(np.abs(difference).max()) or 1.0)
    y = alt.Y("size:Q", title="b \N{MINUS SIGN} a").scale(domain=[-most, most], nice=False)
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
