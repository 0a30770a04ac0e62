"""Every score against numbers worked out by hand, for two steps of two features and one query."""

import numpy as np
import pytest
from keras import ops

from training.scores import SCORES

KEYS = np.array([[[1.0, 2.0], [3.0, -1.0]]], np.float32)  # (1, 2 steps, 2 features)
QUERY = np.array([[0.5, 2.0]], np.float32)


def scores(name, weights=None, per_feature=False):
    """The scores of one sequence, `(time, 1 or feature)`."""
    layer = SCORES[name](per_feature)
    layer.build(KEYS.shape, QUERY.shape)
    if weights is not None:
        layer.set_weights([np.array(weight, np.float32) for weight in weights])
    found = layer(KEYS, QUERY) if layer.needs_query else layer(KEYS)
    return ops.convert_to_numpy(found)[0].tolist()


def test_dot_is_the_inner_product_with_the_query():
    assert scores("dot") == [[4.5], [-0.5]]  # 0.5 · 1 + 2 · 2 and 0.5 · 3 - 2 · 1


def test_dot_per_feature_keeps_the_products():
    assert scores("dot", per_feature=True) == [[0.5, 4.0], [1.5, -2.0]]


def test_general_turns_the_query_first():
    # W swaps the two: q W = [2, 0.5]
    assert scores("general", [[[0, 1], [1, 0]]]) == [[3.0], [5.5]]
    assert scores("general", [[[0, 1], [1, 0]]], per_feature=True) == [[2.0, 1.0], [6.0, -0.5]]


def test_cosine_is_the_angle_times_its_scale():
    lengths = np.sqrt(4.25) * np.sqrt([5.0, 10.0])
    np.testing.assert_allclose(np.ravel(scores("cosine", [2.0])), 2 * np.array([4.5, -0.5]) / lengths, rtol=1e-6)


def test_the_scale_of_cosine_starts_at_five():
    np.testing.assert_allclose(np.ravel(scores("cosine"))[0], 5 * 4.5 / np.sqrt(4.25 * 5), rtol=1e-6)


def test_cosine_of_nothing_and_of_huge_vectors_is_finite():
    layer = SCORES["cosine"]()
    keys = np.array([[[0.0, 0.0], [1e30, 1e30], [1e-30, 0.0]]], np.float32)
    layer.build(keys.shape, QUERY.shape)
    found = ops.convert_to_numpy(layer(keys, QUERY * 1e30))[0, :, 0]
    np.testing.assert_allclose(found[:2], [0, 5 * 2.5 / np.sqrt(2 * 4.25)], rtol=1e-5)
    assert np.isfinite(found).all()


def test_cosine_per_feature_is_refused():
    with pytest.raises(ValueError, match="because the cosine of two numbers is only their sign"):
        SCORES["cosine"](per_feature=True)


def test_additive_is_a_network_of_query_and_key():
    identity, double, bias, out = np.eye(2), 2 * np.eye(2), [0.1, -0.1], [[1.0], [-3.0]]
    expected = [
        np.tanh(0.5 + 0.1 + 2 * 1) - 3 * np.tanh(2.0 - 0.1 + 2 * 2),
        np.tanh(0.5 + 0.1 + 2 * 3) - 3 * np.tanh(2.0 - 0.1 - 2 * 1),
    ]
    np.testing.assert_allclose(np.ravel(scores("additive", [identity, bias, double, out])), expected, rtol=1e-5)


def test_additive_per_feature_has_a_column_for_each():
    found = scores("additive", [np.eye(2), [0, 0], 0 * np.eye(2), [[1.0, 0.0], [0.0, 2.0]]], per_feature=True)
    np.testing.assert_allclose(found, [[np.tanh(0.5), 2 * np.tanh(2.0)]] * 2, rtol=1e-6)


def test_dense_mixes_steps_within_a_feature():
    # W[u, t]: step 0 is scored by both steps, step 1 by itself alone
    assert scores("dense", [[[1, 0], [10, 1]], [0.5, 0.0]]) == [[31.5, -7.5], [3.0, -1.0]]


def test_local_scores_each_step_by_itself_with_weights_of_its_own():
    # 1 · 10 + 2 · 1 + 0.5 and 3 · 0 + -1 · 4 - 2
    assert scores("local", [[[10, 1], [0, 4]], [[0.5], [-2.0]]]) == [[12.5], [-6.0]]
    assert scores("local", [[[10, 1], [0, 4]], [[1, 0], [0, 9]]], per_feature=True) == [[11.0, 2.0], [0.0, 5.0]]


@pytest.mark.parametrize("name", ["dense", "local"])
def test_a_score_with_weights_for_each_step_wants_a_fixed_number_of_them(name):
    with pytest.raises(ValueError, match=r"expected a fixed number of time steps.*received inputs of shape \(None, No"):
        SCORES[name]().build((None, None, 2))


@pytest.mark.parametrize("name", sorted(SCORES))
def test_a_score_can_be_made_again_from_its_config(name):
    layer = SCORES[name](per_feature=name != "cosine")
    again = type(layer).from_config(layer.get_config())
    assert again.per_feature == layer.per_feature


def test_the_scale_is_the_only_weight_of_cosine_and_dot_has_none():
    for name, weights in (("dot", 0), ("cosine", 1), ("general", 1), ("additive", 4), ("dense", 2), ("local", 2)):
        layer = SCORES[name]()
        layer.build(KEYS.shape, QUERY.shape)
        assert len(layer.weights) == weights
