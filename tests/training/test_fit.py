import json
import re
from dataclasses import replace
from xml.etree import ElementTree

import keras
import numpy as np
import pytest

from service.explanations.charts.rendering import svg
from training.data.datasets import Data, Dataset, planted
from training.fit import Run, fit, fit_seed
from training.models import ModelConfig
from training.runs import FitConfig, learning_curve

SMALL = ModelConfig(position="before", units=4)


def fitted(data, seed=0, model=SMALL, **settings):
    settings = FitConfig(**{"epochs": 2, "batch_size": 64} | settings)
    return fit_seed(data, model, settings, seed, lambda logs: None)


def same_weights(first, second):
    return all((a == b).all() for a, b in zip(first.get_weights(), second.get_weights(), strict=True))


def binary_crossentropy(prediction, targets):
    return -np.log(np.where(targets, prediction, 1 - prediction)).mean()


def centimetres(n=60, time=5, seed=0):
    """A regression on sequences of different lengths: 1000 plus a hundred times the sum of the real steps."""
    random = np.random.default_rng(seed)
    lengths = random.integers(2, time + 1, n).astype(np.int32)
    sequences = random.normal(size=(n, time, 1)).astype(np.float32)
    sequences[np.arange(time) >= lengths[:, None]] = 0
    return Dataset(sequences, lengths, (1000 + 100 * sequences.sum(axis=(1, 2))).astype(np.float32))


def regression():
    return Data(
        name="centimetres",
        source="made up",
        task="regression",
        features=["x"],
        labels=[],
        train=centimetres(seed=0),
        validation=centimetres(seed=1),
        test=centimetres(seed=2),
    )


def test_a_run_folder_holds_what_its_description_says(fitted_run):
    files = sorted(str(path.relative_to(fitted_run)) for path in fitted_run.rglob("*") if path.is_file())
    seeds = [f"seed-{seed}/{name}" for seed in (0, 1) for name in ("history.json", "model.keras")]
    assert files == ["learning-curve.svg", "run.json", *seeds]


def test_run_json_says_how_to_fit_it_again(fitted_run):
    run = Run.read(fitted_run)
    assert (run.data, run.data_options) == ("planted", {"n": 400})
    assert (run.model, run.fit.epochs) == (ModelConfig(position="before", units=4), 3)
    assert len(run.load_data().train) == 320


def test_history_has_the_losses_of_every_epoch(fitted_run):
    for seed, lowest in Run.read(fitted_run).validation_loss.items():
        history = json.loads((fitted_run / f"seed-{seed}" / "history.json").read_text())
        assert set(history) == {"loss", "val_loss", "accuracy", "val_accuracy"}
        assert {len(values) for values in history.values()} == {3}
        assert lowest == min(history["val_loss"])


def test_the_chosen_seed_has_the_lowest_validation_loss(fitted_run):
    run = Run.read(fitted_run)
    assert set(run.validation_loss) == {0, 1}
    assert run.validation_loss[run.chosen] == min(run.validation_loss.values())
    turned = run.model_copy(update={"validation_loss": {0: 0.3, 1: 0.1, 2: 0.2}})
    assert turned.chosen == 1


def test_the_saved_model_is_the_one_whose_validation_loss_was_lowest(fitted_run):
    run = Run.read(fitted_run)
    part = run.load_data().validation
    for seed, lowest in run.validation_loss.items():
        prediction = run.load_model(fitted_run, seed).predict(part.inputs(False), verbose=0)["prediction"][:, 0]
        assert binary_crossentropy(prediction, part.targets) == pytest.approx(lowest, abs=1e-5)


def test_the_learning_curve_is_a_picture_of_both_splits(fitted_run):
    picture = ElementTree.parse(fitted_run / "learning-curve.svg").getroot()  # we drew it ourselves
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"
    texts = {element.text for element in picture.iter("{http://www.w3.org/2000/svg}text")}
    assert {"tiny", "training", "validation", "epoch", "loss"} <= texts


@pytest.mark.parametrize("last", [1e-5, 0.0])
def test_the_learning_curve_falls_with_the_loss_even_to_nothing(last):
    picture = svg(learning_curve("x", {0: {"loss": [0.5, 0.2, last], "val_loss": [0.6, 0.3, last]}}))
    lines = re.findall(r'<path d="M([^"]*)" stroke="[^"]*" stroke-width="1.5"', picture)
    assert len(lines) == 2
    for line in lines:
        heights = [float(point.split(",")[1]) for point in line.split("L")]
        assert heights[0] < heights[1] < heights[2]  # of an SVG: from the top down


