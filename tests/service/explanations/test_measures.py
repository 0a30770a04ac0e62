import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from service.explanations.measures import (
    concentration,
    concentrations,
    distance_from_uniform,
    heaviest,
    profile,
    rank_correlation,
    top_positions,
    top_steps,
)
from service.ragged import Ragged


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


def ragged(*sequences):
    return Ragged.of([np.array(sequence, np.float32) for sequence in sequences])


def test_the_concentrations_of_many_are_those_of_each():
    weights = ragged([0.25] * 4, [1.0], [0.5, 0.5, 0, 0], [0.0, 1.0], [0.7, 0.2, 0.1])
    alone = [concentration(one) for one in weights]
    assert concentrations(weights) == pytest.approx([one for one in alone if one is not None], abs=1e-6)


def test_top_positions_are_the_middle_of_the_step_in_its_sequence():
    weights = ragged([0.2, 0.6, 0.2, 0.0], [1.0], [0.1, 0.9], [0.2, 0.4, 0.4])
    assert heaviest(weights).tolist() == [1, 0, 1, 1]  # the first among equals
    assert top_positions(weights).tolist() == [1.5 / 4, 0.5, 0.75, 0.5]


def test_a_step_gives_its_weight_to_the_twentieths_that_it_covers():
    found = profile(ragged([0.1, 0.9]))
    assert found == pytest.approx([0.01] * 10 + [0.09] * 10)
    found = profile(ragged([0.2, 0.3, 0.5]))  # 6 2/3 twentieths each
    assert found == pytest.approx([0.03] * 6 + [0.02 + 0.015] + [0.045] * 6 + [0.015 + 0.05] + [0.075] * 6)


@pytest.mark.parametrize("lengths", [[20], [40, 40], [1], [7], [3, 19, 20, 21, 64]])
def test_even_weights_have_an_even_profile_whatever_the_length(lengths):
    found = profile(ragged(*([1 / length] * length for length in lengths)))
    assert found == pytest.approx([len(lengths) / 20] * 20)


def test_the_profile_of_many_is_the_sum_of_each():
    random = np.random.default_rng(0)
    sequences = [random.dirichlet(np.ones(length)) for length in random.integers(1, 50, 30)]
    assert profile(ragged(*sequences)) == pytest.approx(np.sum([profile(ragged(one)) for one in sequences], axis=0))


values = st.lists(st.integers(0, 5), min_size=2, max_size=12)


@given(values, st.randoms())
def test_rank_correlation_is_that_of_scipy(one, random):
    other = one.copy()
    random.shuffle(other)
    if len(set(one)) == 1:
        assert rank_correlation(np.array(one), np.array(other)) is None
    else:
        assert rank_correlation(np.array(one), np.array(other)) == pytest.approx(spearmanr(one, other).statistic)
