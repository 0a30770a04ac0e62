"""The import rule of CONTRIBUTING.md, read from the code itself."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.serving import ROOT

TRAINING_MAY_USE = {"service.manifest", "service.explanations", "service.ragged"}
ALONE = "service.client"  # one file, to be copied anywhere
# Each may import those to its right only; a package stands for all in it.
LAYERS = [
    ["service.__main__"],
    ["service.processes.workers", "service.tune", "service.score"],
    ["service.processes.worker"],
    ["service.processes.server"],
    ["service.app"],
    ["service.routes", "service.openapi", "service.fastpath.protocol"],
    ["service.fastpath.formats"],
    ["service.problems"],
    ["service.methods"],
    ["service.open_inference", "service.npy", "service.streams"],
    ["service.predictor", "service.models.watcher", "service.pictures.renderer", "service.pictures.process"],
    ["service.pictures.given", "service.pictures.orders", "service.examiner"],
    ["service.subject"],
    ["service.inference"],
    ["service.blocks", "service.ndjson"],
    ["service.wire", "service.reading", "service.fast", "service.explanations", "service.models.repository"],
    ["service.models.pins", "service.models.routing"],
    ["service.models.versions"],
    ["service.models.loading", "service.models.folders", "service.models.memory"],
    ["service.padding", "service.schemas", "service.encodings"],
    [
        "service.batcher",
        "service.ragged",
        "service.models.cost",
        "service.processes.sockets",
        "service.fastpath.writer",
    ],
    ["service.deferred", "service.once"],
    ["service.models.runtime", "service.models.codec"],
    ["service.manifest", "service.settings", "service.errors", "service.arrays"],
    ["service.telemetry"],
]


def modules(package):
    return sorted(path for path in (ROOT / package).rglob("*.py") if path.name != "__init__.py")


def imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def is_module(name: str) -> bool:
    """Whether it is a file of the service, and no package and no name in a file."""
    return name.startswith("service.") and (ROOT / name.replace(".", "/")).with_suffix(".py").is_file()


def layer(name: str) -> int:
    for index, members in enumerate(LAYERS):
        if any(name == member or name.startswith(member + ".") for member in members):
            return index
    raise AssertionError(f"expected a layer for {name}")


@pytest.mark.parametrize("path", modules("service"), ids=str)
def test_service_imports_nothing_of_training_and_runs_one_way(path):
    own = name_of(path)
    for name in imports(path):
        assert name.split(".")[0] not in {"training", "tensorflow", "keras", "tf2onnx"}
        if is_module(name):
            assert own != ALONE, f"{own} imports {name}"
            assert layer(name) >= layer(own), f"{own} imports {name}"


@pytest.mark.parametrize("path", modules("training"), ids=str)
def test_training_imports_only_the_manifest_and_the_explanations_of_service(path):
    for name in imports(path):
        assert not name.startswith("service.") or any(name.startswith(allowed) for allowed in TRAINING_MAY_USE)


def test_importing_the_app_loads_no_training_library_and_nothing_that_draws():
    unwanted = ("tensorflow", "keras", "training", "altair", "vl_convert", "pandas")
    code = f"import service.app, sys; print(*(name for name in {unwanted} if name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True).stdout.strip() == b""


@pytest.mark.parametrize("package", ["service", "training"])
def test_contributing_names_every_file(package):
    tree = (ROOT / "CONTRIBUTING.md").read_text()
    assert [str(path) for path in modules(package) if not re.search(rf"\b{path.name}", tree)] == []
