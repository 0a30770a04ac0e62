import xml.etree.ElementTree as ET

import numpy as np
import pytest

from service.explanations.charts.chart import Chart
from service.explanations.charts.comparing import comparison_chart
from service.explanations.charts.left_out import LeftOut
from service.explanations.charts.profiles import summary_chart
from service.explanations.charts.rendering import svg
from service.explanations.charts.sequences import explanation_chart, faithfulness_chart, occlusion_chart
from service.explanations.charts.several import all_chart
from service.explanations.charts.words import change, percent
from service.explanations.faithfulness import EFFECT
from service.explanations.summary import summarize
from service.ragged import Ragged
from tests.service.explanations.builders import explanation, text_explanation

EVEN = np.full((2, 5), 0.2)
TEXT = text_explanation(EVEN)
NAMES = [f"sensor channel {i}" for i in range(12)]


def texts(**options):
    """Every text in the picture."""
    index = options.pop("index", 0)
    picture = ET.fromstring(svg(explanation_chart(explanation(**options), index)))
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"
    return [element.text for element in picture.iter("{http://www.w3.org/2000/svg}text")]


def test_the_picture_says_the_prediction_and_names_the_top_steps():
    weights = np.array([0.1, 0.7, 0.0, 0.15, 0.05], np.float32)
    found = texts(attention=[weights])
    assert "m, version 1, predicts yes (75%)" in found
    assert "most weight on step 1 (70%), 3 (15%), 0 (10%)" in found
    assert {"70%", "15%", "10%"} <= set(found)


def test_every_feature_has_a_row_of_its_own_weights():
    found = texts(per_feature=True, features=3)
    assert found.count("x2") == 2  # in the legend and on the axis of the band


def test_a_model_without_attention_is_said_to_have_none():
    found = texts(with_attention=False)
    assert "this model has no attention" in found
    assert "weight" not in found


def test_the_sequence_asked_for_is_drawn():
    predictions = np.array([[0.75], [0.1]], np.float32)
    found = texts(steps=(3, 4), predictions=predictions, labels=["yes", "no"], index=1)
    assert "m, version 1, predicts no (90%)" in found


@pytest.mark.parametrize("steps", [1, 2, 300])
def test_short_and_long_sequences_are_drawn(steps):
    assert "step" in texts(steps=(steps,))


def test_regression_shows_the_value():
    found = texts(task="regression", labels=None, predictions=np.array([[12.346]], np.float32))
    assert "m, version 1, predicts 12.35" in found


def test_what_leaving_out_each_step_changes_is_drawn_in_place_of_the_weights():
    picture = svg(occlusion_chart(explanation(), 0, LeftOut([0.0, 0.25, 0.5, 0.1, 0.0])))
    assert "changes most without step 2 (0.50), 1 (0.25), 3 (0.10)" in picture
    assert ">change without<" in picture
    assert ">weight<" not in picture


def test_weights_and_changes_are_drawn_on_one_time_axis():
    weights, left_out = np.array([0.1, 0.7, 0, 0.2, 0], np.float32), LeftOut([0.0, 0.25, 0.5, 0.1, 0.0])
    chart = faithfulness_chart(explanation(), 0, weights, left_out, "what was found")
    assert chart.definition()["resolve"]["scale"]["x"] == "shared"
    picture = svg(chart)
    assert all(text in picture for text in ("what was found", ">weight<", ">change without<", ">70%<", ">0.50<"))


def test_what_is_next_to_no_change_does_not_look_like_one():
    picture = svg(occlusion_chart(explanation(), 0, LeftOut([1e-5] * 5)))
    assert EFFECT == 0.05
    assert ">0.04</text>" in picture  # on the axis
    dark = svg(occlusion_chart(explanation(), 0, LeftOut([0.5] * 5)))
    assert picture.count("rgb(180, 83, 9)") < dark.count("rgb(180, 83, 9)")  # nor in the band of heat


def test_few_features_differ_in_their_dashes_and_are_named_at_their_ends():
    picture = svg(explanation_chart(explanation(features=4), 0))
    assert {dashes for dashes in ("6,3", "2,2", "9,3,2,3") if f'stroke-dasharray="{dashes}"' in picture} == {
        "6,3",
        "2,2",
        "9,3,2,3",
    }
    assert all(f">x{feature}</text>" in picture for feature in range(4))


