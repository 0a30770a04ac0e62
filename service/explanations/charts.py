"""How an explanation is drawn: one Vega-Lite definition, turned into SVG."""

import json
from typing import Any

import numpy as np
import vl_convert
from numpy.typing import NDArray

from service.arrays import FloatArray
from service.explanations.faithfulness import EFFECT
from service.explanations.measures import top_steps
from service.explanations.record import Explanation, steps

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
WIDTH = 640
INK, FAINT = "#1f2933", "#7b8794"
FIRST, SECOND = "#1c64f2", "#d9730d"  # told apart without red and green
CHANGE = "change without"  # title of the axis
CONFIG: dict[str, Any] = {
    "background": "white",
    "font": "sans-serif",
    "view": {"stroke": None},
    "axis": {"labelColor": INK, "titleColor": INK, "grid": False, "domainColor": FAINT, "tickColor": FAINT},
    "title": {"anchor": "start", "color": INK, "subtitleColor": FAINT, "fontSize": 15},
}
TOP = 3
CELL = 18  # pixels of a character's cell


def svg(spec: dict[str, Any]) -> str:
    """Draws a Vega-Lite definition. Takes about a second the first time in a process, 0.1 s later."""
    return str(vl_convert.vegalite_to_svg(spec, vl_version="6.4"))


def explanation_chart(explanation: Explanation, index: int) -> dict[str, Any]:
    """One sequence: its features as lines over time, its weights as a heat band and as bars on the same axis.

    Args:
        index: which sequence of the explanation.

    Returns:
        A Vega-Lite definition. A model without attention gets the lines and a title that says so. Of text, the matrix
        of `matrix_chart`.
    """
    if explanation.sequences is None:
        return matrix_chart(explanation, index)
    attention = None if explanation.attention is None else explanation.attention[index]
    sequence = explanation.sequences[index]
    lines = _values(explanation, index)
    title = {"text": _title(explanation, index), "subtitle": "this model has no attention"}
    if attention is None:
        return _chart(title, [_lines_panel(lines, marked=[])], len(sequence))
    weights = steps(attention)
    top = top_steps(weights, min(TOP, len(weights)))
    title["subtitle"] = "most weight on step " + ", ".join(f"{step} ({weight:.0%})" for step, weight in top)
    bars = _weights(weights)
    cells = [
        {"step": step, "feature": feature, "weight": float(attention[step, column])}
        for column, feature in enumerate(explanation.features)
        for step in range(len(sequence))
        if attention.ndim == 2
    ] or [{"step": bar["step"], "feature": "weight", "weight": bar["weight"]} for bar in bars]
    panels = [_lines_panel(lines, [step for step, _ in top]), _heat_panel(cells), _bars_panel(bars)]
    return _chart(title, panels, len(sequence))


def occlusion_chart(explanation: Explanation, index: int, changes: NDArray[np.float64]) -> dict[str, Any]:
    """One sequence of numbers as in `explanation_chart`, with what leaving out each step changes in place of weights.

    Args:
        changes: `(time,)`.
    """
    bars = _changes(changes)
    top = sorted((bar for bar in bars if bar["top"]), key=lambda bar: -float(bar["weight"]))
    cells = [{"step": bar["step"], "feature": "change", "weight": bar["weight"]} for bar in bars]
    subtitle = "changes most without step " + ", ".join(f"{bar['step']} ({bar['text']})" for bar in top)
    panels = [
        _lines_panel(_values(explanation, index), [bar["step"] for bar in top]),
        _heat_panel(cells, SECOND),
        _bars_panel(bars, CHANGE, SECOND),
    ]
    return _chart({"text": _title(explanation, index), "subtitle": subtitle}, panels, len(changes))


def faithfulness_chart(
    explanation: Explanation, index: int, weights: FloatArray, changes: NDArray[np.float64], subtitle: str
) -> dict[str, Any]:
    """One sequence, its weights and what leaving out each step changes, one above the other on the same axis.

    Args:
        weights: `(time,)`.
        changes: `(time,)`.
        subtitle: what was found.
    """
    bars = _weights(weights)
    panels = [
        _lines_panel(_values(explanation, index), [bar["step"] for bar in bars if bar["top"]]),
        _bars_panel(bars),
        _bars_panel(_changes(changes), CHANGE, SECOND),
    ]
    return _chart({"text": _title(explanation, index), "subtitle": subtitle}, panels, len(changes))


