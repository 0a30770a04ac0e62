"""What a page lets one choose and change in the chart of a sequence: layers whose data are empty in every picture.

    picked          {step}: the chosen step, a line through all panels
    masked          {step, end}: bounds of the steps that are masked, shaded through all panels
    before          {step, feature, value}: the chosen feature as it was
    weights-before  {step, end, size}: where the bars of the weights ended

The axes of values and weights follow their data, unless the parameter `held` says where they end, by the names of
panels: `{name: [low, high]}`.
"""

from collections.abc import Sequence

from service.explanations.panels import Layer, Panel


def add_choices(panels: Sequence[Panel]) -> None:
    """Adds the layers to the panels."""
    for panel in panels:
        below, above = [_masked()], [_picked()]
        panel.data.update(masked=[], picked=[])
        if panel.kind == "values":
            above.append(_line_before(panel))
            panel.data["before"] = []
        if panel.kind == "weights":
            above.append(_sizes_before(panel))
            panel.data["weights-before"] = []
        panel.view["layer"] = [*below, *panel.view["layer"], *above]


def _masked() -> Layer:
    return {
        "data": {"name": "masked"},
        "mark": {"type": "rect", "style": "masked"},
        "encoding": {"x2": {"field": "end"}, "y": {"value": 0}, "y2": {"value": "height"}},
    }


def _picked() -> Layer:
    return {"data": {"name": "picked"}, "mark": {"type": "rule", "style": "picked"}, "encoding": {}}


def _line_before(panel: Panel) -> Layer:
    shown = {"field": "feature", "oneOf": list(panel.features)}
    return {
        "data": {"name": "before"},
        "transform": [{"filter": shown}],
        "mark": {"type": "line", "style": "before", "y": _height(panel, "value")},
        "encoding": {},
    }


def _sizes_before(panel: Panel) -> Layer:
    return {
        "data": {"name": "weights-before"},
        "mark": {"type": "rule", "style": "before", "y": _height(panel, "size")},
        "encoding": {"x2": {"field": "end"}},
    }


def _height(panel: Panel, field: str) -> dict[str, str]:
    """Where this is on the axis, which does not depend on it: of no data Vega complains."""
    return {"expr": f"scale('{panel.view['name']}_y', datum.{field})"}
