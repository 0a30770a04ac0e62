import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from service.explanations.faithfulness import (
    DRAWS,
    FAST_DRAWS,
    SHARES,
    Drops,
    Measured,
    fast_test,
    full_test,
    judge,
    judge_one,
    measure,
    occlusion_test,
    perturb,
    rank_correlation,
    summarize,
)

TIME = 20  # shares of 1, 5, 10, 20 and 50 % are 1, 1, 2, 4 and 10 steps
BASELINE = np.zeros(1, np.float32)


def one_step(step):
    """A model that looks at one step only: 0.9 if it holds a 1, 0.5 if not."""
    return lambda sequences: 0.5 + 0.4 * sequences[:, step, :1]


def ones():
    return np.ones((TIME, 1), np.float32)


def weights_on(step):
    weights = np.full(TIME, 0.01, np.float32)
    weights[step] = 1 - 0.19
    return weights


def test_weights_on_the_step_that_decides():
    found = measure(one_step(7), ones(), weights_on(7), BASELINE, "binary")
    assert found.comprehensiveness == pytest.approx(0.4)  # step 7 is among the heaviest at every share
    assert found.sufficiency == pytest.approx(0)
    assert found.importance.tolist() == pytest.approx([0.4 if step == 7 else 0 for step in range(TIME)])
    assert found.rank_correlation == pytest.approx(1)
    expected = 0.4 * (1 + 1 + 2 + 4 + 10) / 5 / TIME  # the chance of each share to hit step 7
    assert found.random_comprehensiveness == pytest.approx(expected, abs=0.1)
    assert found.random_sufficiency == pytest.approx(0.4 - found.random_comprehensiveness)


def test_weights_on_a_step_that_does_not_matter():
    weights = weights_on(3)
    weights[7] = 0  # the step that decides weighs least
    found = measure(one_step(7), ones(), weights, BASELINE, "binary")
    assert found.comprehensiveness == 0
    assert found.occlusion_comprehensiveness == pytest.approx(0.4)  # removal of single steps finds it
    assert found.sufficiency == pytest.approx(0.4)
    assert found.rank_correlation < 0


def test_a_removed_step_holds_the_baseline():
    seen = []

    def run(sequences):
        seen.append(sequences)
        return np.full((len(sequences), 1), 0.5, np.float32)

    sequence = np.arange(8, dtype=np.float32).reshape(4, 2)
    measure(run, sequence, np.array([0.1, 0.6, 0.2, 0.1], np.float32), np.array([-1, -2], np.float32), "binary")
    singles, batch = seen
    assert singles[0].tolist() == batch[0].tolist() == sequence.tolist()
    assert singles[1].tolist() == [[-1, -2], [2, 3], [4, 5], [6, 7]]
    assert len(singles) == 1 + 4
    counts = 2  # of 4 steps: 1 and 2
    assert len(batch) == 1 + 2 * (2 + DRAWS) * counts
    assert batch[1].tolist() == [[0, 1], [-1, -2], [4, 5], [6, 7]]  # without the heaviest step
    assert batch[2].tolist() == [[0, 1], [-1, -2], [-1, -2], [6, 7]]  # without the two heaviest
    assert batch[1 + (2 + DRAWS) * counts].tolist() == [[-1, -2], [2, 3], [-1, -2], [-1, -2]]  # the heaviest alone


def test_the_score_is_that_of_the_class_predicted():
    def run(sequences):
        hit = sequences[:, 0, 0]
        return np.stack([0.3 - 0.2 * hit, 0.4 * (1 - hit) + 0.2, 0.3 + 0.4 * hit - 0.2 * (1 - hit)], axis=1)

    found = measure(run, ones(), weights_on(0), BASELINE, "multiclass")
    assert found.importance[0] == pytest.approx(0.7 - 0.1)


def test_a_low_binary_prediction_drops_by_rising():
    found = measure(lambda s: 0.9 - 0.8 * s[:, 0, :1], ones(), weights_on(0), BASELINE, "binary")
    assert found.comprehensiveness == pytest.approx(0.8)


def test_regression_changes_count_in_units_of_the_target():
    found = measure(lambda s: 100 * s[:, 0, :1], ones(), weights_on(0), BASELINE, "regression", unit=50)
    assert found.comprehensiveness == pytest.approx(2)


def test_the_same_seed_gives_the_same_numbers():
    one, other, third = (measure(one_step(7), ones(), weights_on(7), BASELINE, "binary", seed=s) for s in (1, 1, 2))
    assert one.random_comprehensiveness == other.random_comprehensiveness
    assert one.random_comprehensiveness != third.random_comprehensiveness


def test_a_single_step_has_no_ranks_and_claims_nothing():
    found = measure(lambda s: s[:, 0, :1], np.ones((1, 1), np.float32), np.ones(1, np.float32), BASELINE, "binary")
    assert found.rank_correlation is None
    assert found.comprehensiveness == found.random_comprehensiveness


