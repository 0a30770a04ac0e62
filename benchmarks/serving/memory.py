"""What memory does when every request has another shape."""

import math

import numpy as np

from benchmarks.serving.loops import closed_loop
from benchmarks.serving.plan import Plan
from benchmarks.serving.questions import requests, shapes
from benchmarks.serving.report import Finding, Outcome
from benchmarks.serving.servers import ours

MODEL, FEATURES = "japanese-vowels", 12
SHAPES, BATCH, STEPS, RATE = 200, 16, 100, 67  # 100 times each where a turn has 1.5 s
CLIENTS, MOST_MB = 4, 30


def memory(plan: Plan) -> Outcome:
    """Random shapes of 1 to 16 sequences of 1 to 100 steps, each asked many times, in random order."""
    times = max(1, round(RATE * plan.seconds))
    order = np.random.default_rng(0).permutation(np.repeat(np.arange(SHAPES), times))
    with ours({plan.server}, *plan.options, model=MODEL) as server:
        url = f"{server.url}/predict"
        asked = requests(url, MODEL, shapes(SHAPES, BATCH, STEPS, FEATURES))
        closed_loop(url, asked[:1] * 100, CLIENTS, math.inf)
        before = server.memory
        closed_loop(url, [asked[i] for i in order], CLIENTS, math.inf)
        growth = server.memory - before
    finding = Finding("growth of its memory", growth, most=MOST_MB, unit=" MB", remark=f"from {before:.0f} MB")
    return Outcome(f"{SHAPES} random shapes, {times} times each", [finding])
