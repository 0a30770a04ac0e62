"""Several sequences in one picture, above each other on axes that they share: those of a request."""

from collections.abc import Sequence

import altair as alt

from service.explanations.charts.chart import Chart, title
from service.explanations.charts.lines import TOGETHER, ends_of, overview_panel
from service.explanations.charts.matrix import FRAMED, matrices_chart
from service.explanations.charts.names import beginning
from service.explanations.charts.panels import COLUMNS, LANES, Shared, bars_panel, group
from service.explanations.charts.sizes import weights_of
from service.explanations.charts.stacking import Panel, stacked
from service.explanations.charts.words import LABEL, NO_ATTENTION, features, lines, outcome, quote, said, short
from service.explanations.record import Explanation, steps

PHONE = 47  # characters of a title that a phone has room for
VALUES, WEIGHTS = 50, 40  # pixels of a panel


def all_chart(explanation: Explanation, count: int) -> Chart:
    """The sequences of a request, smaller, one above the other.

    Args:
        explanation: of `MOST` sequences at most.
        count: of all sequences of the request.
    """
    shown, attentive = len(explanation), explanation.attention is not None
    which = f"the first {shown} of {count} sequences" if shown < count else f"{count} sequences"
    head = f"{explanation.model}, version {explanation.version}: {'one sequence' if count == 1 else which}"
    if explanation.sequences is None:
        told = " ".join([f"{head}.", *(_told_of_text(explanation, index) for index in range(shown))])
        texts = [(explanation, index, str(index), _head(explanation, index)) for index in range(shown)]
        return matrices_chart(title(head, FRAMED if attentive else NO_ATTENTION), told, texts)
    shared = share([(explanation, index) for index in range(shown)])
    panels = [
        panel
        for index in range(shown)
        for panel in panels_of(explanation, index, str(index), _head(explanation, index), shared, (VALUES, WEIGHTS))
    ]
    found = "values and weights of each" if attentive else NO_ATTENTION
    told = " ".join([f"{head}.", *(_told(explanation, index) for index in range(shown))])
    return stacked(title(head, found, drawn(explanation, shared)), told, panels, shared.span)


def share(shown: Sequence[tuple[Explanation, int]]) -> Shared:
    """What sequences share that are drawn above each other, at least one: explanations, and which sequence of each."""
    sequences = [(one.sequences or [])[index] for one, index in shown]
    ends = [ends_of(sequence) for sequence in sequences]
    names = [one.features for one, _ in shown]
    weights = [steps(one.attention[index]) for one, index in shown if one.attention is not None]
    comparable = all(each == names[0] for each in names)
    return Shared(
        span=max(map(len, sequences)),
        values=(min(low for low, _ in ends), max(high for _, high in ends)) if comparable else None,
        weight=max((float(one.max()) for one in weights), default=0.0),
        columns=COLUMNS
        * LANES
        // max(LANES, sum(min(len(each), LANES) for each in names)),  # as many as in one picture
    )


def panels_of(
    explanation: Explanation, index: int, suffix: str, head: list[str], shared: Shared, heights: tuple[int, int]
) -> list[Panel]:
    """One of several sequences: its values, small, and its weights.

    Args:
        suffix: of the names of the data.
        head: the lines of its title.
        heights: pixels of both.
    """
    above = alt.Title(head, fontSize=12, anchor="start", offset=4)
    weights = None if explanation.attention is None else steps(explanation.attention[index])
    sizes = None if weights is None else weights_of(weights, f"weights-{suffix}", shared.weight)
    sequence, top = (explanation.sequences or [])[index], [] if sizes is None else sizes.top
    values = overview_panel(f"-{suffix}", sequence, explanation.features, top, shared, above, heights[0])
    return [values] if sizes is None else [values, bars_panel(sizes, heights[1], shared)]


def drawn(explanation: Explanation, shared: Shared) -> str:
    """What the lines are, where that is not written beside them, and what of them is not drawn; empty where neither."""
    names, told = explanation.features, []
    if len(names) > TOGETHER:
        told.append(f"each line is one of {features(names)}")
    elif start := beginning(names):
        told.append(f"the names of the features begin with {short(start, LABEL)!r}")
    if len(names) > LANES:
        told.append(f"the first {LANES} of them are drawn")
    if (every := group(shared.span, shared.columns)) > 1:
        told.append(f"of {every} neighbouring steps the largest is drawn")
    return "; ".join(told)


def _head(explanation: Explanation, index: int) -> list[str]:
    return lines(f"{index}: {outcome(explanation, index)}", PHONE)


def _told(explanation: Explanation, index: int) -> str:
    told = f"Sequence {index}: {outcome(explanation, index)}"
    if explanation.attention is None:
        return f"{told}."
    return f"{told}, {weights_of(steps(explanation.attention[index])).found()}."


def _told_of_text(explanation: Explanation, index: int) -> str:
    read = quote((explanation.texts or [])[index])
    return f"Text {index}: {said(explanation, index)}, read from {read}."
