"""The explorer page while answers are late, and where they do not come: nothing is shown beside what it is not of."""

import re

from playwright.sync_api import expect

from tests.e2e.browsing import caught, drawn, excuse, hold, place, rows

PREDICT, DRAW = "**/predict", "**/attention/draw.vl.json*"
TECATOR, PLANTED = 100, 20  # steps


def headline(page):
    return page.locator("#headline")


def alert(page):
    return page.get_by_role("alert")


def model(page):
    return page.get_by_role("combobox", name="Model", exact=True)


def pressed(page):
    return page.locator("#examples [aria-pressed=true]")


def keeps(request):
    return bool(request.post_data_json["store"])


def count(client):
    return len(client.get("/attention", params={"limit": 1000}).json()["explanations"])


def test_an_answer_is_hidden_where_another_model_is_described(visit):
    with visit("/?model=dates") as page:
        expect(headline(page)).to_have_text("1916-12-05")
        page.route(PREDICT, lambda route: route.abort())
        model(page).select_option("tecator")
        expect(alert(page)).to_contain_text("expected an answer")
        expect(page.locator("#card")).to_contain_text("tecator, version 1")
        for part in ("#answer", "#picture", "#text"):
            expect(page.locator(part)).to_be_hidden()
        expect(page.get_by_text("There is no answer to show.")).to_be_visible()
        expect(pressed(page)).to_have_count(0)
        excuse(page, "ERR_FAILED")
        page.unroute(PREDICT)
        page.get_by_role("button", name="Example 1").click()
        expect(headline(page)).to_be_visible()
        expect(headline(page)).not_to_have_text("1916-12-05")
        expect(page.get_by_text("There is no answer to show.")).to_be_hidden()
        expect(alert(page)).to_be_hidden()
        page.get_by_label("Value").fill("9")
        expect(page.locator("#sure")).to_contain_text("was")
        assert "model=tecator" in page.url


def test_an_example_that_is_not_answered_is_not_pressed(visit):
    with visit("/?model=planted-before") as page:
        expect(headline(page)).to_have_text("0")
        page.route(PREDICT, lambda route: route.abort())
        page.get_by_role("button", name="Example 2").click()
        expect(alert(page)).to_be_visible()
        expect(pressed(page)).to_have_text("Example 1")
        expect(page.locator("#sure")).to_contain_text("the true answer: 0")
        excuse(page, "ERR_FAILED")


def test_the_latest_of_two_models_is_shown(visit):
    with visit("/?model=planted-before") as page:
        expect(headline(page)).to_have_text("0")
        held = hold(page, PREDICT, lambda request: request.post_data_json["model"] == "tecator")
        model(page).select_option("tecator")
        caught(page, held)
        expect(page.locator("#answer")).to_be_hidden()  # it takes too long
        model(page).select_option("dates")
        expect(headline(page)).to_have_text("1916-12-05")
        with page.expect_response(PREDICT):
            held[0].continue_()
        expect(pressed(page)).to_have_text("Di. 5 Dez. 1916")
        expect(headline(page)).to_have_text("1916-12-05")


def test_what_is_changed_while_it_is_kept_is_not_said_to_be_kept(visit, client):
    with visit("/?model=planted-before") as page:
        keep = page.get_by_role("button", name="Keep and link")
        held = hold(page, PREDICT, keeps)
        before = count(client)
        keep.click()
        caught(page, held)
        expect(keep).to_be_disabled()  # pressed twice, it would be kept twice
        page.get_by_label("Value").fill("5")
        expect(page.locator("#sure")).to_contain_text("was 0")
        with page.expect_response("**/attention?*"):  # it is in the list, all the same
            held[0].continue_()
        expect(keep).to_be_enabled()
        assert "/?model=planted-before" in page.url
        assert count(client) == before + 1
        keep.click()
        caught(page, held, 2)
        model(page).select_option("tecator")
        expect(page.get_by_role("slider", name="Step")).to_have_attribute("max", str(TECATOR - 1))
        with page.expect_response("**/attention?*"):
            held[1].continue_()
        assert "/?model=tecator" in page.url
        expect(keep).to_be_visible()


