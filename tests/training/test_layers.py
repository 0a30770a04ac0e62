import math

import keras
import numpy as np
import pytest

from training.layers import AttentionBlock, LastState, ScaledSequence, ValidSteps, ZeroPadding

LN2, LN3, LN5 = math.log(2), math.log(3), math.log(5)

# Two features over three steps. Feature 0 is 1 at step 0 alone, so that its scores are row 0 of the kernel plus the
# bias; feature 1 is 1 at step 1 alone: row 1 plus the bias. exp() of the scores is then 2, 1, 5 and 1, 3, 5.
SEQUENCE = [[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]
KERNEL = [[LN2, 0.0, 0.0], [0.0, LN3, 0.0], [9.0, 9.0, 9.0]]
BIAS = [0.0, 0.0, LN5]


def block_by_hand(per_feature=False):
    block = AttentionBlock(per_feature)
    block.build((None, 3, 2))
    block.set_weights([np.array(KERNEL), np.array(BIAS)])
    return block


def steps_before(length, time):
    return np.arange(time)[None, :] < np.array(length)[:, None]


def random_block(time, features, per_feature):
    keras.utils.set_random_seed(0)
    block = AttentionBlock(per_feature)
    block.build((None, time, features))
    return block


@pytest.mark.parametrize("per_feature", [False, True])
def test_attention_block_has_time_squared_plus_time_parameters(per_feature):
    assert random_block(20, 2, per_feature).count_params() == 20 * 20 + 20 == 420


def test_per_feature_weights_and_products_by_hand():
    weighted, weights = block_by_hand(per_feature=True)(np.array([SEQUENCE]))
    expected = [[2 / 8, 1 / 9], [1 / 8, 3 / 9], [5 / 8, 5 / 9]]
    np.testing.assert_allclose(weights, [expected], atol=1e-6)
    np.testing.assert_allclose(weighted, [[[2 / 8, 0], [0, 3 / 9], [0, 0]]], atol=1e-6)


def test_shared_weights_are_the_mean_over_features_by_hand():
    weighted, weights = block_by_hand()(np.array([SEQUENCE]))
    first, second = (2 / 8 + 1 / 9) / 2, (1 / 8 + 3 / 9) / 2
    np.testing.assert_allclose(weights, [[first, second, (5 / 8 + 5 / 9) / 2]], atol=1e-6)
    np.testing.assert_allclose(weighted, [[[first, 0], [0, second], [0, 0]]], atol=1e-6)


def test_every_step_of_the_input_enters_every_score_by_hand():
    sequence = np.array([[[1.0], [2.0]]])
    block = AttentionBlock()
    block.build((None, 2, 1))
    block.set_weights([np.array([[LN2, 0.0], [0.0, LN3]]), np.array([LN5, 0.0])])
    _, weights = block(sequence)
    # scores: 1 · ln 2 + 2 · 0 + ln 5 = ln 10, and 1 · 0 + 2 · ln 3 + 0 = ln 9
    np.testing.assert_allclose(weights, [[10 / 19, 9 / 19]], atol=1e-6)


def test_a_shorter_sequence_shares_its_weights_among_its_own_steps_by_hand():
    _, weights = block_by_hand(per_feature=True)(np.array([SEQUENCE]), steps_before([2], 3))
    np.testing.assert_allclose(weights, [[[2 / 3, 1 / 4], [1 / 3, 3 / 4], [0, 0]]], atol=1e-6)


@pytest.mark.parametrize("per_feature", [False, True])
def test_weights_sum_to_1_over_the_valid_steps_and_are_exactly_0_after_them(per_feature):
    lengths = np.array([1, 2, 5, 6])
    sequences = np.random.default_rng(0).normal(size=(4, 6, 3)).astype(np.float32)
    valid = steps_before(lengths, 6)
    _, weights = random_block(6, 3, per_feature)(sequences, valid)
    weights = np.asarray(weights)
    assert weights.shape == ((4, 6, 3) if per_feature else (4, 6))
    assert (weights[~valid] == 0).all()
    assert (weights[valid] > 0).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("garbage", [0.0, 7.0, -1e30, np.nan, np.inf])
def test_what_stands_in_the_padding_does_not_matter(garbage):
    block, valid = random_block(5, 2, False), steps_before([3, 1], 5)
    sequences = np.random.default_rng(0).normal(size=(2, 5, 2)).astype(np.float32)
    clean = np.where(valid[:, :, None], sequences, np.float32(0))
    dirty = np.where(valid[:, :, None], sequences, np.float32(garbage))
    for expected, received in zip(block(clean, valid), block(dirty, valid), strict=True):
        np.testing.assert_array_equal(received, expected)


@pytest.mark.parametrize("per_feature", [False, True])
@pytest.mark.parametrize("value", [0.0, 1.0, -5.0, 1e30, -1e30])
def test_constant_and_huge_inputs_give_finite_weights(value, per_feature):
    sequences, valid = np.full((2, 6, 2), value, np.float32), steps_before([6, 4], 6)
    block = random_block(6, 2, per_feature)
    for mask in (None, valid):
        weighted, weights = block(sequences, mask)
        assert np.isfinite(weighted).all()
        np.testing.assert_allclose(np.asarray(weights).sum(axis=1), 1, atol=1e-5)
    assert (np.asarray(weights)[~valid] == 0).all()


def test_huge_inputs_of_both_signs_do_not_push_weight_onto_padding():
    signs = np.random.default_rng(0).choice([-1e30, 1e30], size=(8, 6, 2)).astype(np.float32)
    valid = steps_before([1, 2, 3, 4, 5, 6, 1, 3], 6)
    _, weights = random_block(6, 2, False)(signs, valid)
    weights = np.asarray(weights)
    assert (weights[~valid] == 0).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-5)


