from dataclasses import replace

import keras
import numpy as np
import pytest

from training.data.datasets import Dataset, planted
from training.judging import explain
from training.judging.explain import errors, examples, profile, put_to_the_test, run, weight_on_step
from training.models import ModelConfig

SHARED = ModelConfig(position="before")


@pytest.fixture(scope="module")
def looks_at_step_2():
    """A model of 5 steps that looks at one step only: 0.5 if it holds a 0, 0.73 if it holds a 1."""
    sequences = keras.Input((5, 1), name="sequences")
    return keras.Model({"sequences": sequences}, {"prediction": keras.ops.sigmoid(sequences[:, 2])})


def of_sequences(sequences, lengths=None, **changes):
    """Data that have these sequences in all parts."""
    lengths = np.full(len(sequences), 5, np.int32) if lengths is None else lengths
    part = Dataset(sequences.astype(np.float32), lengths, np.arange(len(sequences)) % 2)
    return replace(planted(n=5), features=["x"], train=part, validation=part, test=part, **changes)


def test_weight_on_step_by_hand():
    attention = np.array([[0.1, 0.7, 0.2], [0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.3, 0.3, 0.4]])
    assert weight_on_step(attention, 1) == {"top": 0.5, "mean_weight": pytest.approx((0.7 + 0.3 + 0.5 + 0.3) / 4)}


def test_weight_on_step_takes_the_mean_over_features_first():
    # by feature the top step is 0 and 2; of the mean (0.35, 0.4, 0.25) it is 1
    attention = np.array([[[0.7, 0.0], [0.3, 0.5], [0.0, 0.5]]])
    assert weight_on_step(attention, 1) == {"top": 1, "mean_weight": pytest.approx(0.4)}
    assert weight_on_step(attention, 0) == {"top": 0, "mean_weight": pytest.approx(0.35)}


def test_the_profile_is_the_mean_by_step_where_all_have_as_many():
    attention = np.array([[0.2, 0.8, 0.0], [0.6, 0.4, 0.0]])
    assert profile(attention, np.array([2, 2])).tolist() == pytest.approx([0.4, 0.6])


def test_the_profile_of_different_lengths_is_by_tenth_of_a_sequence():
    attention = np.array([[0.1, 0.9, 0, 0], [0.1, 0.2, 0.3, 0.4]])
    # two steps stand at 0.25 and 0.75 of their sequence, four at 0.125, 0.375, 0.625 and 0.875
    found = profile(attention, np.array([2, 4]))
    assert found.tolist() == pytest.approx([0, 0.05, 0.05, 0.1, 0, 0, 0.15, 0.45, 0.2, 0])


def test_weights_on_the_step_that_the_model_looks_at_are_found_faithful(looks_at_step_2):
    data = of_sequences(np.random.default_rng(0).normal(size=(6, 5, 1)))
    attention = np.tile([0.1, 0.1, 0.6, 0.1, 0.1], (6, 1))
    found = put_to_the_test(looks_at_step_2, data, attention, SHARED)
    assert len(found) == 6
    for one in found:
        assert one.importance.argmax() == 2
        assert one.comprehensiveness == pytest.approx(one.occlusion_comprehensiveness)


def test_sequences_are_tested_from_the_whole_test_part(looks_at_step_2, monkeypatch):
    monkeypatch.setattr(explain, "TESTED", 3)
    values = np.arange(9)[:, None, None] * np.ones((1, 5, 1))
    weights = np.arange(9)[:, None] + np.zeros((1, 5))
    found = put_to_the_test(looks_at_step_2, of_sequences(values), weights, SHARED)
    assert [one.weights[0] for one in found] == [0, 4, 8]


def test_long_sequences_are_tested_on_fewer(looks_at_step_2, monkeypatch):
    monkeypatch.setattr(explain, "STEPS_RUN", 12 * 5 * (5 + 120))
    data = of_sequences(np.zeros((50, 5, 1)))
    assert len(put_to_the_test(looks_at_step_2, data, np.full((50, 5), 0.2), SHARED)) == 12


def test_a_removed_step_holds_the_mean_of_the_train_part_or_of_its_own_sequence(looks_at_step_2):
    values = np.array([[1, 1, 1, 1, 1], [3, 3, 7, 3, 4]])[:, :, None]
    data, attention = of_sequences(values), np.full((2, 5), 0.2)
    by_training = put_to_the_test(looks_at_step_2, data, attention, SHARED)
    by_itself = put_to_the_test(looks_at_step_2, data, attention, ModelConfig(position="before", scaling="sequence"))

    def drop(before, after):
        sigmoid = 1 / (1 + np.exp(-np.array([before, after])))
        return abs(sigmoid[0] - sigmoid[1])

    assert by_training[0].importance[2] == pytest.approx(drop(1, 25 / 10), abs=1e-6)
    assert by_itself[0].importance[2] == 0
    assert by_itself[1].importance[2] == pytest.approx(drop(7, 4), abs=1e-6)


def test_a_model_is_run_on_padded_sequences_in_parts_that_are_not_too_large(own_model, monkeypatch):
    model = own_model(variable_length=True)
    sequences = np.random.default_rng(0).normal(size=(7, 3, 2)).astype(np.float32)
    model = keras.Model(dict(zip(("sequences", "lengths"), model.inputs, strict=True)), model.output)
    whole = run(model, sequences, 5, variable_length=True)
    monkeypatch.setattr(explain, "STEPS_AT_ONCE", 11)  # two sequences of five steps
    np.testing.assert_allclose(run(model, sequences, 5, variable_length=True), whole, atol=1e-6)
    padded = np.pad(sequences, ((0, 0), (0, 2), (0, 0)))
    expected = model({"sequences": padded, "lengths": np.full(7, 3, np.int32)})["prediction"]
    np.testing.assert_allclose(whole, expected, atol=1e-6)


def test_errors_are_what_the_true_class_was_not_given():
    data = of_sequences(np.zeros((2, 5, 1)))  # targets 0 and 1
    assert errors(np.array([[0.2], [0.9]]), data).tolist() == pytest.approx([0.2, 0.1])
    three = replace(data, task="multiclass", labels=["a", "b", "c"])
    assert errors(np.array([[0.5, 0.3, 0.2], [0.6, 0.3, 0.1]]), three).tolist() == pytest.approx([0.5, 0.7])
    values = replace(data, task="regression", labels=[])
    assert errors(np.array([[2.0], [4.0]]), values).tolist() == [4, 9]


def test_examples_are_answered_best_middling_and_worst():
    data = of_sequences(np.arange(20).reshape(4, 5, 1), np.array([5, 4, 5, 3], np.int32))  # targets 0, 1, 0, 1
    outputs = {"prediction": np.array([[0.9], [0.6], [0.3], [0.8]]), "attention": np.full((4, 5), 0.2)}
    rows, found = examples(data, outputs)  # errors 0.9, 0.4, 0.3, 0.2
    assert rows.tolist() == [3, 1, 0]
    assert [len(sequence) for sequence in found.sequences] == [len(weights) for weights in found.attention] == [3, 4, 5]
    assert found.sequences[0][:, 0].tolist() == [15, 16, 17]
    assert found.labels == ["1", "1", "1"]


def test_a_test_part_of_one_sequence_is_one_example():
    rows, found = examples(
        of_sequences(np.zeros((1, 5, 1))), {"prediction": np.array([[0.9]]), "attention": np.full((1, 5), 0.2)}
    )
    assert (rows.tolist(), len(found.sequences)) == ([0], 1)
