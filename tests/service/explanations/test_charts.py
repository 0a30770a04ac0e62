import xml.etree.ElementTree as ET

import numpy as np
import pytest

from service.explanations.charts import explanation_chart, faithfulness_chart, occlusion_chart, svg
from service.explanations.faithfulness import EFFECT
from tests.service.explanations.builders import explanation


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
    changes = np.array([0.0, 0.25, 0.5, 0.1, 0.0])
    picture = svg(occlusion_chart(explanation(), 0, changes))
    assert ">changes most without step 2 (0.50), 1 (0.25), 3<" in picture
    assert ">(0.10)<" in picture
    assert ">change without<" in picture
    assert ">weight<" not in picture


def test_weights_and_changes_are_drawn_on_one_time_axis():
    weights, changes = np.array([0.1, 0.7, 0, 0.2, 0], np.float32), np.array([0.0, 0.25, 0.5, 0.1, 0.0])
    chart = faithfulness_chart(explanation(), 0, weights, changes, "what was found")
    axes = [layer["encoding"]["x"] for panel in chart["vconcat"] for layer in panel["layer"]]
    assert len({str(x["scale"]) for x in axes}) == 1
    picture = svg(chart)
    assert all(text in picture for text in ("what was found", ">weight<", ">change without<", ">70%<", ">0.50<"))


def test_what_is_next_to_no_change_does_not_look_like_one():
    chart = occlusion_chart(explanation(), 0, np.full(5, 1e-5))
    bars = chart["vconcat"][-1]["layer"][0]
    assert bars["encoding"]["y"]["scale"]["domain"] == [0, EFFECT]
