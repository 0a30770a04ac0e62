"""Panels above each other on one axis of steps: what every chart over time is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import altair as alt
from altair.utils.schemapi import debug_mode

from service.explanations.charts.chart import PADDING, WIDTHS, Chart, Data

WIDTH = 640  # pixels, which a page may change with `view.width(...)`: all panels share that signal
HELD = "held"  # the parameter that holds axes, see choosing.py


@dataclass(frozen=True)
class Panel:
    """Layers on the same axes.

    Attributes:
        kind: what they show; see `stacked`.
        layers: without an x axis, except those that are not at steps.
        data: rows, by the name of the data.
        features: that are shown, where features are.
        name: by which the scale of its values is called, `{name}_y`.
        height: pixels.
    """

    kind: Literal["values", "characters", "heat", "weights", "changes", "profile", "counts", "difference"]
    layers: Sequence[alt.Chart]
    data: Data
    height: int
    features: Sequence[str] = ()
    name: str | None = None
    title: alt.Title | None = None


def identifier(name: str) -> str:
    """The name of a panel of this data."""
    return name.replace("-", "_")


def held(panel: str) -> alt.ExprRef:
    """Where the axis of a panel ends, if a page holds it."""
    return alt.ExprRef(f"{HELD}.{panel}")


def stacked(title: alt.Title, description: str, panels: Sequence[Panel], length: int, width: int = WIDTH) -> Chart:
    """Panels above each other on one axis of so many steps, and their data: a page may change each of them, with
    `view.data(name, rows)`.

    Returns:
        A chart whose `usermeta` says which widths it fits, and in `panels` what is drawn from the top down: the `kind`
        of each, its `features`, and its `name`.
    """
    shown = [{"kind": one.kind, "features": list(one.features), "name": one.name} for one in panels]
    view = alt.vconcat(
        *(_view(panel, length, width, last=panel is panels[-1]) for panel in panels),
        title=title,
        description=description,
        padding=PADDING,
        spacing=8,
        params=[alt.param(name=HELD, value={}).param],
        usermeta={**WIDTHS, "panels": shown},
        resolve=alt.Resolve(scale=alt.ScaleResolveMap(x="shared", color="independent", strokeDash="independent")),
    )
    return Chart(view, {name: rows for panel in panels for name, rows in panel.data.items()})


def _view(panel: Panel, length: int, width: int, last: bool) -> alt.LayerSpec:
    """A panel on the axis of steps, which is written out beneath the last.

    No `alt.layer(...)`, which `alt.vconcat` would copy a dozen times, with all that is in it.
    """
    ticks: dict[str, Any] = {"values": [0]} if length == 1 else {"tickMinStep": 1, "format": "d"}
    x = alt.X("step:Q").scale(domain=[-0.5, length - 0.5], nice=False, padding=0)
    x = x.axis(title="step", **ticks) if last else x.axis(None)
    with debug_mode(False):  # it is held against the schema as a part of the whole
        return alt.LayerSpec(
            layer=panel.layers,
            encoding={"x": x},
            name=panel.name or alt.Undefined,
            title=panel.title or alt.Undefined,
            width=width,
            height=panel.height,
        )
