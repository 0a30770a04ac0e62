"""The cases: what is asked by how many clients, and what the server must show."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from benchmarks.serving.questions import Sequences, normal, vowels_shuffled, vowels_sorted
from benchmarks.serving.report import Finding, Found


@dataclass(frozen=True)
class Goal:
    """A ratio that is held: what ours reaches by what another way reaches.

    Attributes:
        ours: the figure of ours.
        figure, of: the figure of the other way.
        least, most: the bound; one of both.
    """

    ours: Literal["sequences", "p50", "p99"]
    figure: Literal["sequences", "p50", "p99"]
    of: Literal["bare", "plain"]
    least: float | None = None
    most: float | None = None

    def finding(self, found: Found) -> Finding:
        """The median over the repeats."""
        name = "throughput" if self.ours == "sequences" else self.ours
        other = self.of if self.figure == self.ours else f"{self.of}'s {self.figure}"
        cpu = f"CPU {self._ratio(found, 'cpu', 'cpu'):.2f} of {self.of}"
        ratio = self._ratio(found, self.ours, self.figure)
        return Finding(f"{name}, of {other}", ratio, self.least, self.most, remark=cpu)

    def _ratio(self, found: Found, ours: str, figure: str) -> float:
        pairs = zip(found["ours"], found[self.of], strict=True)
        return float(np.median([getattr(mine, ours) / getattr(other, figure) for mine, other in pairs]))


@dataclass(frozen=True)
class Case:
    """A steady load, the same for every way.

    Attributes:
        questions: what is asked.
        runs: what the bare runtime runs; the questions themselves unless given.
        store: what our server keeps explanations in.
    """

    title: str
    questions: Callable[[], list[Sequences]]
    clients: int
    goals: list[Goal]
    model: str = "planted-before"
    store: Literal["none", "sqlite"] = "none"
    runs: Callable[[], list[Sequences]] | None = field(default=None)


def single(store: Literal["none", "sqlite"], least: float) -> Case:
    """One sequence a request, 32 clients."""
    kept = {"none": "nothing kept", "sqlite": "every explanation kept in SQLite"}[store]
    goals = [Goal("sequences", "sequences", "plain", least=least), Goal("p99", "p50", "plain", most=1)]
    return Case(f"1 sequence, 32 clients, {kept}", lambda: normal(256, 1, 20, 2), 32, goals, store=store)


def batch(size: int, clients: int, least: float) -> Case:
    """Many sequences a request."""
    goals = [Goal("sequences", "sequences", "bare", least=least)]
    return Case(f"{size} sequences, {clients} clients", lambda: normal(16, size, 20, 2), clients, goals)


STEADY = {
    "single": single("none", 5),
    "single-sqlite": single("sqlite", 4),
    "latency": Case(
        "1 sequence, 1 client, everything on",
        lambda: normal(256, 1, 20, 2),
        1,
        [Goal("p50", "p50", "plain", most=0.5)],
        store="sqlite",
    ),
    "batch64": batch(64, 8, 0.55),
    "batch256": batch(256, 4, 0.65),
    "mixed": Case(
        "JapaneseVowels, mixed lengths, 64 sequences, 8 clients",
        vowels_shuffled,
        8,
        [Goal("sequences", "sequences", "bare", least=0.5)],
        model="japanese-vowels",
        runs=vowels_sorted,
    ),
    "long": Case(
        "1 sequence of 5,000 steps × 12, 1 client",
        lambda: normal(4, 1, 5000, 12),
        1,
        [Goal("p50", "p50", "bare", most=1.2)],
        model="japanese-vowels",
    ),
}
