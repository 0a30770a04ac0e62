import hashlib
import json
import shutil
from dataclasses import replace

import keras
import numpy as np
import onnxruntime as ort
import pytest
from keras import layers

from service.manifest import Attention, Lengths, Manifest
from service.models.loading import load
from training.data.datasets import Dataset, planted
from training.evaluate import Metrics, evaluate
from training.export import ExportError
from training.fit import Run, fit
from training.models import ModelConfig
from training.publish import infer_task, means, pick_examples, publish_model, publish_run
from training.runs import FitConfig
from training.versions import next_version


@pytest.fixture(scope="module")
def run_folder(fitted_run, tmp_path_factory):
    """An evaluated run whose second seed is the one to publish."""
    folder = shutil.copytree(fitted_run, tmp_path_factory.mktemp("runs") / "tiny")
    run = Run.read(folder).model_copy(update={"validation_loss": {0: 0.9, 1: 0.1}})
    (folder / "run.json").write_text(run.model_dump_json())
    evaluate(folder, twin=False)
    return folder


@pytest.fixture(scope="module")
def published(run_folder, tmp_path_factory):
    return publish_run(run_folder, "tiny", tmp_path_factory.mktemp("models"), "A tiny model.")


@pytest.fixture(scope="module")
def manifest(published):
    return Manifest.read(published)


def everything_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def session_of(folder):
    return ort.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])


def run_fitted(folder, data, options, epochs=1, **config):
    fit(data, options, ModelConfig(units=2, **config), FitConfig(epochs=epochs, batch_size=64), [0], folder)
    evaluate(folder, twin=False)
    return folder


def changed(data, **test):
    """The data with another test part."""
    return replace(data, test=replace(data.test, **test))


def test_a_version_is_a_graph_its_manifest_and_its_card(published):
    assert published.name == "1"
    assert everything_in(published.parent.parent) == [
        "tiny",
        "tiny/1",
        "tiny/1/README.md",
        "tiny/1/model.json",
        "tiny/1/model.onnx",
    ]
    assert published.stat().st_mode & 0o777 == 0o755


def test_the_profile_is_that_of_the_published_graph_on_the_training_part(manifest, published):
    [weights] = session_of(published).run(["attention"], {"sequences": planted(n=400).train.sequences})
    assert weights.shape[1] == len(manifest.attention.profile) == 20  # so each step is a twentieth
    assert manifest.attention.profile == pytest.approx(weights.mean(axis=0), abs=1e-5)


def test_the_manifest_describes_the_run(manifest, run_folder):
    run = Run.read(run_folder)
    assert (manifest.name, manifest.version, manifest.description) == ("tiny", 1, "A tiny model.")
    assert (manifest.task, manifest.features, manifest.labels) == ("binary", ["x0", "x1"], ["0", "1"])
    assert manifest.lengths == Lengths(min=20, max=20)
    profile = manifest.attention.profile
    assert manifest.attention == Attention(kind="dense, softmax", position="before", axes=("time",), profile=profile)
    assert (manifest.training.samples, manifest.training.seed) == (320, 1)
    assert manifest.training.settings == {**run.model.model_dump(), **run.fit.model_dump()}
    assert "400 × 20 × 2, step 10" in manifest.training.data


def test_the_manifest_says_what_weights_are_tested_with(manifest):
    train = planted(n=400).train
    assert manifest.training.feature_means == pytest.approx(train.sequences.mean(axis=(0, 1)), abs=1e-6)
    assert manifest.training.target_std is None


def test_a_target_has_a_unit_and_a_sequence_scaled_by_itself_no_means():
    random = np.random.default_rng(0)
    part = Dataset(random.normal(size=(50, 4, 2)).astype(np.float32), np.full(50, 4, np.int32), random.normal(size=50))
    data = replace(planted(n=10), train=part, task="regression", labels=[])
    assert means(data, ModelConfig(position="before", scaling="sequence")) == {
        "feature_means": None,
        "target_std": pytest.approx(part.targets.std()),
    }
    assert means(data, ModelConfig(position="before"))["feature_means"] == pytest.approx(
        part.sequences.mean(axis=(0, 1))
    )


