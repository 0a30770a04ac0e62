"""The explorer page of models that have much to say: nothing is pushed off the screen, or under something else."""

import numpy as np
import onnx
import pytest
from playwright.sync_api import expect

from tests.e2e.browsing import drawn, visiting
from tests.service.graphs import mean_model, write_model
from tests.serving import serving

HORIZON = 24
LONG = "power-demand-of-the-whole-region-by-hour-of-the-day-and-season-1"  # as long as a name may be
WORD = "Tagesstromverbrauchsvorhersage" * 4


def forecaster(attention="shared"):
    """Foresees multiples of the mean."""
    model = onnx.load_model_from_string(mean_model(attention, scale=1 + np.arange(HORIZON) / 7))
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = HORIZON
    return model.SerializeToString()


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """Of a server with a forecast, its truth in floats that have many digits."""
    root = tmp_path_factory.mktemp("forecast")
    target = (np.random.default_rng(0).normal(size=HORIZON) * 100).tolist()
    declare = {
        "task": "forecast",
        "horizon": HORIZON,
        "description": WORD,
        "examples": [{"sequence": [[1, 2], [3, 4], [5, 9]], "target": target}],
    }
    for name in ("forecast", LONG):
        write_model(root / "models", name, graph=forecaster(), attention="shared", declare=declare)
    with serving(models=root / "models", store=f"sqlite:{root}/x") as running:
        yield running.url


@pytest.mark.parametrize("model", ["forecast", LONG])
@pytest.mark.parametrize("width", [1280, 390, 320])
def test_a_forecast_and_its_truth_stay_where_they_belong(browser, url, model, width):
    with visiting(browser, f"{url}/?model={model}", viewport={"width": width, "height": 900}) as page:
        expect(page.locator("#headline")).to_have_text("4, 4.571, 5.143, 5.714, 6.286, 6.857, …")
        expect(page.locator("#sure")).to_have_text(
            "the next 24 values; the true answer: 12.57, −13.21, 64.04, 10.49, −53.57, 36.16, …"
        )
        expect(page.locator("#card")).to_contain_text(f"Answersthe next {HORIZON} values")
        page.get_by_role("button", name="Test this answer").click()  # nothing lies over it
        expect(page.locator("#trial")).to_be_visible()
        drawn(page, "changes", "rows => rows.length > 0")
        assert page.evaluate("document.documentElement.scrollWidth") == width
        for part in ("#prediction", "#belief", "#card"):
            assert page.locator(part).evaluate("part => part.scrollWidth <= part.clientWidth"), part
        answer, belief = (page.locator(part).bounding_box() for part in ("#answer", "#belief"))
        assert belief["x"] + belief["width"] <= answer["x"] + answer["width"]


OUTSIDE = """() => {
    const svg = document.querySelector("#chart svg"), within = svg.getBoundingClientRect();
    const texts = [...svg.querySelectorAll("text")].filter((text) => text.textContent);
    const lies = ({ left, right, top, bottom }) =>
        left >= within.left && right <= within.right && top >= within.top && bottom <= within.bottom;
    return texts.filter((text) => !lies(text.getBoundingClientRect())).map((text) => text.textContent);
}"""


@pytest.mark.parametrize("model", ["italy-power", "planted-before", "planted-after", "tecator"])
@pytest.mark.parametrize("width", [1280, 390])
def test_no_text_of_a_chart_is_cut_off_when_its_data_change(browser, server, model, width):
    with visiting(browser, f"{server}/?model={model}", viewport={"width": width, "height": 900}) as page:
        chart = page.locator("#chart")
        drawn(page, "weights", "rows => rows.length > 0")
        expect(chart).to_contain_text("step")
        assert page.evaluate(OUTSIDE) == []
        for example in ("Example 2", "Example 1"):
            page.get_by_role("button", name=example).click()
            expect(page.get_by_role("button", name=example)).to_have_attribute("aria-pressed", "true")
            expect(chart).to_have_attribute("aria-busy", "false")
            assert page.evaluate(OUTSIDE) == []
        page.get_by_label("Value").fill("-1234567.125")  # and the ends of an axis are other numbers
        expect(page.locator("#sure")).to_contain_text("was")
        drawn(page, "values", "rows => rows.some(({ value }) => value === -1234567.125)")
        expect(chart).to_contain_text("−800,000")
        assert page.evaluate(OUTSIDE) == []
        assert page.locator("#chart .figure").evaluate("figure => figure.scrollWidth <= figure.clientWidth")