def matrix_chart(explanation: Explanation, index: int) -> dict[str, Any]:
    """One text: for every character of the answer, from the top down, its weights over the characters of the text."""
    text, answer = _texts(explanation, index)
    weights = np.zeros((len(answer), len(text))) if explanation.attention is None else explanation.attention[index]
    cells = [
        {"in": step, "out": row, "weight": float(weights[row, step])}
        for row in range(len(answer))
        for step in range(len(text))
    ]
    missing = [text[step] for step in (explanation.unknown or [])[index]]
    unknown = f"; unknown to the model: {' '.join(missing)}" if missing else ""
    title = {"text": _title(explanation, index), "subtitle": f"read from {text!r}{unknown}"}
    encoding = {
        "x": _characters("in", text, "top"),
        "y": _characters("out", answer, "left"),
        "color": {
            "field": "weight",
            "type": "quantitative",
            "scale": {"range": ["#f0f4f8", "#1c64f2"], "domain": [0, 1]},
            "legend": {"title": "weight", "format": ".0%"},
        },
    }
    return {
        "$schema": SCHEMA,
        "title": title,
        "description": f"{title['text']}; {title['subtitle']}",
        "config": CONFIG,
        "padding": 12,
        "width": CELL * len(text),
        "height": CELL * max(1, len(answer)),
        "data": {"values": cells},
        "mark": {"type": "rect", "stroke": "white"},
        "encoding": encoding,
    }


def _values(explanation: Explanation, index: int) -> list[dict[str, Any]]:
    """The points of the lines."""
    if explanation.sequences is None:
        return []
    sequence = explanation.sequences[index]
    return [
        {"step": step, "feature": feature, "value": float(sequence[step, column])}
        for column, feature in enumerate(explanation.features)
        for step in range(len(sequence))
    ]


def _weights(weights: FloatArray) -> list[dict[str, Any]]:
    """Bars of `(time,)` weights."""
    return _bars(weights, ".0%")


def _changes(changes: NDArray[np.float64]) -> list[dict[str, Any]]:
    """Bars of `(time,)` changes."""
    return _bars(changes, ".2f")


def _bars(sizes: NDArray[np.floating], format: str) -> list[dict[str, Any]]:
    top = [step for step, _ in top_steps(sizes, TOP)]
    return [
        {"step": step, "weight": float(size), "top": step in top, "text": f"{size:{format}}"}
        for step, size in enumerate(sizes)
    ]


def _characters(field: str, text: str, side: str) -> dict[str, Any]:
    """An axis with a character at each step; a space is drawn as a mark, or one could not see it."""
    shown = json.dumps([character if character.strip() else "␣" for character in text])
    axis = {"title": None, "orient": side, "labelExpr": f"{shown}[datum.value]", "labelAngle": 0, "ticks": False}
    return {"field": field, "type": "ordinal", "axis": {**axis, "domain": False, "labelFontSize": 12}}


def _texts(explanation: Explanation, index: int) -> tuple[str, str]:
    return (explanation.texts or [])[index], (explanation.answers or [])[index]


def _title(explanation: Explanation, index: int) -> str:
    prediction = explanation.predictions[index]
    if explanation.answers is not None:
        said = f"{explanation.answers[index]!r} ({prediction.item():.0%})"
        return f"{explanation.model}, version {explanation.version}, writes {said}"
    if explanation.labels is None:
        said = ", ".join(f"{value:.4g}" for value in prediction[:6]) + ", ..." * (len(prediction) > 6)
    else:
        said = explanation.labels[index]
    if explanation.task == "multiclass":
        said += f" ({prediction.max():.0%})"
    if explanation.task == "binary":
        said += f" ({max(prediction.item(), 1 - prediction.item()):.0%})"
    return f"{explanation.model}, version {explanation.version}, predicts {said}"


