"""How the explanation of one sequence or text is drawn: the page shows a chart in the browser, and the server makes SVG
and PNG of the same one.
"""

from service.arrays import FloatArray
from service.explanations.charts.characters import characters_panel
from service.explanations.charts.chart import Chart, title
from service.explanations.charts.choosing import with_choices
from service.explanations.charts.left_out import LeftOut, in_words
from service.explanations.charts.lines import value_panels
from service.explanations.charts.matrix import matrix_chart
from service.explanations.charts.names import beginning
from service.explanations.charts.panels import LANES, bars_panel, group, heat_panel
from service.explanations.charts.sizes import Sizes, changes_of, weights_of
from service.explanations.charts.stacking import WIDTH, Panel, stacked
from service.explanations.charts.words import (
    LABEL,
    NO_ATTENTION,
    Mark,
    describe,
    describe_values,
    heading,
    sentence,
    short,
)
from service.explanations.record import Explanation, steps

WEIGHS, CHANGES = "Most weight lies on", "The prediction changes most without"


def explanation_chart(
    explanation: Explanation, index: int, left_out: LeftOut | None = None, width: int = WIDTH
) -> Chart:
    """A sequence: its features as lines over time, its weights as a heat band and as bars on the same axis.

    Args:
        explanation: without inputs its weights are drawn alone.
        index: which sequence of the explanation.
        left_out: drawn beneath, but not of text.
        width: pixels, but not of text.

    Returns:
        A chart. Of a model without attention, the lines and a title that says so; of text, that of `matrix.py`.
    """
    if explanation.texts is not None:
        return matrix_chart(explanation, index)
    changes = None if left_out is None else changes_of(left_out)
    beneath = [] if changes is None else [bars_panel(changes)]
    more = "" if changes is None else f" {_without(changes)}"
    if explanation.attention is None:
        panels = [*_inputs(explanation, index, []), *beneath]
        told = f"{describe(explanation, index)} {sentence(NO_ATTENTION)}{more}"
        return _chart(explanation, index, panels, NO_ATTENTION, told, left_out, width)
    attention = explanation.attention[index]
    sizes = weights_of(steps(attention))
    rows = explanation.features if attention.ndim == 2 else ["weight"]
    heat = heat_panel(attention if attention.ndim == 2 else attention[:, None], rows)
    panels = [*_inputs(explanation, index, sizes.top), heat, bars_panel(sizes), *beneath]
    told = describe_values(explanation, index, sizes.top, WEIGHS, sizes.nothing) + more
    return _chart(explanation, index, panels, sizes.found(), told, left_out, width)


def occlusion_chart(explanation: Explanation, index: int, left_out: LeftOut) -> Chart:
    """One sequence or text as in `explanation_chart`, with what leaving out each step changes in place of weights."""
    sizes = changes_of(left_out)
    heat = heat_panel(sizes.values[:, None], ["change"], "change-cells", "ramp", sizes.least)
    panels = [*_inputs(explanation, index, sizes.top), heat, bars_panel(sizes)]
    told = describe_values(explanation, index, sizes.top, CHANGES, sizes.nothing)
    return _chart(explanation, index, panels, sizes.found(), told, left_out)


def faithfulness_chart(
    explanation: Explanation, index: int, weights: FloatArray, left_out: LeftOut, verdict: str
) -> Chart:
    """One sequence, its weights and what leaving out each step changes, one above the other on the same axis.

    Args:
        weights: `(time,)`.
        verdict: what was found.
    """
    heavy, changing = weights_of(weights), changes_of(left_out)
    told = describe_values(explanation, index, heavy.top, WEIGHS, heavy.nothing)
    panels = [*_inputs(explanation, index, heavy.top), bars_panel(heavy), bars_panel(changing)]
    told = f"{told} {_without(changing)} {sentence(verdict)}"
    return _chart(explanation, index, panels, verdict, told, left_out)


def _without(changes: Sizes) -> str:
    return sentence(f"the prediction {changes.found()}" if changes.top else changes.nothing)


def _inputs(explanation: Explanation, index: int, top: list[Mark]) -> list[Panel]:
    """The values of a sequence, or the characters of a text; nothing where they are not kept."""
    if explanation.texts is not None:
        return [characters_panel(explanation.texts[index], top)]
    sequences = explanation.sequences
    return [] if sequences is None else value_panels(sequences[index], explanation.features, top)


def _chart(
    explanation: Explanation,
    index: int,
    panels: list[Panel],
    found: str,
    told: str,
    left_out: LeftOut | None,
    width: int = WIDTH,
) -> Chart:
    removed = "" if left_out is None else in_words(explanation, left_out)
    told = f"{told} {sentence(removed)}" if removed else told
    head = title(heading(explanation, index), found, removed, _drawn(explanation, index))
    return stacked(head, told, with_choices(panels), explanation.length(index), width)


def _drawn(explanation: Explanation, index: int) -> str:
    """What is not drawn, or not written in full; empty where all is."""
    names, told = explanation.features, []
    if (every := group(explanation.length(index))) > 1:
        told.append(f"of {every} neighbouring steps the largest is drawn")
    if len(names) > LANES:
        told.append(f"the first {LANES} of {len(names)} features are drawn")
    if start := beginning(names[:LANES]):
        told.append(f"the names of the features begin with {short(start, LABEL)!r}")
    return "; ".join(told)
