import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.explanations.faithfulness import (
    DRAWS,
    FAST_DRAWS,
    fast_test,
    full_test,
    measure,
    occlusion_test,
    perturb,
    random_orders,
    runs,
    together,
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
    # The chance of each share to hit step 7, but of 10 orders, begun every second step, none of two: the first share
    # is of one step, which is 7 in one order or in none.
    assert found.without.random[2:] == pytest.approx([0.4 * count / TIME for count in (2, 4, 10)])
    assert found.without.random[0] in (0, pytest.approx(0.4 / DRAWS))
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


def test_at_one_half_the_second_label_is_predicted_and_tested():
    found = measure(lambda s: 0.5 - 0.4 * (1 - s[:, 0, :1]), ones(), weights_on(0), BASELINE, "binary")
    assert found.comprehensiveness == pytest.approx(0.4)


def test_of_text_the_prediction_is_what_stays():
    found = measure(lambda s: 0.2 * s[:, 0, :1], ones(), weights_on(0), BASELINE, "sequence")
    assert found.comprehensiveness == pytest.approx(0.2)


def test_occlusion_takes_the_steps_first_that_lower_the_prediction():
    def run(sequences):
        return 0.6 + 0.1 * sequences[:, 3] - 0.3 * sequences[:, 5]  # 0.4: the first label; without 5, the second

    found = measure(run, ones(), weights_on(0), BASELINE, "binary")
    assert found.importance[[3, 5]].tolist() == pytest.approx([0.1, 0.3])
    # of 1, 1, 2, 4 and 10 steps
    assert found.without.occlusion.tolist() == pytest.approx([0.3, 0.3, 0.3, 0.3, 0.3])
    rising = measure(lambda s: 1 - run(s), ones(), weights_on(0), BASELINE, "multiclass")  # one class: always predicted
    assert rising.without.occlusion.tolist() == pytest.approx(found.without.occlusion.tolist())


@given(st.integers(1, 60), st.integers(1, 12), st.integers(0, 1000))
def test_each_step_comes_as_early_in_random_orders_as_any_other(time, draws, seed):
    orders = np.array(random_orders(time, draws, seed))
    assert (np.sort(orders, axis=1) == np.arange(time)).all()
    for count in range(1, time + 1):  # how often a step is among the first so many
        often = np.bincount(orders[:, :count].ravel(), minlength=time)
        assert often.max() - often.min() <= 1 + (draws > time) * (draws // time + 1)


def test_tests_of_several_outputs_run_what_they_share_once():
    def run(sequences):  # two outputs: step 7 decides the one, and step 3 the other
        return np.concatenate([one_step(7)(sequences), one_step(3)(sequences)], axis=1)

    tests = [full_test(weights_on(step), "binary") for step in (7, 3)]
    (one, other), count = conduct(together(tests), run, ones())
    alone, apart = conduct(full_test(weights_on(7), "binary"), one_step(7), ones())
    assert (one.importance == alone.importance).all()
    assert (one.without.random == alone.without.random).all()
    assert (one.comprehensiveness, one.sufficiency) == (alone.comprehensiveness, alone.sufficiency)
    assert other.importance[3] == pytest.approx(0.4)
    assert other.comprehensiveness == pytest.approx(0.4)
    assert count < 2 * apart
    assert count <= 1 + TIME + 1 + runs(2)


def test_regression_changes_count_in_units_of_the_target():
    found = measure(lambda s: 100 * s[:, 0, :1], ones(), weights_on(0), BASELINE, "regression", unit=50)
    assert found.comprehensiveness == pytest.approx(2)


def test_the_same_seed_gives_the_same_orders():
    one, other, third = (np.array(random_orders(TIME, DRAWS, seed)).tolist() for seed in (1, 1, 2))
    assert one == other != third


def test_a_single_step_has_no_ranks_and_claims_nothing():
    found = measure(lambda s: s[:, 0, :1], np.ones((1, 1), np.float32), np.ones(1, np.float32), BASELINE, "binary")
    assert found.rank_correlation is None
    assert found.comprehensiveness == found.random_comprehensiveness


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
    dropped = [probability([]) - probability([step]) for step in range(time)]
    by_importance = sorted(range(time), key=lambda step: -dropped[step])
    found = measure(run, sequence, weights, baseline, "binary")
    assert found.importance == pytest.approx(importance, abs=1e-6)
    for order, name in ((by_weight, "attention"), (by_importance, "occlusion")):
        expected = np.array([drops(order, count) for count in counts])
        assert getattr(found.without, name) == pytest.approx(expected[:, 0], abs=1e-6)
        assert getattr(found.alone, name) == pytest.approx(expected[:, 1], abs=1e-6)
    assert found.comprehensiveness == pytest.approx(np.mean([drops(by_weight, count)[0] for count in counts]), abs=1e-6)
    assert found.sufficiency == pytest.approx(np.mean([drops(by_weight, count)[1] for count in counts]), abs=1e-6)