values = st.lists(st.integers(0, 5), min_size=2, max_size=12)


@given(values, st.randoms())
def test_rank_correlation_is_that_of_scipy(one, random):
    other = one.copy()
    random.shuffle(other)
    if len(set(one)) == 1:
        assert rank_correlation(np.array(one), np.array(other)) is None
    else:
        assert rank_correlation(np.array(one), np.array(other)) == pytest.approx(spearmanr(one, other).statistic)


@pytest.mark.parametrize(
    ("effects", "occlusion", "verdict"),
    [
        ([0.3, 0.3, 0.3], 0.59, "supported"),
        ([0.3, 0.3, 0.3], 0.61, "weak"),  # finds less than half of what occlusion finds
        ([0.04, 0.04, 0.04], 0.04, "weak"),  # too little
        ([0.9, -0.8, 0.0], 0.1, "no better than random"),  # not clearly more
        ([0.0, 0.0, 0.0], 0.0, "no better than random"),
        ([-0.3, -0.3, -0.3], 0.1, "no better than random"),
    ],
)
def test_the_verdict(effects, occlusion, verdict):
    assert judge(np.array(effects), np.full(3, occlusion)) == verdict


def test_a_curve_has_a_drop_for_each_share():
    def run(sequences):
        return 0.3 * sequences[:, 7] + 0.2 * sequences[:, 3] + 0.1 * sequences[:, 5] + 0.4

    weights = np.linspace(0.1, 0, TIME, dtype=np.float32)  # heaviest first: 0, 1, 2, 3, ...
    found = measure(run, ones(), weights, BASELINE, "binary")
    assert np.argsort(-found.importance)[:3].tolist() == [7, 3, 5]
    # of 1, 1, 2, 4 and 10 steps
    assert found.without.attention.tolist() == pytest.approx([0, 0, 0, 0.2, 0.6])
    assert found.without.occlusion.tolist() == pytest.approx([0.3, 0.3, 0.5, 0.6, 0.6])
    assert found.alone.attention.tolist() == pytest.approx([0.6, 0.6, 0.6, 0.4, 0])
    assert found.comprehensiveness == pytest.approx((0.2 + 0.6) / 5)
    assert found.without.random[0] == found.without.random[1] <= found.without.random[-1]


def test_a_forecast_drops_by_the_mean_distance_over_its_horizon():
    def run(sequences):
        return np.concatenate([10 * sequences[:, 0], -30 * sequences[:, 0]], axis=1)

    found = measure(run, ones(), weights_on(0), BASELINE, "forecast", unit=5)
    assert found.comprehensiveness == pytest.approx((10 + 30) / 2 / 5)


def measured(drop, weights=(0.6, 0.4), importance=(0.1, 0.2)):
    def flat(attention, occlusion, random):
        return Drops(*(np.full(5, value) for value in (attention, occlusion, random)))

    return Measured(np.array(weights), np.array(importance), flat(drop, 0.4, 0.05), flat(0.1, 0.2, 0.3))


def test_a_summary_is_the_mean_over_sequences():
    constant = measured(0.4, importance=(0.1, 0.1))  # no ranks
    found = summarize([measured(0.3), measured(0.5, weights=(0.2, 0.8)), constant])
    assert found.samples == 3
    assert found.comprehensiveness == pytest.approx(0.4)
    assert found.random_sufficiency == pytest.approx(0.3)
    assert found.rank_correlation == pytest.approx((-1 + 1) / 2)
    assert found.deletion.shares == list(SHARES)
    assert found.deletion.attention == pytest.approx([0.4] * 5)
    assert found.deletion.random == pytest.approx([0.05] * 5)
    assert found.verdict == "supported"


def test_profiles_are_compared_as_means_over_sequences_of_one_length():
    # mean weights 0.5, 0.3, 0.2 and mean importance 0.3, 0.2, 0.1: the same order, though not of each sequence
    same = [measured(0.3, (0.9, 0.05, 0.05), (0.1, 0.3, 0.1)), measured(0.3, (0.1, 0.55, 0.35), (0.5, 0.1, 0.1))]
    found = summarize(same)
    assert found.profile_correlation == pytest.approx(1)
    assert found.rank_correlation < 0.5
    assert summarize([*same, measured(0.3)]).profile_correlation is None


def conduct(test, run, sequence, baseline=BASELINE):
    """Runs a test to its end; returns its result, and how many copies were run."""
    removed, runs = next(test), 0
    try:
        while True:
            runs += len(removed)
            removed = test.send(run(perturb(sequence, removed, baseline)))
    except StopIteration as end:
        return end.value, runs


