"""Definitions drawn by vl_convert, as SVG or PNG."""

import re
from html import escape
from typing import Any

import orjson
import vl_convert

from service.explanations.charts.chart import Chart
from service.explanations.charts.formats import Drawn

VEGA_LITE = "6.4"
ROLES = ' role="graphics-[a-z]+"( aria-roledescription="[a-z ]+")?'  # of parts that have no description of their own
UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
PIXELS = 2  # of a PNG, each way, for one of the definition: screens have as many


def svg(chart: Chart) -> str:
    """Draws a chart here and now, for scripts: the server has `pictures/renderer.py`."""
    return draw("svg", chart.definition()).decode()


def draw(format: Drawn, definition: dict[str, Any]) -> bytes:
    """A definition as it is, or drawn."""
    if format == "vl.json":
        return orjson.dumps(definition)
    definition = legible(definition)
    if format == "png":
        return bytes(vl_convert.vegalite_to_png(definition, vl_version=VEGA_LITE, scale=PIXELS))
    return describe(vl_convert.vegalite_to_svg(definition, vl_version=VEGA_LITE), definition).encode()


def legible(value: Any) -> Any:
    """The same with a mark for every character that XML has no place for; vl_convert would abort the process."""
    if isinstance(value, str):
        return UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, dict):
        return {name: legible(part) for name, part in value.items()}
    return [legible(part) for part in value] if isinstance(value, list) else value


def describe(svg: str, definition: dict[str, Any]) -> str:
    """Gives the picture its description, for who does not see it; Vega does so in a browser only."""
    if "description" not in definition:
        return svg
    told = escape(definition["description"])
    svg = re.sub(ROLES, "", svg)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{told}" ', 1).replace(">", f"><desc>{told}</desc>", 1)
