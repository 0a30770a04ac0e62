"""Two workers beside one, nothing pinned: servers and load share two cores."""

from functools import partial

from benchmarks.serving.plan import Plan
from benchmarks.serving.questions import normal, requests
from benchmarks.serving.report import Finding, Found, Outcome
from benchmarks.serving.servers import Server, ours, pin
from benchmarks.serving.steady import Turn, ratio, take_turns, under_load

MODEL = "planted-before"
CLIENTS = 32
LOADS = {1: "1 sequence", 64: "64 sequences"}
# Of the load whose generator takes little beside the servers. For one sequence it takes a quarter of what the server
# does, on the same cores: two workers of the same speed would reach 1.6.
LEAST = {64: 1.5}


def workers(plan: Plan) -> Outcome:
    """One sequence a request, and 64, from 32 clients each."""
    cores = {plan.server, plan.load}
    found: Found = {}
    pin(*cores)
    try:
        with (
            ours(cores, *plan.options, model=MODEL) as one,
            ours(cores, *plan.options, "--workers", 2, model=MODEL) as two,
        ):
            for batch, load in LOADS.items():
                turns = {f"1 worker, {load}": _turn(one, batch, plan), f"2 workers, {load}": _turn(two, batch, plan)}
                found |= take_turns(turns, plan.repeats)
    finally:
        pin(plan.load)
    return Outcome(
        f"--workers 2, {CLIENTS} clients, nothing pinned", [_finding(found, batch) for batch in LOADS], found
    )


def _turn(server: Server, batch: int, plan: Plan) -> Turn:
    url = f"{server.url}/predict"
    return partial(under_load, url, requests(url, MODEL, normal(32, batch, 20, 2)), CLIENTS, plan, server)


def _finding(found: Found, batch: int) -> Finding:
    load = LOADS[batch]
    value = ratio(found, (f"2 workers, {load}", "sequences"), (f"1 worker, {load}", "sequences"))
    return Finding(f"throughput, of 1 worker, {load}", value, LEAST.get(batch))
