"""The explorer page: from a model to an answer, to its change, its test, and back from the list of what is kept."""

import json
import re

import httpx
import numpy as np
import pytest
from playwright.sync_api import expect

from tests.e2e.browsing import drag, drawn, drop, excuse, place, rows, tallest
from tests.serving import MODELS


def headline(page):
    return page.locator("#headline")


def test_from_an_example_to_its_test_and_to_its_link(visit, server):
    with visit() as page:
        page.get_by_role("combobox", name="Model", exact=True).select_option("italy-power")
        page.get_by_role("button", name="Example 2").click()
        expect(headline(page)).to_have_text("October to March")
        expect(page.locator("#sure")).to_contain_text("the true answer: October to March")
        expect(page.locator("#belief")).to_contain_text("this model, as a rule")
        page.get_by_role("button", name="Test this answer").click()
        expect(page.locator("#verdict")).to_have_text("supportedthis answer")
        expect(page.locator("#trial")).to_contain_text("Left out alone, step 19 changes the prediction most")
        expect(page.locator("#verdict")).to_be_focused()
        said = re.compile("24 steps of demand. Most weight lies on step 19 .* changes most without step 19 ")
        expect(page.get_by_role("img", name=said)).to_be_visible()
        assert tallest(page, "changes") == 19  # what is written on ItalyPowerDemand: seven in the evening
        assert tallest(page, "weights") == 19
        id = page.url.rpartition("/")[2]
        for within, picture in (("#links", f"{id}.svg"), ("#trial", f"{id}/faithfulness.svg")):
            url = page.locator(within).get_by_role("link", name="SVG").get_attribute("href")
            assert url.startswith(f"/attention/{picture}")
            assert httpx.get(server + url, timeout=30).text.startswith("<svg")
        kept = httpx.get(f"{server}/attention/{id}").json()
        assert kept["sequences"][0]["label"] == "October to March"
        page.locator(f"#stored a[href='/attention/{id}']").click()
        page.wait_for_url(f"{server}/attention/{id}")
        expect(headline(page)).to_have_text("October to March")
        expect(page.get_by_role("combobox", name="Model", exact=True)).to_have_value("italy-power")
        assert tallest(page, "weights") == 19


def test_a_dragged_point_and_a_masked_stretch_change_the_answer(visit):
    with visit("/?model=planted-before") as page:
        page.get_by_role("button", name="Example 2").click()
        expect(headline(page)).to_have_text("1")
        drawn(page, "weights", "rows => rows.some(({ end, size, top }) => top && end === 10.4 && size > 0.9)")
        (given,) = (row["value"] for row in rows(page, "values") if (row["step"], row["feature"]) == (10, "x0"))
        x, y = place(page, "values", 10, given)
        drag(page, (x, y), (x, y + 60))
        expect(page.locator("#sure")).to_contain_text("was 1 with 99")
        expect(page.get_by_role("combobox", name="Feature")).to_have_value("0")
        value = float(page.get_by_label("Value").input_value())
        assert value < given - 1
        drawn(page, "weights", "rows => rows.every(({ size }) => size < 0.9)")  # the server's answer to it
        was, now = (
            {(row["step"], row["feature"]): row["value"] for row in rows(page, name)} for name in ("before", "values")
        )
        assert {key: was[key] for key in was if was[key] != now[key]} == {(10, "x0"): given}
        assert now[10, "x0"] == value
        (before,) = (row["size"] for row in rows(page, "weights-before") if row["end"] == 10.4)
        assert before > 0.9  # beside the bars that are lower now
        page.get_by_role("button", name="Undo changes").click()
        expect(page.locator("#sure")).not_to_contain_text("was")
        drawn(page, "before", "rows => rows.length === 0")

        drag(page, place(page, "weights", 9), place(page, "weights", 11))
        expect(headline(page)).to_have_text("0")  # without its evidence
        drawn(page, "values", f"rows => rows.find(row => row.step === 10 && row.feature === 'x0').value !== {given}")
        assert rows(page, "masked") == [{"step": 8.5, "end": 11.5}]
        now = {(row["step"], row["feature"]): row["value"] for row in rows(page, "values")}
        assert {step for step, feature in was if was[step, feature] != now[step, feature]} == {9, 10, 11}
        expect(page.get_by_role("status")).to_contain_text("was 1 with 99")  # read out
        page.get_by_role("button", name="Keep and link").click()
        page.wait_for_url("**/attention/*")
        page.get_by_role("button", name="Undo changes").click()
        page.wait_for_url("**/?model=planted-before*")  # what is shown now is not what was kept


