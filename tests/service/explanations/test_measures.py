import numpy as np
import pytest

from service.explanations.measures import concentration, distance_from_uniform, top_steps


def test_top_steps_are_heaviest_first_and_earliest_among_equals():
    assert top_steps(np.array([0.1, 0.4, 0.1, 0.4], np.float32), 3) == [
        (1, np.float32(0.4)),
        (3, np.float32(0.4)),
        (0, np.float32(0.1)),
    ]


def test_a_short_sequence_has_fewer_top_steps():
    assert top_steps(np.array([1.0], np.float32), 3) == [(0, 1.0)]


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ([0.25, 0.25, 0.25, 0.25], 0.0),
        ([0, 0, 1, 0], 1.0),
        ([0.5, 0.5, 0, 0], 0.5),  # log 2 of log 4
        ([0.5, 0.25, 0.125, 0.125], 0.125),  # 1.75 bits of 2
        ([1.0], None),
    ],
)
def test_concentration_by_hand(weights, expected):
    assert concentration(np.array(weights, np.float32)) == pytest.approx(expected, abs=1e-6)


def test_the_distance_from_uniform_is_the_weight_that_has_to_move():
    assert distance_from_uniform(np.full(4, 0.25, np.float32)) == 0
    assert distance_from_uniform(np.array([1, 0, 0, 0], np.float32)) == pytest.approx(0.75)
    assert distance_from_uniform(np.array([0.3, 0.2, 0.3, 0.2], np.float32)) == pytest.approx(0.1)
