import math
import subprocess
import sys

import numpy as np
import pytest

from service.errors import ModelError, ProviderUnavailable, Unreadable
from service.manifest import RuntimeOptions
from service.models.runtime import Runtime, cgroup_quota, check_provider
from tests.limits import no_more_files
from tests.serving import MODELS, ROOT


def test_a_batch_runs_and_gives_named_outputs():
    runtime = Runtime(MODELS / "japanese-vowels" / "1" / "model.onnx", "cpu", RuntimeOptions())
    outputs = runtime.run(np.zeros((2, 29, 12), np.float32), np.array([7, 29], np.int32))
    assert outputs.prediction.shape == (2, 9)
    assert outputs.attention.shape == (2, 29)
    assert outputs.attention[0, 7:].tolist() == [0] * 22


def test_a_graph_that_the_system_does_not_let_be_read_may_be_good():
    graph = MODELS / "planted-before" / "1" / "model.onnx"
    with no_more_files(), pytest.raises(Unreadable, match=r"model.onnx: expected a graph .*system error number 24"):
        Runtime(graph, "cpu", RuntimeOptions())
    assert Runtime(graph, "cpu", RuntimeOptions()).features == 2


@pytest.mark.parametrize(
    "options",
    [
        RuntimeOptions(threads=2),
        RuntimeOptions(arena=True),
        RuntimeOptions(graph_optimization="none"),
        RuntimeOptions(graph_optimization="extended", cuda={"gpu_mem_limit": 2**30}),
    ],
    ids=str,
)
def test_options_change_nothing_about_the_answer(options):
    graph = MODELS / "planted-before" / "1" / "model.onnx"
    sequences = np.random.default_rng(0).standard_normal((3, 20, 2)).astype(np.float32)
    lengths = np.full(3, 20, np.int32)
    expected = Runtime(graph, "cpu", RuntimeOptions()).run(sequences, lengths)
    found = Runtime(graph, "cpu", options).run(sequences, lengths)
    np.testing.assert_allclose(found.prediction, expected.prediction, atol=1e-6)
    np.testing.assert_allclose(found.attention, expected.attention, atol=1e-6)


def test_what_a_model_says_of_its_options_comes_before_what_the_server_is_set_to():
    server, model = RuntimeOptions(threads=4), RuntimeOptions.model_validate({"arena": True})
    assert server.replaced_by(model) == RuntimeOptions(threads=4, arena=True)
    assert server.replaced_by(RuntimeOptions(threads=1)).threads == 1
    assert server.replaced_by(None) == server


def test_memory_does_not_grow_with_the_shapes_of_the_runs():
    """In a process of its own, whose memory nobody else uses."""
    code = """
import sys
import numpy as np
from pathlib import Path
from service.manifest import RuntimeOptions
from service.models.runtime import Runtime

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

runtime = Runtime(Path(sys.argv[1]), "cpu", RuntimeOptions())
random = np.random.default_rng(0)
runtime.run(np.zeros((1, 7, 12), np.float32), np.full(1, 7, np.int32))
before = resident()
for _ in range(200):
    batch, time = random.integers(1, 65), random.integers(1, 30)
    sequences, lengths = np.zeros((batch, time, 12), np.float32), np.full(batch, time, np.int32)
    for _ in range(2):
        runtime.run(sequences, lengths)
print((resident() - before) / 1e6)
"""
    graph = MODELS / "japanese-vowels" / "1" / "model.onnx"
    run = subprocess.run([sys.executable, "-c", code, graph], cwd=ROOT, capture_output=True, text=True, check=True)
    assert float(run.stdout) < 30


def test_auto_takes_the_cpu_where_there_is_no_gpu_and_says_so():
    assert Runtime(MODELS / "planted-before" / "1" / "model.onnx", "auto", RuntimeOptions()).provider == "cpu"


def test_cuda_demanded_and_not_there_says_what_to_install():
    with pytest.raises(
        ProviderUnavailable, match=r"expected CUDA.*pip install --require-hashes -r requirements/gpu.txt"
    ):
        check_provider("cuda")


def test_a_file_that_is_no_graph_is_refused(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"not a graph")
    with pytest.raises(ModelError, match="expected a graph that ONNX Runtime can load"):
        Runtime(tmp_path / "model.onnx", "cpu", RuntimeOptions())


@pytest.mark.parametrize(
    ("files", "cpus"),
    [
        ({"cpu.max": "max 100000\n"}, math.inf),
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, math.inf),
        ({"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 0.5),
        ({}, math.inf),
    ],
)
def test_the_quota_of_a_container_is_read_from_its_cgroup(tmp_path, files, cpus):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert cgroup_quota(tmp_path) == cpus
