"""The pictures of a report as Vega-Lite definitions, narrow enough for a phone; `service.explanations.charts` draws."""

from typing import Any

import numpy as np

from service.explanations import charts
from service.explanations.record import Explanation
from service.manifest import Deletion
from training.judging.quality import Bin

WIDTH, HEIGHT = 320, 220
STRONG, SECOND, WEAK = "#1c64f2", "#d9730d", "#8593a3"  # told apart without red and green
POINTS = 1000  # of a scatter plot; more only make the file large
WRITTEN = 15  # classes up to which a confusion matrix has its counts written in
AXIS = {"labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal", "titlePadding": 14}
CONFIG = {**charts.CONFIG, "axis": {**charts.CONFIG["axis"], **AXIS}}


def confusion(counts: np.ndarray, labels: list[str]) -> dict[str, Any]:
    """The confusion matrix `(true class, predicted class)` as a heat map, shaded by share of the true class."""
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    cells = [
        {"true": true, "predicted": said, "count": int(counts[i, j]), "share": float(shares[i, j])}
        for i, true in enumerate(labels)
        for j, said in enumerate(labels)
    ]
    axis = {"labelLimit": 110, "domain": False, "ticks": False}
    across = {**axis, "labelAngle": -90} if len(labels) > 3 else {**axis, "labelAngle": 0}
    side = 300 if len(labels) > 3 else 130 * len(labels)
    heat = {
        "mark": "rect",
        "encoding": {
            "color": {
                "field": "share",
                "type": "quantitative",
                "scale": {"range": ["#f4f7fb", STRONG], "domain": [0, 1]},
                "legend": None,
            }
        },
    }
    texts = {
        "transform": [{"filter": "datum.count > 0"}],
        "mark": {"type": "text", "fontSize": 12},
        "encoding": {
            "text": {"field": "count"},
            "color": {"condition": {"test": "datum.share > 0.5", "value": "white"}, "value": charts.INK},
        },
    }
    return _chart(
        width=side,
        height=side if len(labels) > 3 else 80 * len(labels),
        data={"values": cells},
        encoding={
            "x": {"field": "predicted", "type": "nominal", "sort": None, "axis": across},
            "y": {"field": "true", "type": "nominal", "sort": None, "axis": axis},
        },
        layer=[heat, texts] if len(labels) <= WRITTEN else [heat],
    )


def residuals(true: np.ndarray, predicted: np.ndarray) -> dict[str, Any]:
    """Predicted against true values, both `(sample,)`, with the line on which they are equal."""
    chosen = np.linspace(0, len(true) - 1, min(POINTS, len(true))).astype(int)
    ends = [float(min(true.min(), predicted.min())), float(max(true.max(), predicted.max()))]
    domain = {"domain": ends, "zero": False}
    return _chart(
        height=WIDTH,
        layer=[
            _diagonal(ends, "true", "predicted"),
            {
                "data": {"values": [{"true": float(true[i]), "predicted": float(predicted[i])} for i in chosen]},
                "mark": {"type": "point", "filled": True, "color": STRONG, "opacity": 0.5, "size": 22},
                "encoding": {
                    "x": {"field": "true", "type": "quantitative", "scale": domain},
                    "y": {"field": "predicted", "type": "quantitative", "scale": domain},
                },
            },
        ],
    )


def reliability(bins: list[Bin]) -> dict[str, Any]:
    """Accuracy against confidence, a point for each bin, the larger the more samples it holds."""
    percent = {"axis": {"format": ".0%", "tickCount": 5}, "scale": {"domain": [0, 1]}}
    return _chart(
        height=WIDTH,
        layer=[
            _diagonal([0, 1], "confidence", "accuracy"),
            {
                "data": {"values": [one.model_dump() for one in bins]},
                "mark": {"type": "line", "color": STRONG, "opacity": 0.4},
                "encoding": {
                    "x": {"field": "confidence", "type": "quantitative", **percent},
                    "y": {"field": "accuracy", "type": "quantitative", **percent},
                },
            },
            {
                "data": {"values": [one.model_dump() for one in bins]},
                "mark": {"type": "point", "filled": True, "color": STRONG, "opacity": 1},
                "encoding": {
                    "x": {"field": "confidence", "type": "quantitative"},
                    "y": {"field": "accuracy", "type": "quantitative"},
                    "size": {
                        "field": "samples",
                        "type": "quantitative",
                        "scale": {"range": [30, 400], "domainMin": 0},
                        "legend": None,
                    },
                },
            },
        ],
    )