def test_the_manifest_holds_the_quality_that_was_measured(manifest, run_folder):
    metrics = Metrics.read(run_folder)
    assert manifest.quality == metrics.quality
    assert manifest.quality.published == metrics.quality.seeds[1]
    assert manifest.training.attention_on_step == metrics.attention_on_step[1]


def test_the_manifest_holds_the_hash_of_the_graph_and_the_parity_of_its_export(published, manifest):
    assert manifest.sha256 == hashlib.sha256((published / "model.onnx").read_bytes()).hexdigest()
    assert 0 <= manifest.parity.prediction <= 1e-5
    assert 0 <= manifest.parity.attention <= 1e-5


def test_the_graph_is_the_chosen_seed(published, run_folder):
    run = Run.read(run_folder)
    sequences = run.load_data().test.sequences
    prediction = session_of(published).run(["prediction"], {"sequences": sequences})[0]
    chosen, other = (run.load_model(run_folder, seed) for seed in (1, 0))
    np.testing.assert_allclose(prediction, chosen({"sequences": sequences})["prediction"], atol=1e-5)
    assert np.abs(prediction - other({"sequences": sequences})["prediction"]).max() > 1e-3


def test_the_card_tells_people_the_numbers_of_the_manifest(published, manifest):
    card = (published / "README.md").read_text()
    assert card.startswith("# tiny 1\n\nA tiny model.\n")
    assert f"accuracy on 80 test sequences: **{manifest.quality.published:.4f}**" in card
    assert f"mean {manifest.quality.mean:.4f}, standard deviation {manifest.quality.spread:.4f}" in card
    assert f"{manifest.training.attention_on_step['top']:.1%}" in card
    assert "20 time steps × 2 features, raw values: scaling is in the graph" in card


def test_model_json_has_a_line_for_each_field(published, manifest):
    lines = (published / "model.json").read_text().splitlines()
    assert len(lines) == len(Manifest.model_fields) + 2
    assert json.loads("{" + lines[1].rstrip(",") + "}") == {"name": manifest.name}


def test_examples_are_the_first_test_sequences_of_two_classes():
    data = planted(n=50)
    other = int(np.argmax(data.test.targets != data.test.targets[0]))
    first, second = pick_examples(data)
    assert (first.target, second.target) == (str(data.test.targets[0]), str(data.test.targets[other]))
    assert first.target != second.target
    np.testing.assert_array_equal(np.float32(first.sequence), data.test.sequences[0])
    np.testing.assert_array_equal(np.float32(second.sequence), data.test.sequences[other])


def test_examples_whose_targets_are_alike_are_two_sequences():
    data = planted(n=50)
    targets = np.zeros_like(data.test.targets)
    first, second = pick_examples(changed(data, targets=targets))
    np.testing.assert_array_equal(np.float32(first.sequence), data.test.sequences[0])
    np.testing.assert_array_equal(np.float32(second.sequence), data.test.sequences[1])


def test_a_test_part_of_one_sequence_gives_one_example():
    data = planted(n=50)
    [example] = pick_examples(replace(data, test=data.test.take(np.array([3]))))
    np.testing.assert_array_equal(np.float32(example.sequence), data.test.sequences[3])


@pytest.mark.parametrize("values", [[1e-5, -3.25e-6], [101325.25, 101325.5], [0.1, -2.7], [3.4e38, 1e-38], [0, 7]])
def test_examples_hold_small_and_large_values_as_they_are_written(values):
    data = planted(n=50, features=1)
    sequences = np.tile(np.array(values, np.float32), 10)[None, :, None].repeat(len(data.test), axis=0)
    first, _ = pick_examples(changed(data, sequences=sequences))
    assert first.sequence == [[value] for value in values] * 10


