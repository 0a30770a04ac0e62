"""A process that makes charts and draws them, one after another: `renderer.py` starts and asks it, see `orders.py`.

Altair and vl_convert hold Python's lock while they work (1.2 s and 160 MB for the first picture, 0.1 to 0.4 s for each
later one): in a thread of the server they would stop all predictions meanwhile.
"""

import signal
import sys

import numpy as np
import vl_convert
from altair.utils.schemapi import disable_debug_mode

from service.explanations.charts.chart import Chart
from service.explanations.charts.comparing import comparison_chart
from service.explanations.charts.profiles import summary_chart
from service.explanations.charts.rendering import VEGA_LITE, draw
from service.explanations.charts.sequences import explanation_chart, faithfulness_chart, occlusion_chart
from service.explanations.charts.several import all_chart
from service.pictures.orders import (
    ANSWER,
    REQUEST,
    All,
    Attention,
    Faithfulness,
    Occlusion,
    Order,
    Profile,
    Subject,
    Two,
    decode,
)

SNIPPET = "window.vegaEmbed = vegaEmbed"


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
        case Attention(explanation, left_out):
            return explanation_chart(explanation, 0, left_out)
        case Occlusion(explanation, left_out):
            return occlusion_chart(explanation, 0, left_out)
        case Faithfulness(explanation, weights, left_out, verdict):
            return faithfulness_chart(explanation, 0, np.array(weights, np.float32), left_out, verdict)
        case All(explanation, count):
            return all_chart(explanation, count)
        case Two(a, b):
            return comparison_chart(a, b, 0)
        case Profile(summary):
            return summary_chart(summary)


if __name__ == "__main__":
    main()
