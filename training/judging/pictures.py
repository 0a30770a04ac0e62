"""The charts of a report, narrow enough for a phone."""

import math

import altair as alt
import numpy as np

from service.explanations.charts.chart import Chart, Row, View
from service.explanations.charts.sequences import explanation_chart
from service.explanations.charts.themes import LIGHT
from service.explanations.record import Explanation
from service.manifest import Deletion
from training.judging.quality import Bin

WIDTH, HEIGHT = 320, 220
STRONG, SECOND, WEAK = "#1c64f2", "#d9730d", "#8593a3"  # told apart without red and green
POINTS = 1000  # of a scatter plot; more only make the file large
WRITTEN = 15  # classes up to which a confusion matrix has its counts written in
BARS = 640  # of a profile; of more steps, neighbours together
FAINT = "#f4f7fb"


def confusion(counts: np.ndarray, labels: list[str]) -> Chart:
    """The confusion matrix `(true class, predicted class)` as a heat map, shaded by share of the true class."""
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    cells = [
        {"true": true, "predicted": said, "count": int(counts[i, j]), "share": float(shares[i, j])}
        for i, true in enumerate(labels)
        for j, said in enumerate(labels)
        if counts[i, j]
    ]
    many = len(labels) > 3
    axis = alt.Axis(labelLimit=110, domain=False, ticks=False)
    across = alt.Axis(labelLimit=110, domain=False, ticks=False, labelAngle=-90 if many else 0)
    base = alt.Chart(alt.NamedData("cells")).encode(
        x=alt.X("predicted:N", axis=across).scale(domain=labels), y=alt.Y("true:N", axis=axis).scale(domain=labels)
    )
    shade = alt.Color("share:Q").scale(range=[FAINT, STRONG], domain=[0, 1]).legend(None)
    ink = alt.condition("datum.share > 0.5", alt.value("white"), alt.value(LIGHT.ink))
    texts = base.mark_text(fontSize=12).encode(text="count:Q", color=ink)
    heat = base.mark_rect().encode(color=shade)
    side = 300 if many else 130 * len(labels)
    layers = [heat, texts] if len(labels) <= WRITTEN else [heat]
    behind = alt.ViewBackground(fill=FAINT)  # in place of a cell for each nothing
    view = alt.LayerChart(layer=layers, view=behind, width=side, height=side if many else 80 * len(labels))
    return _chart(view, cells=cells)


def residuals(true: np.ndarray, predicted: np.ndarray) -> Chart:
    """Predicted against true values, both `(sample,)`, with the line on which they are equal."""
    chosen = np.linspace(0, len(true) - 1, min(POINTS, len(true))).astype(int)
    ends = [float(min(true.min(), predicted.min())), float(max(true.max(), predicted.max()))]
    scale = alt.Scale(domain=ends, zero=False)
    points = (
        alt.Chart(alt.NamedData("samples"))
        .mark_point(filled=True, color=STRONG, opacity=0.5, size=22)
        .encode(x=alt.X("true:Q", scale=scale), y=alt.Y("predicted:Q", scale=scale))
    )
    view = alt.LayerChart(layer=[_diagonal("true", "predicted"), points], width=WIDTH, height=WIDTH)
    samples = [{"true": float(true[i]), "predicted": float(predicted[i])} for i in chosen]
    return _chart(view, samples=samples, ends=[{"true": end, "predicted": end} for end in ends])


def reliability(bins: list[Bin]) -> Chart:
    """Accuracy against confidence, a point for each bin, the larger the more samples it holds."""
    axis, scale = alt.Axis(format=".0%", tickCount=5), alt.Scale(domain=[0, 1])
    base = alt.Chart(alt.NamedData("bins")).encode(
        x=alt.X("confidence:Q", axis=axis, scale=scale), y=alt.Y("accuracy:Q", axis=axis, scale=scale)
    )
    points = base.mark_point(filled=True, color=STRONG, opacity=1)
    size = alt.Size("samples:Q").scale(range=[30, 400], domainMin=0).legend(None)
    layers = [
        _diagonal("confidence", "accuracy"),
        base.mark_line(color=STRONG, opacity=0.4),
        points.encode(size=size),
    ]
    ends = [{"confidence": end, "accuracy": end} for end in (0, 1)]
    view = alt.LayerChart(layer=layers, width=WIDTH, height=WIDTH)
    return _chart(view, bins=[one.model_dump() for one in bins], ends=ends)