def test_the_chart_after_a_change_is_the_one_that_the_server_draws_of_it(visit, client):
    with visit("/?model=planted-before") as page:
        drawn(page, "weights", "rows => rows.length > 0")
        with page.expect_response("**/attention/draw.vl.json*") as asked:
            page.get_by_label("Value").fill("2.5")
        given = asked.value.request.post_data_json
        assert 2.5 in [x0 for x0, _ in given["sequence"]]
        definition = client.post("/attention/draw.vl.json", json=given).json()
        expect(page.get_by_role("img", name=definition["description"])).to_be_visible()
        for name in ("values", "cells", "weights", "weights-top", "top", "ends"):
            assert sorted(rows(page, name), key=str) == sorted(definition["datasets"][name], key=str), name


def test_what_is_masked_before_the_chart_is_there_is_masked_in_it(visit):
    given = json.loads((MODELS / "planted-before/1/model.json").read_text())["examples"][1]["sequence"]
    with visit("/?model=planted-before") as page:
        drawn(page, "weights", "rows => rows.length > 0")  # of another example
        page.get_by_label("from step").fill("10")
        page.get_by_label("to step").fill("10")
        charts = []

        def hold_the_first(route):
            charts.append(route)
            if len(charts) > 1:
                route.continue_()

        page.route("**/attention/draw.vl.json*", hold_the_first)
        with page.expect_request("**/attention/draw.vl.json*"):
            page.get_by_role("button", name="Example 2").click()
        page.get_by_role("button", name="Mask").click()
        expect(page.locator("#sure")).to_contain_text("was 1 with")
        with page.expect_response(lambda answer: "draw" in answer.url and answer.request != charts[0].request):
            charts[0].continue_()
        drawn(page, "before", "rows => rows.length > 0")
        values = {(row["step"], row["feature"]): row["value"] for row in rows(page, "values")}
        kept = {step: [values[step, "x0"], values[step, "x1"]] for step in range(20) if step != 10}
        assert kept == {step: pytest.approx(given[step]) for step in kept}


@pytest.mark.parametrize(
    ("steps", "features", "each"), [(7, 2, False), (60, 3, True), (1700, 1, False)], ids=["few", "of each", "many"]
)
def test_what_the_page_draws_while_a_point_is_dragged_is_what_the_server_would(visit, client, steps, features, each):
    random = np.random.default_rng(steps)
    weights = random.gamma(0.05, size=(steps, features))
    weights /= weights.sum(axis=0)
    names = [f"x{column}" for column in range(features)]
    attention = weights.astype(np.float32).mean(axis=1).tolist()
    sequence = random.normal(size=(steps, features)).tolist()
    shown = {"model": "any", "version": 1, "sequence": sequence, "prediction": 0.5}
    drawing = {**shown, "features": names, "attention": weights.tolist() if each else attention}
    datasets = client.post("/attention/draw.vl.json", json=drawing).json()["datasets"]
    with visit() as page:
        found = page.evaluate(
            "async ([answer, names]) => (await import('/web/rows.js')).rowsOf(answer, names)",
            [{"attention": attention, "perFeature": weights.tolist() if each else None}, names],
        )
    assert set(found) == {"cells", "weights", "weights-top", "top"}
    for name, made in found.items():
        assert len(made) == len(datasets[name])
        for row, expected in zip(made, datasets[name], strict=True):
            assert row == pytest.approx(expected) if "text" not in row else row["text"] == expected["text"]


def test_a_press_picks_a_step_and_the_nearest_line(visit):
    with visit("/?model=japanese-vowels", viewport={"width": 1280, "height": 1500}) as page:
        drawn(page, "picked", "rows => rows.length === 1")
        features = [panel["features"] for panel in page.evaluate("document.querySelector('#chart').chart.panels")]
        assert features[:12] == [[f"lpc{number}"] for number in range(1, 13)]  # a panel each
        page.mouse.click(*place(page, "weights", 4))
        drawn(page, "picked", "rows => rows[0].step === 4")
        expect(page.locator("#step-shown")).to_have_text(re.compile(r"^4 · \d"))
        expect(page.get_by_role("button", name="Undo changes")).to_be_disabled()  # nothing was swept
        value = rows(page, "values")[0]["value"]
        page.mouse.click(*place(page, "values", 0, value))
        drawn(page, "picked", "rows => rows[0].step === 0")
        assert float(page.get_by_label("Value").input_value()) == pytest.approx(value, rel=1e-4)