def test_sequences_of_different_lengths_are_published_with_their_limits(tmp_path):
    run = run_fitted(tmp_path / "run", "japanese-vowels", {}, position="after", variable_length=True)
    folder = publish_run(run, "vowels", tmp_path / "models")
    manifest = Manifest.read(folder)
    assert manifest.lengths == Lengths(min=1, max=29)
    assert manifest.training.lengths == Lengths(min=7, max=26)
    assert manifest.outputs == len(manifest.labels) == 9
    assert {7 <= len(example.sequence) <= 29 for example in manifest.examples} == {True}
    assert [value.name for value in session_of(folder).get_inputs()] == ["sequences", "lengths"]


@pytest.mark.parametrize("position", ["before", "after"])
def test_the_manifest_declares_the_axes_that_the_graph_has(position, tmp_path):
    run = run_fitted(tmp_path / "run", "planted", {"n": 20}, position=position, per_feature=True)
    folder = publish_run(run, "per-feature", tmp_path / "models")
    shapes = {value.name: value.shape for value in session_of(folder).get_outputs()}
    assert len(Manifest.read(folder).attention.axes) == len(shapes["attention"]) - 1


def test_a_run_without_attention_is_published_without(tmp_path):
    run = run_fitted(tmp_path / "run", "planted", {"n": 20}, position="none")
    manifest = Manifest.read(publish_run(run, "plain", tmp_path / "models"))
    assert (manifest.attention, manifest.parity.attention) == (None, None)


def test_a_run_that_was_not_evaluated_is_not_published(fitted_run, tmp_path):
    with pytest.raises(ExportError, match=r"expected an evaluated run, found no metrics\.json: evaluate .* first"):
        publish_run(fitted_run, "tiny", tmp_path / "models")
    assert everything_in(tmp_path) == []


def test_versions_count_up_and_after_a_gap_from_the_highest(own_model, tmp_path):
    model = own_model()
    assert publish_model(model, "own", tmp_path) == tmp_path / "own" / "1"
    assert publish_model(model, "own", tmp_path) == tmp_path / "own" / "2"
    (tmp_path / "own" / "7").mkdir()
    (tmp_path / "own" / "notes").mkdir()
    folder = publish_model(model, "own", tmp_path)
    assert folder == tmp_path / "own" / "8"
    assert Manifest.read(folder).version == 8
    assert Manifest.read(tmp_path / "own" / "1").version == 1


def test_the_first_version_of_a_model_that_is_not_there_is_1(tmp_path):
    assert next_version(tmp_path / "nothing") == 1


def test_numbers_are_compared_as_numbers(tmp_path):
    for version in ("9", "10"):
        (tmp_path / version).mkdir()
    assert next_version(tmp_path) == 11


def unnormalized():
    """Weights that do not sum to 1."""
    sequences = keras.Input((5, 2), name="sequences")
    weights = layers.Flatten(name="attention")(layers.Dense(1, activation="sigmoid")(sequences))
    prediction = layers.Dense(1, activation="sigmoid", name="prediction")(layers.LSTM(3)(sequences))
    return keras.Model(sequences, {"prediction": prediction, "attention": weights})


def looping():
    sequences = keras.Input((5, 2), name="sequences")
    state = layers.LSTM(3)(layers.Masking()(sequences))
    return keras.Model(sequences, {"prediction": layers.Dense(1, activation="sigmoid", name="prediction")(state)})


def test_nothing_is_left_behind_when_a_gate_refuses(own_model, tmp_path):
    publish_model(own_model(), "own", tmp_path)
    before = everything_in(tmp_path)
    with pytest.raises(ExportError, match="sum to 1"):
        publish_model(unnormalized(), "own", tmp_path)
    with pytest.raises(ExportError, match="Loop"):
        publish_model(looping(), "other", tmp_path, attention=False)
    with pytest.raises((ExportError, ValueError), match="name"):
        publish_model(own_model(), "No Name", tmp_path)
    with pytest.raises(ExportError, match="labels"):
        publish_model(own_model(), "another", tmp_path, labels=["one"])
    assert everything_in(tmp_path) == before


