"""Twice what the server can take, for long: who is answered, who is refused, how fast, and what memory does."""

import itertools

import numpy as np

from benchmarks.serving.load import OK, Answers, Request
from benchmarks.serving.loops import FULL, open_loop
from benchmarks.serving.measured import BenchmarkError
from benchmarks.serving.plan import Plan
from benchmarks.serving.questions import normal, requests
from benchmarks.serving.report import Finding, Outcome
from benchmarks.serving.servers import Server, ours
from benchmarks.serving.steady import under_load

MODEL, BATCH = "planted-before", 64
UNLOADED = 0.1  # of the capacity: at that rate requests hardly meet
CLIENTS = 8  # as many as keep the server busy
LONG = 40  # turns: 60 s where a turn has 1.5
IDLE = 7  # turns without overload
BEGIN = 7  # turns of overload before those that count: connections and buffers for so many are made once
SLOWER, FLAT_MB = 3, 10
WAIT = "0.001"  # seconds of work that may wait, of a server whose clients would rather be refused than wait


def overload(plan: Plan) -> Outcome:
    """64 sequences a request: at capacity, unloaded, at twice the capacity."""
    capacity = _capacity(plan)
    with ours({plan.server}, "--max-wait", WAIT, *plan.options, model=MODEL) as server:
        asked = requests(f"{server.url}/predict", MODEL, normal(32, BATCH, 20, 2))
        cpu = server.cpu
        unloaded = _at(UNLOADED * capacity, server, asked, IDLE * plan.seconds)
        unloaded_cpu, idle = server.cpu - cpu, server.memory
        _at(2 * capacity, server, asked, BEGIN * plan.seconds)
        cpu, before = server.cpu, server.memory
        loaded = _at(2 * capacity, server, asked, LONG * plan.seconds)
        growth, loaded_cpu = server.memory - before, server.cpu - cpu
    found = {"unloaded": [unloaded.measured(unloaded_cpu)], "overloaded": [loaded.measured(loaded_cpu)]}
    findings = _findings(unloaded, loaded, capacity, LONG * plan.seconds)
    begun = f"{before - idle:+.1f} MB in the first {BEGIN * plan.seconds:g} s, which are not among these"
    findings.append(Finding("growth of its memory", growth, most=FLAT_MB, unit=" MB", remark=begun))
    return Outcome(f"{BATCH} sequences, twice the capacity for {LONG * plan.seconds:g} s", findings, found)


def _capacity(plan: Plan) -> float:
    """Requests a second of a server that refuses none of them."""
    with ours({plan.server}, *plan.options, model=MODEL) as server:
        asked = requests(f"{server.url}/predict", MODEL, normal(32, BATCH, 20, 2))
        return under_load(f"{server.url}/predict", asked, CLIENTS, plan).requests


def _at(rate: float, server: Server, asked: list[Request], seconds: float) -> Answers:
    return open_loop(f"{server.url}/predict", itertools.cycle(asked), rate, seconds, seconds / 20)


def _findings(unloaded: Answers, loaded: Answers, capacity: float, seconds: float) -> list[Finding]:
    if not loaded.seconds[FULL]:
        raise BenchmarkError("expected requests refused with 429 at twice the capacity, received none")
    idle, accepted, refused = (
        1e3 * np.percentile(each, [50, 99]) for each in (unloaded.seconds[OK], loaded.seconds[OK], loaded.seconds[FULL])
    )
    rates = {status: len(times) / seconds for status, times in loaded.seconds.items()}
    offered = sum(rates.values())
    sent = f"{offered:,.0f} requests/s offered, p99 {1e3 * np.percentile(loaded.late, 99):.2f} ms late"
    return [
        _slower("accepted", accepted, idle),
        _slower("refused", refused, idle),
        Finding("refused with 429", rates[FULL] / offered, remark=sent),
        Finding("throughput, of the capacity", rates[OK] / capacity, remark=f"{capacity:,.0f} requests/s"),
    ]


def _slower(who: str, times: np.ndarray, idle: np.ndarray) -> Finding:
    """From p50 and p99 in milliseconds."""
    remark = f"p50 {times[0]:.2f}, p99 {times[1]:.2f} ms; unloaded {idle[0]:.2f}, {idle[1]:.2f} ms"
    return Finding(f"p99 of the {who}, of the unloaded p99", times[1] / idle[1], most=SLOWER, remark=remark)
