"""python -m service score: a table of sequences to a table of predictions.

Every piece of the input becomes a part on disk; when all are there, they become the one file. So a run that is stopped
goes on where it was.
"""

import csv
import signal
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import Any

import pyarrow as pa
from pydantic_settings import CliApp
from rich.console import Console
from rich.progress import Progress

from service.errors import StartupError
from service.models.loading import Model
from service.models.runtime import available_cpus
from service.score import local
from service.score.options import Scoring
from service.score.parts import Parts
from service.score.results import Write, write_faults, writer
from service.score.scorer import find_folder, load_model
from service.score.sources import Source, open_source


def main(arguments: list[str]) -> int:
    """Scores a file; returns the exit status.

    Raises:
        StartupError: the model, the file or the folder is not as expected.
    """
    options = CliApp.run(Scoring, cli_args=arguments)
    try:
        return _run(options)
    except KeyboardInterrupt:
        _say("stopped; the same command goes on where it was")
        return 128 + signal.SIGINT  # as shells have it
    except (OSError, UnicodeDecodeError, csv.Error, zipfile.BadZipFile, pa.ArrowException) as error:
        raise StartupError(f"expected to read {options.source} and write {options.out}, received: {error}") from error


def finish(out: Path, parts: Parts, write: Write) -> tuple[int, int]:
    """Makes the parts into the file, and what was wrong into `OUT.errors.csv`; returns how many of each.

    Every step can be done again, if the process is killed after it.
    """
    beside, beside_errors = parts.folder / f"out{out.suffix}", parts.folder / "errors.csv"
    errors = out.with_name(f"{out.name}.errors.csv")
    sequences, faults = write_faults(beside_errors, parts)
    write(beside, parts)
    if faults:
        beside_errors.replace(errors)
    else:
        errors.unlink(missing_ok=True)
    beside.replace(out)
    parts.remove()
    return sequences, faults


def _run(options: Scoring) -> int:
    write = writer(options.out)
    folder = find_folder(options.models, options.model, options.version)
    model = load_model(folder, options.provider)
    source = open_source(options.source, model.manifest, options)
    if model.codec is not None and options.attention and options.out.suffix.lower() == ".npz":
        raise StartupError("expected --no-attention, as weights of texts are no array, received an .npz file to write")
    begun = perf_counter()
    with Parts(options.out, _identity(options, model, source)) as parts, _progress(source) as advance:
        if parts.done:
            _say(f"{parts.folder}: {len(parts.done)} parts are done already")
        for position in _score(options, source, model, folder, parts):
            advance(position)
        if not parts.done:
            parts.remove()
            raise StartupError(f"expected at least one sequence, received an empty table: {options.source}")
        sequences, faults = finish(options.out, parts, write)
    seconds = perf_counter() - begun
    wrong = f", {faults:,} of them without a prediction: {options.out}.errors.csv says why" if faults else ""
    _say(f"{options.out}: {sequences:,} sequences in {seconds:,.1f} s{wrong}")
    return 0


def _score(options: Scoring, source: Source, model: Model, folder: Path, parts: Parts) -> Iterator[int]:
    if options.engine == "ray":
        from service.score import cluster  # Ray takes a second

        return cluster.score(source, folder, options.provider, options.attention, parts)
    return local.score(source, local.make_scorer(model, options.attention), parts, options.cores or available_cpus())


def _identity(options: Scoring, model: Model, source: Source) -> dict[str, Any]:
    """What makes two runs the same: only then are the parts of one of use to the other."""
    status = options.source.stat()
    return {
        "input": f"{options.source.resolve()}, {status.st_size} bytes, changed at {status.st_mtime_ns}",
        "columns": asdict(source.columns),
        "model": f"{model.manifest.name}/{model.manifest.version}, {model.manifest.sha256}",
        "batch": model.runtime.options.batch,
        "provider": model.runtime.provider,
        "attention": options.attention,
    }


@contextmanager
def _progress(source: Source) -> Iterator[Any]:
    """A bar on stderr; gives what moves it to a position."""
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("scoring", total=source.size)
        yield lambda position: progress.update(task, completed=position)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
