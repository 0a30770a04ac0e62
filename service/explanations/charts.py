"""How explanations are drawn: Vega-Lite definitions, which the server makes SVG and PNG of and a browser draws itself.

All charts over time have one axis of steps, and a width of `WIDTH` that a page may change with `view.width(...)`, since
all their panels share that signal. They have no colours before `themed`; see `themes.py`.
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from service.arrays import FloatArray
from service.explanations import themes
from service.explanations.choosing import add_choices
from service.explanations.faithfulness import EFFECT
from service.explanations.lines import characters_panel, overview_panel, value_panels
from service.explanations.matrix import FRAMED, describe_matrix, matrix_chart, matrix_view, texts_of
from service.explanations.panels import (
    HELD,
    LANES,
    Panel,
    Sizes,
    bars_panel,
    changes_of,
    group,
    heat_panel,
    over_time,
    weights_of,
)
from service.explanations.record import Explanation, steps
from service.explanations.themes import ThemeName
from service.explanations.words import NOTHING, describe_values, enumerate_steps, heading, outcome, title

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
WIDTH = 640
MOST = 12  # sequences of a request that are drawn above each other
CONFIG = themes.config(themes.LIGHT)
INK, FAINT = themes.LIGHT.ink, themes.LIGHT.faint
FIRST, SECOND = themes.LIGHT.first, themes.LIGHT.second
NO_ATTENTION = "this model has no attention"
Chart = dict[str, Any]


def svg(chart: Chart) -> str:
    """Draws a definition here and now, for scripts: the server has `service/renderer.py`."""
    from service.drawing import draw  # takes 0.1 s to import

    return draw({"format": "svg", "chart": chart}).decode()


def themed(chart: Chart, theme: ThemeName) -> Chart:
    """The chart in these colours."""
    return {**chart, "config": themes.config(themes.THEMES[theme])}


def explanation_chart(
    explanation: Explanation, index: int | Literal["all"], changes: NDArray[np.float64] | None = None
) -> Chart:
    """A sequence: its features as lines over time, its weights as a heat band and as bars on the same axis.

    Args:
        index: which sequence of the explanation; all: the first `MOST`, smaller, above each other.
        changes: `(time,)`, what leaving out each step of one sequence changes: drawn beneath, but not of text.

    Returns:
        A Vega-Lite definition. A model without attention gets the lines and a title that says so. Of text, the matrix
        of `matrix.py`.
    """
    if index == "all":
        return _all_chart(explanation)
    if explanation.sequences is None:
        chart = matrix_chart(explanation, index)
        width = {"least": 14 * len(texts_of(explanation, index)[0]), "most": chart["width"]}
        return {"$schema": SCHEMA, "config": CONFIG, "padding": 12, "usermeta": width, **chart}
    sequence = explanation.sequences[index]
    left_out = None if changes is None else changes_of(changes, EFFECT)
    beneath = [] if left_out is None else [bars_panel(left_out)]
    if explanation.attention is None:
        panels = [*value_panels(sequence, explanation.features, []), *beneath]
        return _chart(explanation, index, panels, NO_ATTENTION, f"{NO_ATTENTION.capitalize()}.")
    attention = explanation.attention[index]
    sizes = weights_of(steps(attention))
    rows = explanation.features if attention.ndim == 2 else ["weight"]
    heat = heat_panel(attention if attention.ndim == 2 else attention[:, None], rows)
    panels = [*value_panels(sequence, explanation.features, sizes.top), heat, bars_panel(sizes), *beneath]
    found = "most weight on step " + enumerate_steps(sizes.told())
    told = describe_values(explanation, index, sizes.told(), "Most weight lies on")
    told += "" if left_out is None else f" {_without(left_out)}"
    return _chart(explanation, index, panels, found, told)


def occlusion_chart(explanation: Explanation, index: int, changes: NDArray[np.float64]) -> Chart:
    """One sequence or text as in `explanation_chart`, with what leaving out each step changes in place of weights.

    Args:
        changes: `(time,)`.
    """
    sizes = changes_of(changes, EFFECT)
    heat = heat_panel(changes[:, None], ["change"], "change-cells", sizes.range)
    panels = [*_inputs(explanation, index, sizes.top), heat, bars_panel(sizes)]
    found = _changes_most(sizes)
    told = describe_values(explanation, index, sizes.told(), "The prediction changes most without")
    return _chart(explanation, index, panels, found, told)


def faithfulness_chart(
    explanation: Explanation, index: int, weights: FloatArray, changes: NDArray[np.float64], verdict: str
) -> Chart:
    """One sequence, its weights and what leaving out each step changes, one above the other on the same axis.

    Args:
        weights: `(time,)`.
        changes: `(time,)`.
        verdict: what was found.
    """
    heavy, changing = weights_of(weights), changes_of(changes, EFFECT)
    values = _inputs(explanation, index, heavy.top)
    told = describe_values(explanation, index, heavy.told(), "Most weight lies on")
    panels = [*values, bars_panel(heavy), bars_panel(changing)]
    return _chart(explanation, index, panels, verdict, f"{told} {_without(changing)} {verdict.capitalize()}.")


def _without(sizes: Sizes) -> str:
    return f"The prediction {_changes_most(sizes)}." if sizes.top else f"{NOTHING.capitalize()}."


def _changes_most(sizes: Sizes) -> str:
    return f"changes most without step {enumerate_steps(sizes.told())}" if sizes.top else NOTHING


def _sequence(explanation: Explanation, index: int) -> FloatArray:
    sequence: FloatArray = (explanation.sequences or [])[index]
    return sequence


def _inputs(explanation: Explanation, index: int, top: list[int]) -> list[Panel]:
    """The values of a sequence, or the characters of a text."""
    if explanation.texts is not None:
        return [characters_panel(explanation.texts[index], top)]
    return value_panels(_sequence(explanation, index), explanation.features, top)


def _chart(explanation: Explanation, index: int, panels: list[Panel], found: str, told: str) -> Chart:
    inputs = _sequence(explanation, index) if explanation.texts is None else explanation.texts[index]
    length, features = len(inputs), len(explanation.features)
    if (every := group(length)) > 1:
        found += f"; of {every} neighbouring steps the largest is drawn"
    if features > LANES:
        found += f"; the first {LANES} of {features} features are drawn"
    add_choices(panels)
    return stacked(title(heading(explanation, index), found), told, over_time(panels, length))


def stacked(title: dict[str, list[str]], description: str, panels: list[Panel]) -> Chart:
    """Panels above each other on one axis, and their data, each of which a page may change: `view.data(name, rows)`.

    Returns:
        A definition whose `usermeta` says which widths it fits, and in `panels` what is drawn from the top down: the
        `kind` of each, its `features`, and its `name`; the scale of its values is called `{name}_y`.
    """
    chart = above_each_other(title, description, [panel.view for panel in panels])
    shown = [{"kind": panel.kind, "features": list(panel.features), "name": panel.view.get("name")} for panel in panels]
    return {
        **chart,
        "params": [{"name": HELD, "value": {}}],
        "datasets": {name: rows for panel in panels for name, rows in panel.data.items()},
        "usermeta": {**chart["usermeta"], "panels": shown},
        "resolve": {"scale": {"x": "shared", "color": "independent"}},
    }


def above_each_other(
    title: dict[str, list[str]], description: str, views: list[dict[str, Any]], spacing: int = 8
) -> Chart:
    """Views above each other."""
    return {
        "$schema": SCHEMA,
        "title": title,
        "description": description,
        "config": CONFIG,
        "padding": 12,
        "usermeta": {"least": 160, "most": 1200},
        "spacing": spacing,
        "vconcat": [{"width": WIDTH, **view} for view in views],
        "resolve": {"scale": {"color": "independent"}},
    }


def _all_chart(explanation: Explanation) -> Chart:
    """The first `MOST` sequences, one above the other."""
    count = min(MOST, len(explanation))
    which = "" if len(explanation) == 1 else f"{len(explanation)} sequences"
    which = f"the first {count} of {which}" if count < len(explanation) else which or "one sequence"
    head = f"{explanation.model}, version {explanation.version}: {which}"
    if explanation.sequences is None:
        views = [
            {"title": _row_title(explanation, index), **matrix_view(explanation, index, str(index))}
            for index in range(count)
        ]
        told = " ".join(describe_matrix(explanation, index) for index in range(count))
        return above_each_other(title(head, FRAMED), told, views, spacing=20)
    longest = max(len(_sequence(explanation, index)) for index in range(count))
    panels = [panel for index in range(count) for panel in _row(explanation, index, longest)]
    found = "values and weights of each" if explanation.attention is not None else NO_ATTENTION
    told = f"{head}. " + " ".join(_row_words(explanation, index) for index in range(count))
    return stacked(title(head, found), told, over_time(panels, longest))


def _row(explanation: Explanation, index: int, span: int) -> list[Panel]:
    """One of many sequences: its values, small, and its weights."""
    sequence, names = _sequence(explanation, index), explanation.features
    sizes = (
        None if explanation.attention is None else weights_of(steps(explanation.attention[index]), f"weights-{index}")
    )
    values = overview_panel(f"-{index}", sequence, names, [] if sizes is None else sizes.top, span)
    values.view["title"] = _row_title(explanation, index)
    return [values] if sizes is None else [values, bars_panel(sizes, 40, span)]


def _row_title(explanation: Explanation, index: int) -> dict[str, Any]:
    return {"text": f"{index}: {outcome(explanation, index)}", "fontSize": 12, "anchor": "start", "offset": 16}


def _row_words(explanation: Explanation, index: int) -> str:
    if explanation.attention is None:
        return f"Sequence {index}: {outcome(explanation, index)}."
    told = weights_of(steps(explanation.attention[index])).told()
    return f"Sequence {index}: {outcome(explanation, index)}, most weight on step {enumerate_steps(told)}."