def test_each_of_many_features_has_a_panel_of_its_own():
    chart = explanation_chart(explanation(features=30), 0)
    assert len(chart.view.vconcat) == 24 + 2
    assert "the first 24 of 30 features are drawn" in " ".join(chart.view.title.subtitle)
    picture = svg(chart)
    assert ">x23</text>" in picture
    assert ">x24</text>" not in picture


def test_of_a_long_sequence_neighbours_are_drawn_together_and_no_peak_is_lost():
    sequence, weights = np.zeros((5000, 1), np.float32), np.full(5000, 1e-5, np.float32)
    sequence[3333], weights[4444] = 9, 0.95
    chart = explanation_chart(
        explanation(steps=(5000,), features=1, sequences=Ragged.of([sequence]), attention=[weights]), 0
    )
    lines, bars = chart.data["values"], chart.data["weights"]
    assert len(lines) < 2000
    assert len(bars) < 1000
    assert [point["step"] for point in lines if point["value"] == 9] == [3333]
    [best] = [bar for bar in bars if bar["size"] > 0.5]
    assert best["top"]
    assert best["step"] - 1 < 4444 < best["end"] + 1  # there are gaps between bars
    assert "of 7 neighbouring steps the largest is drawn" in " ".join(chart.view.title.subtitle)


def test_values_that_never_change_are_a_line_in_the_middle():
    sequence = np.full((9, 3), 7, np.float32)
    chart = explanation_chart(explanation(steps=(9,), features=3, sequences=Ragged.of([sequence])), 0)
    picture = svg(chart)
    assert all(f">{tick}</text>" in picture for tick in (6.5, "7.0", 7.5))
    places = [name["value"] for name in chart.data["ends"]]
    assert len(set(places)) == 3  # the names are not on top of each other


def test_top_steps_next_to_each_other_are_named_once_in_the_picture_and_all_in_its_words():
    weights = np.zeros(100, np.float32)
    weights[[40, 41, 90]] = 0.5, 0.3, 0.2
    chart = explanation_chart(explanation(steps=(100,), features=1, attention=[weights]), 0)
    picture = svg(chart)
    assert (">50%<" in picture, ">30%<" in picture, ">20%<" in picture) == (True, False, True)
    assert all(f"step {step} (" in chart.view.description for step in (40, 41, 90))


def summary_of(steps):
    """The answer of `GET /attention/summary` to sequences of so many steps."""
    return {"model": "m", "version": 2, "label": None, **summarize(explanation(steps=steps).attention)}


def test_the_profile_of_many_explanations():
    weights = Ragged.of([np.array(w, np.float32) for w in ([0.8, 0.1, 0.1], [0.6, 0.2, 0.2], [0.1, 0.9], [0.7, 0.3])])
    chart = summary_chart({"model": "m", "version": 2, "label": None, **summarize(weights)})
    assert chart.view.title.text == ["Weights of m, version 2 in 4 sequences"]
    assert [row["median"] for row in chart.data["profile"]] == pytest.approx([0.65, 0.25, 0.15])
    assert [row["mean"] for row in chart.data["profile"]] == pytest.approx([0.55, 0.375, 0.15])
    assert [bar["size"] for bar in chart.data["heaviest"]] == pytest.approx([0.75, 0.25, 0])
    assert [bar["size"] for bar in chart.data["counts"]] == [4, 4, 2]
    picture = svg(chart)
    assert "most often heaviest: step 0 (75%), 1 (25%)" in picture
    assert "On average most weight lies on step 0 (55%)" in picture


def test_every_step_of_a_profile_has_its_share_of_the_heaviest():
    weights = Ragged.of([np.roll(np.eye(9, dtype=np.float32)[0], step) for step in (*range(9), 4)])
    chart = summary_chart({"model": "m", **summarize(weights)})
    assert [bar["size"] for bar in chart.data["heaviest"]] == pytest.approx([0.1] * 4 + [0.2] + [0.1] * 4)


def test_steps_that_few_sequences_have_are_left_out_of_a_profile_and_that_is_said():
    chart = summary_chart(summary_of((9,) * 44 + (10_000,)))
    assert len(chart.data["profile"]) == 9
    told = "not drawn: 9991 steps from 9 on, which fewer than 5% of the sequences have"
    assert told in chart.view.title.subtitle
    assert told.capitalize() in chart.view.description
    assert len(summary_chart(summary_of((9,) * 19 + (11,))).data["profile"]) == 11  # 5% have them


