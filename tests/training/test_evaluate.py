import shutil

import numpy as np
import pytest

from training.data.tables import TableOptions
from training.evaluate import Metrics, evaluate
from training.fit import Run, fit
from training.judging import words
from training.models import ModelConfig
from training.runs import FitConfig


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
    quality = evaluate(copied_run, twin=False).quality
    assert quality.seeds[0] != quality.seeds[1]
    assert quality.published == quality.seeds[chosen]


def test_evaluate_judges_the_attention_where_the_true_step_is_known(evaluated_run):
    on_step = Metrics.read(evaluated_run).attention_on_step
    assert set(on_step) == {0, 1}
    run = Run.read(evaluated_run)
    attention = run.load_model(evaluated_run, 1).predict(run.load_data().test.inputs(False), verbose=0)["attention"]
    assert on_step[1]["mean_weight"] == pytest.approx(attention[:, 10].mean(), abs=1e-5)
    assert on_step[1]["top"] == pytest.approx((attention.argmax(axis=1) == 10).mean())


def test_evaluate_compares_with_the_plain_lstm_of_the_same_seeds(evaluated_run):
    quality = Metrics.read(evaluated_run).quality
    twin = Run.read(evaluated_run / "twin")
    assert twin.model == ModelConfig(position="none", units=4)
    data = twin.load_data()
    for seed in (0, 1):
        prediction = twin.load_model(evaluated_run / "twin", seed).predict(data.test.inputs(False), verbose=0)
        assert quality.twin.seeds[seed] == ((prediction["prediction"][:, 0] >= 0.5) == data.test.targets).mean()
    assert quality.interval.method == quality.twin.difference.method == "Student's t over seeds"


def test_evaluate_holds_the_quality_against_the_most_frequent_class(evaluated_run):
    data = Run.read(evaluated_run).load_data()
    majority = int(data.train.targets.mean() > 0.5)
    assert Metrics.read(evaluated_run).quality.baseline.value == (data.test.targets == majority).mean()


def test_evaluate_counts_classes_and_confidence_of_the_chosen_seed(evaluated_run):
    metrics = Metrics.read(evaluated_run)
    (a, b), (c, d) = metrics.confusion
    assert a + b + c + d == sum(one.samples for one in metrics.calibration) == 80
    assert (a + d) / 80 == metrics.quality.published
    right = sum(one.samples * one.accuracy for one in metrics.calibration)
    assert right / 80 == pytest.approx(metrics.quality.published)
    assert 0 <= metrics.quality.calibration_error <= 1


def test_evaluate_puts_the_attention_to_the_test(evaluated_run):
    metrics = Metrics.read(evaluated_run)
    assert len(metrics.profile) == 20
    assert sum(metrics.profile) == pytest.approx(1, abs=1e-4)
    found = metrics.faithfulness
    assert found.samples == 80
    assert np.mean(found.deletion.attention) == pytest.approx(found.comprehensiveness)
    assert np.mean(found.deletion.random) == pytest.approx(found.random_comprehensiveness)
    assert -1 <= found.profile_correlation <= 1


def test_the_report_says_what_was_found(evaluated_run):
    report = (evaluated_run / "report.html").read_text()
    metrics = Metrics.read(evaluated_run)
    for section in ("In short", "Right and wrong", "Where the attention lies", "May the weights be believed?"):
        assert f"<h2>{section}</h2>" in report
    for value in (metrics.quality.published, metrics.quality.twin.mean, metrics.quality.baseline.value):
        assert f"{value:.4f}" in report
    assert words.verdict(metrics.faithfulness) in report
    assert report.count("<svg") == 2 + 4 + 2  # right and wrong, profile and examples, faithfulness


def test_evaluate_returns_what_it_wrote_and_says_that_there_is_no_twin(copied_run):
    metrics = evaluate(copied_run, twin=False)
    assert metrics == Metrics.read(copied_run)
    assert metrics.quality.twin is None
    assert not (copied_run / "twin").exists()
    assert "Not compared with a plain LSTM (--no-twin)." in (copied_run / "report.html").read_text()


