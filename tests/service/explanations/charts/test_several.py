"""Pictures of several sequences: what looks the same is the same."""

import numpy as np
import pytest

from service.explanations.charts.comparing import comparison_chart
from service.explanations.charts.panels import COLUMNS, LANES
from service.explanations.charts.rendering import svg
from service.explanations.charts.several import all_chart
from service.ragged import Ragged
from tests.service.explanations.builders import explanation


def axis(chart, panel):
    """The ends of an axis that is set."""
    layers = next(each for each in chart.definition()["vconcat"] if each.get("name") == panel)["layer"]
    return next(layer["encoding"]["y"]["scale"].get("domain") for layer in layers if "y" in layer.get("encoding", {}))


def weighing(*weights, **changes):
    """An explanation of sequences with these weights."""
    weights = [np.array(each, np.float32) for each in weights]
    return explanation(steps=tuple(map(len, weights)), attention=Ragged.of(weights), **changes)


def test_a_weight_is_as_high_in_both_of_two_and_a_value_as_well():
    a = weighing([0.34, 0.33, 0.33], sequences=Ragged.of([np.array([[0, 1], [2, 3], [4, 5]], np.float32)]))
    b = weighing([0.1, 0.1, 0.8], sequences=Ragged.of([np.array([[-7, 1], [2, 3], [4, 9]], np.float32)]))
    chart = comparison_chart(a, b, 0)
    assert axis(chart, "weights_a") == axis(chart, "weights_b") == pytest.approx([0, 0.8])
    assert axis(chart, "values_a") == axis(chart, "values_b") == [-7, 9]


def test_values_of_other_features_have_an_axis_of_their_own():
    chart = comparison_chart(explanation(), explanation(features=["y"]), 0)
    assert axis(chart, "values_a") is None
    assert axis(chart, "weights_a") == axis(chart, "weights_b")
    assert 'stroke-dasharray="6,3"' in svg(chart)  # those of a still differ in their dashes


@pytest.mark.parametrize("features", [2, 12])
def test_weights_and_values_of_all_sequences_of_a_request_are_on_the_same_axes(features):
    chart = all_chart(weighing([0.77, 0.2, 0.03], [0.17, 0.17, 0.66], [0.5, 0.5], features=features), 3)
    assert [axis(chart, f"weights_{index}") for index in range(3)] == [pytest.approx([0, 0.77])] * 3
    assert len({tuple(axis(chart, f"values_{index}")) for index in range(3)}) == 1


def test_what_many_lines_are_is_said_and_few_are_named():
    many = all_chart(explanation(steps=(5, 5), features=12), 2)
    two = comparison_chart(explanation(features=12), explanation(features=12), 0)
    told = "each line is one of 12 features (x0, x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11)"
    assert all(told in chart.view.title.subtitle for chart in (many, two))
    few = all_chart(explanation(steps=(5, 5), features=4), 2)
    assert all(svg(few).count(f">x{feature}</text>") == 2 for feature in range(4))
    assert few.view.title.subtitle == ["values and weights of each"]
    more = " ".join(all_chart(explanation(features=60), 1).view.title.subtitle)
    assert "60 features (x0, x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11 and 48 more); the first 24 of them" in more


def test_titles_of_two_say_what_differs_and_fit_a_phone():
    def titles(a, b):
        return [panel.title.text for panel in comparison_chart(a, b, 0).view.vconcat[:4:2]]

    one = explanation(labels=["speaker 1"])
    assert titles(one, one) == [["a: predicts speaker 1 (75%)"], ["b: predicts speaker 1 (75%)"]]
    assert titles(one, explanation(version=2))[1] == ["b: version 2, predicts yes (75%)"]
    assert titles(one, explanation(model="n"))[0] == ["a: m, version 1, predicts speaker 1 (75%)"]
    long = titles(one, explanation(model="a-model-of-japanese-vowels", labels=["speaker 12"]))[1]
    assert long == ["b: a-model-of-japanese-vowels, version 1", "predicts speaker 12 (75%)"]


def test_two_that_are_the_same_differ_nowhere():
    assert comparison_chart(explanation(), explanation(), 0).view.title.subtitle == ["0% of the weight lies elsewhere"]


def test_many_long_sequences_are_drawn_with_as_many_points_as_one():
    chart = all_chart(explanation(steps=(5000,) * 12, features=24), 12)
    lines = [rows for name, rows in chart.data.items() if name.startswith("values-")]
    assert sum(map(len, lines)) <= 2 * COLUMNS * LANES
    assert "of 76 neighbouring steps the largest is drawn" in " ".join(chart.view.title.subtitle)
    peaks = [max(rows, key=lambda row: row["value"])["value"] for rows in lines]
    assert peaks == [float(sequence.max()) for sequence in explanation(steps=(5000,) * 12, features=24).sequences]
