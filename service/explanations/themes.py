"""The colours of charts. A chart names its marks by style (`top`, `rest`, `rule`, ...); a theme gives these colours.

So a theme is the `config` of a definition and nothing else, and a page changes it without asking for the chart again.
"""

from dataclasses import dataclass
from typing import Any, Literal

ThemeName = Literal["light", "dark"]


@dataclass(frozen=True)
class Theme:
    """Colours.

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


LIGHT = Theme(
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
DARK = Theme(
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
THEMES: dict[ThemeName, Theme] = {"light": LIGHT, "dark": DARK}


def config(theme: Theme) -> dict[str, Any]:
    """The `config` of a Vega-Lite definition."""
    ink = {"labelColor": theme.ink, "titleColor": theme.ink}
    return {
        "background": theme.background,
        "font": "sans-serif",
        "aria": False,  # a definition is described as a whole, not mark by mark
        "view": {"stroke": None},
        "axis": {
            **ink,
            "grid": False,
            "domainColor": theme.faint,
            "tickColor": theme.faint,
            "labelLimit": 52,
            "labelPadding": 4,
        },
        "legend": ink,
        "title": {"anchor": "start", "color": theme.ink, "subtitleColor": theme.faint, "fontSize": 14},
        "text": {"color": theme.ink, "fontSize": 11},
        "style": {
            "line": {"color": theme.first},
            "top": {"color": theme.first},
            "rest": {"color": theme.first_rest},
            "change-top": {"color": theme.second},
            "change-rest": {"color": theme.second_rest},
            "rule": {"color": theme.faint, "strokeDash": [4, 3]},
            "before": {"color": theme.faint, "strokeDash": [3, 3]},
            "picked": {"color": theme.ink},
            "masked": {"color": theme.faint, "opacity": 0.25},
            "ring": {"color": theme.ink, "filled": False, "strokeWidth": 1.5},
            "strong": {"color": theme.background},
            "weak": {"color": theme.ink},
            "wide": {"color": theme.first, "opacity": 0.18},
            "narrow": {"color": theme.first, "opacity": 0.36},
            "mean": {"color": theme.ink},
            "name": {"color": theme.ink, "fontWeight": "bold"},
        },
        "range": {
            "category": list(theme.lines),
            "heatmap": [theme.grid, theme.first],
            "ramp": [theme.grid, theme.second],
            "diverging": [theme.second, theme.grid, theme.first],
        },
    }
