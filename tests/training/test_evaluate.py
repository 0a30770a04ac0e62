import shutil
from dataclasses import replace

import numpy as np
import pytest

from training.datasets import Dataset, planted
from training.evaluate import Metrics, evaluate, score, weight_on_step
from training.fit import Run, fit
from training.models import ModelConfig
from training.runs import FitConfig


def judged_on(targets, task):
    """Data whose test part has these targets."""
    targets = np.array(targets)
    test = Dataset(np.zeros((len(targets), 1, 1), np.float32), np.ones(len(targets), np.int32), targets)
    return replace(planted(n=5), task=task, test=test)


def test_binary_score_is_the_share_on_the_right_side_of_a_half():
    prediction = np.array([[0.9], [0.5], [0.49], [0.1]])
    assert score(prediction, judged_on([1, 1, 1, 0], "binary")) == 0.75
    assert score(prediction, judged_on([0, 0, 0, 0], "binary")) == 0.5


def test_multiclass_score_is_the_share_whose_largest_output_is_right():
    prediction = np.array([[0.2, 0.5, 0.3], [0.6, 0.3, 0.1], [0.1, 0.1, 0.8], [0.4, 0.35, 0.25]])
    assert score(prediction, judged_on([1, 0, 2, 2], "multiclass")) == 0.75


def test_regression_score_is_the_root_mean_squared_error():
    prediction = np.array([[1.0], [2.0], [10.0], [0.0]])
    # errors 0, 1, 4, 0: sqrt(17 / 4)
    score_by_hand = (17 / 4) ** 0.5
    assert score(prediction, judged_on([1.0, 3.0, 6.0, 0.0], "regression")) == pytest.approx(score_by_hand)


def test_weight_on_step_by_hand():
    attention = np.array([[0.1, 0.7, 0.2], [0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.3, 0.3, 0.4]])
    assert weight_on_step(attention, 1) == {"top": 0.5, "mean_weight": pytest.approx((0.7 + 0.3 + 0.5 + 0.3) / 4)}


def test_weight_on_step_takes_the_mean_over_features_first():
    # by feature the top step is 0 and 2; of the mean (0.35, 0.4, 0.25) it is 1
    attention = np.array([[[0.7, 0.0], [0.3, 0.5], [0.0, 0.5]]])
    assert weight_on_step(attention, 1) == {"top": 1, "mean_weight": pytest.approx(0.4)}
    assert weight_on_step(attention, 0) == {"top": 0, "mean_weight": pytest.approx(0.35)}


def test_evaluate_writes_mean_and_spread_over_the_seeds(evaluated_run):
    quality = Metrics.read(evaluated_run).quality
    run = Run.read(evaluated_run)
    data = run.load_data()
    expected = {}
    for seed in (0, 1):
        model = run.load_model(evaluated_run, seed)
        prediction = model.predict(data.test.inputs(False), verbose=0)["prediction"]
        expected[seed] = ((prediction[:, 0] >= 0.5) == data.test.targets).mean()
    assert quality.seeds == pytest.approx(expected)
    assert quality.mean == pytest.approx((expected[0] + expected[1]) / 2)
    assert quality.spread == pytest.approx(abs(expected[0] - expected[1]) / 2)
    assert quality.published == quality.seeds[run.chosen]
    assert (quality.metric, quality.split, quality.samples) == ("accuracy", "test", 80)


@pytest.mark.parametrize("chosen", [0, 1])
def test_the_quality_published_is_that_of_the_seed_with_the_lowest_validation_loss(copied_run, chosen):
    run = Run.read(copied_run).model_copy(
        update={"validation_loss": {seed: 0.9 - 0.8 * (seed == chosen) for seed in (0, 1)}}
    )
    (copied_run / "run.json").write_text(run.model_dump_json())
    quality = evaluate(copied_run).quality
    assert quality.seeds[0] != quality.seeds[1]
    assert quality.published == quality.seeds[chosen]


def test_evaluate_judges_the_attention_where_the_true_step_is_known(evaluated_run):
    on_step = Metrics.read(evaluated_run).attention_on_step
    assert set(on_step) == {0, 1}
    run = Run.read(evaluated_run)
    attention = run.load_model(evaluated_run, 1).predict(run.load_data().test.inputs(False), verbose=0)["attention"]
    assert on_step[1]["mean_weight"] == pytest.approx(attention[:, 10].mean(), abs=1e-5)
    assert on_step[1]["top"] == pytest.approx((attention.argmax(axis=1) == 10).mean())


def test_evaluate_returns_what_it_wrote(copied_run):
    assert evaluate(copied_run) == Metrics.read(copied_run)


def test_evaluate_says_nothing_of_attention_that_a_model_does_not_have(tmp_path):
    fit("planted", {"n": 20}, ModelConfig(position="none", units=2), FitConfig(epochs=1), [0], tmp_path / "run")
    metrics = evaluate(tmp_path / "run")
    assert metrics.attention_on_step is None
    assert metrics.quality.spread == 0


def test_evaluate_says_nothing_of_attention_where_no_step_is_known_to_be_true(tmp_path):
    config = FitConfig(epochs=1, batch_size=64)
    fit("italy-power", {}, ModelConfig(position="before", units=2), config, [0], tmp_path / "run")
    assert evaluate(tmp_path / "run").attention_on_step is None


def test_a_folder_without_a_run_is_named(tmp_path):
    with pytest.raises(OSError, match=r"run\.json"):
        evaluate(tmp_path)


def test_a_run_whose_model_is_gone_is_not_judged(copied_run):
    shutil.rmtree(copied_run / "seed-1")
    with pytest.raises(ValueError, match=r"seed-1/model\.keras"):
        evaluate(copied_run)
    assert not (copied_run / "metrics.json").exists()
