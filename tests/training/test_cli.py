import json
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from service.manifest import Manifest
from tests.serving import ROOT
from training import options, search
from training.__main__ import cli


@pytest.fixture
def command():
    """Runs a command and gives its result."""
    return lambda *arguments: CliRunner().invoke(cli, [str(argument) for argument in arguments])


def succeeded(result):
    """Its words, on one line."""
    assert result.exit_code == 0, result.output
    return result.stdout.replace("\n", "")


def failed(result):
    """The sentence a command ended with."""
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit), result.exception  # not the error itself, with its traceback
    assert result.stderr.startswith("error: ")
    assert result.stderr.strip().count("\n") == 0, result.stderr
    return result.stderr.removeprefix("error: ").strip()


@pytest.fixture
def own_file(own_model, tmp_path):
    own_model(variable_length=True).save(tmp_path / "own.keras")
    return tmp_path / "own.keras"


def test_fit_evaluate_and_export_from_folder_to_folder(command, tmp_path):
    run, models = tmp_path / "run", tmp_path / "models"
    options = ["--n", 100, "--time-steps", 6, "--features", 3, "--step", 4]
    said = succeeded(
        command("fit", "planted", *options, "--units", 3, "--epochs", 2, "--seeds", 2, "--first-seed", 7, "--out", run)
    )
    assert "seed" in said
    assert [path.name for path in sorted(run.glob("seed-*"))] == ["seed-7", "seed-8"]
    assert str(run) in said
    written = json.loads((run / "run.json").read_text())
    assert written["data_options"] == {"n": 100, "time_steps": 6, "features": 3, "step": 4}
    assert (written["fit"]["epochs"], written["fit"]["batch_size"], written["model"]["units"]) == (2, 64, 3)
    assert list(written["validation_loss"]) == ["7", "8"]

    said = succeeded(command("evaluate", run, "--no-twin"))
    assert f"mean {json.loads((run / 'metrics.json').read_text())['quality']['mean']:.4f}" in said

    said = succeeded(command("export", run, "--name", "tiny", "--models", models, "--description", "Tiny."))
    assert str(models / "tiny" / "1") in said
    manifest = Manifest.read(models / "tiny" / "1")
    assert (manifest.description, manifest.features, manifest.lengths.max) == ("Tiny.", ["x0", "x1", "x2"], 6)


def test_a_model_of_ones_own_is_exported_from_its_file(command, own_file, tmp_path):
    names = ["--labels", "no,yes", "--features", "volts,amperes"]
    succeeded(command("export", own_file, "--name", "own", "--models", tmp_path, *names))
    succeeded(command("export", own_file, "--name", "own", "--models", tmp_path, "--task", "regression"))
    first, second = (Manifest.read(tmp_path / "own" / version) for version in "12")
    assert (first.task, first.labels, first.features) == ("binary", ["no", "yes"], ["volts", "amperes"])
    assert (second.task, second.labels, second.features) == ("regression", [], ["x0", "x1"])


def test_options_of_planted_are_refused_for_other_data(command, tmp_path):
    result = command("fit", "italy-power", "--n", 50, "--time-steps", 5, "--out", tmp_path / "run")
    assert failed(result) == "expected --n, --time-steps with planted only, received italy-power"
    assert not (tmp_path / "run").exists()


def test_a_step_outside_the_sequence_is_refused(command, tmp_path):
    result = command("fit", "planted", "--step", 20, "--out", tmp_path / "run")
    assert failed(result).endswith("received n 20000, time_steps 20, features 2, step 20")
    assert not (tmp_path / "run").exists()


def test_an_example_that_is_not_one_is_refused(command, tmp_path):
    said = failed(command("examples", "italy", "--models", tmp_path, "--runs", tmp_path))
    assert said.startswith("expected names out of dates, ")
    assert said.endswith(", received italy")
    assert list(tmp_path.iterdir()) == []


