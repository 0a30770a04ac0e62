import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from keras import ops

from training.normalizers import NORMALIZERS


def weights(name, scores, valid=None):
    """Weights of one sequence, `(time,)`."""
    scores = np.array(scores, np.float32)[None, :, None]
    valid = None if valid is None else np.array(valid)[None, :, None]
    return ops.convert_to_numpy(NORMALIZERS[name](scores, valid))[0, :, 0]


def simplex_projection(z):
    """The nearest weights by bisection on tau: another way to sparsemax than the one under test."""
    low, high = z.min() - 1.0, z.max()
    for _ in range(100):
        tau = (low + high) / 2
        low, high = (tau, high) if np.maximum(z - tau, 0).sum() > 1 else (low, tau)
    return np.maximum(z - tau, 0)


def test_softmax_by_hand():
    np.testing.assert_allclose(weights("softmax", [0, np.log(3)]), [0.25, 0.75], rtol=1e-6)


def test_sum_by_hand():
    # sigmoid of 0 is 1/2, of log 3 is 3/4, of -log 3 is 1/4
    np.testing.assert_allclose(weights("sum", [0, np.log(3), -np.log(3)]), [1 / 3, 1 / 2, 1 / 6], rtol=1e-5)


def test_sum_shares_between_scores_that_are_both_high():
    np.testing.assert_allclose(weights("sum", [10, 20, -20]), [0.5, 0.5, 0], atol=1e-4)


def test_sparsemax_by_hand():
    assert weights("sparsemax", [3, 0]).tolist() == [1, 0]
    np.testing.assert_allclose(weights("sparsemax", [0.5, 0, -1]), [0.75, 0.25, 0], atol=1e-6)
    np.testing.assert_allclose(weights("sparsemax", [1, 1, 1, 1]), [0.25] * 4, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.float32, st.integers(1, 8), elements=st.floats(-5, 5, width=32)))
def test_sparsemax_is_the_nearest_point_of_the_simplex(scores):
    np.testing.assert_allclose(weights("sparsemax", scores), simplex_projection(scores.astype(float)), atol=1e-5)


@pytest.mark.parametrize("name", sorted(NORMALIZERS))
@settings(max_examples=60, deadline=None)
@given(
    scores=hnp.arrays(
        np.float32, st.integers(1, 8), elements=st.floats(-(2.0**100), 2.0**100, width=32) | st.floats(-5, 5, width=32)
    ),
    real=st.integers(1, 8),
)
def test_weights_are_a_distribution_over_the_valid_steps_whatever_the_scores(name, scores, real):
    valid = np.arange(len(scores)) < real
    found = weights(name, scores, valid)
    assert np.isfinite(found).all()
    assert (found >= 0).all()
    assert found[~valid].tolist() == [0] * (~valid).sum()
    assert found.sum() == pytest.approx(1, abs=1e-4)
    np.testing.assert_allclose(weights(name, scores[:real]), found[:real], atol=1e-5)


@pytest.mark.parametrize("name", sorted(NORMALIZERS))
@pytest.mark.parametrize("scores", [[7.0] * 5, [1e30] * 5, [-1e30] * 5])
def test_equal_scores_weigh_the_same(name, scores):
    np.testing.assert_allclose(weights(name, scores), [0.2] * 5, atol=1e-6)


@pytest.mark.parametrize("name", sorted(NORMALIZERS))
def test_a_single_step_weighs_everything(name):
    assert weights(name, [-3]).tolist() == [1]
