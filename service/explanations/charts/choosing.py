"""What a page lets one choose and change in the chart of a sequence: layers whose data are empty in every picture.

    picked          {step}: the chosen step, a line through all panels
    masked          {step, end}: bounds of the steps that are masked, shaded through all panels
    before          {step, feature, value}: the chosen feature as it was
    weights-before  {step, end, size}: where the bars of the weights ended

The axes of values and weights follow their data, unless the parameter `held` says where they end, by the names of
panels: `{name: [low, high]}`.
"""

from collections.abc import Sequence
from dataclasses import replace

import altair as alt

from service.explanations.charts.stacking import Panel


def with_choices(panels: Sequence[Panel]) -> list[Panel]:
    """The panels with these layers."""
    return [_with_before(replace(one, layers=[_masked(), *one.layers, _picked()])) for one in panels]


def _masked() -> alt.Chart:
    masked = alt.Chart(alt.NamedData("masked")).mark_rect(style="masked", y=0, y2="height")
    drawn: alt.Chart = masked.encode(x2=alt.X2("end"))
    return drawn


def _picked() -> alt.Chart:
    picked: alt.Chart = alt.Chart(alt.NamedData("picked")).mark_rule(style="picked")
    return picked


def _with_before(panel: Panel) -> Panel:
    data = {**panel.data, "picked": [], "masked": []}
    if panel.kind == "values":
        shown = alt.FieldOneOfPredicate("feature", oneOf=list(panel.features))
        before = alt.Chart(alt.NamedData("before")).transform_filter(shown)
        line = before.mark_line(style="before", y=_height(panel, "value"))
        return replace(panel, layers=[*panel.layers, line], data={**data, "before": []})
    if panel.kind == "weights":
        before = alt.Chart(alt.NamedData("weights-before")).encode(x2=alt.X2("end"))
        ends = before.mark_rule(style="before", y=_height(panel, "size"))
        return replace(panel, layers=[*panel.layers, ends], data={**data, "weights-before": []})
    return replace(panel, data=data)


def _height(panel: Panel, field: str) -> alt.ExprRef:
    """Where this is on the axis, which does not depend on it: of no data Vega complains."""
    return alt.ExprRef(f"scale('{panel.name}_y', datum.{field})")
