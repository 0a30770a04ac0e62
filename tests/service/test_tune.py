import json
import shutil
import subprocess
import sys

from service.manifest import Manifest
from service.tune import choose, table
from tests.serving import MODELS, ROOT

RATES = {1: {1: 10.0, 2: 96.0, 4: 100.0}, 2: {1: 8.0, 2: 99.0, 4: 104.0}}


def tune(*arguments):
    command = [sys.executable, "-m", "service", "tune", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_the_fewest_threads_and_the_smallest_batch_that_come_near_the_best_are_chosen():
    chosen = choose(RATES)
    assert (chosen.threads, chosen.batch) == (1, 2)
    assert choose({1: {1: 10.0}, 2: {1: 20.0, 2: 20.0}}).threads == 2


def test_the_table_has_a_column_for_each_number_of_threads():
    lines = table({1: {1: 1000.0, 2: 2000.0}, 2: {1: 3000.0}}).splitlines()
    assert [line.split() for line in lines] == [
        ["batch", "1", "thread", "2", "threads"],
        ["1", "1,000", "3,000"],
        ["2", "2,000", "sequences/s"],
    ]


def test_what_suits_the_machine_is_written_and_only_that(tmp_path):
    folder = tmp_path / "italy-power" / "1"
    shutil.copytree(MODELS / "italy-power" / "1", folder)
    before = Manifest.read(folder)
    shown = tune(folder, "--no-write")
    assert shown.returncode == 0, shown.stderr
    assert Manifest.read(folder) == before
    tuned = tune(folder)
    assert "chosen: threads" in tuned.stdout
    after = Manifest.read(folder)
    assert set(json.loads((folder / "model.json").read_text())["runtime"]) == {"threads", "batch"}
    assert after.model_copy(update={"runtime": None}) == before


def test_a_folder_that_is_no_model_is_said():
    ended = tune("nowhere/1")
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: nowhere/1: expected a readable file")