def test_all_of_that_by_keyboard(visit):
    with visit("/?model=planted-before") as page:
        page.get_by_role("button", name="Example 2").press("Enter")
        page.get_by_role("img", name="predicts 1").wait_for()
        page.get_by_role("slider", name="Step").focus()
        weights = {round((row["step"] + row["end"]) / 2): row["size"] for row in rows(page, "weights")}
        page.keyboard.press("ArrowRight")
        told = re.compile(f"^11, weight {100 * weights[11]:.2g}")
        expect(page.get_by_role("slider", name="Step")).to_have_attribute("aria-valuetext", told)
        page.keyboard.press("ArrowLeft")
        expect(page.locator("#step-shown")).to_have_text(f"10 · {100 * weights[10]:.1f} %")
        page.get_by_role("combobox", name="Feature").select_option("x1")
        value = page.get_by_label("Value")
        expect(value).to_have_value("1")
        value.press("ArrowDown")
        expect(page.locator("#sure")).to_contain_text("was 1")
        assert float(value.input_value()) < 1
        page.get_by_label("from step").fill("10")
        page.get_by_label("to step").fill("10")
        page.get_by_role("button", name="Mask").press("Enter")
        expect(headline(page)).to_have_text("0")


def test_stretches_are_masked_as_they_are_typed(visit):
    means = json.loads((MODELS / "planted-before/1/model.json").read_text())["training"]["feature_means"]
    with visit("/?model=planted-before") as page:
        drawn(page, "weights", "rows => rows.length > 0")
        expect(page.locator("#hint")).to_contain_text("A masked step holds the training mean")
        first, last, alert = page.get_by_label("from step"), page.get_by_label("to step"), page.get_by_role("alert")
        for typed, said in ((("12", "10"), "12 to 10"), (("1.5", "3"), "1.5 to 3"), (("", "20"), "received 20")):
            first.fill(typed[0])
            last.fill(typed[1])
            last.press("Enter")
            expect(alert).to_contain_text(said)
        first.fill("4")  # what was wrong is not there any more
        expect(alert).to_be_hidden()
        last.fill("5")
        last.press("Enter")
        drawn(page, "masked", "rows => rows.length === 1")
        first.fill("")
        last.fill("2")
        expect(first).to_have_attribute("placeholder", "2")  # it alone
        page.get_by_role("button", name="Mask").click()
        drawn(page, "masked", "rows => rows.length === 2")
        assert rows(page, "masked") == [{"step": 1.5, "end": 2.5}, {"step": 3.5, "end": 5.5}]
        values = {(row["step"], row["feature"]): row["value"] for row in rows(page, "values")}
        masked = {step for step in range(20) if [values[step, "x0"], values[step, "x1"]] == pytest.approx(means)}
        assert masked - {10} == {2, 4, 5}  # step 10 of this example is 0, as the mean nearly is
        page.get_by_role("slider", name="Step").fill("4")
        page.get_by_label("Value").fill("3")
        drawn(page, "masked", "rows => rows[1]?.step === 4.5")  # 4 is masked no more


def test_what_is_changed_back_is_as_it_was_given(visit):
    with visit("/?model=planted-before") as page:
        page.get_by_role("button", name="Keep and link").click()
        page.wait_for_url("**/attention/*")
        kept, value = page.url, page.get_by_label("Value")
        given = value.input_value()
        value.fill("3.25")
        page.wait_for_url("**/?model=planted-before*")
        value.fill(given)
        page.wait_for_url(kept)
        expect(page.get_by_role("button", name="Undo changes")).to_be_disabled()
        expect(page.locator("#sure")).to_contain_text("probability 98")