def test_one_vector_per_feature_without_attention_is_refused(command, tmp_path):
    result = command("fit", "planted", "--position", "none", "--per-feature", "--out", tmp_path / "run")
    assert failed(result) == "expected an attention block for per_feature, received position none"


def test_one_vector_per_feature_of_the_cosine_score_is_refused_before_an_earlier_run_is_removed(command, copied_run):
    result = command("fit", "planted", "--n", 20, "--score", "cosine", "--per-feature", "--out", copied_run)
    assert failed(result).startswith("expected one vector shared by all features for the cosine score, because ")
    assert (copied_run / "run.json").exists()


@pytest.mark.parametrize(
    ("option", "value"), [("--dropout", 1.5), ("--input-noise", -1), ("--learning-rate", 0), ("--learning-rate", -1)]
)
def test_a_setting_out_of_its_range_is_refused_by_name(command, tmp_path, option, value):
    result = command("fit", "planted", "--n", 20, "--epochs", 1, f"{option}={value}", "--out", tmp_path / "run")
    assert result.exit_code in (1, 2)  # 2: typer's own
    assert option.strip("-").replace("-", "") in result.stderr.replace("-", "").replace("_", "")
    assert "https://errors.pydantic.dev" not in result.stderr
    assert not (tmp_path / "run").exists()


def test_evaluating_a_folder_that_is_not_a_run_is_refused(command, tmp_path):
    assert "run.json" in failed(command("evaluate", tmp_path))


def test_options_of_fit_may_stand_in_a_file_and_the_command_line_wins(command, monkeypatch, tmp_path):
    monkeypatch.setattr(search, "PLAN", [{"position": "after", "score": "cosine"}])
    lines = ["n = 50", "units = 3", "epochs = 1", "per_feature = true", "score = 'dot'", "search = '1m'"]
    (tmp_path / "my.toml").write_text("\n".join(lines))
    run = tmp_path / "run"
    said = succeeded(command("fit", "planted", "--config", tmp_path / "my.toml", "--units", 4, "--out", run))
    assert "1 configuration tried in " in said
    written = json.loads((run / "run.json").read_text())
    assert (written["data_options"], written["fit"]["epochs"]) == ({"n": 50}, 1)
    model = written["model"]
    assert (model["units"], model["per_feature"], model["score"]) == (4, True, "dot")  # given, and not searched
    assert model["position"] == "after"
    assert json.loads((run / "search.json").read_text())["tries"][0]["model"] == model


def test_a_file_of_options_names_the_columns_of_a_table(command, tmp_path):
    lines = ["plant,hour,load,wind,note", *(f"p{i % 2},{i},{i}.5,{-i},{i}" for i in range(60))]
    (tmp_path / "load.csv").write_text("\n".join(lines))
    text = "id = 'plant'\ntime = 'hour'\ntarget = 'load'\nfeature_columns = ['wind']\nhorizon = 2\nwindow = 3\n"
    (tmp_path / "my.toml").write_text(text + "units = 1\nepochs = 1\n")
    run = tmp_path / "run"
    said = succeeded(command("fit", tmp_path / "load.csv", "--config", tmp_path / "my.toml", "--out", run))
    assert "forecast of the next 2 of load; 28 training, 4 validation, 4 test sequences of 3 steps × load, wind" in said
    assert "--feature-columns" not in said
    assert json.loads((run / "run.json").read_text())["data_options"]["forecast"] == {
        "horizon": 2,
        "window": 3,
        "stride": 1,
    }


