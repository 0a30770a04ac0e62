"""Many explanations in the store: how long it takes to find one, to list and to sum up, while predictions run."""

import itertools
import json
import math
import multiprocessing
import random
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from hashlib import sha256
from http.client import HTTPConnection
from multiprocessing.synchronize import Event
from typing import Any, Literal
from urllib.parse import quote, urlsplit

import numpy as np

from benchmarks.serving.load import Request, clock
from benchmarks.serving.loops import closed_loop, open_loop
from benchmarks.serving.measured import BenchmarkError
from benchmarks.serving.plan import Plan
from benchmarks.serving.questions import Sequences, normal, requests
from benchmarks.serving.report import Finding, Outcome
from benchmarks.serving.servers import ours, valkey

MODEL = "planted-before"
MODELS = {MODEL: (20, 2), "italy-power": (24, 1), "japanese-vowels": (20, 12)}  # steps, features
RATE = 66_667  # 100,000 explanations where a turn has 1.5 s
CLIENTS = 32  # that fill the store
LOADED = 0.25  # of the rate at which it was filled: that of the predictions meanwhile
BEGIN_S, LONGEST_S = 60, 3600  # until those begin, and until they would end by themselves
TIMES, MOST_MS = 5, 50  # times a repeat; milliseconds of the 95th percentile
# What looks at 1,000 explanations for one answer takes in proportion, and is shown only.
SHOWN = {
    "the latest 1,000": "/attention?limit=1000",
    "a summary of 1,000": "/attention/summary?model=italy-power&limit=1000",
}


def stored(store: Literal["sqlite", "valkey"], plan: Plan) -> Outcome:
    """Fills the store by predictions, then asks for what is in it in every way."""
    count = round(RATE * plan.seconds)
    rare = normal(1, 1, *MODELS[MODEL], len(MODELS))
    with (
        nullcontext(store) if store == "sqlite" else valkey({plan.load}) as url,
        ours({plan.server}, *plan.options, "--store-count", count, model=MODEL, store=url) as server,
        closing(Reader(server.url)) as reader,
    ):
        rate = LOADED * _fill(server.url, count, rare)
        paths = _paths(reader.all(), count) | _search(reader, rare)
        with _predictions(server.url, rate):
            findings = [
                reader.measure(what, asked, TIMES * plan.repeats, None if what in SHOWN else MOST_MS)
                for what, asked in (paths | {what: itertools.repeat(path) for what, path in SHOWN.items()}).items()
            ]
    return Outcome(f"{count:,} explanations in {store}, {rate:,.0f} predictions/s meanwhile", findings)


class Reader:
    """A client that reads the store, one request after the other."""

    def __init__(self, url: str) -> None:
        self._connection = HTTPConnection(urlsplit(url).netloc, timeout=60)

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()

    def get(self, path: str) -> bytes:
        """The body of an answer.

        Raises:
            BenchmarkError: its status was not 200.
        """
        self._connection.request("GET", path)
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise BenchmarkError(f"expected status 200 of {path}, received {answer.status}: {body[:500]!r}")
        return body

    def all(self) -> list[dict[str, Any]]:
        """Every entry of the list, page by page, newest first."""
        entries: list[dict[str, Any]] = []
        page: dict[str, Any] = {"next": ""}
        while page["next"] is not None:
            cursor = f"&cursor={page['next']}" * bool(entries)
            page = json.loads(self.get(f"/attention?limit=1000{cursor}"))
            entries += page["explanations"]
        return entries

    def measure(self, what: str, paths: Iterator[str], times: int, most: float | None) -> Finding:
        """The 95th percentile of so many requests, and its bound in milliseconds."""
        seconds = []
        for path in itertools.islice(paths, times):
            begin = clock()
            body = self.get(path)
            seconds.append(clock() - begin)
        p50, p95 = 1e3 * np.percentile(seconds, [50, 95])
        remark = f"p50 {p50:.1f} ms, {len(body):,} bytes"
        return Finding(f"p95 of {what}", p95, most=most, unit=" ms", remark=remark)


def _paths(entries: list[dict[str, Any]], count: int) -> dict[str, Iterator[str]]:
    """What is asked, by what it is.

    Raises:
        BenchmarkError: an explanation is missing.
    """
    if len(entries) != count:
        raise BenchmarkError(f"expected {count:,} explanations in the store, received {len(entries):,}")
    chosen = random.Random(0)
    last = entries[: 4 * count // 5]  # while predictions run, the oldest make room
    label = quote(next(entry for entry in last if entry["model"] == "japanese-vowels")["labels"][0])
    asked = {
        "the latest 20": "/attention",
        "those of a model, version and label": f"/attention?model=japanese-vowels&version=1&label={label}",
        "those of a label that none has": "/attention?label=nobody",
        "those of a version that none has": "/attention?version=2",
        "those of a model since a time": f"/attention?model={MODEL}&since=2026-01-01",
        "a summary": "/attention/summary?model=italy-power",
        "a summary of a label": f"/attention/summary?model=japanese-vowels&label={label}",
    }
    one = (f"/attention/{chosen.choice(last)['id']}" for _ in itertools.count())
    return {"one, by its id": one} | {what: itertools.repeat(path) for what, path in asked.items()}


def _search(reader: Reader, rare: list[Sequences]) -> dict[str, Iterator[str]]:
    """What is asked of the one explanation of a sequence, far back.

    Raises:
        BenchmarkError: it is not found.
    """
    [[sequence]] = rare
    path = f"/attention?sequence={sha256(sequence.tobytes()).hexdigest()}"
    if (found := len(json.loads(reader.get(path))["explanations"])) != 1:
        raise BenchmarkError(f"expected one explanation of {path}, received {found}")
    none = f"/attention?sequence={'0' * 64}"
    return {"that of a sequence": itertools.repeat(path), "those of a sequence that none has": itertools.repeat(none)}


def _requests(url: str) -> list[Request]:
    """One sequence each, of three models in turn."""
    each = [
        requests(f"{url}/predict", model, normal(256, 1, *shape, seed), name=model)
        for seed, (model, shape) in enumerate(MODELS.items())
    ]
    return [request for turn in zip(*each, strict=True) for request in turn]


def _fill(url: str, count: int, rare: list[Sequences]) -> float:
    """Returns the predictions a second. The rare one is in the middle."""
    begin, many = clock(), itertools.cycle(_requests(url))
    first, last = itertools.islice(many, count // 2), itertools.islice(many, count - count // 2 - 1)
    asked = itertools.chain(first, requests(f"{url}/predict", MODEL, rare, name=MODEL), last)
    closed_loop(f"{url}/predict", asked, CLIENTS, math.inf)
    return count / (clock() - begin)


@contextmanager
def _predictions(url: str, rate: float) -> Iterator[None]:
    """Has so many predictions a second made meanwhile, by a process of its own.

    Raises:
        BenchmarkError: it ended before.
    """
    spawn = multiprocessing.get_context("spawn")
    begun = spawn.Event()
    process = spawn.Process(target=_predict, args=(url, rate, begun), daemon=True)
    process.start()
    try:
        begun.wait(BEGIN_S)
        yield
        if not process.is_alive():
            raise BenchmarkError(f"expected predictions meanwhile, their process ended with status {process.exitcode}")
    finally:
        process.terminate()
        process.join()


def _predict(url: str, rate: float, begun: Event) -> None:
    asked = itertools.cycle(_requests(url))
    begun.set()
    open_loop(f"{url}/predict", asked, rate, LONGEST_S, 0)
