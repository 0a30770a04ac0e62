"""A process that makes charts and draws them, one after another: `renderer.py` starts and asks it, see `subjects.py`.

Altair and vl_convert hold Python's lock while they work (1.2 s and 160 MB for the first picture, 0.1 to 0.4 s for each
later one): in a thread of the server they would stop all predictions meanwhile.
"""

import re
import signal
import sys
from html import escape
from typing import Any

import numpy as np
import orjson
import vl_convert
from altair.utils.schemapi import disable_debug_mode

from service.explanations import charts
from service.explanations.chart import Chart
from service.explanations.comparing import comparison_chart
from service.explanations.profiles import summary_chart
from service.explanations.subjects import (
    ANSWER,
    REQUEST,
    All,
    Attention,
    Drawn,
    Faithfulness,
    Occlusion,
    Order,
    Profile,
    Subject,
    Two,
    decode,
)

VEGA_LITE = "6.4"
ROLES = ' role="graphics-[a-z]+"( aria-roledescription="[a-z ]+")?'  # of parts that have no description of their own
UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
SNIPPET = "window.vegaEmbed = vegaEmbed"
PIXELS = 2  # of a PNG, each way, for one of the definition: screens have as many


def main() -> None:
    """Draws until there is nothing more to read, which is when the server ends, however it does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is sent to us as well; the server decides
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # a picture that nobody reads any more is no error
    disable_debug_mode()  # Altair would hold every part of a chart against the schema; the tests do
    asks, answers = sys.stdin.buffer, sys.stdout.buffer
    while size := asks.read(REQUEST.size):
        try:
            drawn, answer = True, carry_out(decode(asks.read(*REQUEST.unpack(size))))
        except ValueError as error:  # what vl_convert raises
            drawn, answer = False, str(error).encode()
        answers.write(ANSWER.pack(drawn, len(answer)) + answer)
        answers.flush()


def carry_out(order: Order) -> bytes:
    """What was ordered."""
    if order.subject is None:
        return vl_convert.javascript_bundle(SNIPPET, vl_version=VEGA_LITE).encode()
    return draw(order.format, chart_of(order.subject).definition(order.theme, validate=False))


def chart_of(subject: Subject) -> Chart:
    """The chart of a subject."""
    match subject:
        case Attention(explanation, changes):
            return charts.explanation_chart(explanation, 0, None if changes is None else np.array(changes))
        case Occlusion(explanation, changes):
            return charts.occlusion_chart(explanation, 0, np.array(changes))
        case Faithfulness(explanation, weights, changes, verdict):
            return charts.faithfulness_chart(explanation, 0, np.array(weights, np.float32), np.array(changes), verdict)
        case All(explanation, count):
            return charts.all_chart(explanation, count)
        case Two(a, b):
            return comparison_chart(a, b, 0)
        case Profile(summary):
            return summary_chart(summary)


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


if __name__ == "__main__":
    main()