def test_a_change_that_is_kept_unanswered_is_answered_by_that(visit):
    with visit("/?model=planted-before") as page:
        drawn(page, "weights", "rows => rows.length > 0")
        page.route(PREDICT, lambda route: route.continue_() if keeps(route.request) else route.abort())
        page.get_by_role("button", name="step 10").click()
        page.get_by_label("Value").fill("1")
        expect(page.locator("#sure")).to_contain_text("no answer to this change")
        excuse(page, "ERR_FAILED")
        page.get_by_role("button", name="Keep and link").click()
        expect(page.locator("#sure")).to_contain_text("was 0")
        expect(alert(page)).to_be_hidden()


def test_a_test_says_that_it_runs_and_is_of_what_it_was_asked_of(visit):
    with visit("/?model=italy-power") as page:
        held = hold(page, "**/faithfulness?*")
        test = page.locator("#test")
        test.click()
        expect(test).to_have_text("Testing…")
        expect(test).to_be_disabled()
        expect(test).to_have_css("border-top-style", "dashed")
        caught(page, held)
        value = page.get_by_label("Value")
        value.fill("0.5")
        expect(test).to_have_text("Test this answer")
        expect(test).to_be_enabled()
        with page.expect_response("**/faithfulness?*"):
            held[0].continue_()
        value.fill("0.25")
        expect(page.locator("#sure")).to_contain_text("was")
        expect(page.locator("#verdict")).to_contain_text("this model, as a rule")
        assert "/?model=italy-power" in page.url
        expect(value).to_be_focused()
        test.click()
        caught(page, held, 2)
        value.focus()  # one goes on meanwhile
        held[1].continue_()
        expect(page.locator("#verdict")).to_contain_text("this answer")
        expect(value).to_be_focused()


def test_a_chart_of_another_model_is_neither_changed_nor_touched(visit):
    with visit("/?model=tecator") as page:
        drawn(page, "weights", f"rows => rows.length === {TECATOR}")
        held = hold(page, DRAW, lambda _: not held)
        model(page).select_option("planted-before")
        expect(headline(page)).to_have_text("0")
        caught(page, held)
        chart = page.locator("#chart")
        expect(chart).to_have_attribute("aria-busy", "true")
        x, y = place(page, "weights", 50)
        page.mouse.click(x, y)
        page.locator("#chart svg").dispatch_event("pointermove", {"clientX": x, "clientY": y})
        page.locator("#chart svg").dispatch_event("pointerdown", {"clientX": x, "clientY": y, "isPrimary": True})
        expect(page.locator("#step-shown")).to_contain_text("10 · 72")
        page.get_by_label("Value").fill("1")
        expect(page.locator("#sure")).to_contain_text("was 0")
        assert len(rows(page, "weights")) == TECATOR
        held[0].continue_()
        drawn(page, "weights", f"rows => rows.length === {PLANTED}")
        drawn(page, "before", "rows => rows.length > 0")  # the change is in it
        expect(chart).to_have_attribute("aria-busy", "false")

        page.route(DRAW, lambda route: route.abort())
        model(page).select_option("tecator")
        expect(chart).to_have_text("The chart could not be drawn.")
        expect(alert(page)).to_be_visible()
        excuse(page, "ERR_FAILED")


def test_a_change_is_marked_until_it_is_answered_and_an_error_goes_with_its_cause(visit):
    with visit("/?model=planted-before") as page:
        sure, value = page.locator("#sure"), page.get_by_label("Value")
        drawn(page, "weights", "rows => rows.length > 0")
        page.get_by_role("button", name="step 10").click()
        held = hold(page, PREDICT)
        value.fill("1")
        expect(sure).to_have_text("asking…")
        expect(headline(page)).to_have_css("opacity", "0.4")
        caught(page, held)
        held.pop().continue_()
        expect(sure).to_contain_text("was 0")
        expect(headline(page)).to_have_css("opacity", "1")
        value.fill("2")
        caught(page, held)
        held.pop().abort()
        expect(sure).to_contain_text("no answer to this change")
        expect(alert(page)).to_be_visible()
        page.get_by_role("button", name="Undo changes").click()
        expect(alert(page)).to_be_hidden()
        expect(sure).to_contain_text("the true answer: 0")
        excuse(page, "ERR_FAILED")


