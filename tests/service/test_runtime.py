import math

import numpy as np
import pytest

from service.errors import ModelError, ProviderUnavailable
from service.runtime import Runtime, cgroup_quota, check_provider
from tests.serving import MODELS


def test_a_batch_runs_and_gives_named_outputs():
    runtime = Runtime(MODELS / "japanese-vowels" / "1" / "model.onnx", "cpu", 1)
    outputs = runtime.run(np.zeros((2, 29, 12), np.float32), np.array([7, 29], np.int32))
    assert outputs.prediction.shape == (2, 9)
    assert outputs.attention.shape == (2, 29)
    assert outputs.attention[0, 7:].tolist() == [0] * 22


def test_auto_takes_the_cpu_where_there_is_no_gpu_and_says_so():
    assert Runtime(MODELS / "planted-before" / "1" / "model.onnx", "auto", 1).provider == "cpu"


def test_cuda_demanded_and_not_there_says_what_to_install():
    with pytest.raises(
        ProviderUnavailable, match=r"expected CUDA.*pip install --require-hashes -r requirements/gpu.txt"
    ):
        check_provider("cuda")


def test_a_file_that_is_no_graph_is_refused(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"not a graph")
    with pytest.raises(ModelError, match="expected a graph that ONNX Runtime can load"):
        Runtime(tmp_path / "model.onnx", "cpu", 1)


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
