import numpy as np
import pytest
from sktime.datasets import load_italy_power_demand, load_japanese_vowels, load_tecator

from training.data.datasets import BUILT_IN, italy_power, japanese_vowels, pad, planted, tecator


@pytest.fixture(scope="module")
def vowels():
    return japanese_vowels()


def test_planted_has_the_sizes_asked_for():
    data = planted(n=100, time_steps=7, features=3, step=6)
    assert (len(data.train), len(data.validation), len(data.test)) == (80, 20, 20)
    assert data.train.sequences.shape == (80, 7, 3)
    assert data.train.sequences.dtype == np.float32
    assert (data.time, data.step, data.features, data.labels) == (7, 6, ["x0", "x1", "x2"], ["0", "1"])
    assert (data.test.lengths == 7).all()
    assert not data.variable_length


def test_planted_default_is_the_seed_of_the_project():
    data = planted()
    assert len(data.train) + len(data.validation) == 20_000
    assert data.train.sequences.shape[1:] == (20, 2)
    assert data.step == 10


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_planted_step_holds_the_target_in_all_features_and_no_other_step_does(split):
    part = getattr(planted(n=500, time_steps=5, features=3, step=2), split)
    assert set(part.targets) == {0, 1}
    for step in range(5):
        holds = part.sequences[:, step, :] == part.targets[:, None]
        assert holds.all() if step == 2 else not holds.any()
    noise = np.delete(part.sequences, 2, axis=1)
    assert abs(noise.mean()) < 0.15
    assert noise.std() == pytest.approx(1, abs=0.15)


def test_planted_splits_differ():
    data = planted(n=5, features=1)  # one validation and one test sequence
    first = [split.sequences[0, :9, 0].tolist() for split in (data.train, data.validation, data.test)]
    assert len({tuple(values) for values in first}) == 3


def test_planted_repeats_for_a_seed_and_only_for_it():
    first, again, other = planted(n=50), planted(n=50), planted(n=50, seed=1)
    assert (first.train.sequences == again.train.sequences).all()
    assert (first.test.targets == again.test.targets).all()
    assert (first.train.sequences != other.train.sequences).any()


@pytest.mark.parametrize(
    "options", [{"n": 0}, {"time_steps": 0}, {"features": 0}, {"step": 20}, {"step": -1}, {"time_steps": 4, "step": 4}]
)
def test_planted_refuses_what_it_cannot_make(options):
    with pytest.raises(ValueError, match=r"expected n, time_steps and features of at least 1 and a step from 0 to"):
        planted(**options)


def test_planted_says_what_it_received():
    with pytest.raises(ValueError, match=r"received n 9, time_steps 3, features 2, step 5$"):
        planted(n=9, time_steps=3, step=5)


def test_italy_power_has_its_official_split():
    data = italy_power()
    assert len(data.train) + len(data.validation) == 67
    assert data.test.sequences.shape == (1029, 24, 1)
    assert (data.time, data.features, data.variable_length) == (24, ["demand"], False)
    values, labels = load_italy_power_demand(split="test", return_X_y=True, return_type="numpy3D")
    np.testing.assert_allclose(data.test.sequences[:, :, 0], values[:, 0, :], rtol=1e-6)
    assert [data.labels[target] for target in data.test.targets[:100]] == [
        {"1": "October to March", "2": "April to September"}[label] for label in labels[:100]
    ]


def test_italy_power_takes_its_validation_part_out_of_the_training_part():
    data = italy_power()
    values, _ = load_italy_power_demand(split="train", return_X_y=True, return_type="numpy3D")
    both = np.concatenate([data.train.sequences, data.validation.sequences])[:, :, 0]
    np.testing.assert_allclose(both[np.lexsort(both.T)], values[:, 0][np.lexsort(values[:, 0].T)], rtol=1e-6)
    assert len(data.validation) == 17


def test_japanese_vowels_has_its_official_sizes(vowels):
    assert len(vowels.train) + len(vowels.validation) == 270
    assert vowels.test.sequences.shape == (370, 29, 12)
    lengths = np.concatenate([vowels.train.lengths, vowels.validation.lengths, vowels.test.lengths])
    assert (lengths.min(), lengths.max()) == (7, 29)
    assert vowels.variable_length
    assert len(vowels.features) == 12
    assert vowels.labels == [f"speaker {number}" for number in range(1, 10)]


def test_japanese_vowels_validation_has_six_utterances_of_every_speaker(vowels):
    assert np.bincount(vowels.validation.targets).tolist() == [6] * 9
    assert np.bincount(vowels.train.targets).tolist() == [24] * 9


def test_japanese_vowels_test_split_holds_the_raw_values_of_sktime(vowels):
    frame, labels = load_japanese_vowels(split="test", return_X_y=True, return_type="nested_univ")
    for row in (0, 123, 369):
        length = vowels.test.lengths[row]
        for feature in (0, 11):
            raw = frame.iloc[row, feature].to_numpy()
            assert len(raw) == length
            np.testing.assert_allclose(vowels.test.sequences[row, :length, feature], raw, rtol=1e-6)
        assert (vowels.test.sequences[row, length:] == 0).all()
        assert vowels.labels[vowels.test.targets[row]] == f"speaker {labels[row]}"


def test_tecator_has_its_official_split():
    data = tecator()
    assert (len(data.train), len(data.validation)) == (137, 35)
    assert data.test.sequences.shape == (43, 100, 1)
    assert (data.task, data.labels, data.features, data.variable_length) == ("regression", [], ["absorbance"], False)
    for split, both in (("test", [data.test]), ("train", [data.train, data.validation])):
        values, fat = load_tecator(split=split, return_X_y=True, return_type="numpy3D")
        sequences = np.concatenate([part.sequences[:, :, 0] for part in both])
        targets = np.concatenate([part.targets for part in both])
        order, official = np.lexsort(sequences.T), np.lexsort(values[:, 0].T)
        np.testing.assert_allclose(sequences[order], values[official, 0], rtol=1e-6)
        np.testing.assert_array_equal(targets[order], fat[official])


def test_the_validation_part_is_always_the_same(vowels):
    again = japanese_vowels()
    assert (again.validation.sequences == vowels.validation.sequences).all()


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_built_in_data_set_goes_by_its_name(name):
    data = BUILT_IN[name]()
    assert data.name == name
    assert data.source
    assert data.task == "regression" or set(data.test.targets) == set(range(len(data.labels)))


def test_pad_by_hand():
    padded, lengths = pad([np.array([[1, 2]]), np.array([[3, 4], [5, 6], [7, 8]])], 4)
    assert padded.tolist() == [[[1, 2], [0, 0], [0, 0], [0, 0]], [[3, 4], [5, 6], [7, 8], [0, 0]]]
    assert lengths.tolist() == [1, 3]
    assert (padded.dtype, lengths.dtype) == (np.float32, np.int32)


def test_take_keeps_rows_together_in_the_order_asked_for():
    data = planted(n=10).train
    taken = data.take(np.array([5, 2]))
    assert len(taken) == 2
    assert (taken.sequences == data.sequences[[5, 2]]).all()
    assert (taken.targets == data.targets[[5, 2]]).all()


def test_lengths_are_fed_to_models_of_variable_length_only():
    data = planted(n=10).train
    assert set(data.inputs(variable_length=False)) == {"sequences"}
    assert set(data.inputs(variable_length=True)) == {"sequences", "lengths"}