@pytest.mark.filterwarnings("ignore:You are using a softmax over axis:UserWarning")  # of size 1: that is the point
@pytest.mark.parametrize("per_feature", [False, True])
def test_a_single_step_gets_all_the_weight(per_feature):
    sequences = np.array([[[3.0, -4.0]], [[1e30, 0.0]]], np.float32)
    weighted, weights = random_block(1, 2, per_feature)(sequences)
    np.testing.assert_array_equal(weights, np.ones((2, 1, 2) if per_feature else (2, 1)))
    np.testing.assert_array_equal(weighted, sequences)


@pytest.mark.parametrize("per_feature", [False, True])
def test_attention_block_survives_its_config(per_feature):
    config = AttentionBlock(per_feature, name="where").get_config()
    again = AttentionBlock.from_config(config)
    assert (again.per_feature, again.name) == (per_feature, "where")
    assert again.get_config() == config


@pytest.mark.parametrize("per_feature", [False, True])
def test_every_layer_survives_a_keras_file(per_feature, tmp_path):
    sequences = keras.Input((4, 2))
    lengths = keras.Input((), dtype="int32")
    valid = ValidSteps()(sequences, lengths)
    scaled = ZeroPadding()(ScaledSequence()(sequences, valid), valid)
    weighted, weights = AttentionBlock(per_feature)(scaled, valid)
    model = keras.Model([sequences, lengths], [LastState()(weighted, lengths), weights])
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    feeds = [np.random.default_rng(0).normal(size=(3, 4, 2)).astype(np.float32), np.array([1, 4, 2], np.int32)]
    for expected, received in zip(model(feeds), again(feeds), strict=True):
        np.testing.assert_array_equal(received, expected)


def test_an_unknown_number_of_steps_is_refused():
    with pytest.raises(ValueError, match=r"expected a fixed number of time steps.*received inputs of shape \(None, No"):
        AttentionBlock()(keras.Input((None, 2)))


def test_valid_steps_by_hand():
    valid = ValidSteps()(np.zeros((3, 4, 2)), np.array([1, 4, 2]))
    assert np.asarray(valid).tolist() == [
        [True, False, False, False],
        [True, True, True, True],
        [True, True, False, False],
    ]


def test_zero_padding_by_hand():
    sequences = np.array([[[1.0, 2.0], [np.nan, 4.0]], [[5.0, 6.0], [7.0, 8.0]]])
    zeroed = ZeroPadding()(sequences, np.array([[True, False], [True, True]]))
    assert np.asarray(zeroed).tolist() == [[[1, 2], [0, 0]], [[5, 6], [7, 8]]]


def test_a_sequence_is_scaled_by_its_own_mean_and_deviation_by_hand():
    sequences = np.array([[[1.0, 100.0], [5.0, 200.0]], [[-30.0, 0.0], [30.0, 8.0]]], np.float32)
    expected = [[[-1, -1], [1, 1]]] * 2
    np.testing.assert_allclose(ScaledSequence()(sequences), expected, atol=1e-6)
    three = np.array([[[2.0], [4.0], [9.0]]], np.float32)  # mean 5, variance (9 + 1 + 16) / 3
    np.testing.assert_allclose(ScaledSequence()(three)[0, :, 0], np.array([-3, -1, 4]) / np.sqrt(26 / 3), rtol=1e-6)


@pytest.mark.parametrize("garbage", [0.0, 1e30, np.nan, np.inf])
def test_a_padded_sequence_is_scaled_by_its_real_steps_alone(garbage):
    sequences = np.array([[[2.0], [4.0], [9.0], [garbage]], [[7.0], [garbage], [garbage], [garbage]]], np.float32)
    scaled = np.asarray(ScaledSequence()(sequences, steps_before([3, 1], 4)))
    np.testing.assert_allclose(scaled[0, :3, 0], np.array([-3, -1, 4]) / np.sqrt(26 / 3), rtol=1e-6)
    assert (scaled[0, 3:] == 0).all()
    assert (scaled[1] == 0).all()  # a single step has no shape


@pytest.mark.parametrize("value", [0.0, 0.1, -1e30, 1e30, 1e-30])
def test_a_feature_that_never_changes_is_scaled_to_0(value):
    sequences = np.full((2, 7, 2), value, np.float32)
    sequences[:, :, 1] = np.arange(7)
    for valid in (None, steps_before([7, 3], 7)):
        scaled = np.asarray(ScaledSequence()(sequences, valid))
        assert (scaled[:, :, 0] == 0).all()
        assert (scaled[:, 0, 1] < -1).all()


@pytest.mark.parametrize(("factor", "offset"), [(1e30, 0), (1e-20, 0), (-3, 70), (0.01, 5)])
def test_scaling_a_sequence_undoes_its_gain_and_its_level(factor, offset):
    sequence = np.random.default_rng(0).normal(size=(1, 50, 1))
    expected = np.sign(factor) * (sequence - sequence.mean()) / sequence.std()
    moved = (sequence * factor + offset).astype(np.float32)
    np.testing.assert_allclose(ScaledSequence()(moved), expected, atol=1e-3)


def test_last_state_by_hand():
    states = np.array([[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], [[7.0, 8.0], [9.0, 10.0], [11.0, 12.0]]])
    assert np.asarray(LastState()(states, np.array([1, 3]))).tolist() == [[1, 2], [11, 12]]
    assert np.asarray(LastState()(states, np.array([2, 2]))).tolist() == [[3, 4], [9, 10]]