def test_a_seed_gives_the_same_weights_whatever_was_fitted_before_it_and_another_seed_others(fitted_run, tmp_path):
    run = Run.read(fitted_run)
    fit(run.data, run.data_options, run.model, run.fit, [1], tmp_path / "alone")
    alone = Run.read(tmp_path / "alone").load_model(tmp_path / "alone", 1)
    assert same_weights(alone, run.load_model(fitted_run, 1))
    assert not same_weights(alone, run.load_model(fitted_run, 0))


def judged_wrongly():
    """Data on which the validation loss rises with what is learnt."""
    data = planted(n=400)
    return replace(data, validation=replace(data.validation, targets=1 - data.validation.targets))


def test_fitting_stops_when_validation_no_longer_gets_better_and_keeps_the_best_epoch():
    wrong = judged_wrongly()
    seen = []
    settings = FitConfig(epochs=30, patience=2, batch_size=16, learning_rate=0.03)
    model, history = fit_seed(wrong, SMALL, settings, 0, lambda logs: seen.append(logs["val_loss"]))
    best = int(np.argmin(history["val_loss"]))
    assert len(history["val_loss"]) == best + 1 + settings.patience < settings.epochs
    assert seen == history["val_loss"]
    prediction = model.predict(wrong.validation.inputs(False), verbose=0)["prediction"][:, 0]
    assert binary_crossentropy(prediction, wrong.validation.targets) == pytest.approx(min(seen), abs=1e-5)


def test_or_it_goes_to_the_end_and_keeps_the_last_epoch():
    wrong = judged_wrongly()
    model, history = fitted(wrong, epochs=6, patience=1, batch_size=16, learning_rate=0.03, keep="last")
    assert len(history["val_loss"]) == 6
    prediction = model.predict(wrong.validation.inputs(False), verbose=0)["prediction"][:, 0]
    last = binary_crossentropy(prediction, wrong.validation.targets)
    assert last == pytest.approx(history["val_loss"][-1], abs=1e-5)
    assert last > min(history["val_loss"]) + 0.1


@pytest.mark.parametrize(("keep", "kept"), [("best", 1), ("last", 2)])
def test_the_epoch_that_is_kept(keep, kept):
    config = FitConfig(keep=keep)
    assert config.kept([0.5, 0.2, 0.3]) == kept
    assert config.kept([float("nan"), 0.2, float("inf")]) == kept
    assert config.kept([float("nan")] * 3) == 2  # nothing is worth keeping


def test_a_regression_is_fitted_on_the_standardized_target_and_predicts_in_its_unit():
    data = regression()
    config = ModelConfig(position="none", units=8, variable_length=True)
    model, history = fitted(data, model=config, epochs=20, batch_size=16, learning_rate=0.05)
    assert set(history) == {"loss", "val_loss"}
    assert 0.1 < history["loss"][0] < 3  # of a target with variance 1, not of thousands
    assert min(history["val_loss"]) < 0.1
    prediction = model.predict(data.test.inputs(True), verbose=0)["prediction"][:, 0]
    error = np.sqrt(np.mean((prediction - data.test.targets) ** 2))
    assert error < 0.3 * data.test.targets.std()


def test_multiclass_with_different_lengths_is_fitted():
    parts = []
    for seed in range(3):
        part = centimetres(seed=seed)
        targets = np.searchsorted([900, 1100], part.targets)
        parts.append(replace(part, targets=targets))
    data = replace(regression(), task="multiclass", labels=["low", "middle", "high"])
    data = replace(data, train=parts[0], validation=parts[1], test=parts[2])
    model, history = fitted(data, model=SMALL.model_copy(update={"variable_length": True}))
    outputs = model.predict(data.test.inputs(True), verbose=0)
    assert outputs["prediction"].shape == (60, 3)
    assert outputs["attention"].shape == (60, 5)
    assert set(history) == {"loss", "val_loss", "accuracy", "val_accuracy"}


def test_fitting_again_into_a_folder_leaves_nothing_of_the_run_that_was_there_and_all_that_was_not_its(copied_run):
    (copied_run / "metrics.json").write_text("{}")
    (copied_run / "seed-corpus").mkdir()
    (copied_run / "seed-corpus" / "mine.csv").write_text("1")
    run = Run.read(copied_run)
    fit(run.data, run.data_options, run.model, FitConfig(epochs=1), [0], copied_run)
    assert not (copied_run / "metrics.json").exists()
    assert not (copied_run / "seed-1").exists()
    assert (copied_run / "seed-corpus" / "mine.csv").exists()


@pytest.mark.parametrize("setting", ["epochs", "patience", "batch_size", "learning_rate"])
def test_settings_that_are_not_positive_are_refused(setting):
    with pytest.raises(ValueError, match=f"{setting}\n.*greater than 0"):
        FitConfig(**{setting: 0})


def test_a_saved_model_needs_nothing_but_its_file(fitted_run):
    model = keras.saving.load_model(fitted_run / "seed-0" / "model.keras", compile=False)
    assert set(model.output) == {"prediction", "attention"}