def test_back_undoes_a_choice_of_model_and_leads_out_of_what_was_kept(visit):
    with visit("/?model=planted-before") as page:
        model = page.get_by_role("combobox", name="Model", exact=True)
        expect(headline(page)).to_have_text("0")
        model.select_option("dates")
        expect(headline(page)).to_have_text("1916-12-05")
        page.go_back()
        expect(headline(page)).to_have_text("0")
        expect(model).to_have_value("planted-before")
        page.get_by_role("button", name="Example 2").click()
        expect(headline(page)).to_have_text("1")
        page.get_by_role("button", name="Keep and link").click()
        page.wait_for_url("**/attention/*")
        kept = page.url
        page.get_by_role("link", name="Stored explanations").click()  # on this page
        page.get_by_role("button", name="Example 1").click()
        expect(headline(page)).to_have_text("0")
        page.go_back()
        page.wait_for_url(kept)
        expect(headline(page)).to_have_text("1")
        page.go_back()
        page.wait_for_url("**/?model=planted-before*")
        expect(page.get_by_role("button", name="Example 2")).to_have_attribute("aria-pressed", "true")


def test_only_the_left_button_presses(visit):
    with visit("/?model=planted-before") as page:
        drawn(page, "weights", "rows => rows.length > 0")
        page.mouse.move(*place(page, "weights", 3))
        page.mouse.down(button="right")
        page.mouse.move(*place(page, "weights", 6), steps=4)
        page.mouse.up(button="right")
        assert rows(page, "masked") == []
        expect(page.get_by_role("button", name="Undo changes")).to_be_disabled()
        assert [row["step"] for row in rows(page, "picked")] == [10]  # as at first


def test_a_low_rank_correlation_is_explained_beside_a_verdict_that_it_seems_to_contradict(visit):
    low = "Where a few steps matter, the order of all the others is chance"
    with visit("/?model=planted-before") as page:
        card = page.locator("#card")
        expect(card).to_contain_text(low)
        page.get_by_role("button", name="Example 2").click()
        expect(headline(page)).to_have_text("1")
        page.get_by_role("button", name="Test this answer").click()
        expect(page.locator("#trial")).to_contain_text(low)
        expect(page.locator("#trial")).to_contain_text("by occlusion, those without which alone")
        page.get_by_role("combobox", name="Model", exact=True).select_option("japanese-vowels")
        expect(card).to_contain_text("no better than random")
        expect(card).not_to_contain_text(low)


def test_an_answer_that_nothing_changes_is_inconclusive(visit):
    with visit("/?model=planted-before") as page:
        page.get_by_role("button", name="Test this answer").click()
        expect(page.locator("#verdict")).to_have_text("inconclusivethis answer")
        expect(page.locator("#trial")).to_contain_text("no step changes the prediction noticeably")
        height = "mark => getComputedStyle(mark, '::before').height"
        assert page.locator("#verdict .mark").evaluate(height) != page.locator("#card .mark").evaluate(height)


def test_text_is_answered_as_it_is_typed(visit):
    with visit("/?model=dates") as page:
        text, example = page.get_by_label("Text", exact=True), page.get_by_role("button", name="Di. 5 Dez. 1916")
        expect(headline(page)).to_have_text("1916-12-05")
        expect(example).to_have_attribute("aria-pressed", "true")
        text.fill("3 May 2016")
        expect(headline(page)).to_have_text("2016-05-03")
        expect(page.locator("#sure")).to_have_text(re.compile("^probability [^;]*$"))  # nothing is known of one's own
        expect(example).to_have_attribute("aria-pressed", "false")
        drawing = page.get_by_role("img", name=re.compile("read from '3 May 2016'.*'6' looks at '6', character 9 "))
        expect(drawing).to_be_visible()
        assert {"3", "M", "y"} <= set(drawing.locator("text").all_text_contents())  # the characters read, as an axis
        page.get_by_role("button", name="Undo changes").click()
        expect(text).to_have_value("Di. 5 Dez. 1916")
        expect(page.locator("#sure")).to_contain_text("the true answer: 1916-12-05")
        expect(example).to_have_attribute("aria-pressed", "true")
        text.fill("3 May 2016")
        expect(headline(page)).to_have_text("2016-05-03")
        page.get_by_role("button", name="Keep and link").click()
        page.wait_for_url("**/attention/*")
        page.reload()
        expect(headline(page)).to_have_text("2016-05-03")
        expect(text).to_have_value("3 May 2016")


