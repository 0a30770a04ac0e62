"""The values of a sequence as lines: of few features in one panel, of many in one each."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import altair as alt
import numpy as np

from service.arrays import FloatArray
from service.explanations.charts.chart import Row
from service.explanations.charts.names import labels
from service.explanations.charts.panels import COLUMNS, LANES, SIDE, Shared, apart, group
from service.explanations.charts.stacking import Panel, held, identifier
from service.explanations.charts.words import NAME, Mark, short

TOGETHER = 4  # features that share a panel; of more, each has its own
DASHES = [[1, 0], [6, 3], [2, 2], [9, 3, 2, 3]]
EDGE = alt.XValue("width")  # type: ignore[no-untyped-call]
LANE, LARGE, SMALL = 26, 150, 50  # pixels of a panel


def value_panels(sequence: FloatArray, names: Sequence[str], top: Sequence[Mark]) -> list[Panel]:
    """The values of a sequence as lines: of few features in one panel, of many in one each.

    Args:
        sequence: `(time, feature)`.
        top: steps that are marked, the most important first.
    """
    if len(names) <= TOGETHER:
        return [_together("", sequence, names, top, LARGE, Shared(len(sequence)))]
    shown, last = names[:LANES], len(sequence) - 1
    ends = zip(shown, labels(shown), sequence[-1].tolist(), strict=False)
    data = {
        "values": _rows(sequence, shown),
        "top": top_rows(top, len(sequence)),
        "ends": [{"step": last, "feature": name, "value": value, "name": label} for name, label, value in ends],
    }
    layers = [_lane(lane, sequence[:, lane], name) for lane, name in enumerate(shown)]
    layers[0].append(step_names("top"))
    return [Panel("values", layers[lane], data, LANE, [name], name=f"values_{lane}") for lane, name in enumerate(shown)]


def overview_panel(
    suffix: str,
    sequence: FloatArray,
    names: Sequence[str],
    top: Sequence[Mark],
    shared: Shared,
    title: alt.Title,
    height: int = SMALL,
) -> Panel:
    """The values of a sequence in one small panel; of many features without their names.

    Args:
        suffix: of the names of the data.
    """
    if len(names) <= TOGETHER:
        return replace(_together(suffix, sequence, names, top, height, shared), title=title)
    panel = identifier(f"values{suffix}")
    y = alt.Y("value:Q", title="value", scale=_scale(panel, sequence, True, shared.values))
    y = y.axis(tickCount=2, minExtent=SIDE)
    lines = alt.Chart(alt.NamedData(f"values{suffix}")).encode(y=y, detail=alt.Detail("feature:N"))
    layers = [
        _rules(f"top{suffix}"),
        lines.mark_line(style="line", strokeWidth=1, strokeOpacity=0.6),
        step_names(f"top{suffix}"),
    ]
    values = _rows(sequence, names[:LANES], shared.columns)
    data = {f"values{suffix}": values, f"top{suffix}": top_rows(top, shared.span)}
    return Panel("values", layers, data, height, names[:LANES], name=panel, title=title)


def _together(
    suffix: str, sequence: FloatArray, names: Sequence[str], top: Sequence[Mark], height: int, shared: Shared
) -> Panel:
    """All features in one panel; each has its own dashes and its name at its end."""
    panel, large = identifier(f"values{suffix}"), height == LARGE
    named = short(names[0], NAME) if len(names) == 1 and large else "value"
    y = alt.Y("value:Q", title=named, scale=_scale(panel, sequence, True, shared.values))
    y = y.axis(tickCount=4 if large else 2, minExtent=SIDE, titleLimit=height)
    color = alt.Color("feature:N").sort(None).scale(domain=list(names), range="category").legend(None)
    dash = alt.StrokeDash("feature:N").sort(None).scale(domain=list(names), range=DASHES[: len(names)]).legend(None)
    lines = (
        alt.Chart(alt.NamedData(f"values{suffix}"))
        .mark_line(strokeWidth=1.5, point=alt.OverlayMarkDef(size=14) if len(sequence) <= 100 else False)
        .encode(y=y, color=color, strokeDash=dash)
    )
    ends = (
        alt.Chart(alt.NamedData(f"ends{suffix}"))
        .mark_text(align="left", dx=6, limit=84)
        .encode(y=y, text=alt.Text("name:N"), color=color)
    )
    layers = [_rules(f"top{suffix}"), lines, step_names(f"top{suffix}")]
    data = {f"values{suffix}": _rows(sequence, names, shared.columns), f"top{suffix}": top_rows(top, shared.span)}
    if len(names) > 1:
        layers.append(ends)
        data[f"ends{suffix}"] = _line_ends(sequence, names, height, shared.values or ends_of(sequence))
    return Panel("values", layers, data, height, names, name=panel)


def _lane(lane: int, values: FloatArray, name: str) -> list[alt.Chart]:
    """One of many features `(time,)`: a narrow panel with its own scale, the name beside its line."""
    own = alt.FieldEqualPredicate(equal=name, field="feature")
    y = alt.Y("value:Q", title=None, scale=_scale(f"values_{lane}", values, nice=False))
    y = y.axis(values=list(ends_of(values)), format=".3~g", minExtent=SIDE, labelFontSize=9, labelOverlap=False)
    line = (
        alt.Chart(alt.NamedData("values"))
        .transform_filter(own)
        .mark_line(style="line", strokeWidth=1.25, point=len(values) == 1)
        .encode(y=y)
    )
    label = (
        alt.Chart(alt.NamedData("ends"))
        .transform_filter(own)
        .mark_text(align="left", dx=6, limit=84)
        .encode(x=EDGE, text=alt.Text("name:N"))
    )
    return [_rules("top"), line, label]


def _rules(name: str) -> alt.Chart:
    """A vertical line at each top step."""
    rules: alt.Chart = alt.Chart(alt.NamedData(name)).mark_rule(style="rule")
    return rules


def step_names(name: str) -> alt.Chart:
    """The numbers of the top steps, above the panel."""
    names: alt.Chart = alt.Chart(alt.NamedData(name)).mark_text(style="name", baseline="bottom", y=0, dy=-2)
    return names.encode(text=alt.Text("text:N"))


def _scale(panel: str, values: FloatArray, nice: bool, within: tuple[float, float] | None = None) -> alt.Scale:
    """From the smallest to the largest value, whatever they become, or as the ends say; values that are all the same
    are in the middle.
    """
    scale = alt.Scale(zero=False, nice=nice, domainRaw=held(panel))
    if within is not None or values.min() == values.max():
        scale.domain = list(within or ends_of(values))
    return scale


def ends_of(values: FloatArray) -> tuple[float, float]:
    """The smallest and the largest value, further apart where they are the same."""
    low, high = float(values.min()), float(values.max())
    apart = 0.0 if low < high else max(0.5, 0.1 * abs(low))
    return low - apart, high + apart


def _rows(sequence: FloatArray, names: Sequence[str], columns: int = COLUMNS) -> list[Row]:
    return [
        {"step": step, "feature": name, "value": float(sequence[step, column])}
        for column, name in enumerate(names)
        for step in _thinned(sequence[:, column], columns)
    ]


def _thinned(values: FloatArray, columns: int) -> list[int]:
    """Steps that a line `(time,)` needs in order to look as with all: of neighbours the smallest and the largest."""
    every = group(len(values), columns)
    if every == 1:
        return list(range(len(values)))
    kept = {0, len(values) - 1}
    for start in range(0, len(values), 2 * every):
        part = values[start : start + 2 * every]
        kept |= {start + int(part.argmin()), start + int(part.argmax())}
    return sorted(kept)


def top_rows(top: Sequence[Mark], span: int) -> list[Row]:
    """The top steps, with their number where there is room for it."""
    names = {one: one.name.replace(" to ", "\N{EN DASH}") for one in top}
    named = apart(top, span, max(map(len, names.values()), default=0))
    return [{"step": one.middle, "text": names[one] if one in named else ""} for one in top]


def _line_ends(sequence: FloatArray, names: Sequence[str], height: int, within: tuple[float, float]) -> list[Row]:
    """Places for the names of the lines, at their ends and not on top of each other."""
    low, high = within
    room = 13 / height * (high - low)
    order = np.argsort(sequence[-1], kind="stable")
    places = sequence[-1].astype(np.float64)
    for below, above in pairwise(order):
        places[above] = max(places[above], places[below] + room)
    for below, above in pairwise(order[::-1]):  # what was pushed out at the top comes back, and pushes the others down
        places[below] = min(places[below], high)
        places[above] = min(places[above], places[below] - room)
    step = len(sequence) - 1
    named = zip(names, labels(names), places.tolist(), strict=True)
    return [{"step": step, "feature": name, "value": place, "name": label} for name, label, place in named]
