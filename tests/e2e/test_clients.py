"""The clients of Triton and KServe, from PyPI and unchanged, get what ONNX Runtime gives for the same arrays."""

import json
import subprocess

import numpy as np
import onnxruntime
import pytest

from service.manifest import Manifest
from service.models.codec import Codec
from tests.serving import MODELS, ROOT

PYTHON = ROOT / ".venv" / "clients" / "bin" / "python"
NAMES = sorted(path.name for path in MODELS.iterdir() if path.is_dir())
WAYS = ["triton-binary", "triton-json", "kserve-binary", "kserve-json"]


def write_inputs(folder, manifest):
    """Inputs of a model, 7 sequences; of different lengths where it takes them."""
    random, path = np.random.default_rng(0), folder / manifest.name
    if manifest.vocabulary is not None:
        texts = [example.sequence for example in manifest.examples] + ["3 März 2021"]
        path.with_suffix(".texts.json").write_text(json.dumps(texts))
        return
    low, high = manifest.lengths.min, manifest.lengths.max or 40
    np.save(f"{path}.sequences.npy", random.standard_normal((7, high, len(manifest.features))).astype(np.float32))
    if low != high:
        np.save(f"{path}.lengths.npy", random.integers(low, high, 7, np.int32, endpoint=True))


def run_bare(folder, manifest):
    """What ONNX Runtime answers to these inputs, by name."""
    session = onnxruntime.InferenceSession(MODELS / manifest.name / str(manifest.version) / "model.onnx")
    names = [output.name for output in session.get_outputs()]
    if manifest.vocabulary is None:
        paths = {one.name: folder / f"{manifest.name}.{one.name}.npy" for one in session.get_inputs()}
        return dict(zip(names, session.run(names, {name: np.load(path) for name, path in paths.items()}), strict=True))
    codec = Codec(manifest.vocabulary, manifest.decoding)
    encoded = [codec.encode(text) for text in json.loads((folder / f"{manifest.name}.texts.json").read_text())]
    lengths = np.array([len(ids) for ids in encoded], np.int32)
    ids = np.zeros((len(encoded), lengths.max()), np.int32)
    for row, one in zip(ids, encoded, strict=True):
        row[: len(one)] = one
    beam = np.array(codec.beam, np.int32)
    found = dict(zip(names, session.run(names, {"sequences": ids, "lengths": lengths, "beam": beam}), strict=True))
    found["prediction"] = np.array([codec.decode(row.tolist()) for row in found["prediction"]])
    longest = max(map(len, found["prediction"]))
    for weights, text in zip(found["attention"], found["prediction"], strict=True):
        weights[len(text) :] = 0  # the rows of END, which no answer has
    return {**found, "attention": found["attention"][:, :longest]}


@pytest.fixture(scope="module")
def asked(server, tmp_path_factory):
    """What the clients found, and the folder that they put arrays into."""
    if not PYTHON.exists():
        pytest.fail(f"expected tritonclient and kserve in {PYTHON.parents[1]}; `make test` installs them")
    folder = tmp_path_factory.mktemp("clients")
    for name in NAMES:
        write_inputs(folder, Manifest.read(MODELS / name / "1"))
    (folder / "models.json").write_text(json.dumps(NAMES))
    script, address = ROOT / "tests" / "e2e" / "clients.py", server.removeprefix("http://")
    done = subprocess.run([PYTHON, script, address, folder], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), folder


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", NAMES)
def test_every_model_answers_them_as_onnxruntime_does(asked, name, way):
    _, folder = asked
    expected = run_bare(folder, Manifest.read(MODELS / name / "1"))
    for output, array in expected.items():
        found = np.load(folder / f"{way}.{name}.{output}.npy")
        if array.dtype.kind == "U":
            assert found.tolist() == array.tolist()
        else:
            np.testing.assert_allclose(found, array, atol=1e-5)


def test_they_find_out_what_is_there(asked):
    found, _ = asked
    for client in ("triton", "kserve"):
        assert found[client]["live"] is True
        assert found[client]["ready"] is True
    triton = found["triton"]
    assert "binary_tensor_data" in triton["server"]["extensions"]
    for name, metadata in triton["metadata"].items():
        manifest = Manifest.read(MODELS / name / "1")
        shape = [-1] if manifest.vocabulary else [-1, manifest.outputs]
        assert metadata["outputs"][0]["shape"] == shape
        assert metadata["inputs"][0]["name"] == "sequences"


def test_they_load_and_unload(asked):
    triton = asked[0]["triton"]
    assert triton["ready when unloaded"] is False
    assert triton["ready when loaded"] is True
    assert {entry["state"] for entry in triton["index"]} == {"READY"}


def test_they_keep_explanations_and_are_told_of_errors(asked, client):
    triton = asked[0]["triton"]
    assert client.get(f"/attention/{triton['explanation']}").json()["model"] == NAMES[0]
    status, message = triton["error"]
    assert status == "404"
    assert message.startswith("expected a model out of")
