"""Text to text as a picture: for every character of the answer, its weights over the characters of the text."""

import json
from typing import Any

import numpy as np

from service.arrays import FloatArray
from service.explanations.record import Explanation
from service.explanations.words import heading, title

FRAMED = "in each row the heaviest cell is framed, with its weight in percent"
CELL = 20  # pixels of a character
LEAST = 0.005  # a weight below is drawn as none: a cell less, of many


def matrix_view(explanation: Explanation, index: int, name: str) -> dict[str, Any]:
    """The answer from the top down, the text from left to right, the heaviest cell of each row with its percentage.

    Args:
        name: of the data, behind `weights-` and `heaviest-`.
    """
    text, answer, weights = texts_of(explanation, index)
    cells = [
        {"in": int(step), "out": int(row), "weight": round(float(weights[row, step]), 4)}
        for row, step in np.argwhere(weights >= LEAST)
    ]
    best = [
        {
            "in": int(step),
            "out": row,
            "text": f"{weights[row, step] * 100:.0f}",
            "strong": bool(weights[row, step] > 0.6),
        }
        for row, step in enumerate(weights.argmax(axis=1))
        if explanation.attention is not None
    ]
    color = {
        "field": "weight",
        "type": "quantitative",
        "scale": {"range": "heatmap", "domain": [0, 1]},
        "legend": None,
    }
    place = {"x": _characters("in", text, "top"), "y": _characters("out", answer, "left")}
    heat = {"mark": {"type": "rect", "tooltip": True}, "encoding": {**place, "color": color}}
    ring = {"mark": {"type": "rect", "style": "ring"}, "encoding": place}
    names = {"encoding": {**place, "text": {"field": "text"}}}
    strong = {
        "mark": {"type": "text", "style": "strong", "fontSize": 9},
        "transform": [{"filter": "datum.strong"}],
        **names,
    }
    weak = {
        "mark": {"type": "text", "style": "weak", "fontSize": 9},
        "transform": [{"filter": "!datum.strong"}],
        **names,
    }
    rest = {"data": {"name": f"heaviest-{name}", "values": best}, "layer": [ring, strong, weak]}
    return {
        "width": CELL * len(text),
        "height": CELL * max(1, len(answer)),
        "layer": [{"data": {"name": f"weights-{name}", "values": cells}, **heat}, rest],
    }


def matrix_chart(explanation: Explanation, index: int) -> dict[str, Any]:
    """One text; see `matrix_view`."""
    text, _, _ = texts_of(explanation, index)
    missing = [text[step] for step in (explanation.unknown or [[]] * (index + 1))[index]]
    read = f"read from {text!r}"
    read += f"; unknown to the model: {', '.join(map(repr, missing))}" if missing else ""
    found = FRAMED if explanation.attention is not None else "this model has no attention"
    return {
        "title": title(heading(explanation, index), read, found),
        "description": describe_matrix(explanation, index),
        **matrix_view(explanation, index, str(index)),
    }


def describe_matrix(explanation: Explanation, index: int) -> str:
    """What the matrix shows, in sentences."""
    text, answer, weights = texts_of(explanation, index)
    said = f"{heading(explanation, index)}, read from {text!r}."
    if explanation.attention is None:
        return f"{said} This model has no attention."
    looks = [
        f"{character!r} looks at {text[step]!r}, character {step} ({row[step]:.0%})"
        for character, row, step in zip(answer, weights, weights.argmax(axis=1), strict=False)
    ]
    return f"{said} {'; '.join(looks)}." if looks else said


def texts_of(explanation: Explanation, index: int) -> tuple[str, str, FloatArray]:
    """The text, the answer, and `(out_time, in_time)` weights, all 0 of a model without attention."""
    text, answer = (explanation.texts or [])[index], (explanation.answers or [])[index]
    empty = np.zeros((len(answer), len(text)), np.float32)
    return text, answer, empty if explanation.attention is None else explanation.attention[index]


def _characters(field: str, text: str, side: str) -> dict[str, Any]:
    """An axis with a character at each step; a space is drawn as a mark, or one could not see it."""
    shown = json.dumps([character if character.strip() else "␣" for character in text])
    axis = {"title": None, "orient": side, "labelExpr": f"{shown}[datum.value]", "labelAngle": 0, "ticks": False}
    return {
        "field": field,
        "type": "ordinal",
        "scale": {"domain": list(range(len(text)))},
        "axis": {**axis, "domain": False, "labelFontSize": 12, "labelOverlap": False},
    }