@pytest.mark.parametrize("features", [2, 12])
def test_what_a_page_adds_to_the_data_is_drawn(features):
    chart = explanation_chart(explanation(features=features), 0)
    panels = chart.view.usermeta["panels"]
    shown = [(panel["kind"], panel["features"]) for panel in panels if panel["kind"] == "values"]
    names = [f"x{feature}" for feature in range(features)]
    assert shown == ([("values", names)] if features == 2 else [("values", [name]) for name in names])
    assert [panel["kind"] for panel in panels[len(shown) :]] == ["heat", "weights"]
    added = {
        "picked": [{"step": 3}],
        "masked": [{"step": 0.5, "end": 2.5}],
        "before": [{"step": step, "feature": "x1", "value": 0.5} for step in range(5)],
        "weights-before": [{"step": step - 0.4, "end": step + 0.4, "size": 0.2} for step in range(5)],
    }
    assert all(chart.data[name] == [] for name in added)
    picture = svg(chart)
    for name, rows in added.items():
        changed = svg(Chart(chart.view, {**chart.data, name: rows}))
        assert changed.count(' d="M') + changed.count("<line") > picture.count(' d="M') + picture.count("<line"), name


@pytest.mark.parametrize(
    ("data", "field", "times", "tick"), [("values", "value", 1000, "1,000"), ("weights", "size", 100, "2000%")]
)
def test_the_axes_of_values_and_weights_follow_them_unless_they_are_held(data, field, times, tick):
    chart = explanation_chart(explanation(features=1), 0)
    rows = [{**row, field: times * row[field]} for row in chart.data[data]]
    changed = Chart(chart.view, {**chart.data, data: rows})
    held = Chart(chart.view.copy(), changed.data)
    held.view.params[0].value = {data: [-3, 3]}
    assert [f">{tick}</text>" in svg(one) for one in (chart, changed, held)] == [False, True, False]


@pytest.mark.parametrize(
    ("kind", "said"),
    {
        "sequences": (lambda: all_chart(explanation(steps=(5, 3)), 20), "the first 2 of 20 sequences"),
        "many features": (lambda: all_chart(explanation(features=12), 1), "one sequence"),
        "texts": (lambda: all_chart(text_explanation(EVEN, count=3), 3), "3 sequences"),
        "a text": (lambda: explanation_chart(TEXT, 0), "read from"),
        "a text without a step": (
            lambda: occlusion_chart(TEXT, 0, LeftOut([0, 0.2, 0.4, 0.6, 0.8])),
            "without step 4 (0.80)",
        ),
        "a long text": (
            lambda: explanation_chart(text_explanation(np.eye(2, 300)), 0),
            "of 300 characters read are left",
        ),
        "long texts": (lambda: all_chart(text_explanation(np.eye(2, 300), count=2), 2), "2 sequences"),
        "long names": (
            lambda: explanation_chart(explanation(features=NAMES, per_feature=True), 0),
            "'sensor channel '",
        ),
        "steps together": (
            lambda: occlusion_chart(explanation(), 0, LeftOut([0.5, 0.5, 0.2, 0.2, 0.1], 2, "last", None)),
            "steps 0 to 1 together (0.5)",
        ),
        "the profile of some": (lambda: summary_chart(summary_of((2,) * 40 + (9,))), "not drawn: 7 steps from 2 on"),
        "two": (
            lambda: comparison_chart(explanation(), explanation(features=12), 0),
            "0% of the weight lies elsewhere",
        ),
        "two texts": (lambda: comparison_chart(TEXT, TEXT, 0), "a and b: m, version 1"),
        "no attention": (lambda: all_chart(explanation(with_attention=False), 1), "this model has no attention"),
    }.values(),
)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_chart_is_as_the_schema_wants_it(kind, said, theme):
    chart = kind()
    definition = chart.definition(theme)  # raises where it is not
    assert said in " ".join(definition["title"]["text"] + definition["title"]["subtitle"])
    assert chart.definition(theme, validate=False) == definition


def test_of_steps_that_change_nothing_none_is_marked():
    chart = occlusion_chart(explanation(), 0, LeftOut([0.0] * 5))
    assert chart.view.title.subtitle == ["no step alone changes anything"]
    assert not any(bar["top"] for bar in chart.data["changes"])


