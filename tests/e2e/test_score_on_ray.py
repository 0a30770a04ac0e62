"""python -m service score --engine ray, on a cluster of two nodes."""

import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.serving import ROOT

SEQUENCES = 300


@pytest.fixture(scope="module")
def address():
    """The address of a cluster of two nodes with a core each."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # read when ray is imported
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 80_000_000}
    cluster = Cluster(initialize_head=True, head_node_args=node | {"include_dashboard": False})
    try:
        cluster.add_node(**node)
        yield cluster.address
    finally:
        cluster.shutdown()


@pytest.fixture
def table(tmp_path):
    """A long table whose sequences cross row groups; one of them is longer than a whole group, and faulty."""
    lengths = np.full(SEQUENCES, 20)
    lengths[7] = 1500
    ids = np.repeat(np.arange(SEQUENCES), lengths)
    steps = np.concatenate([np.arange(length) for length in lengths])
    values = np.random.default_rng(0).standard_normal((len(ids), 2), np.float32)
    table = pa.table({"id": ids, "time": steps, "x0": values[:, 0], "x1": values[:, 1]})
    pq.write_table(table, tmp_path / "in.parquet", row_group_size=611)
    return tmp_path / "in.parquet"


def score(source, out, *options, **environment):
    command = [sys.executable, "-m", "service", "score", source, out, "--model", "planted-before", *options]
    command, environment = [str(part) for part in command], os.environ | environment
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_a_cluster_of_two_nodes_writes_what_one_machine_writes(address, table, tmp_path):
    alone = score(table, tmp_path / "alone.parquet")
    assert alone.returncode == 0, alone.stderr
    together = score(table, tmp_path / "together.parquet", "--engine", "ray", RAY_ADDRESS=address)
    assert together.returncode == 0, together.stderr
    assert f"{SEQUENCES} sequences" in together.stdout
    assert (tmp_path / "together.parquet").read_bytes() == (tmp_path / "alone.parquet").read_bytes()
    errors = [(tmp_path / f"{name}.parquet.errors.csv").read_text() for name in ("alone", "together")]
    assert errors[0] == errors[1] == "row,id,expected,received\n142,7,20 time steps × 2 features,1500 time steps\n"


def test_what_ray_cannot_do_is_said(tmp_path, table):
    found = score(table, tmp_path / "out.parquet", "--engine", "ray")
    assert (found.returncode, found.stderr.splitlines()[-1]) == (
        1,
        "error: expected the address of a Ray cluster in RAY_ADDRESS (auto: the one on this machine)",
    )