def profile(weights: np.ndarray, unit: str, importance: np.ndarray | None = None) -> Chart:
    """Mean weights `(step or tenth,)` as bars; over them a line: `importance`, of the same sum, or all weights even."""
    compared = np.full(len(weights), 1 / len(weights)) if importance is None else importance / (importance.sum() or 1)
    every = math.ceil(len(weights) / BARS)
    gap = 0.1 if every == 1 else 0.0
    rows = [
        {
            "step": start + (every - 1) / 2,
            "start": start - 0.5 + gap,
            "end": start + every - 0.5 - gap,
            "weight": float(weights[start : start + every].mean()),
            "compared": float(compared[start : start + every].mean()),
        }
        for start in range(0, len(weights), every)
    ]
    base = alt.Chart(alt.NamedData("steps"))
    scale = alt.Scale(domain=[-0.5, len(weights) - 0.5], nice=False)
    axis = alt.Axis(values=[0]) if len(weights) == 1 else alt.Axis(tickMinStep=1)
    y = alt.Axis(format="~%")
    bars = base.mark_bar(color=STRONG).encode(
        x=alt.X("start:Q", title=unit, scale=scale, axis=axis),
        x2="end",
        y=alt.Y("weight:Q", title="mean weight", axis=y),
        y2=alt.datum(0),
    )
    even = base.mark_line(strokeDash=[4, 3], color=LIGHT.ink)
    line = (even if importance is None else base.mark_line(color=SECOND)).encode(
        x=alt.X("step:Q", title=unit, scale=scale, axis=axis), y=alt.Y("compared:Q", title="mean weight", axis=y)
    )
    return _chart(alt.LayerChart(layer=[bars, line], width=WIDTH, height=HEIGHT), steps=rows)


def deletion(found: Deletion, moves: bool = False) -> Chart:
    """How much the prediction drops by share of the steps removed: the heaviest, those of occlusion, and at random.

    Args:
        moves: it is of values, which move and do not drop.
    """
    orders = {"heaviest first": found.attention, "occlusion": found.occlusion, "at random": found.random}
    rows = [
        {"share": share, "drop": drop, "removed": name}
        for name, drops in orders.items()
        for share, drop in zip(found.shares, drops, strict=True)
    ]
    share = alt.X("share:Q", title="share of the steps removed").scale(type="log", nice=False)
    color = alt.Color("removed:N").scale(domain=list(orders), range=[STRONG, SECOND, WEAK])
    lines = (
        alt.Chart(alt.NamedData("drops"), width=WIDTH, height=HEIGHT)
        .mark_line(point=alt.OverlayMarkDef(size=40), strokeWidth=2)
        .encode(
            x=share.axis(format="~%", values=found.shares),
            y=alt.Y("drop:Q", title=f"the prediction {'moves' if moves else 'drops'} by"),
            color=color.legend(orient="top", title=None, labelFontSize=12, columnPadding=24),
        )
    )
    return _chart(lines, drops=rows)


def example(explanation: Explanation, index: int) -> Chart:
    """One sequence and its weights as the service draws them, but narrow and without a title."""
    chart = untitled(explanation_chart(explanation, index, width=WIDTH))
    return Chart(_sized(chart.view), chart.data)


def untitled(chart: Chart) -> Chart:
    """The chart without its title, for where the text around says it."""
    view = chart.view.copy(deep=False)
    view.title = alt.Undefined
    return Chart(view, chart.data)


def _chart(view: alt.Chart | alt.LayerChart, **data: list[Row]) -> Chart:
    return Chart(_sized(view).properties(padding=8), data)


def _sized(view: View) -> View:
    """With letters that are large enough on a phone."""
    return view.configure_axis(labelFontSize=12, titleFontSize=12, titleFontWeight="normal", titlePadding=14)


def _diagonal(x: str, y: str) -> alt.Chart:
    """The line on which both are equal."""
    line: alt.Chart = alt.Chart(alt.NamedData("ends")).mark_line(strokeDash=[4, 3], color=LIGHT.faint)
    return line.encode(x=f"{x}:Q", y=f"{y}:Q")
