import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from service.manifest import Manifest
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
    said = succeeded(command("fit", "planted", *options, "--units", 3, "--epochs", 2, "--seeds", 2, "--out", run))
    assert "seed" in said
    assert str(run) in said
    written = json.loads((run / "run.json").read_text())
    assert written["data_options"] == {"n": 100, "time_steps": 6, "features": 3, "step": 4}
    assert (written["fit"]["epochs"], written["fit"]["batch_size"], written["model"]["units"]) == (2, 64, 3)
    assert list(written["validation_loss"]) == ["0", "1"]

    said = succeeded(command("evaluate", run))
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


def test_one_vector_per_feature_without_attention_is_refused(command, tmp_path):
    result = command("fit", "planted", "--position", "none", "--per-feature", "--out", tmp_path / "run")
    assert failed(result) == "expected an attention block for per_feature, received position none"


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


def test_exporting_a_run_before_it_is_evaluated_is_refused(command, fitted_run, tmp_path):
    assert "metrics.json" in failed(command("export", fitted_run, "--name", "tiny", "--models", tmp_path))
    assert list(tmp_path.iterdir()) == []


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