def test_the_rows_of_another_filter_are_not_left(visit, client, example):
    for name in ("tecator", "planted-before"):
        client.post("/predict", json={"model": name, "sequences": [example(name)]}).raise_for_status()
    with visit() as page:
        listed = page.locator("#stored tbody tr")
        expect(listed).not_to_have_count(0)
        page.route(re.compile(r"/attention\?"), lambda route: route.abort())
        page.get_by_role("combobox", name="Of model").select_option("tecator")
        expect(alert(page)).to_be_visible()
        expect(listed).to_have_count(0)
        expect(page.locator("#stored")).to_contain_text("They could not be listed.")
        page.get_by_label("Value").fill("1")
        expect(page.locator("#sure")).to_contain_text("was")
        expect(alert(page)).to_be_visible()  # an answer does not put the list right
        excuse(page, "ERR_FAILED")
        page.unroute(re.compile(r"/attention\?"))
        page.get_by_role("combobox", name="Of model").select_option("planted-before")
        expect(listed).not_to_have_count(0)
        expect(alert(page)).to_be_hidden()


def typed(page, text):
    page.get_by_label("Text", exact=True).fill(text)


def charted(page, text):
    """The chart of a text, once it is drawn."""
    expect(page.get_by_role("img", name=re.compile(f"read from '{text}'"))).to_be_visible()
    expect(page.locator("#chart")).to_have_attribute("aria-busy", "false")


def test_one_types_faster_than_answers_come(visit):
    with visit("/?model=dates") as page:
        expect(headline(page)).to_have_text("1916-12-05")
        drawings = []
        page.on(
            "request", lambda request: drawings.append(request.post_data_json) if "draw.vl" in request.url else None
        )

        def late(route):
            page.wait_for_timeout(150)
            route.continue_()

        page.route(PREDICT, late)
        text = page.get_by_label("Text", exact=True)
        text.fill("")
        text.press_sequentially("12 mars 1999", delay=120)
        expect(headline(page)).to_have_text("1999-03-12")
        charted(page, "12 mars 1999")
        assert drawings  # of each, the weights are of its characters
        assert {len(row) == len(drawing["text"]) for drawing in drawings for row in drawing["attention"]} == {True}


def test_the_answer_to_an_earlier_text_is_not_shown_beside_a_later_one(visit):
    with visit("/?model=dates") as page:
        expect(headline(page)).to_have_text("1916-12-05")
        held = hold(page, PREDICT)
        typed(page, "3 Mai 2016")
        caught(page, held)
        typed(page, "4 June 1999")
        held[0].continue_()
        caught(page, held, 2)  # the first is answered
        expect(page.locator("#sure")).to_have_text("asking…")
        expect(headline(page)).to_have_text("1916-12-05")
        expect(headline(page)).to_have_css("opacity", "0.4")
        expect(page.locator("#chart")).to_have_attribute("aria-busy", "true")
        held[1].continue_()
        expect(headline(page)).to_have_text("1999-06-04")
        expect(headline(page)).to_have_css("opacity", "1")
        charted(page, "4 June 1999")


def test_that_an_answer_is_late_is_said_while_one_goes_on_typing(visit):
    with visit("/?model=dates") as page:
        expect(headline(page)).to_have_text("1916-12-05")
        held = hold(page, PREDICT)
        typed(page, "1 June 1999")
        for number in range(2, 10):
            page.wait_for_timeout(60)
            caught(page, held)
            typed(page, f"{number} June 1999")
            held.pop().continue_()  # quick, but not of this text
        assert page.locator("#sure").inner_text() == "asking…"
        page.unroute(PREDICT)
        expect(headline(page)).to_have_text("1999-06-09")


def test_a_dragged_value_is_followed_and_marked_until_it_is_answered(visit):
    with visit("/?model=planted-before") as page:
        sure, value = page.locator("#sure"), page.get_by_label("Value")
        drawn(page, "weights", "rows => rows.length > 0")
        page.get_by_role("button", name="step 10").click()
        held = hold(page, PREDICT)
        drawings = hold(page, DRAW)
        value.fill("1")
        caught(page, held)
        value.fill("2")
        expect(sure).to_have_text("asking…")
        weights = rows(page, "weights")
        held.pop(0).continue_()
        page.wait_for_function(  # of the first change, which is nearer
            "given => document.querySelector('#chart').chart.view.data('weights')[10].size !== given",
            arg=weights[10]["size"],
        )
        expect(sure).to_have_text("asking…")
        caught(page, drawings)  # nothing else comes for a while
        assert drawings[0].request.post_data_json["sequence"][10][0] == 1
        drawings.pop().continue_()
        drawn(
            page,
            "values",
            "rows => rows.some(({ feature, step, value }) => feature === 'x0' && step === 10 && value === 2)",
        )
        caught(page, held)
        page.unroute(DRAW)
        held.pop(0).continue_()
        expect(sure).to_contain_text("was 0")