def test_a_model_of_ones_own_is_declared_by_its_graph_alone(own_model, tmp_path):
    folder = publish_model(own_model(variable_length=True), "own", tmp_path, description="Mine.")
    manifest = Manifest.read(folder)
    assert (manifest.task, manifest.labels, manifest.features) == ("binary", ["0", "1"], ["x0", "x1"])
    assert manifest.lengths == Lengths(min=1, max=5)
    assert manifest.attention == Attention(kind="custom", position="custom", axes=("time",))
    assert (manifest.quality, manifest.training, manifest.examples) == (None, None, [])
    card = (folder / "README.md").read_text()
    assert "Not measured" in card
    assert "1 to 5 time steps × 2 features, as the model was trained on: no scaling was added |" in card
    assert manifest.sha256 == hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()


def test_labels_and_features_are_named_by_their_owner(own_model, tmp_path):
    model = own_model(outputs=3, activation="softmax")
    folder = publish_model(model, "own", tmp_path, labels=["a", "b", "c"], features=["u", "v"])
    manifest = Manifest.read(folder)
    assert (manifest.task, manifest.labels, manifest.features) == ("multiclass", ["a", "b", "c"], ["u", "v"])


def test_outputs_in_a_list_are_found_by_the_names_of_their_layers(own_model, tmp_path):
    model = own_model()
    listed = keras.Model(model.input, [model.output["attention"], model.output["prediction"]])
    folder = publish_model(listed, "own", tmp_path)
    assert [value.shape for value in session_of(folder).get_outputs()] == [["batch", 1], ["batch", 5]]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"labels": ["a"]}, "expected 2 labels, each once, received 1: a$"),
        ({"labels": ["a", "b", "b"]}, "expected 2 labels, each once, received 3: a, b, b$"),
        ({"features": ["u", "v", "w"]}, "expected 2 features, each once, received 3: u, v, w$"),
        ({"task": "regression", "labels": ["a", "b"]}, "expected 0 labels, each once, received 2: a, b$"),
        ({"attention": False}, "expected no outputs but prediction, received also attention$"),
    ],
)
def test_a_declaration_that_does_not_fit_the_model_is_refused(own_model, tmp_path, options, sentence):
    with pytest.raises(ExportError, match=sentence):
        publish_model(own_model(), "own", tmp_path, **options)


@pytest.mark.parametrize(("activation", "task"), [("sigmoid", "binary"), ("linear", "regression")])
def test_several_outputs_of_a_task_that_has_one_are_refused(own_model, tmp_path, activation, task):
    with pytest.raises(ExportError, match=f"expected 1 output for a {task} task, received 3"):
        publish_model(own_model(outputs=3, activation=activation), "own", tmp_path)


def test_several_values_are_a_forecast_where_that_is_said(own_model, tmp_path):
    folder = publish_model(own_model(outputs=3, activation="linear"), "own", tmp_path, task="forecast")
    manifest = Manifest.read(folder)
    assert (manifest.task, manifest.horizon, manifest.outputs, manifest.labels) == ("forecast", 3, 3, [])
    assert "| answers | the next 3 values |" in (folder / "README.md").read_text()
    assert load(folder, "cpu").manifest == manifest  # as the service does


@pytest.mark.parametrize(
    ("outputs", "activation", "task"),
    [(1, "sigmoid", "binary"), (3, "softmax", "multiclass"), (1, "linear", "regression"), (1, None, "regression")],
)
def test_the_task_is_told_by_the_last_activation(own_model, outputs, activation, task):
    assert infer_task(own_model(outputs, activation)) == task


@pytest.mark.parametrize(
    ("last", "task"),
    [
        (layers.Activation("sigmoid", name="prediction"), "binary"),
        (layers.Softmax(name="prediction"), "multiclass"),
    ],
)
def test_the_task_is_told_by_an_activation_that_is_a_layer(last, task):
    sequences = keras.Input((5, 2), name="sequences")
    assert infer_task(keras.Model(sequences, {"prediction": last(layers.LSTM(3)(sequences))})) == task


def test_an_activation_that_does_not_tell_the_task_is_named(own_model, tmp_path):
    model = own_model(activation="relu")
    with pytest.raises(ExportError, match="expected prediction to end in sigmoid, softmax or linear, received relu"):
        publish_model(model, "own", tmp_path)
    assert Manifest.read(publish_model(model, "own", tmp_path, task="regression")).task == "regression"