def test_a_removed_step_holds_the_last_value_that_is_kept():
    sequence = np.arange(10, dtype=np.float32).reshape(5, 2)
    removed = np.array([[0, 1, 1, 0, 0], [1, 1, 0, 0, 1], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]], bool)
    found = perturb(sequence, removed, None)
    assert found[:, :, 0].tolist() == [[0, 0, 0, 6, 8], [4, 4, 4, 6, 6], [0, 2, 4, 6, 8], [0, 0, 0, 0, 0]]
    assert (found[:, :, 1] == found[:, :, 0] + 1).all()


def test_of_a_long_sequence_neighbours_are_removed_together():
    found, runs = conduct(occlusion_test(TIME, "binary", width=3), one_step(7), ones())
    assert runs == 1 + 7  # windows of 3 steps, the last of 2
    assert found.tolist() == pytest.approx([0.4 if step in (6, 7, 8) else 0 for step in range(TIME)])
    measured, _ = conduct(full_test(weights_on(7), "binary", width=3), one_step(7), ones())
    assert measured.width == 3
    assert measured.rank_correlation > 0.5  # by window: the other six change nothing, and weigh nearly the same


def test_the_fast_part_is_that_of_the_whole_with_fewer_draws():
    fast, runs = conduct(fast_test(weights_on(7), "binary"), one_step(7), ones())
    assert runs == 1 + 2 * (1 + FAST_DRAWS) * 4
    assert fast.comprehensiveness == pytest.approx(0.4)
    assert fast.sufficiency == pytest.approx(0)
    assert fast.random_comprehensiveness + fast.random_sufficiency == pytest.approx(0.4)  # of one step: it is in either


def one(attention=0.4, occlusion=0.4, random=0.1, std=0.0, weights=(0.6, 0.4)):
    flat = [np.full(5, value) for value in (attention, occlusion, random)]
    return Measured(np.array(weights), np.array([0.1, 0.2]), Drops(*flat, std), Drops(*flat))


@pytest.mark.parametrize(
    ("measured", "verdict"),
    [
        (one(), "supported"),
        (one(attention=0.24), "weak"),  # 0.14 more than at random, where occlusion finds 0.3 more
        (one(attention=0.14, occlusion=0.14), "weak"),  # too little
        (one(std=0.3 / 2 * DRAWS**0.5 + 0.01), "no better than random"),  # not by two standard errors of the draws
        (one(attention=0.1), "no better than random"),
        (one(weights=(0.54, 0.46)), "weak"),  # nearly the same: 0.04 of the weight has to move
        (one(weights=(0.56, 0.44)), "supported"),
    ],
)
def test_the_verdict_on_one_sequence(measured, verdict):
    assert judge_one(measured) == verdict


def test_where_the_unit_of_the_changes_is_not_known_their_size_does_not_count():
    assert judge_one(one(attention=0.14, occlusion=0.14), least=0) == "supported"


@given(st.integers(1, 40), st.integers(0, 1000))
def test_the_numbers_are_those_of_a_plain_implementation(time, seed):
    """The same from its definition, one loop for each word of it."""
    random = np.random.default_rng(seed)
    sequence, baseline = random.normal(size=(time, 2)).astype(np.float32), random.normal(size=2).astype(np.float32)
    weights, mix = random.dirichlet(np.ones(time)).astype(np.float32), random.normal(size=(time, 2))

    def run(sequences):
        return 1 / (1 + np.exp(-(sequences * mix).sum(axis=(1, 2))))[:, None]

    def probability(removed):
        copy = sequence.copy()
        for step in removed:
            copy[step] = baseline
        rising, now = run(sequence[None])[0, 0] >= 0.5, run(copy[None])[0, 0]
        return now if rising else 1 - now

    def drops(order, count):
        return [
            probability([]) - probability(removed)
            for removed in (order[:count], [s for s in order if s not in order[:count]])
        ]

    counts = [math.ceil(share * time) for share in (0.01, 0.05, 0.1, 0.2, 0.5)]
    importance = [abs(probability([]) - probability([step])) for step in range(time)]
    by_weight = sorted(range(time), key=lambda step: -weights[step])
    by_importance = sorted(range(time), key=lambda step: -importance[step])
    found = measure(run, sequence, weights, baseline, "binary")
    assert found.importance == pytest.approx(importance, abs=1e-6)
    for order, name in ((by_weight, "attention"), (by_importance, "occlusion")):
        expected = np.array([drops(order, count) for count in counts])
        assert getattr(found.without, name) == pytest.approx(expected[:, 0], abs=1e-6)
        assert getattr(found.alone, name) == pytest.approx(expected[:, 1], abs=1e-6)
    assert found.comprehensiveness == pytest.approx(np.mean([drops(by_weight, count)[0] for count in counts]), abs=1e-6)
    assert found.sufficiency == pytest.approx(np.mean([drops(by_weight, count)[1] for count in counts]), abs=1e-6)