def test_steps_that_were_left_out_together_are_told_as_one():
    changes = np.repeat([0.0, 0.3, 0.1, 0.0, 0.2], 3)[:14].tolist()  # the last two of five times three steps
    chart = occlusion_chart(explanation(steps=(14,)), 0, LeftOut(changes, width=3))
    told = "steps 3 to 5 together (0.30), 12 to 13 (0.20), 6 to 8 (0.10)"
    assert chart.view.title.subtitle == [f"changes most without {told}"]
    assert "changes most without steps 3 to 5 together (0.30), steps 12 to 13 together (0.20)" in chart.view.description
    assert [bar["size"] for bar in chart.data["changes"]] == pytest.approx([0, 0.3, 0.1, 0, 0.2])
    assert [mark["step"] for mark in chart.data["top"]] == [4, 12.5, 7]
    assert ">3–5</text>" in svg(chart)


@pytest.mark.parametrize(
    ("left_out", "changes", "told"),
    [
        ({"baseline": "mean"}, {}, "removed steps hold the training mean of each feature"),
        ({"baseline": "zero"}, {"labels": None}, "hold zero; changes in standard deviations of the training target"),
        ({"baseline": "last", "unit": None}, {"labels": None}, "the last value kept; changes in the unit of the pred"),
        ({}, {"labels": None}, ""),
    ],
)
def test_what_removed_steps_hold_and_what_changes_are_in_is_said(left_out, changes, told):
    one, left_out = explanation(**changes), LeftOut([0.0, 0.25, 0.5, 0.1, 0.0], **left_out)
    for chart in (occlusion_chart(one, 0, left_out), faithfulness_chart(one, 0, one.attention[0], left_out, "so")):
        below = " ".join(chart.view.title.subtitle)
        assert told in below
        assert told.lower() in chart.view.description.lower()
        assert ("removed steps" in below) == bool(told)


def test_a_change_in_the_unit_of_the_prediction_is_told_whatever_its_size():
    chart = occlusion_chart(explanation(labels=None), 0, LeftOut([0, 4e-5, 0, 0, 0], 1, "sequence", None))
    assert "changes most without step 1 (4e-05)" in chart.view.title.subtitle
    assert ">0.04</text>" not in svg(chart)  # on an axis


def test_who_does_not_see_a_picture_of_a_model_without_attention_is_told_what_it_predicts():
    told = explanation_chart(explanation(with_attention=False, steps=(1,)), 0).view.description
    assert told == "m, version 1, predicts yes (75%), from 1 step of 2 features (x0, x1). This model has no attention."
    left_out = LeftOut([0, 0.5, 0, 0, 0], 1, "zero")
    told = explanation_chart(explanation(with_attention=False), 0, left_out).view.description
    assert told.endswith("The prediction changes most without step 1 (0.50). Removed steps hold zero.")


def test_of_many_features_few_are_read_out():
    told = explanation_chart(explanation(features=60), 0).view.description
    assert "60 features (x0, x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11 and 48 more)" in told
    assert told.count("x5 ") == told.count(" and 54 more)") == 3
    assert "x6 " not in told
    assert len(told) < 600


def test_names_that_begin_alike_can_be_told_apart():
    chart = explanation_chart(explanation(features=NAMES, per_feature=True), 0)
    assert "the names of the features begin with 'sensor channel '" in chart.view.title.subtitle
    assert [name["name"] for name in chart.data["ends"]] == [str(i) for i in range(12)]
    assert svg(chart).count(">11</text>") == 2  # beside its line and beside its row of heat
    grown = [f"temperatureofbearing{i}" for i in range(12)]  # which no word begins
    names = [name["name"] for name in explanation_chart(explanation(features=grown), 0).data["ends"]]
    assert names[3] == "temper…earing3"
    assert len(set(names)) == 12


def test_a_long_label_and_long_names_make_no_large_picture():
    names = [f"{'a long name ' * 100}{i}" for i in range(12)]
    chart = explanation_chart(explanation(features=names, labels=["many words " * 500]), 0)
    assert len(chart.view.description) < 1500
    assert len(chart.view.title.text) + len(chart.view.title.subtitle) < 8


def test_the_profile_of_none():
    chart = summary_chart({"model": None, "version": None, "label": None, **summarize(None)})
    assert "Weights of all models in 0 sequences" in svg(chart)
    assert [panel["kind"] for panel in chart.definition()["usermeta"]["panels"]] == ["nothing"]


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0%"), (0.974, "97%"), (0.012, "1%"), (0.00123, "0.12%"), (1e-7, "<0.001%"), (1, "100%")]
)
def test_small_weights_keep_two_digits(share, text):
    assert percent(share) == text


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0.00"), (0.304, "0.30"), (0.0021, "<0.01"), (0.0061, "0.01"), (1234.0, "1.2e+03")]
)
def test_changes_in_a_word(size, text):
    assert change(size) == text
