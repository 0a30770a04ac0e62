"""The import rule of CONTRIBUTING.md, read from the code itself."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.serving import ROOT

TRAINING_MAY_USE = {"service.manifest", "service.explanations"}
# Each may import those to its right only.
LAYERS = [
    ["service.__main__"],
    ["service.workers", "service.tune", "service.score"],
    ["service.worker"],
    ["service.server"],
    ["service.app"],
    ["service.routes", "service.docs", "service.lane"],
    ["service.errands"],
    ["service.open_inference", "service.npy", "service.streams"],
    ["service.predictor", "service.watcher", "service.renderer"],
    ["service.examiner"],
    ["service.inference"],
    ["service.blocks", "service.lines"],
    ["service.wire", "service.reading", "service.fast", "service.explanations", "service.repository"],
    ["service.pins", "service.routing"],
    ["service.versions"],
    ["service.loading", "service.folders", "service.memory"],
    ["service.padding", "service.schemas", "service.encodings"],
    ["service.batcher", "service.ragged", "service.cost", "service.sockets", "service.outbox"],
    ["service.turns"],
    ["service.runtime", "service.text", "service.manifest", "service.settings", "service.errors", "service.arrays"],
    ["service.telemetry"],
]


def modules(package):
    return sorted((ROOT / package).rglob("*.py"))


def imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def layer(name: str) -> int | None:
    for index, members in enumerate(LAYERS):
        if any(name == member or name.startswith(member + ".") for member in members):
            return index
    return None


@pytest.mark.parametrize("path", modules("service"), ids=str)
def test_service_imports_nothing_of_training_and_runs_one_way(path):
    own = layer(".".join(path.relative_to(ROOT).with_suffix("").parts))
    for name in imports(path):
        assert name.split(".")[0] not in {"training", "tensorflow", "keras", "tf2onnx"}
        if own is not None and (other := layer(name)) is not None:
            assert other >= own, f"{path} imports {name}"


@pytest.mark.parametrize("path", modules("training"), ids=str)
def test_training_imports_only_the_manifest_and_the_explanations_of_service(path):
    for name in imports(path):
        assert not name.startswith("service.") or any(name.startswith(allowed) for allowed in TRAINING_MAY_USE)


def test_importing_the_app_loads_no_training_library_and_nothing_that_draws():
    unwanted = ("tensorflow", "keras", "training", "altair", "vl_convert", "pandas")
    code = f"import service.app, sys; print(*(name for name in {unwanted} if name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True).stdout.strip() == b""
