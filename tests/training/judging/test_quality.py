import numpy as np
import pytest

from training.judging.quality import (
    bootstrap,
    calibration,
    calibration_error,
    compare,
    marks,
    score,
    student_t,
    summarize,
    wilson,
)


def test_a_binary_mark_is_whether_it_is_on_the_right_side_of_a_half():
    prediction = np.array([[0.9], [0.5], [0.49], [0.1]])
    assert marks(prediction, np.array([1, 1, 1, 0]), "binary").tolist() == [1, 1, 0, 1]


def test_a_multiclass_mark_is_whether_the_largest_output_is_right():
    prediction = np.array([[0.2, 0.5, 0.3], [0.6, 0.3, 0.1], [0.1, 0.1, 0.8], [0.4, 0.35, 0.25]])
    assert marks(prediction, np.array([1, 0, 2, 2]), "multiclass").tolist() == [1, 1, 1, 0]


def test_values_are_marked_by_their_squared_error_and_scored_by_its_root():
    prediction = np.array([[1.0], [2.0], [10.0], [0.0]])
    found = marks(prediction, np.array([1.0, 3.0, 6.0, 0.0]), "regression")
    assert found.tolist() == [0, 1, 16, 0]
    assert score(found, "rmse") == pytest.approx((17 / 4) ** 0.5)
    assert score(np.array([1, 1, 0, 1]), "accuracy") == 0.75


def test_a_forecast_is_scored_over_all_its_values():
    prediction, targets = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 4.0], [3.0, 5.0]])
    assert score(marks(prediction, targets, "forecast"), "rmse") == pytest.approx((5 / 4) ** 0.5)


def test_several_seeds_have_students_interval_of_their_mean():
    found = student_t([1.0, 2.0, 3.0])
    half = 4.30265 / 3**0.5  # t of 97.5 % with 2 degrees of freedom, times the standard deviation of 1
    assert (found.low, found.high) == pytest.approx((2 - half, 2 + half), abs=1e-4)


def test_one_seed_has_wilsons_interval_of_its_share():
    # E. B. Wilson (1927), worked out for 8 of 10
    assert (wilson(8, 10).low, wilson(8, 10).high) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert (wilson(10, 10).low, wilson(10, 10).high) == pytest.approx((0.7225, 1), abs=1e-4)


def test_a_bootstrap_interval_is_that_of_the_normal_distribution_where_there_are_many():
    values = np.random.default_rng(0).normal(5, 2, 2000)
    found = bootstrap(lambda rows: float(values[rows].mean()), len(values))
    assert (found.low, found.high) == pytest.approx(values.mean() + np.array([-1, 1]) * 1.96 * 2 / 2000**0.5, abs=0.02)
    assert found == bootstrap(lambda rows: float(values[rows].mean()), len(values))


def right(share, samples=100):
    return (np.arange(samples) < share * samples).astype(float)


def test_quality_is_the_mean_over_seeds_with_its_spread():
    found = summarize("accuracy", {0: right(0.9), 3: right(0.8)}, 3)
    assert found.seeds == {0: 0.9, 3: 0.8}
    assert (found.published, found.mean, found.spread) == pytest.approx((0.8, 0.85, 0.05))
    assert (found.samples, found.interval.method) == (100, "Student's t over seeds")
    assert 0 <= found.interval.low < 0.85
    assert found.interval.high == 1  # no share is larger


@pytest.mark.parametrize(
    ("metric", "method"), [("accuracy", "Wilson over test sequences"), ("rmse", "bootstrap over test sequences")]
)
def test_the_interval_of_one_seed_is_over_the_test_sequences(metric, method):
    found = summarize(metric, {0: right(0.9)}, 0)
    assert found.interval.method == method
    assert found.interval.low < found.published < found.interval.high


@pytest.mark.parametrize(("metric", "effect"), [("accuracy", "gains"), ("rmse", "costs")])
def test_a_difference_that_is_not_chance_is_a_gain_of_accuracy_and_costs_where_it_is_an_error(metric, effect):
    model, twin = {0: right(0.9), 1: right(0.91), 2: right(0.92)}, {0: right(0.8), 1: right(0.8), 2: right(0.81)}
    assert compare(metric, model, twin).effect == effect
    assert compare(metric, twin, model).effect == {"gains": "costs", "costs": "gains"}[effect]
    assert compare(metric, {0: right(0.9)}, {0: right(0.7)}).effect == effect


def test_seeds_that_spread_more_than_they_differ_claim_nothing():
    model, twin = {0: right(0.9), 1: right(0.7)}, {0: right(0.8), 1: right(0.75)}
    found = compare("accuracy", model, twin)
    assert found.effect == "no clear difference"
    assert (found.mean, found.spread) == pytest.approx((0.775, 0.025))
    assert found.difference.low < 0.025 < found.difference.high
    assert compare("accuracy", {0: right(1)}, {0: right(1)}).effect == "no clear difference"


def test_calibration_by_hand():
    prediction = np.array([[0.95], [0.91], [0.05], [0.62], [0.35]])  # confidences .95 .91 .95 .62 .65
    bins = calibration(prediction, np.array([1, 0, 0, 1, 1]), "binary")
    assert [one.samples for one in bins] == [2, 3]
    assert [one.confidence for one in bins] == pytest.approx([0.635, (0.95 + 0.91 + 0.95) / 3])
    assert [one.accuracy for one in bins] == pytest.approx([1 / 2, 2 / 3])
    assert calibration_error(bins) == pytest.approx((2 * 0.135 + abs(0.95 + 0.91 + 0.95 - 2)) / 5)


def test_confidence_is_that_of_the_predicted_class_and_may_be_1():
    bins = calibration(np.array([[0.0, 1.0, 0.0], [0.4, 0.3, 0.3]]), np.array([1, 0]), "multiclass")
    assert [(one.confidence, one.accuracy) for one in bins] == [(0.4, 1), (1, 1)]
