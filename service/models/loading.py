"""One folder `NAME/VERSION/` to a model that can be run: read, checked against what it declares, warmed, measured."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import ValidationError

from service.errors import ModelError, Unreadable
from service.manifest import DEFAULTS, GRAPH_FILE, MANIFEST_FILE, Manifest, RuntimeOptions, Vocabulary
from service.models.codec import Codec
from service.models.cost import Cost, measure
from service.models.runtime import Outputs, Runtime
from service.settings import Provider

R = TypeVar("R")


@dataclass(frozen=True, eq=False)
class Model:
    """A model that can be run. Two are the same only if they are one object: requests of one object run together.

    Attributes:
        cost: of a run, as measured when it was loaded.
        codec: of a model that turns text into text.
    """

    manifest: Manifest
    runtime: Runtime
    cost: Cost
    codec: Codec | None = None

    def run_zeros(self, count: int, time: int) -> object:
        """Runs `count` sequences of `time` steps, for what it costs."""
        runtime, lengths = self.runtime, np.full(count, time, np.int32)
        if runtime.reads_text:
            return runtime.run_text(np.ones((count, time), np.int32), lengths, 1)
        return runtime.run(np.zeros((count, runtime.time or time, len(self.manifest.features)), np.float32), lengths)


def read_manifest(folder: Path) -> Manifest:
    """Reads the model.json of a `NAME/VERSION/` folder.

    Raises:
        ModelError: what is wrong with it.
        Unreadable: it cannot be read now.
    """
    try:
        manifest = Manifest.read(folder)
    except OSError as error:
        raise Unreadable(f"expected a readable file: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = "/".join(map(str, first["loc"]))
        raise ModelError(f"{MANIFEST_FILE}: /{place}: {first['msg']} ({error.error_count()} in all)") from error
    if (manifest.name, str(manifest.version)) != (folder.parent.name, folder.name):
        raise ModelError(
            f"{MANIFEST_FILE}: expected the name and version of its folder, received {manifest.name}/{manifest.version}"
        )
    return manifest


def load(folder: Path, provider: Provider, options: RuntimeOptions = DEFAULTS) -> Model:
    """Loads and checks one `NAME/VERSION/` folder, and runs the model.

    Args:
        provider: see `Runtime`.
        options: what the server is set to; the model's own come first.

    Raises:
        ModelError: what is wrong with it.
        Unreadable: it cannot be read now.
        ProviderUnavailable: CUDA was demanded and is not there.
    """
    manifest = read_manifest(folder)
    try:
        sha256 = hashlib.sha256((folder / GRAPH_FILE).read_bytes()).hexdigest()
    except OSError as error:
        raise Unreadable(f"expected a readable file: {error}") from error
    if sha256 != manifest.sha256:
        raise ModelError(f"{GRAPH_FILE}: expected sha256 {manifest.sha256}, received {sha256}: truncated or changed")
    runtime = Runtime(folder / GRAPH_FILE, provider, options.replaced_by(manifest.runtime))
    if runtime.reads_text != (manifest.task == "sequence"):
        reads = "text" if runtime.reads_text else "numbers"
        raise ModelError(
            f"expected a graph for task {manifest.task} as in {MANIFEST_FILE}, found one that reads {reads}"
        )
    codec = None
    if manifest.vocabulary is not None and manifest.decoding is not None:
        _check_text(manifest.vocabulary, runtime)
        codec = Codec(manifest.vocabulary, manifest.decoding)
    else:
        _check(manifest, runtime)
    model = Model(manifest, runtime, Cost(0.0, 0.0, 0.0), codec)
    return replace(model, cost=_measure(model))


def _measure(model: Model) -> Cost:
    """Runs sequences as long as those it was trained on."""
    manifest = model.manifest
    trained = manifest.training.lengths if manifest.training else manifest.lengths
    return _run_once(measure, model.run_zeros, trained.min, trained.max or trained.min)


def _check_text(vocabulary: Vocabulary, runtime: Runtime) -> None:
    """Runs a text of the last character of the vocabulary, whose id is the highest."""
    last = np.full((1, 1), len(vocabulary.input) - 1, np.int32)
    outputs = _run_once(runtime.run_text, last, np.ones(1, np.int32), 1)
    highest = int(outputs.prediction.max(initial=0))
    if highest >= len(vocabulary.output):
        raise ModelError(f"expected ids below {len(vocabulary.output)} as in {MANIFEST_FILE}, found {highest}")


def _check(manifest: Manifest, runtime: Runtime) -> None:
    """Runs the shortest sequence of zeros, and holds the graph to what its manifest declares."""
    if runtime.features not in (len(manifest.features), None) and isinstance(runtime.features, int):
        raise ModelError(f"expected {len(manifest.features)} features as in {MANIFEST_FILE}, found {runtime.features}")
    rank = runtime.output_rank("attention")
    if manifest.attention and rank is None:
        raise ModelError(f"expected an output 'attention' as in {MANIFEST_FILE}, found none")
    if not manifest.attention and rank is not None:
        raise ModelError(f"expected no output 'attention' as in {MANIFEST_FILE}, found one")
    if manifest.attention and rank != 1 + len(manifest.attention.axes):
        raise ModelError(f"expected attention over {manifest.attention.axes} as in {MANIFEST_FILE}, found {rank} axes")
    if not runtime.takes_lengths and runtime.time not in (None, manifest.lengths.max):
        raise ModelError(f"expected {runtime.time} steps in {MANIFEST_FILE}, found {manifest.lengths.max}")
    if not runtime.takes_lengths and manifest.lengths.min != manifest.lengths.max:
        raise ModelError("expected an input 'lengths', because the sequences may differ in length; found none")
    if runtime.time is not None and (manifest.lengths.max is None or manifest.lengths.max > runtime.time):
        raise ModelError(f"expected at most {runtime.time} steps in {MANIFEST_FILE}, found {manifest.lengths.max}")
    outputs = _warm_up(manifest, runtime)
    if outputs.prediction.shape[1] != manifest.outputs:
        raise ModelError(f"expected {manifest.outputs} outputs for its labels, found {outputs.prediction.shape[1]}")


def _warm_up(manifest: Manifest, runtime: Runtime) -> Outputs:
    zeros = np.zeros((1, runtime.time or manifest.lengths.min, len(manifest.features)), np.float32)
    return _run_once(runtime.run, zeros, np.array([manifest.lengths.min], np.int32))


def _run_once(run: Callable[..., R], *inputs: Any) -> R:
    try:
        return run(*inputs)
    except Exception as error:  # onnxruntime's exceptions share no base but Exception
        raise ModelError(f"{GRAPH_FILE}: expected a graph that runs, received: {error}") from error
