"""Every way under the same steady load, in turn."""

import json
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks.serving.bare import write_feeds
from benchmarks.serving.cases import Case
from benchmarks.serving.load import Request, closed_loop
from benchmarks.serving.measured import Measured
from benchmarks.serving.questions import feeds, requests
from benchmarks.serving.report import Found, Outcome
from benchmarks.serving.servers import ROOT, Server, environment, graph, ours, pin, plain


def steady(case: Case, repeats: int, seconds: float, core: int, peers: dict[str, str]) -> Outcome:
    """Measures a case on that core.

    Args:
        repeats: how often the ways take turns.
        seconds: of each turn; a tenth more is warm-up.
        peers: URLs of other servers, by name.

    Raises:
        BenchmarkError: a server ended, or gave an answer that is wrong or none.
    """
    questions = case.questions()
    with ExitStack() as stack:
        file = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "feeds.npz"
        write_feeds(file, feeds(case.model, case.runs() if case.runs else questions))
        servers = [
            stack.enter_context(plain({core}, case.model)),
            stack.enter_context(ours({core}, model=case.model, store=case.store)),
        ]
        asked = {server.name: requests(f"{server.url}/predict", case.model, questions) for server in servers}
        found: Found = {name: [] for name in ["bare", *asked]}
        for _ in range(repeats):
            found["bare"].append(bare(core, case.model, file, seconds))
            for server in servers:
                found[server.name].append(under_load(server, asked[server.name], case.clients, seconds))
    return Outcome(case.title, [goal.finding(found) for goal in case.goals], found)


def bare(core: int, model: str, file: Path, seconds: float) -> Measured:
    """The bare runtime on that core, in a process of its own; see bare.py."""
    command = [sys.executable, "-m", "benchmarks.serving.bare", graph(model), file, "--seconds", str(seconds)]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(), check=True, stdout=subprocess.PIPE, preexec_fn=lambda: pin(core)
    )
    return Measured(**json.loads(done.stdout))


def under_load(server: Server, asked: list[Request], clients: int, seconds: float) -> Measured:
    """A server asked by so many clients for so long."""
    before = server.cpu
    answers = closed_loop(f"{server.url}/predict", asked, clients, seconds, seconds / 10)
    return answers.measured(server.cpu - before)
