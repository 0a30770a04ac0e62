"""A chart: what it looks like, as Altair says it, and its data, which it calls by name."""

from dataclasses import dataclass, field
from typing import Any

import altair as alt

from service.explanations.charts.formats import ThemeName
from service.explanations.charts.themes import NAMES
from service.explanations.charts.words import LINE, TITLE, lines

Row = dict[str, Any]
Data = dict[str, list[Row]]
View = alt.Chart | alt.LayerChart | alt.VConcatChart | alt.ConcatChart | alt.FacetChart
WIDTHS = {"least": 140, "most": 1200}  # pixels between which a page may make a chart over time
PADDING = 12
OFFSET = 10  # pixels beneath a title


@dataclass(frozen=True)
class Chart:
    """A chart of any kind, without colours; see `themes.py`.

    Attributes:
        view: whose data are `alt.NamedData`.
        data: rows by these names. They are kept beside it: Altair looks at every number that it is given several times.
    """

    view: View
    data: Data = field(default_factory=dict)

    def definition(self, theme: ThemeName = "light", validate: bool = True) -> dict[str, Any]:
        """The Vega-Lite definition, with its data.

        Args:
            validate: whether Altair is to hold it against the schema, which takes most of the time.
        """
        with alt.theme.enable(NAMES[theme]):
            return {**self.view.to_dict(validate=validate), "datasets": self.data}


def title(text: str, *found: str) -> alt.Title:
    """The title of a chart and, beneath it, what is to be seen; each begins a line, of those that are not empty."""
    return alt.Title(
        lines(text, TITLE), subtitle=[line for one in found if one for line in lines(one, LINE)], offset=OFFSET
    )
