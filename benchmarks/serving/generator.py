"""What the load generator itself can reach: a server that answers the same bytes always."""

from functools import partial

from benchmarks.serving.load import Request, render
from benchmarks.serving.plan import Plan
from benchmarks.serving.questions import normal, predict_body
from benchmarks.serving.report import Finding, Found, Outcome, medians
from benchmarks.serving.servers import constant
from benchmarks.serving.steady import take_turns, under_load

ENOUGH = 20_000  # requests a second, far from what a server of predictions reaches on one core


def generator(plan: Plan) -> Outcome:
    """One sequence from 32 clients, 64 sequences from 8."""
    with constant({plan.server}) as server:
        found: Found = {}
        for name, batch, clients in (("1 sequence, 32 clients", 1, 32), ("64 sequences, 8 clients", 64, 8)):
            turn = partial(under_load, server.url, _requests(server.url, batch), clients, plan, server)
            found |= take_turns({name: turn}, plan.repeats)
    rate = medians(found["1 sequence, 32 clients"])[1]
    finding = Finding("1 sequence, 32 clients", rate, ENOUGH, unit=" requests/s")
    return Outcome("the load generator alone", [finding], found)


def _requests(url: str, batch: int) -> list[Request]:
    return [Request(render(url, predict_body(each)), batch, lambda _: None) for each in normal(16, batch, 20, 2)]
