import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from service.explanations.faithfulness import (
    DRAWS,
    SHARES,
    Drops,
    Measured,
    judge,
    measure,
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
