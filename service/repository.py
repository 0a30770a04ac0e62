"""The models being served: `models/NAME/VERSION/` scanned, checked, loaded and warmed."""

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import ValidationError

from service.cost import Cost, measure
from service.errors import Fault, Invalid, ModelError, NotFound, StartupError
from service.manifest import GRAPH_FILE, MANIFEST_FILE, Manifest, Vocabulary
from service.runtime import Outputs, Runtime
from service.settings import Provider
from service.text import Codec

logger = logging.getLogger(__name__)
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


@dataclass(frozen=True)
class Broken:
    """A model folder that cannot be served, and why."""

    folder: str
    reason: str


class Repository:
    """Every model under one folder. A broken one is reported, and never stops the others.

    Args:
        root: the folder of `NAME/VERSION/` folders.
        provider: see `Runtime`.
        threads: see `Runtime`.
        default: name of the model of requests that name none.

    Raises:
        StartupError: there is no such folder, it cannot be read, or there is no such default model in it.
        ProviderUnavailable: CUDA was demanded and is not there.
    """

    def __init__(self, root: Path, provider: Provider, threads: int, default: str | None = None) -> None:
        if not root.is_dir():
            raise StartupError(f"expected a folder of models at {root.absolute()}, found none")
        self._models: dict[str, dict[int, Model]] = {}
        self.broken: list[Broken] = []
        self._default = default
        for folder in _published(root):
            try:
                model = load(folder, provider, threads)
            except ModelError as error:
                self.broken.append(Broken(str(folder.relative_to(root)), str(error)))
                logger.error("model %s is not served: %s", folder, error)
            else:
                self._models.setdefault(model.manifest.name, {})[model.manifest.version] = model
        if not self._models:
            logger.warning("no model is served: expected folders NAME/VERSION/ with model.onnx in %s", root.absolute())
        if default is not None and default not in self._models:
            raise StartupError(f"expected a default model out of {self.names}, received {default!r}")

    @property
    def names(self) -> list[str]:
        """The names being served."""
        return sorted(self._models)

    @property
    def models(self) -> list[Model]:
        """Every version of every model, newest version of a model first."""
        return [self._models[name][version] for name in self.names for version in sorted(self._models[name])[::-1]]

    def get(self, name: str | None, version: int | None) -> Model:
        """The model of that name and version; the newest version where none is given.

        Raises:
            NotFound: there is no such model or version.
            Invalid: no name was given, and there is no default.
        """
        name = name or self._default or (self.names[0] if len(self.names) == 1 else None)
        if name is None:
            expected = f"the name of a model, one of {', '.join(self.names) or '(none is loaded)'}"
            raise Invalid([Fault(pointer="/model", expected=expected, received="nothing")])
        versions = self._models.get(name)
        if versions is None:
            raise NotFound(f"expected a model out of {self.names}, received {name!r}")
        if version is None:
            version = max(versions)
        if version not in versions:
            raise NotFound(f"expected a version of {name} out of {sorted(versions)}, received {version}")
        return versions[version]


def load(folder: Path, provider: Provider, threads: int) -> Model:
    """Loads and checks one `NAME/VERSION/` folder, and runs the model once.

    Raises:
        ModelError: what is wrong with it.
        ProviderUnavailable: CUDA was demanded and is not there.
    """
    try:
        manifest = Manifest.read(folder)
        sha256 = hashlib.sha256((folder / GRAPH_FILE).read_bytes()).hexdigest()
    except OSError as error:
        raise ModelError(f"expected a readable file: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = "/".join(map(str, first["loc"]))
        raise ModelError(f"{MANIFEST_FILE}: /{place}: {first['msg']} ({error.error_count()} in all)") from error
    if (manifest.name, str(manifest.version)) != (folder.parent.name, folder.name):
        raise ModelError(
            f"{MANIFEST_FILE}: expected the name and version of its folder, received {manifest.name}/{manifest.version}"
        )
    if sha256 != manifest.sha256:
        raise ModelError(f"{GRAPH_FILE}: expected sha256 {manifest.sha256}, received {sha256}: truncated or changed")
    runtime = Runtime(folder / GRAPH_FILE, provider, threads)
    if runtime.reads_text != (manifest.task == "sequence"):
        reads = "text" if runtime.reads_text else "numbers"
        raise ModelError(
            f"expected a graph for task {manifest.task} as in {MANIFEST_FILE}, found one that reads {reads}"
        )
    if manifest.vocabulary is not None and manifest.decoding is not None:
        _check_text(manifest.vocabulary, runtime)
        return Model(manifest, runtime, _measure(manifest, runtime), Codec(manifest.vocabulary, manifest.decoding))
    _check(manifest, runtime)
    return Model(manifest, runtime, _measure(manifest, runtime))


def _measure(manifest: Manifest, runtime: Runtime) -> Cost:
    """Runs batches of zeros, which are as long as the sequences it was trained on."""
    trained = manifest.training.lengths if manifest.training else manifest.lengths

    def run(count: int, time: int) -> object:
        lengths = np.full(count, time, np.int32)
        if runtime.reads_text:
            return runtime.run_text(np.ones((count, time), np.int32), lengths, 1)
        return runtime.run(np.zeros((count, runtime.time or time, len(manifest.features)), np.float32), lengths)

    return measure(run, trained.min, trained.max or trained.min)


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


def _published(root: Path) -> list[Path]:
    """The folders NAME/VERSION: versions are integers, and names that start with a dot are still being written.

    Raises:
        StartupError: a folder cannot be listed.
    """
    try:
        names = [path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")]
        return sorted(path for name in names for path in name.iterdir() if path.is_dir() and path.name.isdigit())
    except OSError as error:
        raise StartupError(f"expected a folder of models that this process may read: {error}") from error