def test_columns_that_nobody_chose_are_said_with_what_chooses(command, tmp_path):
    lines = ["id,time,serial,x,site,target", *(f"s{i},{t},{i},{i % 2},Rome,{i % 2}" for i in range(20) for t in (0, 1))]
    (tmp_path / "own.csv").write_text("\n".join(lines))
    said = succeeded(command("fit", tmp_path / "own.csv", "--units", 1, "--epochs", 1, "--out", tmp_path / "run"))
    assert "of 2 steps × serial, xfeatures: every column of numbers; --feature-columns chooses" in said  # a line each


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("units = 3\nunit = 3", "expected keys out of out, position, score, "),
        ("config = 'other.toml'", "expected keys out of out, position, score, "),
        ("units = 3.5", "Invalid value for '--units': "),
        ("score = 'cosinus'", "Invalid value for '--score': "),
        ("units: 3", "expected TOML, received something else in "),
    ],
)
def test_a_file_of_other_options_is_refused(command, tmp_path, text, sentence):
    (tmp_path / "my.toml").write_text(text)
    result = command("fit", "planted", "--config", tmp_path / "my.toml", "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert sentence in " ".join(result.stderr.replace("│", " ").split())
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("text", "expected"), [("90s", 90), ("10m", 600), ("1h", 3600), ("0.5m", 30)])
def test_a_time_has_a_unit(text, expected):
    assert options.seconds(text) == expected


@pytest.mark.parametrize("text", ["10", "m", "-5s", "10 minutes", "0s", ""])
def test_a_time_without_one_is_refused(text):
    with pytest.raises(typer.BadParameter, match=f"expected a time such as 90s, 10m or 1h, received '{text}'"):
        options.seconds(text)


def test_a_name_that_cannot_be_in_a_url_is_refused(command, own_file, tmp_path):
    result = command("export", own_file, "--name", "My Model", "--models", tmp_path / "models")
    assert "name" in failed(result)
    assert not (tmp_path / "models").exists()


def test_a_file_that_holds_no_model_is_refused(command, tmp_path):
    (tmp_path / "broken.keras").write_text("not a model")
    failed(command("export", tmp_path / "broken.keras", "--name", "own", "--models", tmp_path / "models"))
    assert not (tmp_path / "models").exists()


def test_labels_that_do_not_fit_are_repeated_as_they_were_given(command, own_file, tmp_path):
    result = command("export", own_file, "--name", "own", "--models", tmp_path, "--labels", "[a],[/b],c")
    assert failed(result) == "expected 2 labels, each once, received 3: [a], [/b], c"


def test_declaring_no_attention_for_a_model_that_has_it_is_refused(command, own_file, tmp_path):
    result = command("export", own_file, "--name", "own", "--models", tmp_path, "--without-attention")
    assert failed(result) == "expected no outputs but prediction, received also attention"


def test_a_run_folder_that_is_not_there_is_refused(command, tmp_path):
    result = command("evaluate", tmp_path / "nothing")
    assert result.exit_code == 2
    assert "does not exist" in " ".join(result.stderr.replace("│", "").split())


@pytest.mark.parametrize("arguments", [["--help"], ["fit", "--help"], ["export", "--help"]])
def test_help_does_not_wait_for_tensorflow(arguments):
    code = (
        "import sys, runpy; sys.argv[1:] = sys.argv[1:]\n"
        "try:\n    runpy.run_module('training', run_name='__main__', alter_sys=True)\n"
        "except SystemExit as end:\n"
        "    print(end.code, *sorted({'tensorflow', 'keras', 'sktime', 'onnx'} & set(sys.modules)), sep=';')\n"
    )
    finished = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert "Usage: " in finished.stdout
    assert finished.stdout.splitlines()[-1] == "0"


def test_without_its_packages_it_names_what_installs_them():
    code = (
        "import sys, runpy; sys.modules['typer'] = None\n"  # as if it were not there
        "runpy.run_module('training', run_name='__main__', alter_sys=True)\n"
    )
    command = [sys.executable, "-c", code, "fit", "planted"]
    finished = subprocess.run(command, check=False, capture_output=True, text=True)
    assert finished.returncode == 1
    assert finished.stderr == "expected the packages of training, found no typer: make setup\n"
    subprocess.run(["make", "--dry-run", "setup"], cwd=ROOT, capture_output=True, check=True)
