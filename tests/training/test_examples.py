import asyncio
import sys

import pytest
from rich.console import Console
from rich.progress import Progress

from training.examples import make_all, run
from training.runs import progress

HERE = "import os; print('first'); print(os.environ['TF_NUM_INTRAOP_THREADS'], 'thread'); os.write(2, b'aside'); {}"


@pytest.mark.parametrize(("ending", "succeeds"), [("", True), ("raise SystemExit(3)", False)])
def test_a_command_runs_in_one_thread_into_its_log_with_its_latest_line_shown(tmp_path, ending, succeeds):
    with Progress(disable=True) as shown:
        row = shown.add_task("row", said="")
        command = [sys.executable, "-c", HERE.format(ending)]
        assert asyncio.run(run(command, tmp_path / "log", shown, row)) is succeeds
        assert shown.tasks[row].fields["said"] == "1 thread"
    log = (tmp_path / "log").read_text()
    assert sorted(log.replace("aside", "").split("\n")) == ["", "1 thread", "first"]
    assert "aside" in log


def test_what_could_not_be_made_is_named_with_its_log(tmp_path):
    console = Console(record=True, width=200)
    log = tmp_path / "runs" / "italy.log"
    assert make_all(["italy"], tmp_path / "models", tmp_path / "runs", console) == {"italy": log}
    assert "expected names out of dates, " in log.read_text()
    assert "italy: failed after 0:" in console.export_text()


def test_without_a_terminal_progress_is_a_line_for_every_tenth(capsys):
    with progress("tiny", 40) as advance:
        for epoch in range(40):
            advance({"loss": 1 - epoch / 40, "val_loss": 0.5})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 10
    assert lines[0] == "tiny  epoch 4 of 40  loss 0.9250  validation 0.5000"
    assert lines[-1] == "tiny  epoch 40 of 40  loss 0.0250  validation 0.5000"


def test_of_few_epochs_every_one_has_its_line(capsys):
    with progress("tiny", 3) as advance:
        for _ in range(3):
            advance({"loss": 1, "val_loss": 1})
    assert [line.split("  ")[1] for line in capsys.readouterr().out.splitlines()] == [
        f"epoch {i} of 3" for i in (1, 2, 3)
    ]
