"""The colours of charts, as themes of Altair. A chart names its marks by style (`top`, `rest`, `rule`, ...), and a
theme gives these colours: a chart is the same in all themes, and a page changes the theme without asking for it again.
"""

from dataclasses import dataclass
from typing import Any, cast

import altair as alt

from service.explanations.charts.formats import ThemeName


@dataclass(frozen=True)
class Colours:
    """The colours of a theme.

    Attributes:
        first, second: of weights, and of what leaving out a step changes; told apart without red and green.
        first_rest, second_rest: the same of steps that are not among the top.
        lines: of features, which differ in their dashes and are named at their ends as well.
    """

    background: str
    ink: str
    faint: str
    grid: str
    first: str
    first_rest: str
    second: str
    second_rest: str
    lines: tuple[str, ...]


LIGHT = Colours(
    background="white",
    ink="#1f2933",
    faint="#616e7c",
    grid="#f0f4f8",
    first="#1c64f2",
    first_rest="#a3bbdd",
    second="#b45309",
    second_rest="#e6c199",
    lines=("#1d4ed8", "#b45309", "#0f766e", "#9d174d"),
)
DARK = Colours(
    background="#111827",
    ink="#e5e9f0",
    faint="#9aa5b5",
    grid="#1f2a3c",
    first="#6aa5ff",
    first_rest="#3c5680",
    second="#f5a34a",
    second_rest="#7a5528",
    lines=("#7db0ff", "#f5a34a", "#4fd1c0", "#f38bb8"),
)
NAMES: dict[ThemeName, str] = {"light": "attention-light", "dark": "attention-dark"}  # "dark" is one of Vega's own


@alt.theme.register("attention-light", enable=False)
def light() -> alt.theme.ThemeConfig:
    """For paper, and pages that are white."""
    return theme(LIGHT)


@alt.theme.register("attention-dark", enable=False)
def dark() -> alt.theme.ThemeConfig:
    """For pages that are dark."""
    return theme(DARK)


def theme(colours: Colours) -> alt.theme.ThemeConfig:
    """A theme of Altair in these colours."""
    return {
        "config": {
            "background": colours.background,
            "font": "sans-serif",
            "aria": False,  # a definition is described as a whole, not mark by mark
            "view": {"stroke": None},
            "axis": {
                "grid": False,
                "labelColor": colours.ink,
                "titleColor": colours.ink,
                "domainColor": colours.faint,
                "tickColor": colours.faint,
                "labelLimit": 52,
                "labelPadding": 4,
            },
            "legend": {"labelColor": colours.ink, "titleColor": colours.ink},
            "title": {"anchor": "start", "color": colours.ink, "subtitleColor": colours.faint, "fontSize": 14},
            "text": {"color": colours.ink, "fontSize": 11},
            "style": cast(Any, _styles(colours)),  # Altair knows the names of Vega's own styles
            "range": {
                "category": list(colours.lines),
                "heatmap": [colours.grid, colours.first],
                "ramp": [colours.grid, colours.second],
            },
        }
    }


def _styles(colours: Colours) -> dict[str, dict[str, object]]:
    """What the marks look like, by the names of their styles."""
    return {
        "line": {"color": colours.first},
        "top": {"color": colours.first},
        "rest": {"color": colours.first_rest},
        "change-top": {"color": colours.second},
        "change-rest": {"color": colours.second_rest},
        "rule": {"color": colours.faint, "strokeDash": [4, 3]},
        "before": {"color": colours.faint, "strokeDash": [3, 3]},
        "picked": {"color": colours.ink},
        "masked": {"color": colours.faint, "opacity": 0.25},
        "ring": {"color": colours.ink, "filled": False, "strokeWidth": 1.5},
        "strong": {"color": colours.background},
        "weak": {"color": colours.ink},
        "wide": {"color": colours.first, "opacity": 0.18},
        "narrow": {"color": colours.first, "opacity": 0.36},
        "mean": {"color": colours.ink},
        "name": {"color": colours.ink, "fontWeight": "bold"},
    }
