"""Text to text as a picture: for every character of the answer, its weights over the characters of the text."""

import json
from collections.abc import Mapping, Sequence
from typing import Literal

import altair as alt
import numpy as np

from service.explanations.charts.chart import PADDING, WIDTHS, Chart, Data, title
from service.explanations.charts.excerpts import LEAST, Drawn, choose
from service.explanations.charts.words import NAMED, NO_ATTENTION, describe, first_few, heading, lines, quote, sentence
from service.explanations.record import Explanation

FRAMED = "in each row the heaviest cell is framed, with its weight in percent"
CELL, LEAST_CELL = 20, 12  # pixels of a character, and on a page
DOTS = "…"


def matrix_chart(explanation: Explanation, index: int) -> Chart:
    """The weights of one text."""
    drawn = choose(explanation, index)
    missing = dict.fromkeys(drawn.text[step] for step in (explanation.unknown or [[]] * (index + 1))[index])
    read = f"read from {quote(drawn.text)}"
    read += f"; unknown to the model: {first_few([repr(one) for one in missing], NAMED)}" if missing else ""
    found = FRAMED if explanation.attention is not None else NO_ATTENTION
    view = matrix_view(drawn, str(index), title(heading(explanation, index), read, found, drawn.left_out()))
    view.description = describe_matrix(explanation, index)
    view.padding = PADDING
    wide = len(drawn.columns) + len(drawn.gaps)
    view.usermeta = {"least": LEAST_CELL * wide, "most": CELL * wide}
    return Chart(view, matrix_data(drawn, str(index)))


def matrices_chart(
    title: alt.Title, description: str, shown: Sequence[tuple[Explanation, int, str, list[str]]]
) -> Chart:
    """The weights of several texts, one above the other.

    Args:
        shown: explanations, which text of each, the name of its data, and the lines of its title.
    """
    drawn = {name: choose(explanation, index, len(shown)) for explanation, index, name, _ in shown}
    titles = {name: _title(head, drawn[name].left_out()) for _, _, name, head in shown}
    view = alt.vconcat(
        *(matrix_view(one, name, titles[name]) for name, one in drawn.items()),
        title=title,
        description=description,
        padding=PADDING,
        spacing=20,
        usermeta=WIDTHS,
        resolve=alt.Resolve(scale=alt.ScaleResolveMap(color="independent")),
    )
    data = [matrix_data(one, name) for name, one in drawn.items()]
    return Chart(view, {name: rows for one in data for name, rows in one.items()})


def matrix_view(drawn: Drawn, name: str, title: alt.Title) -> alt.LayerChart:
    """The answer from the top down, the text from left to right, the heaviest cell of each row with its percentage.

    Args:
        name: of the data, see `matrix_data`.
    """
    across = {place: DOTS if place in drawn.gaps else drawn.text[place] for place in sorted(drawn.columns + drawn.gaps)}
    down = dict(enumerate(drawn.answer[: drawn.rows]))
    x = alt.X("in:O").title(None).scale(domain=list(across)).axis(_characters(across, "top"))
    y = alt.Y("out:O").title(None).scale(domain=list(down)).axis(_characters(down, "left"))
    color = alt.Color("weight:Q").scale(range="heatmap", domain=[0, 1]).legend(None)
    cells = alt.Chart(alt.NamedData(f"weights-{name}"))
    tooltip = [alt.Tooltip("read:N"), alt.Tooltip("written:N"), alt.Tooltip("weight:Q").format(".2~%")]
    heat = cells.mark_rect().encode(x=x, y=y, color=color, tooltip=tooltip)
    heaviest = alt.Chart(alt.NamedData(f"heaviest-{name}")).encode(x=x, y=y)
    ring = heaviest.mark_rect(style="ring")
    number = heaviest.encode(text=alt.Text("text:N"))
    strong = number.mark_text(style="strong", fontSize=9).transform_filter("datum.strong")
    weak = number.mark_text(style="weak", fontSize=9).transform_filter("!datum.strong")
    gaps = alt.Chart(alt.NamedData(f"gaps-{name}")).mark_rule(style="rule").encode(x=x)
    layers = [heat, *([gaps] if drawn.gaps else []), ring, strong, weak]
    return alt.LayerChart(layer=layers, title=title, width=CELL * len(across), height=CELL * max(1, len(down)))


def matrix_data(drawn: Drawn, name: str) -> Data:
    """The cells of a matrix, behind `weights-`, the heaviest of each row, behind `heaviest-`, and, behind `gaps-`, the
    places of the dots.
    """
    seen = drawn.weights[: drawn.rows, drawn.columns]
    cells = [
        {
            "in": drawn.columns[column],
            "out": int(row),
            "weight": round(float(seen[row, column]), 4),
            "read": f"{_visible(drawn.text[drawn.columns[column]])} at {drawn.columns[column]}",
            "written": f"{_visible(drawn.answer[row])} at {row}",
        }
        for row, column in np.argwhere(seen >= LEAST)
    ]
    best = [
        {"in": column, "out": row, "text": f"{weight * 100:.0f}", "strong": weight > 0.6}
        for row, column in drawn.heaviest()
        for weight in [float(drawn.weights[row, column])]
    ]
    gaps = {f"gaps-{name}": [{"in": place} for place in drawn.gaps]} if drawn.gaps else {}
    return {f"weights-{name}": cells, f"heaviest-{name}": best, **gaps}


def describe_matrix(explanation: Explanation, index: int) -> str:
    """What the matrix shows, in sentences."""
    drawn = choose(explanation, index)
    told = [describe(explanation, index)]
    if explanation.attention is None:
        told.append(sentence(NO_ATTENTION))
    looks = [
        f"{drawn.answer[row]!r} looks at {drawn.text[column]!r}, character {column} ({drawn.weights[row, column]:.0%})"
        for row, column in drawn.heaviest()
    ]
    told += [f"{first_few(looks, NAMED, '; ')}."] if looks else []
    told += [sentence(drawn.left_out())] if drawn.left_out() else []
    return " ".join(told)


def _title(head: list[str], left_out: str) -> alt.Title:
    """Of one of several."""
    below = lines(left_out) if left_out else alt.Undefined
    return alt.Title(head, subtitle=below, fontSize=12, anchor="start", offset=16)


def _visible(character: str) -> str:
    if character.isspace():
        return "␣"
    return character if character.isprintable() else "\N{REPLACEMENT CHARACTER}"


def _characters(shown: Mapping[int, str], side: Literal["top", "left"]) -> alt.Axis:
    """An axis with a character at each place; of what one could not see, a mark is drawn."""
    visible = json.dumps({place: _visible(character) for place, character in shown.items()})
    return alt.Axis(
        orient=side,
        labelExpr=f"({visible})[datum.value]",
        labelAngle=0,
        ticks=False,
        domain=False,
        labelFontSize=12,
        labelOverlap=False,
    )
