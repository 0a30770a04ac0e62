"""From an engineer's own CSV to a served model: fit, evaluate, export, predict."""

import csv
import json
import re

import httpx
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from service.manifest import Manifest
from tests.serving import serving
from training.__main__ import cli
from training.data.datasets import Data
from training.fit import Run


def sequence(random, state):
    """6 to 12 steps of temperature and current, in their units; a worn machine draws more current at its end."""
    length = random.integers(6, 13)
    temperature = random.normal(350, 5, length)
    current = random.normal(0.02, 0.001, length)
    if state == "worn":
        current[-3:] += 0.01
    return np.stack([temperature, current], axis=1)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A long CSV of 160 machines, a quarter of them worn, with the rows of all machines mixed."""
    random = np.random.default_rng(0)
    rows = []
    for i in range(160):
        state = "worn" if i % 4 == 0 else "as new"
        for hour, (temperature, current) in enumerate(sequence(random, state)):
            rows.append([f"m{i:03}", f"2026-03-01T{hour:02}:00", "Turin", temperature, current, state])
    path = tmp_path_factory.mktemp("table") / "machines.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["machine", "hour", "place", "temperature", "current", "state"])
        writer.writerows(rows[i] for i in random.permutation(len(rows)))
    return path


@pytest.fixture
def run(table, monkeypatch):
    """Runs a command in the folder of the table; gives its output."""
    monkeypatch.chdir(table.parent)

    def run(*command):
        result = CliRunner().invoke(cli, [str(part) for part in command], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    return run


def test_a_table_of_ones_own_becomes_a_served_model_by_two_commands(run, table, monkeypatch):
    columns = ["--id", "machine", "--time", "hour", "--target", "state"]
    said = run("fit", table.name, *columns, "--units", 8, "--epochs", 20, "--learning-rate", 0.02)
    assert (
        "machines: binary (as new, worn); 96 training, 32 validation, 32 test sequences of 6 to 12 steps "
        "× temperature, current\nclass weights: as new 0.67, worn 2.00\n"
    ) in said
    folder = table.parent / "runs" / "machines-before"
    written = json.loads((folder / "run.json").read_text())
    assert written["data"] == str(table)
    assert written["data_options"]["id"] == "machine"
    assert written["model"]["variable_length"] is True

    monkeypatch.chdir("/")  # the table is found again from anywhere
    said = run("export", folder, "--name", "machines", "--models", folder / "models")
    assert said.startswith(f"{folder} is not evaluated yet: that comes first\n")
    manifest = Manifest.read(folder / "models" / "machines" / "1")
    assert (manifest.features, manifest.labels) == (["temperature", "current"], ["as new", "worn"])
    assert manifest.quality.samples == 32
    assert manifest.quality.mean > 0.95
    assert manifest.training.data == "machines.csv (a long table, split at random)"

    random = np.random.default_rng(1)
    states = ["as new", "worn"] * 20
    sequences = [sequence(random, state).tolist() for state in states]
    with serving(models=folder / "models") as running:
        answer = httpx.post(f"{running.url}/predict", json={"sequences": sequences}).raise_for_status().json()
    assert np.mean([found == state for found, state in zip(answer["labels"], states, strict=True)]) > 0.95
    assert [len(weights) for weights in answer["attention"]] == [len(steps) for steps in sequences]


def load(hours):
    """A load with a daily wave, and the wind, which says nothing about it; `(hours, 2)`."""
    random = np.random.default_rng(0)
    wave = 500 + 100 * np.sin(np.arange(hours) * 2 * np.pi / 24)
    return np.stack([wave + random.normal(0, 5, hours), random.normal(8, 3, hours)], axis=1)


def test_a_series_of_ones_own_becomes_a_served_forecast_by_two_commands(run, table):
    hours = pd.date_range("2026-01-01", periods=600, freq="h")
    frame = pd.DataFrame(load(600), columns=["load", "wind"]).assign(hour=hours)
    frame.to_parquet(table.parent / "power.parquet")
    (table.parent / "power.toml").write_text(
        'time = "hour"\ntarget = "load"\nhorizon = 6\nwindow = 24\nstride = 2\n'
        "units = 16\nepochs = 12\nlearning_rate = 0.02\nbatch_size = 16\n"
    )
    said = run("fit", "power.parquet", "--config", "power.toml", "--position", "after", "--score", "additive")
    assert (
        "power: forecast of the next 6 of load; 166 training, 46 validation, 46 test sequences of 24 steps × load, wind"
    ) in said
    run("export", "runs/power-after", "--name", "power", "--models", "power")
    manifest = Manifest.read(table.parent / "power" / "power" / "1")
    assert (manifest.task, manifest.horizon, manifest.features) == ("forecast", 6, ["load", "wind"])
    assert [len(example.target) for example in manifest.examples] == [6, 6]
    assert manifest.quality.metric == "rmse"
    assert manifest.training.data == "power.parquet (a long table whose load is forecast, split by time)"

    later = load(800)[600:]
    windows = [later[start : start + 24] for start in range(0, 160, 10)]
    following = np.array([later[start + 24 : start + 30, 0] for start in range(0, 160, 10)])
    with serving(models=table.parent / "power") as running:
        body = {"sequences": [window.tolist() for window in windows]}
        answer = httpx.post(f"{running.url}/predict", json=body).raise_for_status().json()
    predictions = np.array(answer["predictions"])
    assert predictions.shape == (16, 6)
    assert "labels" not in answer
    assert [len(weights) for weights in answer["attention"]] == [24] * 16
    copied = np.array([window[-1:, 0] for window in windows])
    errors = [np.sqrt(np.mean((forecast - following) ** 2)) for forecast in (predictions, copied)]
    assert errors[0] < 0.5 * errors[1]


def test_what_is_fitted_is_what_evaluate_and_export_load_again(run, table):
    columns = ["--id", "machine", "--time", "hour", "--target", "state"]
    shares = ["--feature-columns", "current, temperature", "--test-share", 0.5, "--validation-share", 0.1]
    run("fit", table.name, *columns, *shares, "--units", 2, "--epochs", 1, "--out", "small")
    data: Data = Run.read(table.parent / "small").load_data()
    assert data.features == ["current", "temperature"]
    assert [len(part) for part in (data.train, data.validation, data.test)] == [64, 16, 80]

    unchanged = table.read_bytes()
    table.write_bytes(unchanged + b"m999,2026-03-01T00:00,Turin,350,0.02,as new\n")
    result = CliRunner().invoke(cli, ["evaluate", "small"])
    table.write_bytes(unchanged)
    assert result.exit_code == 1
    assert "expected the file that was fitted, received one changed since then: " in result.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["machines.csv"], "expected a column target, received machine, hour, place, temperature, current, state"),
        (["machines.xlsx"], "expected a built-in data set (planted, italy-power, "),
        (["nothing.csv"], "No such file or directory: '"),
        (["machines.csv", "--n", "5"], "expected --n with planted only, received machines.csv"),
        (["planted", "--impute", "last"], "expected --impute with a table of your own only, received planted"),
        (["machines.csv", "--test-share", "1"], "test_share: Input should be less than 1"),
    ],
)
def test_what_cannot_be_read_ends_in_one_sentence(table, monkeypatch, arguments, sentence):
    monkeypatch.chdir(table.parent)
    result = CliRunner().invoke(cli, ["fit", *arguments, "--out", "refused"])
    assert result.exit_code == 1
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (table.parent / "refused").exists()


def with_split(lines):
    """A column split that puts machine by machine into a part, but the last row of all into another one."""
    parts = {f"m{i:03}": ("train", "validation", "test")[i % 3] for i in range(160)}
    rows = [f"{line},{parts[line[:4]]}" for line in lines[1:]]
    other = "test" if rows[-1].endswith("train") else "train"
    return [lines[0] + ",split", *rows[:-1], f"{lines[-1]},{other}"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda lines: [lines[0].replace("state", "condition"), *lines[1:]],
            r"expected a column state, received machine, hour, place, temperature, current, condition, row 1",
        ),
        (
            lambda lines: [*lines[:6], lines[6].replace(",Turin,", ",Turin,warm "), *lines[7:]],
            r"expected a number in column temperature, received warm \d+\.\d+, row 7",
        ),
        (
            lambda lines: [line.replace("as new", "worn") for line in lines],
            r"expected at least two different targets, received only worn in column state of all 160 sequences, from "
            r"row 2 on",
        ),
        (
            lambda lines: [*lines, lines[3]],
            r"expected every hour once within each machine, received 2026-03-01T\d\d:00, row {last}",
        ),
        (
            with_split,
            r"expected the same split in every row of each machine, \w+ as in row \d+, received \w+, row {last}",
        ),
    ],
)
def test_a_fault_of_a_table_is_said_with_its_row(table, tmp_path, change, sentence):
    lines = change(table.read_text().splitlines())
    (tmp_path / "faulty.csv").write_text("\n".join(lines))
    columns = ["--id", "machine", "--time", "hour", "--target", "state"]
    result = CliRunner().invoke(cli, ["fit", str(tmp_path / "faulty.csv"), *columns, "--out", str(tmp_path / "run")])
    assert result.exit_code == 1
    assert re.fullmatch(f"error: {sentence.format(last=len(lines))}\n", result.stderr), result.stderr
    assert not (tmp_path / "run").exists()
