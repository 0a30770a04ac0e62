"""The values of a sequence as lines: of few features in one panel, of many in one each."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import altair as alt
import numpy as np

from service.arrays import FloatArray
from service.explanations.charts.chart import Row
from service.explanations.charts.panels import LANES, SIDE, apart, group
from service.explanations.charts.stacking import Panel, held, identifier

TOGETHER = 4  # features that share a panel; of more, each has its own
DASHES = [[1, 0], [6, 3], [2, 2], [9, 3, 2, 3]]
EDGE = alt.XValue("width")  # type: ignore[no-untyped-call]
LANE, LARGE, SMALL = 26, 150, 50  # pixels of a panel


def value_panels(sequence: FloatArray, names: Sequence[str], top: Sequence[int]) -> list[Panel]:
    """The values of a sequence as lines: of few features in one panel, of many in one each.

    Args:
        sequence: `(time, feature)`.
        top: steps that are marked, the most important first.
    """
    if len(names) <= TOGETHER:
        return [_together("", sequence, names, top, LARGE, len(sequence))]
    shown, last = names[:LANES], len(sequence) - 1
    ends = zip(shown, sequence[-1].tolist(), strict=False)
    data = {
        "values": _rows(sequence, shown),
        "top": _top(top, len(sequence)),
        "ends": [{"step": last, "feature": name, "value": value} for name, value in ends],
    }
    layers = [_lane(lane, sequence[:, lane], name) for lane, name in enumerate(shown)]
    layers[0].append(_step_names("top"))
    return [Panel("values", layers[lane], data, LANE, [name], name=f"values_{lane}") for lane, name in enumerate(shown)]


def characters_panel(text: str, top: Sequence[int]) -> Panel:
    """The characters of a text, one for each step."""
    values = [{"step": step, "character": character} for step, character in enumerate(text)]
    characters = alt.Chart(alt.NamedData("characters")).encode(text=alt.Text("character:N"))
    characters = characters.mark_text(style="name", fontSize=14, baseline="middle")
    data = {"characters": values, "top": _top(top, len(text))}
    return Panel("characters", [characters, _step_names("top")], data, height=28)


def overview_panel(
    suffix: str,
    sequence: FloatArray,
    names: Sequence[str],
    top: Sequence[int],
    span: int,
    title: alt.Title,
    height: int = SMALL,
) -> Panel:
    """The values of a sequence in one small panel; of many features without their names.

    Args:
        suffix: of the names of the data.
        span: steps of the axis.
    """
    if len(names) <= TOGETHER:
        return replace(_together(suffix, sequence, names, top, height, span), title=title)
    y = alt.Y("value:Q").scale(zero=False).axis(tickCount=2, minExtent=SIDE)
    lines = alt.Chart(alt.NamedData(f"values{suffix}")).encode(y=y, detail=alt.Detail("feature:N"))
    layers = [
        _rules(f"top{suffix}"),
        lines.mark_line(style="line", strokeWidth=1, opacity=0.6),
        _step_names(f"top{suffix}"),
    ]
    data = {f"values{suffix}": _rows(sequence, names[:LANES]), f"top{suffix}": _top(top, span)}
    return Panel("values", layers, data, height, names[:LANES], title=title)


def _together(
    suffix: str, sequence: FloatArray, names: Sequence[str], top: Sequence[int], height: int, span: int
) -> Panel:
    """All features in one panel; each has its own dashes and its name at its end."""
    panel, large = identifier(f"values{suffix}"), height == LARGE
    named = names[0] if len(names) == 1 and large else "value"
    y = alt.Y("value:Q", title=named, scale=_scale(panel, sequence, nice=True))
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
        .encode(y=y, text=alt.Text("feature:N"), color=color)
    )
    layers = [_rules(f"top{suffix}"), lines, _step_names(f"top{suffix}")]
    data = {f"values{suffix}": _rows(sequence, names), f"top{suffix}": _top(top, span)}
    if len(names) > 1:
        layers.append(ends)
        data[f"ends{suffix}"] = _line_ends(sequence, names, height)
    return Panel("values", layers, data, height, names, name=panel)


def _lane(lane: int, values: FloatArray, name: str) -> list[alt.Chart]:
    """One of many features `(time,)`: a narrow panel with its own scale, the name beside its line."""
    own = alt.FieldEqualPredicate(equal=name, field="feature")
    y = alt.Y("value:Q", title=None, scale=_scale(f"values_{lane}", values, nice=False))
    y = y.axis(values=list(_ends(values)), format=".3~g", minExtent=SIDE, labelFontSize=9, labelOverlap=False)
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
        .encode(x=EDGE, text=alt.Text("feature:N"))
    )
    return [_rules("top"), line, label]


def _rules(name: str) -> alt.Chart:
    """A vertical line at each top step."""
    rules: alt.Chart = alt.Chart(alt.NamedData(name)).mark_rule(style="rule")
    return rules


def _step_names(name: str) -> alt.Chart:
    """The numbers of the top steps, above the panel."""
    names: alt.Chart = alt.Chart(alt.NamedData(name)).mark_text(style="name", baseline="bottom", y=0, dy=-2)
    return names.encode(text=alt.Text("text:N"))


def _scale(panel: str, values: FloatArray, nice: bool) -> alt.Scale:
    """From the smallest to the largest value, whatever they become; those that are all the same, in the middle."""
    scale = alt.Scale(zero=False, nice=nice, domainRaw=held(panel))
    if values.min() == values.max():
        scale.domain = list(_ends(values))
    return scale


def _ends(values: FloatArray) -> tuple[float, float]:
    """The smallest and the largest value, further apart where they are the same."""
    low, high = float(values.min()), float(values.max())
    apart = 0.0 if low < high else max(0.5, 0.1 * abs(low))
    return low - apart, high + apart


def _rows(sequence: FloatArray, names: Sequence[str]) -> list[Row]:
    return [
        {"step": step, "feature": name, "value": float(sequence[step, column])}
        for column, name in enumerate(names)
        for step in _thinned(sequence[:, column])
    ]


def _thinned(values: FloatArray) -> list[int]:
    """Steps that a line `(time,)` needs in order to look as with all: of neighbours the smallest and the largest."""
    every = group(len(values))
    if every == 1:
        return list(range(len(values)))
    kept = {0, len(values) - 1}
    for start in range(0, len(values), 2 * every):
        part = values[start : start + 2 * every]
        kept |= {start + int(part.argmin()), start + int(part.argmax())}
    return sorted(kept)


def _top(top: Sequence[int], span: int) -> list[Row]:
    """The top steps, with their number where there is room for it."""
    named = apart(top, span)
    return [{"step": step, "text": str(step) if step in named else ""} for step in top]


def _line_ends(sequence: FloatArray, names: Sequence[str], height: int) -> list[Row]:
    """Places for the names of the lines, at their ends and not on top of each other."""
    low, high = _ends(sequence)
    room = 13 / height * (high - low)
    order = np.argsort(sequence[-1], kind="stable")
    places = sequence[-1].astype(np.float64)
    for below, above in pairwise(order):
        places[above] = max(places[above], places[below] + room)
    for below, above in pairwise(order[::-1]):  # what was pushed out at the top comes back, and pushes the others down
        places[below] = min(places[below], high)
        places[above] = min(places[above], places[below] - room)
    step = len(sequence) - 1
    return [{"step": step, "feature": name, "value": float(place)} for name, place in zip(names, places, strict=True)]
