"""A process that draws Vega-Lite definitions, one after another: `renderer.py` starts it and asks it.

vl_convert holds Python's lock from its first instruction to its last (0.7 s and 90 MB for the first picture, 0.15 s for
each later one): in a thread of the server it would stop all predictions meanwhile.

    request     a line of JSON, {"format": "svg" | "png" | "bundle", "chart": {...}}
    answer      whether it is the picture or what went wrong (1 byte), the size (8 bytes, big-endian), as many bytes
"""

import json
import re
import signal
import struct
import sys
from html import escape
from typing import Any

import vl_convert

HEADER = ">?Q"
VEGA_LITE = "6.4"
ROLES = ' role="graphics-[a-z]+"( aria-roledescription="[a-z ]+")?'  # of parts that have no description of their own
SNIPPET = "window.vegaEmbed = vegaEmbed"
PIXELS = 2  # of a PNG, each way, for one of the definition: screens have as many


def main() -> None:
    """Draws until there is nothing more to read, which is when the server ends, however it does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is sent to us as well; the server decides
    for line in sys.stdin.buffer:
        try:
            drawn, answer = True, draw(json.loads(line))
        except ValueError as error:  # what vl_convert raises
            drawn, answer = False, str(error).encode()
        sys.stdout.buffer.write(struct.pack(HEADER, drawn, len(answer)) + answer)
        sys.stdout.buffer.flush()


def draw(request: dict[str, Any]) -> bytes:
    """The picture asked for; `bundle` is the JavaScript that draws in a browser, Vega and all."""
    if request["format"] == "bundle":
        return vl_convert.javascript_bundle(SNIPPET, vl_version=VEGA_LITE).encode()
    if request["format"] == "png":
        return bytes(vl_convert.vegalite_to_png(request["chart"], vl_version=VEGA_LITE, scale=PIXELS))
    return describe(vl_convert.vegalite_to_svg(request["chart"], vl_version=VEGA_LITE), request["chart"]).encode()


def describe(svg: str, chart: dict[str, Any]) -> str:
    """Gives the picture its description, for who does not see it; Vega does so in a browser only."""
    if "description" not in chart:
        return svg
    told = escape(chart["description"])
    svg = re.sub(ROLES, "", svg)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{told}" ', 1).replace(">", f"><desc>{told}</desc>", 1)


if __name__ == "__main__":
    main()