def profile(weights: np.ndarray, unit: str, importance: np.ndarray | None = None) -> dict[str, Any]:
    """Mean weights `(step or tenth,)` as bars; over them a line: `importance`, of the same sum, or all weights even."""
    compared = np.full(len(weights), 1 / len(weights)) if importance is None else importance / (importance.sum() or 1)
    values = [
        {"step": i, "start": i - 0.4, "end": i + 0.4, "weight": float(weight), "compared": float(other)}
        for i, (weight, other) in enumerate(zip(weights, compared, strict=True))
    ]
    x = {
        "type": "quantitative",
        "title": unit,
        "scale": {"domain": [-0.5, len(weights) - 0.5], "nice": False},
        "axis": {"values": [0]} if len(weights) == 1 else {"tickMinStep": 1},
    }
    y = {"type": "quantitative", "title": "mean weight", "axis": {"format": "~%"}}
    bars = {
        "mark": {"type": "bar", "color": STRONG},
        "encoding": {
            "x": {"field": "start", **x},
            "x2": {"field": "end"},
            "y": {"field": "weight", **y},
            "y2": {"datum": 0},
        },
    }
    dashed = {"strokeDash": [4, 3], "color": charts.INK} if importance is None else {"color": SECOND}
    line = {
        "mark": {"type": "line", **dashed},
        "encoding": {"x": {"field": "step", **x}, "y": {"field": "compared", **y}},
    }
    return _chart(data={"values": values}, layer=[bars, line])


def deletion(found: Deletion) -> dict[str, Any]:
    """How much the prediction drops by share of the steps removed: the heaviest, those of occlusion, and at random."""
    orders = {"heaviest first": found.attention, "occlusion": found.occlusion, "at random": found.random}
    values = [
        {"share": share, "drop": drop, "removed": name}
        for name, drops in orders.items()
        for share, drop in zip(found.shares, drops, strict=True)
    ]
    return _chart(
        data={"values": values},
        mark={"type": "line", "point": {"size": 40}, "strokeWidth": 2},
        encoding={
            "x": {
                "field": "share",
                "type": "quantitative",
                "title": "share of the steps removed",
                "scale": {"type": "log", "nice": False},
                "axis": {"format": "~%", "values": found.shares},
            },
            "y": {"field": "drop", "type": "quantitative", "title": "drop of the prediction"},
            "color": {
                "field": "removed",
                "type": "nominal",
                "scale": {"domain": list(orders), "range": [STRONG, SECOND, WEAK]},
                "legend": {"orient": "top", "title": None, "labelFontSize": 12, "columnPadding": 24},
            },
        },
    )


def example(explanation: Explanation, index: int) -> dict[str, Any]:
    """One sequence and its weights as the service draws them, but narrow and without a title."""
    definition = charts.explanation_chart(explanation, index)
    del definition["title"]
    panels = [{**panel, "width": WIDTH} for panel in definition["vconcat"]]
    return {**definition, "config": CONFIG, "vconcat": panels}


def _chart(**parts: Any) -> dict[str, Any]:
    return {"$schema": charts.SCHEMA, "config": CONFIG, "padding": 8, "width": WIDTH, "height": HEIGHT} | parts


def _diagonal(ends: list[float], x: str, y: str) -> dict[str, Any]:
    """The line on which both are equal."""
    return {
        "data": {"values": [{x: end, y: end} for end in ends]},
        "mark": {"type": "line", "strokeDash": [4, 3], "color": charts.FAINT},
        "encoding": {"x": {"field": x, "type": "quantitative"}, "y": {"field": y, "type": "quantitative"}},
    }
