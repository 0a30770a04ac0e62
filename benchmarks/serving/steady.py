"""Every way under the same steady load, in turn."""

import itertools
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from benchmarks.serving.bare import write_feeds
from benchmarks.serving.load import Request
from benchmarks.serving.loops import closed_loop
from benchmarks.serving.measured import Measured
from benchmarks.serving.plan import Plan
from benchmarks.serving.questions import Form, Sequences, feeds, requests
from benchmarks.serving.report import Finding, Found, Outcome
from benchmarks.serving.servers import ROOT, Server, environment, graph, ours, pin, plain

Figure = Literal["sequences", "p50", "p99"]
Turn = Callable[[], Measured]
SERVED = 2  # repeats by the same servers


@dataclass(frozen=True)
class Goal:
    """A ratio that is held: what ours reaches by what another way reaches.

    Attributes:
        least, most: the bound; one of both.
    """

    ours: Figure
    theirs: Figure
    of: Literal["bare", "plain"]
    least: float | None = None
    most: float | None = None

    def finding(self, found: Found) -> Finding:
        """The median over the repeats."""
        name = "throughput" if self.ours == "sequences" else self.ours
        value = ratio(found, ("ours", self.ours), (self.of, self.theirs))
        if self.theirs != self.ours:
            return Finding(f"{name}, of {self.of}'s {self.theirs}", value, self.least, self.most)
        cpu = ratio(found, ("ours", "cpu"), (self.of, "cpu"))
        return Finding(f"{name}, of {self.of}", value, self.least, self.most, remark=f"CPU time {cpu:.2f} of {self.of}")


def ratio(found: Found, over: tuple[str, str], under: tuple[str, str]) -> float:
    """One way's figure by another's, each as (way, figure), repeat by repeat; the median."""
    above, below = ([getattr(each, figure) for each in found[way]] for way, figure in (over, under))
    return float(np.median(np.divide(above, below)))


@dataclass(frozen=True)
class Case:
    """A steady load, the same for every way.

    Attributes:
        questions: what is asked.
        store: what our server keeps explanations in.
        runs: what the bare runtime runs, where not the questions themselves.
        ways: which are measured beside ours.
        path, form: what is asked, and how sequences and answers are written; `{model}` stands for its name.
    """

    title: str
    questions: Callable[[], list[Sequences]]
    clients: int
    goals: tuple[Goal, ...] = ()
    model: str = "planted-before"
    store: Literal["none", "sqlite"] = "none"
    runs: Callable[[], list[Sequences]] | None = None
    ways: tuple[Literal["bare", "plain"], ...] = ("bare", "plain")
    path: str = "/predict"
    form: Form = "json"


def steady(case: Case, plan: Plan) -> Outcome:
    """Measures a case.

    Raises:
        BenchmarkError: a server ended, or gave an answer that is wrong or none.
    """
    questions = case.questions()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "feeds.npz"
        if "bare" in case.ways:
            write_feeds(file, feeds(case.model, case.runs() if case.runs else questions))
        found = with_servers(lambda stack: _turns(case, questions, file, plan, stack), plan.repeats)
    return Outcome(case.title, [goal.finding(found) for goal in case.goals], found)


def with_servers(start: Callable[[ExitStack], dict[str, Turn]], repeats: int) -> Found:
    """Takes turns at servers that `start` starts, which run all the time, and of which one has work at a time.

    They are started anew every `SERVED` repeats: for as long as it lives, a process can be 5 % faster than another of
    the same program.
    """
    found: Found = {}
    for repeat in range(0, repeats, SERVED):
        with ExitStack() as stack:
            for way, measured in take_turns(start(stack), min(SERVED, repeats - repeat)).items():
                found.setdefault(way, []).extend(measured)
    return found


def take_turns(turns: dict[str, Turn], repeats: int) -> Found:
    """Measures each way once, then each again, so that what else the machine does falls on all alike."""
    found: Found = {way: [] for way in turns}
    for _ in range(repeats):
        for way, turn in turns.items():
            found[way].append(turn())
    return found


def under_load(url: str, asked: list[Request], clients: int, plan: Plan, server: Server | None = None) -> Measured:
    """So many clients for one turn; without `server`, whose process is not ours, the CPU time is unknown."""
    before = server.cpu if server else math.nan
    answers = closed_loop(url, itertools.cycle(asked), clients, plan.seconds, plan.seconds / 10)
    return answers.measured(server.cpu - before if server else math.nan)


def _turns(case: Case, questions: list[Sequences], file: Path, plan: Plan, stack: ExitStack) -> dict[str, Turn]:
    """Every way, on servers that end with the stack. `file`: what the bare runtime runs."""
    turns: dict[str, Turn] = {"bare": partial(bare, case.model, file, plan)} if "bare" in case.ways else {}
    servers = [stack.enter_context(plain({plan.server}, case.model))] if "plain" in case.ways else []
    servers.append(stack.enter_context(ours({plan.server}, *plan.options, model=case.model, store=case.store)))
    for server in servers:
        path = case.path.format(model=case.model)
        turns[server.name] = _turn(f"{server.url}{path}", case, questions, plan, server)
    for name, url in plan.peers.items():
        turns[name] = _turn(url.format(model=case.model), case, questions, plan)
    return turns


def _turn(url: str, case: Case, questions: list[Sequences], plan: Plan, server: Server | None = None) -> Turn:
    asked = requests(url, case.model, questions, form=case.form)
    return partial(under_load, url, asked, case.clients, plan, server)


def bare(model: str, file: Path, plan: Plan) -> Measured:
    """The bare runtime on the server's core, in a process of its own; see bare.py."""
    options = [str(graph(model)), str(file), "--seconds", str(plan.seconds)]
    command = [sys.executable, "-m", "benchmarks.serving.bare", *options]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(), check=True, stdout=subprocess.PIPE, preexec_fn=lambda: pin(plan.server)
    )
    return Measured(**json.loads(done.stdout))
