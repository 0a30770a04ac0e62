"""python -m service score as its users start it, and stop it."""

import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from service.manifest import Manifest
from tests.serving import MODELS, ROOT

GROUPS, SEQUENCES = 60, 100
PATIENCE_S = 60


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    """Utterances of 20 steps in so many row groups that there is time to kill what scores them; some are faulty."""
    path = tmp_path_factory.mktemp("score") / "in.parquet"
    values = np.random.default_rng(0).standard_normal((GROUPS * SEQUENCES, 20), np.float32)
    values[::1000, 3] = np.nan
    features = Manifest.read(MODELS / "japanese-vowels" / "1").features
    lists = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), 20)
    columns = {"id": pa.array(np.arange(len(values)))} | dict.fromkeys(features, lists)
    pq.write_table(pa.table(columns), path, row_group_size=SEQUENCES)
    return path


@contextmanager
def started(source, out, *options):
    command = [
        sys.executable,
        "-m",
        "service",
        "score",
        source,
        out,
        "--model",
        "japanese-vowels",
        "--cores",
        1,
        *options,
    ]
    command = [str(part) for part in command]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def finish(*arguments):
    with started(*arguments) as process:
        said, error = process.communicate(timeout=PATIENCE_S)
        return process.returncode, said + error


def parts_of(out):
    return list(out.with_name(f"{out.name}.unfinished").glob("*.arrow"))


def wait_for_parts(out, count):
    until = time.monotonic() + PATIENCE_S
    while len(parts_of(out)) < count:
        assert time.monotonic() < until
        time.sleep(0.002)


def test_killed_twice_and_taken_up_it_writes_the_same_bytes(table, tmp_path):
    whole, killed = tmp_path / "whole.parquet", tmp_path / "killed.parquet"
    status, said = finish(table, whole)
    assert status == 0, said
    kept = set()
    for count in (10, 30):
        with started(table, killed):
            wait_for_parts(killed, count)
        parts = {(path.name, path.stat().st_ino) for path in parts_of(killed)}
        assert kept <= parts, "parts were made again"
        kept = parts
        assert not killed.exists()
    status, said = finish(table, killed)
    assert status == 0, said
    assert f"{killed}.unfinished: " in said
    assert killed.read_bytes() == whole.read_bytes()
    errors = [path.with_name(f"{path.name}.errors.csv").read_text() for path in (killed, whole)]
    assert errors[0] == errors[1]
    assert len(errors[0].splitlines()) == 1 + GROUPS * SEQUENCES // 1000
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "killed.parquet",
        "killed.parquet.errors.csv",
        "whole.parquet",
        "whole.parquet.errors.csv",
    ]


def test_a_run_that_is_told_to_stop_says_so_and_another_does_not_go_on_with_it(table, tmp_path):
    out = tmp_path / "out.parquet"
    with started(table, out) as process:
        wait_for_parts(out, 1)
        process.send_signal(signal.SIGSTOP)  # so that it is not finished meanwhile
        status, said = finish(table, out)
        assert status == 1
        assert f"error: expected {out}.unfinished to be free, received one that another run is writing" in said
        process.send_signal(signal.SIGCONT)
        process.terminate()
        assert process.wait(PATIENCE_S) == 128 + signal.SIGTERM
    status, said = finish(table, out, "--no-attention")
    assert status == 1
    assert f"error: expected the attention that {out}.unfinished was begun with, True, received False" in said
