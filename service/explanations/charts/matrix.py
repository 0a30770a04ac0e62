"""Text to text as a picture: for every character of the answer, its weights over the characters of the text."""

import json
from collections.abc import Sequence
from typing import Literal

import altair as alt
import numpy as np

from service.arrays import FloatArray
from service.explanations.charts.chart import PADDING, WIDTHS, Chart, Data, title
from service.explanations.charts.words import heading
from service.explanations.record import Explanation

FRAMED = "in each row the heaviest cell is framed, with its weight in percent"
CELL, LEAST_CELL = 20, 14  # pixels of a character, and on a page
LEAST = 0.005  # a weight below is drawn as none: a cell less, of many


def matrix_chart(explanation: Explanation, index: int) -> Chart:
    """The weights of one text."""
    text, _, _ = texts_of(explanation, index)
    missing = [text[step] for step in (explanation.unknown or [[]] * (index + 1))[index]]
    read = f"read from {text!r}"
    read += f"; unknown to the model: {', '.join(map(repr, missing))}" if missing else ""
    found = FRAMED if explanation.attention is not None else "this model has no attention"
    view = matrix_view(explanation, index, str(index), title(heading(explanation, index), read, found))
    view.description = describe_matrix(explanation, index)
    view.padding = PADDING
    view.usermeta = {"least": LEAST_CELL * len(text), "most": CELL * len(text)}
    return Chart(view, matrix_data(explanation, index, str(index)))


def matrices_chart(
    title: alt.Title, description: str, shown: Sequence[tuple[Explanation, int, str, alt.Title]]
) -> Chart:
    """The weights of several texts, one above the other.

    Args:
        shown: explanations, which text of each, the name of its data, and its title.
    """
    view = alt.vconcat(
        *(matrix_view(*one) for one in shown),
        title=title,
        description=description,
        padding=PADDING,
        spacing=20,
        usermeta=WIDTHS,
        resolve=alt.Resolve(scale=alt.ScaleResolveMap(color="independent")),
    )
    data = [matrix_data(explanation, index, name) for explanation, index, name, _ in shown]
    return Chart(view, {name: rows for one in data for name, rows in one.items()})


def matrix_view(explanation: Explanation, index: int, name: str, title: alt.Title) -> alt.LayerChart:
    """The answer from the top down, the text from left to right, the heaviest cell of each row with its percentage.

    Args:
        name: of the data, see `matrix_data`.
    """
    text, answer, _ = texts_of(explanation, index)
    x = alt.X("in:O").title(None).scale(domain=list(range(len(text)))).axis(_characters(text, "top"))
    y = alt.Y("out:O").title(None).scale(domain=list(range(len(answer)))).axis(_characters(answer, "left"))
    color = alt.Color("weight:Q").scale(range="heatmap", domain=[0, 1]).legend(None)
    cells = alt.Chart(alt.NamedData(f"weights-{name}"))
    heat = cells.mark_rect(tooltip=True).encode(x=x, y=y, color=color)
    heaviest = alt.Chart(alt.NamedData(f"heaviest-{name}")).encode(x=x, y=y)
    ring = heaviest.mark_rect(style="ring")
    percent = heaviest.encode(text=alt.Text("text:N"))
    strong = percent.mark_text(style="strong", fontSize=9).transform_filter("datum.strong")
    weak = percent.mark_text(style="weak", fontSize=9).transform_filter("!datum.strong")
    width, height = CELL * len(text), CELL * max(1, len(answer))
    return alt.LayerChart(layer=[heat, ring, strong, weak], title=title, width=width, height=height)


def matrix_data(explanation: Explanation, index: int, name: str) -> Data:
    """The cells of a matrix, behind `weights-`, and the heaviest of each row, behind `heaviest-`."""
    _, _, weights = texts_of(explanation, index)
    cells = [
        {"in": int(step), "out": int(row), "weight": round(float(weights[row, step]), 4)}
        for row, step in np.argwhere(weights >= LEAST)
    ]
    heaviest = [] if explanation.attention is None else enumerate(weights.argmax(axis=1).tolist())
    best = [
        {"in": step, "out": row, "text": f"{weight * 100:.0f}", "strong": weight > 0.6}
        for row, step in heaviest
        for weight in [float(weights[row, step])]
    ]
    return {f"weights-{name}": cells, f"heaviest-{name}": best}


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


def _visible(character: str) -> str:
    if character.isspace():
        return "␣"
    return character if character.isprintable() else "\N{REPLACEMENT CHARACTER}"


def _characters(text: str, side: Literal["top", "left"]) -> alt.Axis:
    """An axis with a character at each step; of what one could not see, a mark is drawn."""
    shown = json.dumps([_visible(character) for character in text])
    return alt.Axis(
        orient=side,
        labelExpr=f"{shown}[datum.value]",
        labelAngle=0,
        ticks=False,
        domain=False,
        labelFontSize=12,
        labelOverlap=False,
    )
