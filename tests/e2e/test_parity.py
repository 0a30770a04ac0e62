"""From data to a served answer: what the server says is what Keras says."""

import httpx
import numpy as np
import pytest
from typer.testing import CliRunner

from tests.serving import serving
from training.__main__ import cli
from training.data.datasets import japanese_vowels
from training.fit import Run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of JapaneseVowels, hardly trained, published as `vowels`."""
    folder = tmp_path_factory.mktemp("run")
    for command in (
        ["fit", "japanese-vowels", "--position", "before", "--per-feature", "--epochs", "3", "--out", folder],
        ["evaluate", folder],
        ["export", folder, "--name", "vowels", "--models", folder / "models"],
    ):
        result = CliRunner().invoke(cli, [str(part) for part in command], catch_exceptions=False)
        assert result.exit_code == 0, result.output
    return folder


@pytest.fixture(scope="module")
def keras_outputs(run):
    """Predictions and weights of Keras for the first 60 test sequences, padded in one batch."""
    test = japanese_vowels().test.take(np.arange(60))
    model = Run.read(run).load_model(run, 0)
    return test, {name: np.asarray(value) for name, value in model(test.inputs(variable_length=True)).items()}


def test_served_predictions_equal_keras_together_alone_and_in_any_order(run, keras_outputs):
    test, expected = keras_outputs
    sequences = [test.sequences[i, :length].tolist() for i, length in enumerate(test.lengths)]
    assert len(set(test.lengths.tolist())) > 5
    with serving(models=run / "models") as running, httpx.Client(base_url=running.url) as client:

        def check(rows):
            body = {"sequences": [sequences[row] for row in rows], "attention": "per_feature"}
            answer = client.post("/predict", json=body).raise_for_status().json()
            np.testing.assert_allclose(answer["predictions"], expected["prediction"][rows], atol=1e-5)
            for row, weights in zip(rows, answer["attention"], strict=True):
                np.testing.assert_allclose(weights, expected["attention"][row, : test.lengths[row]], atol=1e-5)

        everything = np.arange(len(sequences))
        check(everything)
        check(np.random.default_rng(0).permutation(everything))
        for row in everything:
            check(np.array([row]))
