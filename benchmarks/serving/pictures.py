"""The pictures: what each way reaches in each case, and how cost grows."""

import altair as alt

from benchmarks.serving.report import Outcome, Point, medians
from service.explanations.charts.chart import PADDING, Chart, Data
from service.explanations.charts.themes import LIGHT

COLORS = {"ours": "#1c64f2", "plain": "#d9730d", "bare": "#8593a3"}
OTHERS = ["#0b8a6f", "#9b51e0", "#5b6572", "#c2185b"]  # of peers
WIDTH, HEIGHT, ROW = 300, 200, 14


def cases_chart(outcomes: list[Outcome]) -> Chart:
    """Bars: sequences a second, each case on its own scale."""
    ways = list(dict.fromkeys(way for outcome in outcomes for way in outcome.found))
    data: Data = {}
    for outcome in outcomes:
        rates = {way: medians(repeats)[0] for way, repeats in outcome.found.items()}
        data[outcome.title] = [{"way": way, "rate": rate, "text": f"{rate:,.0f}"} for way, rate in rates.items()]
    panels = [_bars(title, ways) for title in data]
    said = "one core; with the attention of every sequence"
    return Chart(_figure("Sequences a second", said, panels, row=18, column=40), data)


def _bars(title: str, ways: list[str]) -> alt.LayerChart:
    base = alt.Chart(alt.NamedData(title)).encode(
        x=alt.X("rate:Q", axis=None), y=alt.Y("way:N", sort=None, title=None).axis(domain=False, ticks=False)
    )
    bars = base.mark_bar().encode(color=_color(ways).legend(None))
    texts = base.mark_text(align="left", dx=4, color=LIGHT.ink).encode(text="text:N")
    head = alt.Title(title, fontSize=12, fontWeight="normal")
    return alt.LayerChart(layer=[bars, texts], title=head, width=WIDTH - 60, height=alt.Step(ROW + 6))


def growth_chart(points: list[Point]) -> Chart:
    """Small multiples, both axes logarithmic: a straight line of slope 1 is growth in proportion."""
    ways = list(dict.fromkeys(point.way for point in points))
    data: Data = {panel: [] for panel in dict.fromkeys(point.panel for point in points)}
    for point in points:
        data[point.panel].append({"size": point.size, "ms": point.p50, "way": point.way})
    panels = [_lines(panel, sorted({row["size"] for row in rows}), ways) for panel, rows in data.items()]
    said = "p50 in milliseconds, one core; both axes are logarithmic"
    return Chart(_figure("What a request takes", said, panels, row=24, column=30), data)


def _lines(panel: str, sizes: list[int], ways: list[str]) -> alt.Chart:
    lines = alt.Chart(alt.NamedData(panel), width=WIDTH, height=HEIGHT).encode(
        x=alt.X("size:Q", title=panel).scale(type="log", nice=False).axis(values=sizes, format=",d"),
        y=alt.Y("ms:Q").scale(type="log").axis(values=[10.0**i for i in range(-3, 6)], format="~g"),
        color=_color(ways).legend(title=None, orient="top", symbolType="circle"),
    )
    drawn: alt.Chart = lines.mark_line(point=alt.OverlayMarkDef(size=24), strokeWidth=1.8)
    return drawn


def _color(ways: list[str]) -> alt.Color:
    others = iter(OTHERS)
    return alt.Color("way:N").scale(domain=ways, range=[COLORS.get(way) or next(others) for way in ways])


def _figure(
    title: str, said: str, panels: list[alt.LayerChart] | list[alt.Chart], row: int, column: int
) -> alt.ConcatChart:
    """Panels in two columns, so many pixels apart."""
    return alt.concat(
        *panels,
        columns=2,
        spacing={"row": row, "column": column},
        title=alt.Title(title, subtitle=said, offset=16),
        description=f"{title}; {said}",
        padding=PADDING,
    )
