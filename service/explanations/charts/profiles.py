"""Many explanations as one picture: the weights by step with their spread, and how often each step is the heaviest."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import altair as alt
import numpy as np
from numpy.typing import NDArray

from service.arrays import FloatArray
from service.explanations.charts.chart import PADDING, WIDTHS, Chart, title
from service.explanations.charts.panels import SIDE, bars_panel, group
from service.explanations.charts.sizes import Sizes, weights_of
from service.explanations.charts.stacking import WIDTH, Panel, stacked
from service.explanations.charts.words import LABEL, Mark, count, sentence, short

LEGEND = "line: median; dashes: mean; dark band: the middle half; light band: the middle 90%"
QUANTILES = ("0.05", "0.25", "0.5", "0.75", "0.95")
FEW = 0.05  # of the sequences: steps that fewer have are not drawn


def summary_chart(summary: Mapping[str, Any]) -> Chart:
    """The profile of `GET /attention/summary`.

    Args:
        summary: its answer, see `SummaryResponse`: `steps` with `mean`, `quantiles`, `count`, and `share`, of the
            sequences whose heaviest step it is.
    """
    every: Sequence[Mapping[str, Any]] = summary["steps"]
    head = f"Weights of {_which(summary)} in {count(summary['count'], 'sequence')}"
    if not every:
        return _nothing(head)
    found = [step for step in every if step["count"] >= FEW * summary["count"]]
    average = replace(weights_of(_column(found, "mean")), most="on average most weight lies on")
    often = replace(
        weights_of(_column(found, "share"), "heaviest"),
        kind="counts",
        title="is heaviest in",
        most="most often heaviest:",
    )
    panels = [_profile(found, often.top), bars_panel(often)]
    counts = _column(found, "count")
    if counts.min() < counts.max():
        sequences = Sizes("counts", "counts", counts, "sequences", "rest", "rest", str, "~s", marked=0)
        panels.append(bars_panel(sequences, 50))
    less = _not_drawn(len(found), len(every))
    told = [f"{head}, by step.", *(sentence(one) for one in (average.found(), often.found(), less) if one)]
    return stacked(title(head, often.found(), LEGEND, less), " ".join(told), panels, len(found))


def _column(found: Sequence[Mapping[str, Any]], name: str) -> FloatArray:
    return np.array([step[name] for step in found], np.float32)


def _not_drawn(steps: int, of: int) -> str:
    """What is not drawn, in words; empty where all is."""
    told = []
    if steps < of:
        few = f"which fewer than {FEW:.0%} of the sequences have"
        told.append(f"not drawn: {count(of - steps, 'step')} from {steps} on, {few}")
    if (every := group(steps)) > 1:
        told.append(f"of {every} neighbouring steps the mean is drawn, of bars the largest")
    return "; ".join(told)


def _which(summary: Mapping[str, Any]) -> str:
    texts = {"model": "{}", "version": "version {}", "label": "where it predicts {}"}
    known = {field: short(str(summary[field]), LABEL) for field in texts if summary.get(field) is not None}
    named = [texts[field].format(value) for field, value in known.items()]
    return ", ".join(named) or "all models"


def _profile(found: Sequence[Mapping[str, Any]], top: Sequence[Mark]) -> Panel:
    """Quantiles of the weights as bands around their median."""
    every = group(len(found))
    columns = {name: np.array([step["quantiles"][name] for step in found]) for name in QUANTILES}
    columns["mean"] = np.array([step["mean"] for step in found])
    thin = {name: _means(values, every) for name, values in columns.items()}
    names = {"0.05": "q05", "0.25": "q25", "0.5": "median", "0.75": "q75", "0.95": "q95", "mean": "mean"}
    rows = [
        {"step": row * every, **{names[name]: float(values[row]) for name, values in thin.items()}}
        for row in range(len(thin["mean"]))
    ]
    profile = alt.Chart(alt.NamedData("profile"))
    point = len(rows) == 1
    layers = [
        profile.mark_area(style="wide").encode(y=_weight("q05"), y2=alt.Y2("q95")),
        profile.mark_area(style="narrow").encode(y=_weight("q25"), y2=alt.Y2("q75")),
        alt.Chart(alt.NamedData("top")).mark_rule(style="rule"),
        profile.mark_line(style="line", point=point).encode(y=_weight("median")),
        profile.mark_line(style="mean", strokeDash=[5, 3], point=point).encode(y=_weight("mean")),
    ]
    return Panel("profile", layers, {"profile": rows, "top": [{"step": one.middle} for one in top]}, height=180)


def _weight(field: str) -> alt.Y:
    return alt.Y(f"{field}:Q").title("weight").axis(tickCount=4, format="~%", minExtent=SIDE).scale(domainMin=0)


def _means(values: NDArray[np.float64], every: int) -> NDArray[np.float64]:
    """The mean of so many neighbours each."""
    starts = np.arange(0, len(values), every)
    sums: NDArray[np.float64] = np.add.reduceat(values, starts)
    return sums / np.diff([*starts, len(values)])


def _nothing(head: str) -> Chart:
    text = alt.Chart(alt.NamedData("nothing")).mark_text(text="no explanations are kept of these", fontSize=13)
    view = alt.LayerChart(
        layer=[text],
        title=title(head, "there are none yet"),
        description=f"{head}: there are none yet.",
        width=WIDTH,
        height=40,
        padding=PADDING,
        usermeta={**WIDTHS, "panels": [{"kind": "nothing", "features": [], "name": None}]},
    )
    return Chart(view, {"nothing": [{}]})
