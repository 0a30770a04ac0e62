"""python -m service tune: measures a model on this machine and writes the settings that suit it into its model.json.

How similar the lengths in a run must be is no setting: it follows from what a run costs, measured at every load.
"""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import numpy as np
from pydantic import Field
from pydantic_settings import BaseSettings, CliApp, CliPositionalArg, SettingsConfigDict

from service.errors import ModelError, StartupError
from service.manifest import GRAPH_FILE, MANIFEST_FILE, Manifest, RuntimeOptions
from service.models.loading import load
from service.models.runtime import Runtime, available_cpus
from service.settings import Provider

BATCHES = [2**i for i in range(11)]  # 1 to 1024
SHARE_S = 0.1  # seconds that a batch size is measured for, at least three runs
LONGEST_RUN_S = 1.0  # larger batches than one that takes so long are not tried
NEAR_BEST = 0.95  # of the sequences a second: the smallest batch that reaches so much answers soonest
Rates = dict[int, dict[int, float]]  # sequences a second, by threads and batch


class Tuning(BaseSettings):
    """Measure a model on this machine and write the settings that suit it into its model.json."""

    model_config = SettingsConfigDict(
        env_prefix="ATTENTION_", cli_kebab_case=True, cli_implicit_flags=True, cli_prog_name="python -m service tune"
    )

    model: CliPositionalArg[Path] = Field(description="folder of the model, NAME/VERSION")
    provider: Provider = Field(default="auto", description="where it runs, as for the server")
    write: bool = Field(default=True, description="write the settings; --no-write only shows them")


def main(arguments: list[str]) -> int:
    """Measures, shows, writes; returns the exit status.

    Raises:
        StartupError: the model cannot be loaded, or its folder not be written.
    """
    tuning = CliApp.run(Tuning, cli_args=arguments)
    folder, rates = tuning.model, Rates()
    try:
        model = load(folder, tuning.provider)
    except ModelError as error:
        raise StartupError(f"{folder}: {error}") from error
    for threads in _thread_counts(available_cpus()):
        options = model.runtime.options.model_copy(update={"threads": threads})
        runtime = Runtime(folder / GRAPH_FILE, tuning.provider, options)
        rates[threads] = measure(replace(model, runtime=runtime).run_zeros, model.manifest)
        _say(f"threads {threads}: {max(rates[threads].values()):,.0f} sequences/s at most")
    chosen = choose(rates)
    _say(table(rates))
    _say(f"chosen: threads {chosen.threads}, batch {chosen.batch}")
    if tuning.write:
        _write(folder, chosen)
    return 0


def measure(run: Callable[[int, int], object], manifest: Manifest) -> dict[int, float]:
    """Sequences a second by batch size, of sequences as long as those it was trained on."""
    lengths = manifest.training.lengths if manifest.training else manifest.lengths
    time = lengths.max or lengths.min
    rates = {}
    for batch in BATCHES:
        seconds = _median_run(lambda batch=batch: run(batch, time))  # type: ignore[misc]
        rates[batch] = batch / seconds
        if seconds > LONGEST_RUN_S:
            break
    return rates


def choose(rates: Rates) -> RuntimeOptions:
    """The fewest threads and then the smallest batch that come near the best."""
    best = {threads: max(found.values()) for threads, found in rates.items()}
    threads = min(t for t, rate in best.items() if rate >= NEAR_BEST * max(best.values()))
    batch = min(b for b, rate in rates[threads].items() if rate >= NEAR_BEST * best[threads])
    return RuntimeOptions(threads=threads, batch=batch)


def table(rates: Rates) -> str:
    """Sequences a second: a row for each batch size, a column for each number of threads."""
    rows = [["batch", *[f"{threads} thread{'s' * (threads > 1)}" for threads in rates]]]
    for batch in BATCHES:
        found = [rates[threads].get(batch) for threads in rates]
        if any(found):
            rows.append([str(batch), *["" if rate is None else f"{rate:,.0f}" for rate in found]])
    return "\n".join("".join(f"{cell:>14}" for cell in row) for row in rows) + "   sequences/s"


def _thread_counts(cpus: int) -> list[int]:
    """1, 2, 4, ... and all."""
    return sorted({2**i for i in range(cpus.bit_length()) if 2**i <= cpus} | {cpus})


def _median_run(run: Callable[[], object]) -> float:
    run()  # the first pays for memory
    seconds: list[float] = []
    while len(seconds) < 3 or sum(seconds) < SHARE_S:
        begun = perf_counter()
        run()
        seconds.append(perf_counter() - begun)
    return float(np.median(seconds))


def _write(folder: Path, chosen: RuntimeOptions) -> None:
    """Into model.json, in one step, so that a server that looks at it never finds half of it."""
    manifest = Manifest.read(folder)
    runtime = (manifest.runtime or RuntimeOptions()).replaced_by(chosen)
    beside = folder / f".{MANIFEST_FILE}"
    try:
        tuned = manifest.model_copy(update={"runtime": runtime})
        beside.write_text(tuned.model_dump_json(indent=1, exclude_unset=True) + "\n")
        beside.replace(folder / MANIFEST_FILE)
    except OSError as error:
        raise StartupError(f"expected to write {folder / MANIFEST_FILE}, received: {error}") from error
    _say(f"written to {folder / MANIFEST_FILE}; a server that watches the folder takes it up")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
