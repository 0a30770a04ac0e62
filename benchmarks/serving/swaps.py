"""A model published, swapped in, rolled back and let go again, many times under load."""

import itertools
import json
import math
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.serving.load import Kept, Request, clock
from benchmarks.serving.loops import closed_loop
from benchmarks.serving.measured import BenchmarkError
from benchmarks.serving.plan import Plan
from benchmarks.serving.questions import normal, predict_body, requests
from benchmarks.serving.report import Finding, Outcome
from benchmarks.serving.servers import ours, publish

NAME = "swapped"
GRAPHS = ["planted-before", "planted-after"]  # of even and of odd versions: their answers can be told apart
CLIENTS = 8
RATE = 34  # 50 times where a turn has 1.5 s
SWAP_S = 60  # seconds in which a change must show
POLL_S = 0.005


@dataclass(frozen=True)
class Change:
    """A version that was asked for, and then seen in an answer; times on `clock`."""

    version: int
    asked: float
    seen: float


class Operator(threading.Thread):
    """Publishes the next version, rolls back to the one before, and lets it go again; so many times.

    Attributes:
        changes: what it did.
        error: why it stopped early.
    """

    def __init__(self, url: str, models: Path, times: int) -> None:
        super().__init__()
        self._url, self._models, self._times = url, models, times
        self._probe = predict_body(normal(1, 1, 20, 2)[0])
        self.changes = [Change(1, -math.inf, clock())]
        self.error: Exception | None = None

    def run(self) -> None:
        """Does it."""
        try:
            for version in range(2, 2 + self._times):
                self._change(version, partial(publish, self._models, GRAPHS[version % 2], NAME, version))
                self._change(version - 1, partial(self._pin, "PUT", {"version": version - 1}))
                self._change(version, partial(self._pin, "DELETE", None))
        except (OSError, BenchmarkError) as error:
            self.error = error

    def _change(self, version: int, do: Callable[[], object]) -> None:
        asked = clock()
        do()
        while (found := self._ask("POST", "/predict", self._probe)["version"]) != version:
            if clock() - asked > SWAP_S:
                raise BenchmarkError(f"expected version {version} to answer within {SWAP_S} s, received {found}")
            time.sleep(POLL_S)
        self.changes.append(Change(version, asked, clock()))

    def _pin(self, method: str, content: dict[str, int] | None) -> None:
        self._ask(method, f"/models/{NAME}/pin", None if content is None else json.dumps(content).encode())

    def _ask(self, method: str, path: str, body: bytes | None) -> dict[str, int]:
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self._url + path, body, headers, method=method)
        with urllib.request.urlopen(request, timeout=SWAP_S) as answer:
            found: dict[str, int] = json.loads(answer.read() or b"{}")
            return found


def swaps(plan: Plan) -> Outcome:
    """One sequence a request; three changes each time."""
    times = max(1, round(RATE * plan.seconds))
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder)
        publish(models, GRAPHS[1], NAME, 1)
        with ours({plan.server}, *plan.options, model=NAME, models=models) as server:
            operator = Operator(server.url, models, times)
            asked = _requests(f"{server.url}/predict")
            operator.start()
            endless = itertools.takewhile(lambda _: operator.is_alive(), itertools.cycle(asked))
            answers = closed_loop(f"{server.url}/predict", endless, CLIENTS, math.inf, keep=True)
            operator.join()
    if operator.error is not None:
        raise BenchmarkError(f"expected to change the version {3 * times} times, received {operator.error}")
    stale = sum(not _current(each, operator.changes) for each in answers.kept)
    seconds = [change.seen - change.asked for change in operator.changes[1:]]
    publishing, back = 1e3 * np.median(seconds[::3]), 1e3 * np.median(seconds[1::3])
    remark = (
        f"{len(answers.kept):,} answers, none failed; swapped in after {publishing:.0f} ms, back after {back:.0f} ms"
    )
    finding = Finding("answers of a version that was not current", stale, most=0, remark=remark)
    return Outcome(f"published, swapped and rolled back {times} times", [finding])


def _requests(url: str) -> list[Request]:
    """Each knows what either graph answers."""
    even, odd = (requests(url, graph, normal(64, 1, 20, 2)) for graph in GRAPHS)

    def check(either: tuple[Request, Request], body: bytes) -> None:
        either[json.loads(body)["version"] % 2].check(body)

    return [replace(pair[0], check=partial(check, pair)) for pair in zip(even, odd, strict=True)]


def _current(answer: Kept, changes: list[Change]) -> bool:
    """Whether its version was current at some time between question and answer.

    A change happens between the times when it was asked for and when it was seen.
    """
    version = json.loads(answer.body)["version"]
    ends = [change.seen for change in changes[1:]] + [math.inf]
    return any(
        change.version == version and answer.asked <= end and answer.answered >= change.asked
        for change, end in zip(changes, ends, strict=True)
    )