def test_evaluate_says_nothing_of_attention_that_a_model_does_not_have(tmp_path):
    fit("planted", {"n": 20}, ModelConfig(position="none", units=2), FitConfig(epochs=1), [0], tmp_path / "run")
    metrics = evaluate(tmp_path / "run")
    assert (metrics.attention_on_step, metrics.faithfulness, metrics.profile) == (None, None, None)
    assert (metrics.quality.spread, metrics.quality.twin) == (0, None)
    assert "This is a plain LSTM." in (tmp_path / "run" / "report.html").read_text()


def test_evaluate_says_nothing_of_the_true_step_where_none_is_known(tmp_path):
    config = FitConfig(epochs=1, batch_size=64)
    fit("italy-power", {}, ModelConfig(position="before", units=2), config, [0], tmp_path / "run")
    metrics = evaluate(tmp_path / "run", twin=False)
    assert metrics.attention_on_step is None
    assert (len(metrics.profile), metrics.faithfulness.samples) == (24, 200)


def test_a_regression_of_different_lengths_is_judged_by_its_error(tmp_path):
    random = np.random.default_rng(0)
    lengths = random.integers(3, 7, 40)
    sequences = random.normal(size=(40, 6, 1))
    sequences[np.arange(6) >= lengths[:, None]] = 0
    np.savez(tmp_path / "sums.npz", sequences=sequences, lengths=lengths, targets=100 * sequences.sum(axis=(1, 2)))
    config = ModelConfig(position="after", score="additive", units=3)
    fit(str(tmp_path / "sums.npz"), TableOptions(), config, FitConfig(epochs=1), [0], tmp_path / "run")
    metrics = evaluate(tmp_path / "run", twin=False)
    data = Run.read(tmp_path / "run").load_data()
    assert metrics.quality.metric == "rmse"
    error = np.sqrt(np.mean((data.test.targets - data.train.targets.mean()) ** 2))
    assert metrics.quality.baseline.value == pytest.approx(error, rel=1e-5)
    assert (metrics.confusion, metrics.calibration, metrics.quality.calibration_error) == (None, None, None)
    assert len(metrics.profile) == 10
    assert "tenth of the sequence" in (tmp_path / "run" / "report.html").read_text()


def test_a_forecast_is_judged_beside_a_copy_of_the_last_value(tmp_path):
    steps = np.arange(120)
    rows = "\n".join(f"{step},{np.sin(step / 5):.4f},{step % 3}" for step in steps)
    (tmp_path / "waves.csv").write_text(f"time,target,other\n{rows}\n")
    options = TableOptions(forecast={"window": 8, "horizon": 3})
    config = ModelConfig(position="before", units=3)
    fit(str(tmp_path / "waves.csv"), options, config, FitConfig(epochs=1), [0], tmp_path / "run")
    metrics = evaluate(tmp_path / "run", twin=False)
    data = Run.read(tmp_path / "run").load_data()
    last = data.test.sequences[:, -1, data.features.index("target")]
    error = np.sqrt(np.mean((data.test.targets - last[:, None]) ** 2))
    assert metrics.quality.baseline.name == "copy of the last value"
    assert metrics.quality.baseline.value == pytest.approx(error, rel=1e-5)
    assert metrics.faithfulness.samples == len(data.test)
    assert "the next 3 of each sequence" in (tmp_path / "run" / "report.html").read_text()


def test_a_folder_without_a_run_is_named(tmp_path):
    with pytest.raises(OSError, match=r"run\.json"):
        evaluate(tmp_path)


def test_a_run_whose_model_is_gone_is_not_judged(copied_run):
    shutil.rmtree(copied_run / "seed-1")
    with pytest.raises(ValueError, match=r"seed-1/model\.keras"):
        evaluate(copied_run, twin=False)
    assert not (copied_run / "metrics.json").exists()
