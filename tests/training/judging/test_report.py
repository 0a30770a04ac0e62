import re
from html.parser import HTMLParser

import numpy as np
import pytest

from service.explanations.charts.rendering import svg
from service.explanations.record import Explanation
from service.manifest import Deletion
from training.judging import pictures
from training.judging.quality import Bin
from training.judging.report import Picture, Section, Table, report

PHONE = 390


class Page(HTMLParser):
    """The tags of a page and their attributes, and whether each that is opened is closed."""

    def __init__(self, text):
        super().__init__()
        self.found, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in {"meta", "html", "path", "rect", "line"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def of(self, attribute):
        return [attributes[attribute] for _, attributes in self.found if attribute in attributes]


def deletion():
    return Deletion(shares=[0.01, 0.1, 0.5], attention=[0.1, 0.3, 0.5], occlusion=[0.2, 0.5, 0.5], random=[0, 0.1, 0.3])


def texts(chart):
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg(chart))


def test_a_report_needs_nothing_but_itself():
    picture = Picture("A curve.", pictures.deletion(deletion()))
    page = Page(report("Title", [Section("One", pictures=(picture,))]))
    assert not {"script", "link", "img", "iframe", "object"} & {tag for tag, _ in page.found}
    assert all(address.startswith("#") for name in ("href", "src", "xlink:href") for address in page.of(name))
    assert page.open == []
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in [given for _, given in page.found]


def test_sections_stand_in_their_order_with_text_table_and_pictures():
    section = Section("Second", "One.\n\nTwo.", Table(["a", "b"], [["1", "2"]]), (Picture("Seen.", deletion_chart()),))
    html = report("Title", [Section("First", "Text."), section])
    places = [html.index(part) for part in ("<h1>Title", "<h2>First", "<p>Text.", "<h2>Second", "<p>One.", "<p>Two.")]
    places += [html.index(part) for part in ("<th>a</th><th>b</th>", "<td>1</td><td>2</td>", "Seen.</figcaption>")]
    assert places == sorted(places)


def deletion_chart():
    return pictures.deletion(deletion())


def test_what_is_written_is_text_and_not_html():
    html = report("<a>", [Section("<b>", "<i>", Table(["<u>"], [["<s>"]]), (Picture("<q>", deletion_chart()),))])
    for tag in ("a", "b", "i", "u", "s", "q"):
        assert f"&lt;{tag}&gt;" in html
        assert f"<{tag}>" not in html


def test_the_ids_of_one_picture_are_not_those_of_another():
    html = report("Title", [Section("One", pictures=(Picture("1", clipped()), Picture("2", clipped())))])
    ids = Page(html).of("id")
    assert len(ids) == len(set(ids)) >= 4  # two layers each
    assert set(re.findall(r"url\(#([^)]*)\)", html)) == set(ids)


def clipped():
    """A picture with an id in it."""
    chart = pictures.residuals(np.arange(3.0), np.arange(3.0))
    for layer in chart.view.layer:
        layer.mark.clip = True
    return chart


def explanation(features=2):
    return Explanation(
        id="",
        created=0,
        model="m",
        version=0,
        task="binary",
        features=[f"x{i}" for i in range(features)],
        classes=["no", "yes"],
        sequences=[np.zeros((4, features), np.float32)],
        predictions=np.array([[0.7]]),
        labels=["yes"],
        attention=[np.array([0.1, 0.2, 0.3, 0.4])],
    )


@pytest.mark.parametrize(
    "chart",
    [
        pictures.confusion(np.eye(2, dtype=int), ["October to March", "April to September"]),
        pictures.confusion(np.eye(9, dtype=int), [f"speaker {i}" for i in range(9)]),
        pictures.confusion(np.eye(40, dtype=int), [f"a class with a long name {i}" for i in range(40)]),
        pictures.residuals(np.arange(5000.0), np.arange(5000.0) + 1),
        pictures.reliability([Bin(samples=3, confidence=0.7, accuracy=0.6)]),
        pictures.profile(np.full(30, 1 / 30), "step"),
        pictures.profile(np.ones(1), "step", np.zeros(1)),
        pictures.deletion(deletion()),
        pictures.example(explanation(), 0),
        pictures.example(explanation(12), 0),
    ],
)
def test_every_picture_is_drawn_and_can_be_read_on_a_phone(chart):
    picture = svg(chart)
    width = float(re.search(r'<svg[^>]* width="([\d.]+)"', picture)[1])
    assert width < 1.25 * PHONE  # it is shrunk to the page by no more than that
    assert len(picture) < 400_000


def test_the_confusion_matrix_has_its_counts_written_in_but_none_of_nothing():
    found = texts(pictures.confusion(np.array([[31, 2], [0, 45]]), ["no", "yes"]))
    assert {"31", "2", "45", "no", "yes", "true", "predicted"} <= set(found)
    assert "0" not in found


def test_bars_stand_for_weights_and_the_line_for_all_of_them_even_or_for_importance():
    even = pictures.profile(np.array([0.1, 0.9]), "step").data["steps"]
    assert [bar["weight"] for bar in even] == [0.1, 0.9]
    assert [bar["compared"] for bar in even] == [0.5, 0.5]
    beside = pictures.profile(np.array([0.1, 0.9]), "step", np.array([3.0, 1.0])).data["steps"]
    assert [bar["compared"] for bar in beside] == [0.75, 0.25]


def test_of_many_classes_and_of_many_steps_no_more_is_drawn_than_can_be_seen():
    assert len(pictures.confusion(np.eye(500, dtype=int), [str(i) for i in range(500)]).data["cells"]) == 500
    weights = np.arange(5000.0)
    bars = pictures.profile(weights, "step", weights).data["steps"]
    assert len(bars) <= 640
    assert bars[0]["weight"] == weights[:8].mean()
    assert bars[1]["start"] == bars[0]["end"]


def test_values_move_and_do_not_drop():
    assert "the prediction moves by" in texts(pictures.deletion(deletion(), moves=True))
    assert "the prediction drops by" in texts(deletion_chart())


def test_the_curves_are_named():
    assert {"heaviest first", "occlusion", "at random", "share of the steps removed"} <= set(texts(deletion_chart()))
