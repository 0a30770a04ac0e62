"""Pictures of text, long ones among them."""

import struct

import numpy as np
import pytest

from service.explanations.charts.characters import EXCERPT
from service.explanations.charts.excerpts import COLUMNS, ROWS
from service.explanations.charts.left_out import LeftOut
from service.explanations.charts.rendering import draw, svg
from service.explanations.charts.sequences import explanation_chart, occlusion_chart
from service.explanations.charts.several import all_chart
from tests.service.explanations.builders import text_explanation


def heavy(rows, length, places, weight=0.9):
    """Weights `(out_time, in_time)` that lie in each row on the next of the places, and evenly on the others."""
    weights = np.full((rows, length), (1 - weight) / (length - 1))
    weights[np.arange(rows), np.resize(places, rows)] = weight
    return weights


def drawn(chart):
    """Which places of the text are drawn, the dots among them, and which rows."""
    heat = chart.view.layer[0].to_dict()["encoding"]
    return heat["x"]["scale"]["domain"], heat["y"]["scale"]["domain"]


def size(chart):
    """Width and height of the PNG."""
    return struct.unpack(">II", draw("png", chart.definition(validate=False))[16:24])


def test_of_a_short_text_all_is_drawn():
    chart = explanation_chart(text_explanation(heavy(4, COLUMNS, [3])), 0)
    assert drawn(chart) == (list(range(COLUMNS)), list(range(4)))
    assert "left out" not in chart.view.description


def test_of_a_long_text_the_characters_around_the_heaviest_cells_are_drawn_and_dots_for_the_others():
    places = [0, 500, 502, 999]
    chart = explanation_chart(text_explanation(heavy(4, 1000, places)), 0)
    columns, rows = drawn(chart)
    gaps = [row["in"] for row in chart.data["gaps-0"]]
    assert (rows, gaps) == ([0, 1, 2, 3], [4, 506])
    assert columns == [0, 1, 2, 3, 4, *range(497, 506), 506, *range(996, 1000)]
    assert [cell["in"] for cell in chart.data["heaviest-0"]] == places
    told = "983 of 1000 characters read are left out, none of them with more than 0.01% of a row"
    assert f"dots: {told}" in chart.view.title.subtitle
    assert f"Dots: {told}." in chart.view.description
    assert "'1' looks at 'p', character 500" not in chart.view.description
    assert (
        f"'1' looks at {chr(ord('Tuesday, 3 May 2016; '[500 % 21]))!r}, character 500 (90%)" in chart.view.description
    )
    assert svg(chart).count(">…</text>") == 2


def test_a_character_between_two_that_are_drawn_is_drawn():
    columns, _ = drawn(explanation_chart(text_explanation(heavy(2, 1000, [100, 108])), 0))
    assert columns == [0, *range(97, 113)]


@pytest.mark.parametrize("rows", [10, 30, 60])
def test_as_long_as_there_is_room_the_heaviest_cell_of_each_row_is_drawn(rows):
    places = np.arange(rows) * (1000 // rows) if rows < 40 else 400 + np.arange(rows)
    chart = explanation_chart(text_explanation(heavy(rows, 1000, places)), 0)
    assert len(drawn(chart)[0]) <= COLUMNS
    assert [cell["in"] for cell in chart.data["heaviest-0"]] == places.tolist()


def test_where_there_is_no_room_that_is_said():
    chart = explanation_chart(text_explanation(heavy(60, 1000, 16 * np.arange(60))), 0)
    shown = len(chart.data["heaviest-0"])
    assert len(drawn(chart)[0]) <= COLUMNS
    assert 30 < shown < 60
    below = " ".join(chart.view.title.subtitle)
    assert f"with more than 90% of a row; the heaviest cell of {60 - shown} rows is among them" in below


@pytest.mark.parametrize(("rows", "length"), [(10, 1000), (10, 10_000), (1000, 50), (1000, 1000)])
def test_no_text_is_too_long_for_a_picture(rows, length):
    one = text_explanation(heavy(rows, length, np.arange(0, length, 7)))
    chart = explanation_chart(one, 0)
    columns, answer = drawn(chart)
    assert len(columns) <= COLUMNS
    assert len(answer) <= ROWS
    assert len(chart.view.description) < 1300
    assert len(chart.view.title.subtitle) < 8
    assert size(chart) < (3600, 3600)
    if rows > ROWS:
        assert f"the first {ROWS} of {rows} characters written are drawn" in " ".join(chart.view.title.subtitle)


def test_nor_are_twelve():
    one = text_explanation(heavy(200, 1000, np.arange(0, 1000, 7)), count=12)
    chart = all_chart(one, 12)
    width, height = size(chart)
    assert (width < 3600, height < 12_000) == (True, True)
    assert len(chart.view.description) < 5000
    assert all("characters written are drawn" in " ".join(each.title.subtitle) for each in chart.view.vconcat)


def test_of_a_model_without_attention_the_beginning_is_drawn():
    chart = explanation_chart(text_explanation(heavy(4, 1000, [500]), attention=None), 0)
    assert drawn(chart)[0] == list(range(COLUMNS))  # with the dots behind
    assert chart.data["heaviest-0"] == []
    assert "This model has no attention. Dots: 921 of 1000 characters read are left out." in chart.view.description


def test_a_long_text_is_told_in_part():
    chart = explanation_chart(text_explanation(heavy(2, 1000, [500]), text="a" * 1000, unknown=[list(range(1000))]), 0)
    told = f"read from {'a' * 160!r} and 840 more characters"
    assert told in chart.view.description
    assert f"{told}; unknown to the model: 'a'" in " ".join(chart.view.title.subtitle).replace("a a", "aa")


def test_over_a_long_text_stands_what_is_about_the_steps_that_change_most():
    text = "".join(chr(ord("a") + place % 26) for place in range(1000))
    changes = np.zeros(1000)
    changes[[300, 310, 700]] = 0.5, 0.3, 0.2
    chart = occlusion_chart(text_explanation(heavy(2, 1000, [5]), text=text), 0, LeftOut(changes.tolist()))
    about = {row["step"]: row["character"] for row in chart.data["characters"]}
    assert about == {300: text[294:307], 700: text[694:707]}  # there is no room at 310
    assert "without 'o' at 300 (0.50), 'y' at 310 (0.30), 'y' at 700 (0.20)" in chart.view.description
    together = occlusion_chart(
        text_explanation(heavy(2, 1000, [5]), text=text), 0, LeftOut(np.repeat(changes[::100] + 0.1, 100).tolist(), 100)
    )
    assert {len(row["character"]) for row in together.data["characters"]} == {EXCERPT}
