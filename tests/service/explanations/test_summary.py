"""What many weights have in common, against numbers that anyone can check."""

import tracemalloc

import numpy as np
import pytest

from service.explanations.summary import QUANTILES, summarize, weights_of
from service.ragged import Ragged
from tests.service.explanations.builders import explanation


def ragged(*weights):
    return Ragged.of([np.array(one, np.float32) for one in weights])


def test_steps_that_not_all_have_are_of_those_that_have_them():
    found = summarize(ragged([0.5, 0.5], [0.25, 0.25, 0.5], [0, 1]))
    assert found["count"] == 3
    assert [step["count"] for step in found["steps"]] == [3, 3, 1]
    assert [step["mean"] for step in found["steps"]] == pytest.approx([0.25, 1.75 / 3, 0.5])
    assert found["steps"][0]["quantiles"]["0.5"] == 0.25
    assert set(found["steps"][2]["quantiles"].values()) == {0.5}
    assert [step["share"] for step in found["steps"]] == pytest.approx([1 / 3] * 3)
    assert found["top"][0] == {"step": 0, "share": pytest.approx(1 / 3)}
    assert {top["step"] for top in found["top"]} == {0, 1, 2}


def test_quantiles_are_those_of_numpy():
    random = np.random.default_rng(0)
    weights = [random.dirichlet(np.ones(length)) for length in (4, 9, 9, 2, 7, 9)]
    found = summarize(ragged(*weights))
    for step in range(9):
        column = np.array([one[step] for one in weights if len(one) > step], np.float32)
        expected = dict(zip(map(str, QUANTILES), np.quantile(column, QUANTILES), strict=True))
        assert found["steps"][step]["quantiles"] == pytest.approx(expected)


def test_concentration_is_of_sequences_of_several_steps():
    assert summarize(ragged([1.0], [0, 1, 0], [0.5, 0.5]))["concentration"]["mean"] == pytest.approx(0.5)
    assert summarize(ragged([1.0]))["concentration"] is None


def test_weights_are_those_of_the_label_by_step():
    one = explanation(steps=(2, 3, 4), labels=["a", "b", "a"], per_feature=True)
    assert [len(weights) for weights in weights_of([one], "a")] == [2, 4]
    assert [len(weights) for weights in weights_of([one, one], None)] == [2, 3, 4] * 2
    np.testing.assert_allclose(weights_of([one], "b")[0], one.attention[1].mean(axis=1))
    assert weights_of([one], "c") is None
    assert summarize(None)["count"] == 0


def test_a_long_one_among_many_short_ones_does_not_make_them_all_long():
    random = np.random.default_rng(0)
    weights = ragged(*[random.dirichlet(np.ones(length)) for length in [5] * 2_000 + [5_000]])
    tracemalloc.start()
    found = summarize(weights)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (found["count"], len(found["steps"])) == (2_001, 5_000)
    assert peak < 20e6  # bytes; padded, these 15,000 weights take 160e6
