import numpy as np
import pytest

from service.explanations.bundles import Bundle, decode
from service.explanations.record import steps
from tests.service.explanations.builders import explanation


@pytest.mark.parametrize("options", [{}, {"per_feature": True}, {"with_attention": False}, {"steps": (1, 7, 3)}])
def test_a_record_comes_back_as_it_was(options):
    before = explanation(**options)
    after = decode(Bundle.of([before]).encode())[0]
    for name in ("id", "created", "model", "version", "task", "features", "classes", "labels"):
        assert getattr(after, name) == getattr(before, name)
    np.testing.assert_array_equal(after.predictions, before.predictions)
    for one, other in zip(after.sequences, before.sequences, strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(after.attention or [], before.attention or [], strict=True):
        np.testing.assert_array_equal(one, other)
    assert (after.attention is None) == (before.attention is None)


def test_weights_by_step_are_the_mean_over_features():
    assert steps(np.array([[0.25, 0.75], [0.75, 0.25]], np.float32)).tolist() == [0.5, 0.5]
    assert steps(np.array([0.25, 0.75], np.float32)).tolist() == [0.25, 0.75]
