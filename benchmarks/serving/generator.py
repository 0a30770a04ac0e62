"""What the load generator itself can reach: a server that answers the same bytes always."""

import itertools
import math
import time
from functools import partial

from benchmarks.serving.load import Request, render
from benchmarks.serving.loops import closed_loop
from benchmarks.serving.plan import Plan
from benchmarks.serving.questions import normal, predict_body
from benchmarks.serving.report import Finding, Found, Outcome, medians
from benchmarks.serving.servers import constant
from benchmarks.serving.steady import take_turns, under_load

LOADS = [("1 sequence, 32 clients", 1, 32, 20_000), ("64 sequences, 8 clients", 64, 8, None)]
# The bound, in requests a second, is far from what a server of predictions reaches on one core.
COUNTED = 10_000


def generator(plan: Plan) -> Outcome:
    """Small requests and larger ones, and the CPU that it takes itself."""
    found: Found = {}
    findings = []
    with constant({plan.server}) as server:
        for load, batch, clients, least in LOADS:
            asked = [_request(server.url, batch, body) for body in map(predict_body, normal(16, batch, 20, 2))]
            found |= take_turns({load: partial(under_load, server.url, asked, clients, plan, server)}, plan.repeats)
            started = time.process_time()
            closed_loop(server.url, itertools.islice(itertools.cycle(asked), COUNTED), clients, math.inf)
            remark = f"takes {1e6 * (time.process_time() - started) / COUNTED:.0f} µs of its CPU for a request"
            findings.append(Finding(load, medians(found[load])[1], least, unit=" requests/s", remark=remark))
    return Outcome("the load generator alone", findings, found)


def _request(url: str, batch: int, body: bytes) -> Request:
    return Request(render(url, body), batch, lambda _: None)
