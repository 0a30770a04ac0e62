from dataclasses import replace

import numpy as np
import pytest

from training.data.datasets import Dataset, planted
from training.fit import FitConfig, Run
from training.judging.baselines import fit_twin, plain, trivial
from training.models import ModelConfig


def of_targets(train, test, task, **changes):
    """Data with these targets in the train and the test part."""

    def part(targets):
        targets = np.array(targets)
        sequences = np.arange(len(targets) * 6, dtype=np.float32).reshape(-1, 3, 2)
        return Dataset(sequences, np.full(len(targets), 3, np.int32), targets)

    return replace(planted(n=5), task=task, train=part(train), test=part(test), **changes)


def test_without_a_model_a_class_is_the_most_frequent_of_the_train_part():
    name, binary = trivial(of_targets([0, 1, 1], [0, 0, 0, 0], "binary"))
    assert binary.tolist() == [[1], [1], [1], [1]]
    assert name == "majority class, 1"
    _, multiclass = trivial(of_targets([2, 0, 2], [0, 1], "multiclass", labels=["a", "b", "c"]))
    assert multiclass.tolist() == [[0, 0, 1], [0, 0, 1]]


def test_without_a_model_a_value_is_the_mean_of_the_train_part():
    _, prediction = trivial(of_targets([1.0, 2.0, 6.0], [100.0, 200.0], "regression", labels=[]))
    assert prediction.tolist() == [[3], [3]]


def test_without_a_model_a_forecast_is_the_last_real_value_of_its_target():
    data = of_targets([[1.0, 1.0]], [[1.0, 1.0], [2.0, 2.0]], "forecast", labels=[], target="x1")
    assert trivial(data)[1].tolist() == [[5, 5], [11, 11]]
    shorter = replace(data, test=replace(data.test, lengths=np.array([2, 3], np.int32)))
    assert trivial(shorter)[1].tolist() == [[3, 3], [11, 11]]


def test_the_twin_is_the_same_model_but_for_its_attention():
    config = ModelConfig(
        position="before", score="additive", normalizer="sum", per_feature=True, units=7, layers=2, dropout=0.1,
        bidirectional=True, input_noise=0.2, block_noise=3, variable_length=True,
    )  # fmt: skip
    same = {"units": 7, "layers": 2, "dropout": 0.1, "bidirectional": True, "input_noise": 0.2, "variable_length": True}
    assert plain(config) == ModelConfig(position="none", **same)


def test_a_twin_is_fitted_once_for_a_run_and_again_when_the_run_is_another(copied_run):
    run = Run.read(copied_run)
    run = run.model_copy(update={"fit": FitConfig(epochs=1), "validation_loss": {1: 0.5}})
    twin = fit_twin(run, copied_run)
    assert (twin.model, twin.fit, list(twin.validation_loss)) == (plain(run.model), run.fit, [1])
    assert Run.read(copied_run / "twin") == twin
    model = twin.load_model(copied_run / "twin", 1)
    assert set(model.output) == {"prediction"}

    file = copied_run / "twin" / "seed-1" / "model.keras"
    written = file.stat().st_mtime_ns
    assert fit_twin(run, copied_run) == twin
    assert file.stat().st_mtime_ns == written
    bigger = run.model_copy(update={"model": run.model.model_copy(update={"units": 5})})
    assert fit_twin(bigger, copied_run).model.units == 5
    assert file.stat().st_mtime_ns != written


@pytest.mark.parametrize("position", ["before", "after"])
def test_no_option_of_attention_is_left_in_the_twin(position):
    assert plain(ModelConfig(position=position, score="dot")).position == "none"
