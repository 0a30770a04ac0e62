"""How cost grows with the length of a sequence, the sequences of a request, the clients and the models."""

import math
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.serving.plan import Plan
from benchmarks.serving.questions import normal, requests
from benchmarks.serving.report import Finding, Found, Outcome, Point
from benchmarks.serving.servers import ours, publish
from benchmarks.serving.steady import Case, steady, take_turns, under_load

MODEL, LONG_MODEL = "planted-before", "japanese-vowels"
STEPS = [10, 50, 100, 500, 1000, 5000]
BATCHES = [1, 4, 16, 64, 256, 1024, 4096]
CLIENTS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
COPIES = [1, 2, 5, 10, 20, 50]
BUSY = 32  # clients of many models
PART = 3  # a point has the third part of a turn's time, and half as many turns
LINEAR = 1.25  # of proportion


def growth(plan: Plan) -> Outcome:
    """Four panels, a point for each size and way."""
    plan = replace(plan, seconds=plan.seconds / PART, repeats=math.ceil(plan.repeats / 2), peers={})
    points = [
        *_panel("steps of a sequence", ((steps, _length(steps)) for steps in STEPS), plan),
        *_panel("sequences of a request", ((batch, _batch(batch)) for batch in BATCHES), plan),
        *_panel("clients", ((clients, _clients(clients)) for clients in CLIENTS), plan),
        *_points("models", ((copies, _copies(copies, plan)) for copies in COPIES)),
    ]
    return Outcome("growth", [_linear(points, panel) for panel in _panels(points)], points=points)


def _length(steps: int) -> Case:
    return Case("", lambda: normal(4, 1, steps, 12), 1, model=LONG_MODEL)


def _batch(batch: int) -> Case:
    return Case("", lambda: normal(4, batch, 20, 2), 1)


def _clients(clients: int) -> Case:
    return Case("", lambda: normal(256, 1, 20, 2), clients, ways=("plain",))


def _panel(panel: str, cases: Iterable[tuple[int, Case]], plan: Plan) -> list[Point]:
    return _points(panel, ((size, steady(case, plan).found) for size, case in cases))


def _points(panel: str, sizes: Iterable[tuple[int, Found]]) -> list[Point]:
    return [
        Point(panel, size, way, float(np.median([each.p50 for each in repeats])))
        for size, found in sizes
        for way, repeats in found.items()
    ]


def _copies(copies: int, plan: Plan) -> Found:
    """Our server with so many models, asked in turn."""
    with tempfile.TemporaryDirectory() as folder:
        names = [f"copy-{i}" for i in range(copies)]
        for name in names:
            publish(Path(folder), MODEL, name, 1)
        with ours({plan.server}, *plan.options, model=names[0], models=Path(folder)) as server:
            url = f"{server.url}/predict"
            questions = normal(4, 1, 20, 2)
            each = [requests(url, MODEL, questions, name) for name in names]
            asked = [request for turn in zip(*each, strict=True) for request in turn]
            return take_turns({"ours": partial(under_load, url, asked, BUSY, plan, server)}, plan.repeats)


def _panels(points: list[Point]) -> list[str]:
    return list(dict.fromkeys(point.panel for point in points))


def _linear(points: list[Point], panel: str) -> Finding:
    """The last point of ours beside the last but one, each for one step, sequence or client. Models share a load, of
    which runs together what is for the same.
    """
    mine = [point for point in points if point.panel == panel and point.way == "ours"]
    before, last = mine[-2:]
    proportion = 1 if panel == "models" else last.size / before.size
    what = f"{last.size:,} {panel}, of {before.size:,}" + (f" × {proportion:g}" if proportion != 1 else "")
    return Finding(what, last.p50 / before.p50 / proportion, most=None if panel == "models" else LINEAR)