def _chart(title: dict[str, str], panels: list[dict[str, Any]], length: int) -> dict[str, Any]:
    return {
        "$schema": SCHEMA,
        "title": title,
        "description": f"{title['text']}; {title['subtitle']}",
        "config": CONFIG,
        "padding": 12,
        "spacing": 8,
        "vconcat": [{"width": WIDTH, **panel} for panel in _with_time_axis(panels, length)],
        "resolve": {"scale": {"color": "independent"}},
    }


def _with_time_axis(panels: list[dict[str, Any]], length: int) -> list[dict[str, Any]]:
    """Gives every panel the same time axis, written out under the last one only."""
    for panel in panels:
        ticks = {"values": [0]} if length == 1 else {"tickMinStep": 1}
        axis = {"title": "step", **ticks} if panel is panels[-1] else None
        x = {
            "field": "step",
            "type": "quantitative",
            "scale": {"domain": [-0.5, length - 0.5], "nice": False},
            "axis": axis,
        }
        for layer in panel["layer"]:
            layer["encoding"]["x"] = {**x, **layer["encoding"].get("x", {})}
    return panels


def _lines_panel(values: list[dict[str, Any]], marked: list[int]) -> dict[str, Any]:
    features = {value["feature"] for value in values}
    color = {
        "field": "feature",
        "type": "nominal",
        "sort": None,
        "scale": {"scheme": "tableau20" if len(features) > 10 else "tableau10"},
        "legend": {"title": None} if len(features) > 1 else None,
    }
    lines = {
        "data": {"values": values},
        "mark": {"type": "line", "point": {"size": 18}, "strokeWidth": 1.5},
        "encoding": {"y": {"field": "value", "type": "quantitative", "title": "value"}, "color": color},
    }
    rules = {
        "data": {"values": [{"step": step} for step in marked]},
        "mark": {"type": "rule", "strokeDash": [4, 3], "color": FAINT},
        "encoding": {},
    }
    return {"height": 180, "layer": [rules, lines]}


def _heat_panel(values: list[dict[str, Any]], color: str = FIRST) -> dict[str, Any]:
    rows = len({value["feature"] for value in values})
    rect = {
        "data": {"values": [{**value, "end": value["step"] + 0.5, "step": value["step"] - 0.5} for value in values]},
        "mark": {"type": "rect"},
        "encoding": {
            "x2": {"field": "end"},
            "y": {"field": "feature", "type": "nominal", "sort": None, "title": None, "axis": {"ticks": False}},
            "color": {
                "field": "weight",
                "type": "quantitative",
                "scale": {"range": ["#f0f4f8", color], "domainMin": 0, "interpolate": "rgb"},
                "legend": None,
            },
        },
    }
    return {"height": max(18, 12 * rows), "layer": [rect]}


def _bars_panel(values: list[dict[str, Any]], title: str = "weight", color: str = FIRST) -> dict[str, Any]:
    axis = {"tickCount": 3, "format": ".0%"}
    y: dict[str, Any] = {"field": "weight", "type": "quantitative", "title": title, "axis": axis}
    if title == CHANGE:  # what is no effect at all is not to look like one
        y |= {"axis": {"tickCount": 3}, "scale": {"domain": [0, max(EFFECT, *(value["weight"] for value in values))]}}
    bars = {
        "data": {"values": [{**value, "end": value["step"] + 0.4, "step": value["step"] - 0.4} for value in values]},
        "mark": {"type": "bar"},
        "encoding": {
            "x2": {"field": "end"},
            "y": y,
            "y2": {"datum": 0},
            "color": {"condition": {"test": "datum.top", "value": color}, "value": "#b6c6d8"},
        },
    }
    names = {
        "data": {"values": [value for value in values if value["top"]]},
        "mark": {"type": "text", "dy": -7, "color": INK, "fontSize": 11},
        "encoding": {"y": y, "text": {"field": "text"}},
    }
    return {"height": 90, "layer": [bars, names]}
