"""What it costs to keep every explanation: the same server with SQLite and without a store."""

from contextlib import ExitStack
from functools import partial

from benchmarks.serving.plan import Plan
from benchmarks.serving.questions import normal, requests
from benchmarks.serving.report import Finding, Outcome
from benchmarks.serving.servers import ours
from benchmarks.serving.steady import Turn, ratio, under_load, with_servers

MODEL, CLIENTS = "planted-before", 32


def keeping(plan: Plan) -> Outcome:
    """One sequence a request, 32 clients, in turns with and without a store."""
    found = with_servers(partial(_turns, plan), plan.repeats)
    kept = ratio(found, ("SQLite", "sequences"), ("nothing kept", "sequences"))
    cpu = ratio(found, ("SQLite", "cpu"), ("nothing kept", "cpu"))
    finding = Finding("throughput, of that without a store", kept, least=0.8, remark=f"CPU time {cpu:.2f} of it")
    return Outcome(f"every explanation kept, {CLIENTS} clients", [finding], found)


def _turns(plan: Plan, stack: ExitStack) -> dict[str, Turn]:
    turns: dict[str, Turn] = {}
    for way, store in (("nothing kept", "none"), ("SQLite", "sqlite")):
        server = stack.enter_context(ours({plan.server}, *plan.options, model=MODEL, store=store))
        asked = requests(f"{server.url}/predict", MODEL, normal(256, 1, 20, 2))
        turns[way] = partial(under_load, f"{server.url}/predict", asked, CLIENTS, plan, server)
    return turns
