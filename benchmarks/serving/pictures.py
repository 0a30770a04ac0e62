"""The pictures: what each way reaches in each case, and how cost grows."""

from typing import Any

from benchmarks.serving.report import Outcome, Point, medians
from service.explanations import charts

COLORS = {"ours": "#1c64f2", "plain": "#d9730d", "bare": "#8593a3"}
OTHERS = ["#0b8a6f", "#9b51e0", "#5b6572", "#c2185b"]  # of peers
WIDTH, HEIGHT, ROW = 300, 200, 14


def cases_chart(outcomes: list[Outcome]) -> dict[str, Any]:
    """Bars: sequences a second, each case on its own scale."""
    ways = list(dict.fromkeys(way for outcome in outcomes for way in outcome.found))
    panels = []
    for outcome in outcomes:
        rates = {way: medians(repeats)[0] for way, repeats in outcome.found.items()}
        values = [{"way": way, "rate": rate, "text": f"{rate:,.0f}"} for way, rate in rates.items()]
        panels.append(_bars(outcome.title, values, ways))
    title = {"text": "Sequences a second", "subtitle": "one core; with the attention of every sequence"}
    return _figure(title, {"concat": panels, "columns": 2, "spacing": {"row": 18, "column": 40}})


def _bars(title: str, values: list[dict[str, Any]], ways: list[str]) -> dict[str, Any]:
    y = {"field": "way", "type": "nominal", "sort": None, "title": None, "axis": {"domain": False, "ticks": False}}
    x = {"field": "rate", "type": "quantitative", "axis": None}
    bars = {"mark": {"type": "bar"}, "encoding": {"color": _color(ways, legend=False)}}
    texts = {
        "mark": {"type": "text", "align": "left", "dx": 4, "color": charts.INK},
        "encoding": {"text": {"field": "text"}},
    }
    return {
        "title": {"text": title, "fontSize": 12, "fontWeight": "normal"},
        "width": WIDTH - 60,
        "height": {"step": ROW + 6},
        "data": {"values": values},
        "encoding": {"y": y, "x": x},
        "layer": [bars, texts],
    }


def growth_chart(points: list[Point]) -> dict[str, Any]:
    """Small multiples, both axes logarithmic: a straight line of slope 1 is growth in proportion."""
    ways = list(dict.fromkeys(point.way for point in points))
    panels = []
    for panel in dict.fromkeys(point.panel for point in points):
        values = [{"size": p.size, "ms": p.p50, "way": p.way} for p in points if p.panel == panel]
        panels.append(_lines(panel, values, ways))
    title = {"text": "What a request takes", "subtitle": "p50 in milliseconds, one core; both axes are logarithmic"}
    return _figure(title, {"concat": panels, "columns": 2, "spacing": {"row": 24, "column": 30}})


def _lines(panel: str, values: list[dict[str, Any]], ways: list[str]) -> dict[str, Any]:
    x = {"field": "size", "type": "quantitative", "scale": {"type": "log", "nice": False}}
    y = {"field": "ms", "type": "quantitative", "scale": {"type": "log"}}
    sizes = sorted({value["size"] for value in values})
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "data": {"values": values},
        "mark": {"type": "line", "point": {"size": 24}, "strokeWidth": 1.8},
        "encoding": {
            "x": {**x, "title": panel, "axis": {"values": sizes, "format": ",d"}},
            "y": {**y, "title": "ms", "axis": {"values": [10.0**i for i in range(-3, 6)], "format": "~g"}},
            "color": _color(ways, legend=True),
        },
    }


def _color(ways: list[str], legend: bool) -> dict[str, Any]:
    others = iter(OTHERS)
    colors = [COLORS.get(way) or next(others) for way in ways]
    shown = {"title": None, "orient": "top", "symbolType": "circle"} if legend else None
    return {"field": "way", "type": "nominal", "scale": {"domain": ways, "range": colors}, "legend": shown}


def _figure(title: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
    return {
        "$schema": charts.SCHEMA,
        "title": {**title, "offset": 16},
        "description": f"{title['text']}; {title['subtitle']}",
        "config": charts.CONFIG,
        "padding": 12,
        **body,
    }