def test_the_character_that_matters_most_is_named_as_it_is_written(visit):
    text = "😀 3 May 2016"  # two units of UTF-16, one character
    with visit("/?model=dates") as page:
        page.get_by_label("Text", exact=True).fill(text)
        expect(headline(page)).to_have_text("2016-05-03")
        page.get_by_role("button", name="Test this answer").click()
        told = page.get_by_text(re.compile("character [0-9]+, changes the prediction most")).inner_text()
        character, step = re.search('"(.+)", character ([0-9]+),', told).groups()
        assert character == text[int(step)]


def test_where_no_text_is_left_there_is_no_answer_to_keep_or_test(visit):
    with visit("/?model=dates") as page:
        text = page.get_by_label("Text", exact=True)
        drawn(page, "weights-0", "rows => rows.length > 0")
        text.fill("")
        expect(headline(page)).to_have_text("Type a text")
        for name in ("Keep and link", "Test this answer"):
            expect(page.get_by_role("button", name=name)).to_be_disabled()
        expect(page.locator("#chart")).to_be_empty()
        text.fill("3 May 2016\x07")
        expect(headline(page)).to_have_text("2016-05-03")
        expect(page.locator("#top")).to_have_text("Unknown to the model: U+0007")
        drawn(page, "weights-0", "rows => rows.length > 0")
        expect(page.get_by_role("button", name="Keep and link")).to_be_enabled()


def test_without_what_draws_charts_there_are_the_numbers_and_it_is_said(visit):
    nowhere = "/attention/00000000-0000-7000-8000-000000000000"  # a page without a chart
    with visit(nowhere) as page:
        expect(page.get_by_role("alert")).to_be_visible()
        excuse(page, "404")
        page.route("**/web/vega.js*", lambda route: route.abort())
        page.goto(page.url.replace(nowhere, "/?model=planted-before"))
        expect(page.get_by_role("alert")).to_contain_text("which draws the charts, received nothing that runs")
        expect(headline(page)).to_have_text("0")
        expect(page.locator("#top")).to_contain_text("step 10 72")
        expect(page.locator("#chart")).to_have_text("The chart could not be drawn.")
        excuse(page, "ERR_FAILED")
        page.unroute("**/web/vega.js*")
        page.get_by_role("button", name="Example 2").click()
        drawn(page, "weights", "rows => rows.length > 0")  # it is tried again
        expect(page.get_by_role("alert")).to_be_hidden()


def test_an_address_that_leads_nowhere(visit, client, example):
    with visit("/attention/nope") as page:
        expect(page.get_by_role("alert")).to_contain_text("expected the id of a kept explanation")
        excuse(page, "404")
        expect(headline(page)).to_be_hidden()
        expect(page.locator("#card")).to_be_hidden()
        expect(page.get_by_role("heading", name="Stored explanations")).to_be_visible()
        drop(page, "mine.csv", "1,2")
        expect(page.get_by_role("alert")).to_contain_text("expected a model to be chosen for mine.csv")
        page.get_by_role("combobox", name="Model", exact=True).select_option("dates")
        expect(headline(page)).to_have_text("1916-12-05")
        expect(page.get_by_role("alert")).to_be_hidden()
    with visit("/?model=nobody") as page:
        expect(page.get_by_role("alert")).to_contain_text("expected a model that is served")
        page.get_by_role("combobox", name="Model", exact=True).select_option("tecator")
        expect(headline(page)).to_be_visible()
        expect(page.get_by_role("alert")).to_be_hidden()
    body = {"model": "planted-before", "sequences": [example("planted-before")] * 2}
    id = client.post("/predict", json=body).json()["id"]
    for asked, shown in (("99", "1"), ("all", "0")):
        with visit(f"/attention/{id}?sequence={asked}") as page:
            expect(page.get_by_role("combobox", name="Sequence")).to_have_value(shown)


def test_after_work_that_failed_the_latest_is_done(visit):
    work = """async () => {
      const { latest } = await import("/web/api.js");
      const run = latest(async (text) => { if (text === "bad") throw new Error(text); done = text; });
      let done = null;
      const failed = await run("bad").catch((error) => error.message);
      await run("good");
      return [failed, done];
    }"""
    with visit() as page:
        assert page.evaluate(work) == ["bad", "good"]
