"""How the explanations of one request are drawn: the page shows a chart in the browser, and the server makes SVG and
PNG of the same one.
"""

import altair as alt
import numpy as np
from numpy.typing import NDArray

from service.arrays import FloatArray
from service.explanations.charts.chart import Chart, title
from service.explanations.charts.choosing import with_choices
from service.explanations.charts.lines import characters_panel, overview_panel, value_panels
from service.explanations.charts.matrix import FRAMED, describe_matrix, matrices_chart, matrix_chart
from service.explanations.charts.panels import LANES, Sizes, bars_panel, changes_of, group, heat_panel, weights_of
from service.explanations.charts.stacking import WIDTH, Panel, stacked
from service.explanations.charts.words import NOTHING, describe_values, enumerate_steps, heading, outcome
from service.explanations.faithfulness import EFFECT
from service.explanations.record import Explanation, steps

NO_ATTENTION = "this model has no attention"


def explanation_chart(
    explanation: Explanation, index: int, changes: NDArray[np.float64] | None = None, width: int = WIDTH
) -> Chart:
    """A sequence: its features as lines over time, its weights as a heat band and as bars on the same axis.

    Args:
        explanation: without inputs its weights are drawn alone.
        index: which sequence of the explanation.
        changes: `(time,)`, what leaving out each step changes: drawn beneath, but not of text.
        width: pixels, but not of text.

    Returns:
        A chart. Of a model without attention, the lines and a title that says so; of text, that of `matrix.py`.
    """
    if explanation.texts is not None:
        return matrix_chart(explanation, index)
    left_out = None if changes is None else changes_of(changes, EFFECT)
    beneath = [] if left_out is None else [bars_panel(left_out)]
    if explanation.attention is None:
        panels = [*_inputs(explanation, index, []), *beneath]
        return _chart(explanation, index, panels, NO_ATTENTION, f"{NO_ATTENTION.capitalize()}.", width)
    attention = explanation.attention[index]
    sizes = weights_of(steps(attention))
    rows = explanation.features if attention.ndim == 2 else ["weight"]
    heat = heat_panel(attention if attention.ndim == 2 else attention[:, None], rows)
    panels = [*_inputs(explanation, index, sizes.top), heat, bars_panel(sizes), *beneath]
    found = "most weight on step " + enumerate_steps(sizes.told())
    told = describe_values(explanation, index, sizes.told(), "Most weight lies on")
    told += "" if left_out is None else f" {_without(left_out)}"
    return _chart(explanation, index, panels, found, told, width)


def occlusion_chart(explanation: Explanation, index: int, changes: NDArray[np.float64]) -> Chart:
    """One sequence or text as in `explanation_chart`, with what leaving out each step changes in place of weights.

    Args:
        changes: `(time,)`.
    """
    sizes = changes_of(changes, EFFECT)
    heat = heat_panel(changes[:, None], ["change"], "change-cells", "ramp")
    panels = [*_inputs(explanation, index, sizes.top), heat, bars_panel(sizes)]
    told = describe_values(explanation, index, sizes.told(), "The prediction changes most without")
    return _chart(explanation, index, panels, _changes_most(sizes), told)


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
    told = describe_values(explanation, index, heavy.told(), "Most weight lies on")
    panels = [*_inputs(explanation, index, heavy.top), bars_panel(heavy), bars_panel(changing)]
    return _chart(explanation, index, panels, verdict, f"{told} {_without(changing)} {verdict.capitalize()}.")


def all_chart(explanation: Explanation, count: int) -> Chart:
    """The sequences of a request, smaller, one above the other.

    Args:
        explanation: of `MOST` sequences at most.
        count: of all sequences of the request.
    """
    shown = len(explanation)
    which = f"the first {shown} of {count} sequences" if shown < count else f"{count} sequences"
    head = f"{explanation.model}, version {explanation.version}: {'one sequence' if count == 1 else which}"
    if explanation.sequences is None:
        told = " ".join(describe_matrix(explanation, index) for index in range(shown))
        texts = [(explanation, index, str(index), _row_title(explanation, index)) for index in range(shown)]
        return matrices_chart(title(head, FRAMED), told, texts)
    longest = max(len(sequence) for sequence in explanation.sequences)
    panels = [panel for index in range(shown) for panel in _row(explanation, index, longest)]
    found = "values and weights of each" if explanation.attention is not None else NO_ATTENTION
    told = f"{head}. " + " ".join(_row_words(explanation, index) for index in range(shown))
    return stacked(title(head, found), told, panels, longest)


def _without(sizes: Sizes) -> str:
    return f"The prediction {_changes_most(sizes)}." if sizes.top else f"{NOTHING.capitalize()}."


def _changes_most(sizes: Sizes) -> str:
    return f"changes most without step {enumerate_steps(sizes.told())}" if sizes.top else NOTHING


def _inputs(explanation: Explanation, index: int, top: list[int]) -> list[Panel]:
    """The values of a sequence, or the characters of a text; nothing where they are not kept."""
    if explanation.texts is not None:
        return [characters_panel(explanation.texts[index], top)]
    sequences = explanation.sequences
    return [] if sequences is None else value_panels(sequences[index], explanation.features, top)


def _chart(
    explanation: Explanation, index: int, panels: list[Panel], found: str, told: str, width: int = WIDTH
) -> Chart:
    length, features = explanation.length(index), len(explanation.features)
    if (every := group(length)) > 1:
        found += f"; of {every} neighbouring steps the largest is drawn"
    if features > LANES:
        found += f"; the first {LANES} of {features} features are drawn"
    return stacked(title(heading(explanation, index), found), told, with_choices(panels), length, width)


def _row(explanation: Explanation, index: int, span: int) -> list[Panel]:
    """One of many sequences: its values, small, and its weights."""
    sequence, names, head = (explanation.sequences or [])[index], explanation.features, _row_title(explanation, index)
    if explanation.attention is None:
        return [overview_panel(f"-{index}", sequence, names, [], span, head)]
    sizes = weights_of(steps(explanation.attention[index]), f"weights-{index}")
    values = overview_panel(f"-{index}", sequence, names, sizes.top, span, head)
    return [values, bars_panel(sizes, 40, span)]


def _row_title(explanation: Explanation, index: int) -> alt.Title:
    return alt.Title(f"{index}: {outcome(explanation, index)}", fontSize=12, anchor="start", offset=16)


def _row_words(explanation: Explanation, index: int) -> str:
    if explanation.attention is None:
        return f"Sequence {index}: {outcome(explanation, index)}."
    told = weights_of(steps(explanation.attention[index])).told()
    return f"Sequence {index}: {outcome(explanation, index)}, most weight on step {enumerate_steps(told)}."
