"""The cases by name: what is asked by how many clients, and what the server must show."""

from collections.abc import Callable
from functools import partial
from typing import Literal

from benchmarks.serving.generator import generator
from benchmarks.serving.growth import growth
from benchmarks.serving.keeping import keeping
from benchmarks.serving.memory import memory
from benchmarks.serving.overload import overload
from benchmarks.serving.plan import Plan
from benchmarks.serving.questions import normal, vowels_shuffled, vowels_sorted
from benchmarks.serving.report import Outcome
from benchmarks.serving.steady import Case, Goal, steady
from benchmarks.serving.stored import stored
from benchmarks.serving.swaps import swaps
from benchmarks.serving.workers import workers


def single(store: Literal["none", "sqlite"], least: float) -> Case:
    """One sequence a request, 32 clients."""
    kept = {"none": "nothing kept", "sqlite": "every explanation kept in SQLite"}[store]
    goals = (Goal("sequences", "sequences", "plain", least=least), Goal("p99", "p50", "plain", most=1))
    return Case(f"1 sequence, 32 clients, {kept}", lambda: normal(256, 1, 20, 2), 32, goals, store=store)


def batch(size: int, clients: int, least: float) -> Case:
    """Many sequences a request."""
    goals = (Goal("sequences", "sequences", "bare", least=least), Goal("sequences", "sequences", "plain"))
    return Case(f"{size} sequences, {clients} clients", lambda: normal(16, size, 20, 2), clients, goals)


def arrays(what: str, path: str) -> Case:
    """256 sequences a request, as arrays instead of text."""
    goals = (Goal("sequences", "sequences", "bare", least=0.85),)
    title = f"256 sequences, 4 clients, {what}"
    return Case(title, lambda: normal(16, 256, 20, 2), 4, goals, ways=("bare",), path=path, form="binary")


STEADY = {
    "single": single("none", 5),
    "single-sqlite": single("sqlite", 4),
    "latency": Case(
        "1 sequence, 1 client, everything on",
        lambda: normal(256, 1, 20, 2),
        1,
        (Goal("p50", "p50", "plain", most=0.5),),
        store="sqlite",
    ),
    "batch64": batch(64, 8, 0.55),
    "batch256": batch(256, 4, 0.65),
    "npy256": arrays("npy in and npz out", "/predict?store=false"),
    "v2binary256": arrays("tensors of the Open Inference Protocol as bytes", "/v2/models/{model}/infer"),
    "mixed": Case(
        "64 sequences of mixed lengths, 8 clients",
        vowels_shuffled,
        8,
        (Goal("sequences", "sequences", "bare", least=0.5),),
        model="japanese-vowels",
        runs=vowels_sorted,
    ),
    "long": Case(
        "1 sequence of 5,000 steps, 1 client",
        lambda: normal(4, 1, 5000, 12),
        1,
        (Goal("p50", "p50", "bare", most=1.2),),
        model="japanese-vowels",
    ),
}
CASES: dict[str, Callable[[Plan], Outcome]] = {
    "generator": generator,
    **{name: partial(steady, case) for name, case in STEADY.items()},
    "keeping": keeping,
    "stored-sqlite": partial(stored, "sqlite"),
    "stored-valkey": partial(stored, "valkey"),
    "growth": growth,
    "workers": workers,
    "overload": overload,
    "memory": memory,
    "swaps": swaps,
}
