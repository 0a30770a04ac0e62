"""The explorer page for everyone: its headers, who cannot see it, small screens, and what there may not be."""

import itertools
import json
import math
import re
import shutil
from importlib.metadata import version

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.e2e.browsing import drawn, drop, place, rows, visiting
from tests.scraping import wait_until
from tests.service.graphs import write_model
from tests.serving import serving

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A folder of three models: one weight a step, one for every feature, and none."""
    root = tmp_path_factory.mktemp("models")
    examples = {"examples": [{"sequence": [[1, 2], [3, 4], [5, 9]], "target": 4}]}
    write_model(root, "shared", attention="shared", declare=examples)
    write_model(root, "each", attention="per_feature", declare=examples)
    write_model(root, "plain")
    return root


@pytest.mark.parametrize("model", ["planted-before", "dates"])
def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(browser, server, model):
    with visiting(browser, f"{server}/?model={model}", bypass_csp=True) as page:  # axe measures with inline styles
        page.get_by_role("button", name="Your own…").click()
        if model != "dates":
            page.get_by_role("button", name="Test this answer").click()
            expect(page.locator("#trial")).to_be_visible()
        expect(page.locator("#chart svg")).to_be_visible()
        for viewport, scheme in itertools.product((DESKTOP, PHONE), ("light", "dark")):
            page.set_viewport_size(viewport)
            page.emulate_media(color_scheme=scheme)
            found = Axe().run(page).response["violations"]
            assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []
            assert page.evaluate("document.documentElement.scrollWidth") == viewport["width"]


def test_a_finger_drags_a_point_sweeps_over_bars_and_scrolls_the_page(browser, server):
    url = f"{server}/?model=planted-before"
    with visiting(browser, url, viewport=PHONE, has_touch=True, is_mobile=True) as page:
        drawn(page, "weights", "rows => rows.length > 0")
        page.locator("#picture").evaluate("picture => picture.scrollIntoView()")
        touch = page.context.new_cdp_session(page)

        def swipe(x, y, right, down):
            for kind, points in [
                ("touchStart", [{"x": x, "y": y}]),
                *(("touchMove", [{"x": x + right * i / 8, "y": y + down * i / 8}]) for i in range(1, 9)),
                ("touchEnd", []),
            ]:
                touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        (value,) = (row["value"] for row in rows(page, "values") if (row["step"], row["feature"]) == (8, "x0"))
        top = page.evaluate("scrollY")
        swipe(*place(page, "values", 8, value), 0, 60)
        expect(page.locator("#sure")).to_contain_text("was 0 with")
        assert float(page.get_by_label("Value").input_value()) < value - 1
        (x, y), (end, _) = place(page, "weights", 5), place(page, "weights", 9)
        swipe(x, y, end - x, 0)
        drawn(page, "masked", "rows => rows.length === 1 && rows[0].step === 4.5 && rows[0].end === 9.5")
        assert page.evaluate("scrollY") == top
        swipe(x, y, 0, -80)
        page.wait_for_function("top => scrollY > top", arg=top)
        assert rows(page, "masked") == [{"step": 4.5, "end": 9.5}]


def test_two_fingers_zoom_the_chart_and_mask_nothing(browser, server):
    url = f"{server}/?model=planted-before"
    with visiting(browser, url, viewport=PHONE, has_touch=True, is_mobile=True) as page:
        drawn(page, "weights", "rows => rows.length > 0")
        page.locator("#chart").evaluate("chart => chart.scrollIntoView({ block: 'center' })")
        touch = page.context.new_cdp_session(page)
        x, y = place(page, "weights", 8)

        def fingers(kind, *places):
            points = [{"x": x, "y": y, "id": id} for id, x in enumerate(places)]
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        fingers("touchStart", x)
        for moved in range(1, 9):
            fingers("touchMove", x + 3 * moved)  # one alone sweeps
        drawn(page, "masked", "rows => rows.length === 1")
        fingers("touchStart", x + 24, x + 64)
        for moved in range(1, 12):
            fingers("touchMove", x + 24 - 8 * moved, x + 64 + 8 * moved)
        fingers("touchEnd")
        page.wait_for_function("() => visualViewport.scale > 1.5")
        assert rows(page, "masked") == []
        expect(page.get_by_role("button", name="Undo changes")).to_be_disabled()


def test_what_is_chosen_and_how_probable_an_answer_is_are_seen_in_forced_colours(browser, server):
    with visiting(browser, f"{server}/?model=planted-before", forced_colors="active") as page:
        drawn(page, "weights", "rows => rows.length > 0")
        paper = "element => getComputedStyle(element).backgroundColor"
        pressed, other = (page.get_by_role("button", name=f"Example {number}").evaluate(paper) for number in (1, 2))
        assert pressed != other
        share = page.locator("#share")
        assert share.locator("div").evaluate(paper) != share.evaluate(paper)


def luminance(colour):
    """Relative luminance of rgb(...), as WCAG 2 defines it."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(share * part for share, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_one_sees_where_one_may_type(browser, server, scheme):
    with visiting(browser, f"{server}/?model=planted-before", color_scheme=scheme) as page:
        field = page.get_by_label("Value")
        styles = field.evaluate("field => { const { ...styles } = getComputedStyle(field); return styles; }")
        low, high = sorted(luminance(styles[name]) for name in ("borderTopColor", "backgroundColor"))
        assert (high + 0.05) / (low + 0.05) >= 3


def test_a_chart_that_is_wider_than_a_phone_says_where_it_goes_on(browser, server):
    narrow = {"width": 320, "height": 800}
    with visiting(browser, f"{server}/?model=dates", viewport=narrow) as page:
        page.get_by_label("Text", exact=True).fill("Dienstag, den 3. Mai des Jahres 2016")
        chart = page.locator("#chart")
        expect(chart).to_have_class("more-behind")
        chart.locator(".figure").evaluate("figure => figure.scrollTo(1000, 0)")
        expect(chart).to_have_class("more-before")
        page.set_viewport_size(DESKTOP)
        expect(chart).to_have_class("")
    with visiting(browser, f"{server}/?model=japanese-vowels", viewport=narrow) as page:
        drawn(page, "weights", "rows => rows.length > 0")
        expect(page.locator("#chart")).to_have_class("")


OVERLAPPING = """() => {
    const labels = [...document.querySelectorAll("#chart svg .mark-text text")].filter((text) => text.textContent);
    const boxes = labels.map((text) => [text.textContent, text.getBoundingClientRect()]);
    const across = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1;
    const down = (a, b) => Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 2;
    return boxes.flatMap(([one, a], i) => boxes.slice(i + 1)
        .filter(([, b]) => across(a, b) && down(a, b)).map(([other]) => `${one} and ${other}`));
}"""


@pytest.mark.parametrize("model", ["japanese-vowels", "planted-after", "tecator"])
def test_no_label_of_a_chart_is_on_top_of_another_on_a_phone(browser, server, model):
    with visiting(browser, f"{server}/?model={model}", viewport={"width": 320, "height": 800}) as page:
        page.get_by_role("button", name="Test this answer").click()
        drawn(page, "changes", "rows => rows.length > 0")
        assert page.evaluate(OVERLAPPING) == []


def test_links_to_pictures_are_light_or_dark_as_the_page_is(browser, server):
    with visiting(browser, f"{server}/?model=planted-before") as page:
        page.get_by_role("button", name="Test this answer").click()
        expect(page.locator("#trial")).to_be_visible()
        for scheme in ("dark", "light"):
            page.emulate_media(color_scheme=scheme)
            for within in ("#links", "#trial"):
                svg = page.locator(within).get_by_role("link", name="SVG")
                expect(svg).to_have_attribute("href", re.compile(f"theme={scheme}$"))


def test_small_weights_and_blocks_of_a_long_sequence_are_told_as_they_are(browser, tmp_path):
    write_model(tmp_path / "models", "long", attention="shared", declare={"lengths": {"min": 8000, "max": 8000}})
    sequence = [[0, 0]] * 4000 + [[3, 3]] + [[0, 0]] * 3999
    with (
        serving(models=tmp_path / "models", store=f"sqlite:{tmp_path}/x") as running,
        visiting(browser, f"{running.url}/?model=long") as page,
    ):
        drop(page, "long.json", json.dumps(sequence))
        weight = 100 * math.exp(3) / (math.exp(3) + 7999)
        expect(page.locator("#top")).to_contain_text(f"step 4000 {weight:.2g} %")
        page.get_by_role("button", name="Test this answer").click()
        found = page.locator("#trial")
        expect(found).to_contain_text("neighbours together, since the sequence is long, steps ")
        said = re.search(r"Left out (\d+) .* steps (\d+) to (\d+) change", found.inner_text())
        width, first, last = (int(number) for number in said.groups())
        assert first <= 4000 <= last == first + width - 1


def test_the_page_and_its_files_may_load_nothing_but_themselves(server):
    page = httpx.get(f"{server}/")
    assert page.headers["content-type"].startswith("text/html")
    script = httpx.get(f"{server}/web/page.js")
    assert script.headers["content-type"].startswith("text/javascript")
    for answer in (page, script):
        assert answer.headers["x-content-type-options"] == "nosniff"
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy
        again = httpx.get(answer.url, headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    assert httpx.get(f"{server}/web/index.html").status_code == 404
    assert httpx.get(f"{server}/web/..%2fapp.py").status_code == 404


def test_vega_comes_from_the_server_once_and_compressed(server):
    (url,) = re.findall('data-vega="(.*?)"', httpx.get(f"{server}/").text)
    with httpx.Client(base_url=server, timeout=30) as client:
        small, plain = client.get(url), client.get(url, headers={"Accept-Encoding": "identity"})
        assert small.content == plain.content
        assert int(small.headers["content-length"]) < 0.4 * int(plain.headers["content-length"])
        for answer in (small, plain):
            assert "immutable" in answer.headers["cache-control"]
            assert answer.headers["vary"] == "Accept-Encoding"
            again = client.get(url, headers={**answer.request.headers, "If-None-Match": answer.headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")
    assert url.rpartition("-")[2] == version("vl-convert-python")


def test_the_address_of_an_explanation_is_a_page_in_a_browser_and_json_in_a_program(client, example):
    body = {"model": "planted-before", "sequences": [example("planted-before")]}
    url = f"/attention/{client.post('/predict', json=body).json()['id']}"
    browsers = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"}
    page, program = client.get(url, headers=browsers), client.get(url)
    assert page.headers["content-type"].startswith("text/html")
    assert program.json()["id"] in url
    assert "accept" in page.headers["vary"].lower()
    assert "accept" in program.headers["vary"].lower()


def test_nothing_to_show_yet(browser, tmp_path):
    (tmp_path / "models").mkdir()
    with (
        serving(models=tmp_path / "models", store=f"sqlite:{tmp_path}/x") as running,
        visiting(browser, running.url + "/") as page,
    ):
        expect(page.get_by_role("heading", name="No model is served yet")).to_be_visible()
        expect(page.locator("#bench")).to_be_hidden()
        expect(page.locator("#stored")).to_contain_text("None yet.")


def test_a_card_says_of_a_model_that_was_brought_that_its_attention_is_its_own(browser, tmp_path):
    for axes, attention in ((["time"], "shared"), (["time", "feature"], "per_feature")):
        own = {"attention": {"kind": "custom", "position": "custom", "axes": axes}}
        write_model(tmp_path / "models", "-".join(axes), attention=attention, declare=own)
    with (
        serving(models=tmp_path / "models") as running,
        visiting(browser, f"{running.url}/?model=time") as page,
    ):
        attention = page.locator("#card dl > div", has_text="Attention").locator("dd")
        expect(attention).to_have_text("the model's own, over time")
        page.get_by_role("combobox", name="Model", exact=True).select_option("time-feature")
        expect(attention).to_have_text("the model's own, over time and feature")


def test_a_server_that_keeps_nothing_tests_in_part(browser, tiny):
    with serving(models=tiny) as running:
        with visiting(browser, f"{running.url}/?model=shared") as page:
            expect(page.locator("#headline")).to_have_text("4")
            expect(page.locator("#verdict")).to_contain_text("not tested")
            expect(page.get_by_role("button", name="Keep and link")).to_have_count(0)
            page.get_by_role("button", name="Test this answer").click()
            expect(page.locator("#verdict")).to_contain_text("tested in part")
            expect(page.locator("#stored")).to_contain_text("This server keeps no explanations")
        with visiting(browser, f"{running.url}/?model=each") as page:
            assert {row["row"] for row in rows(page, "cells")} == {"x0", "x1"}  # a row for each feature
        with visiting(browser, f"{running.url}/?model=plain") as page:  # it carries no example
            page.get_by_label("Your own sequence").fill("1,2\n3,4\n5,6")
            page.get_by_role("button", name="Predict").click()
            expect(page.locator("#headline")).to_have_text("3.5")
            expect(page.locator("#picture")).to_contain_text("This model has no attention")
            expect(page.get_by_role("button", name="Test this answer")).to_be_hidden()


def test_a_server_that_keeps_no_inputs_tests_in_part_and_offers_no_pictures(browser, tiny, tmp_path):
    with (
        serving("--no-store-inputs", models=tiny, store=f"sqlite:{tmp_path}/x") as running,
        visiting(browser, f"{running.url}/?model=shared") as page,
    ):
        expect(page.locator("#headline")).to_have_text("4")
        page.get_by_role("button", name="Test this answer").click()
        expect(page.locator("#verdict")).to_contain_text("tested in part")
        expect(page.locator("#why")).to_contain_text("the server has to keep inputs, too")
        assert "/?model=shared" in page.url
        page.get_by_role("button", name="Keep and link").click()
        page.wait_for_url("**/attention/*")
        links = page.locator("#links")
        for _ in ("as it was kept", "as it is opened"):
            expect(links).to_contain_text("No pictures: inputs are not kept")
            expect(links.get_by_role("link")).to_have_text(["Link to this"])
            page.reload()
        expect(page.locator("#hint")).to_contain_text("Its inputs were not kept")


def test_what_was_kept_with_its_inputs_is_tested_where_none_are_kept_any_more(browser, tiny, tmp_path):
    store = f"sqlite:{tmp_path}/x"
    with serving(models=tiny, store=store) as running:
        body = {"model": "shared", "sequences": [[[1, 2], [3, 4], [5, 9]]]}
        id = httpx.post(f"{running.url}/predict", json=body).json()["id"]
        assert running.stop() == 0
    with (
        serving("--no-store-inputs", models=tiny, store=store) as running,
        visiting(browser, f"{running.url}/attention/{id}") as page,
    ):
        expect(page.locator("#links")).to_contain_text("SVG")
        page.get_by_role("button", name="Test this answer").click()
        expect(page.locator("#trial")).to_be_visible()
        page.get_by_label("Value").fill("7")
        expect(page.locator("#sure")).to_contain_text("was 4")
        page.get_by_role("button", name="Test this answer").click()
        expect(page.locator("#verdict")).to_contain_text("tested in part")


def served(url):
    return {info["manifest"]["name"] for info in httpx.get(f"{url}/models").json()["models"]}


def test_an_explanation_says_what_cannot_be_done_without_its_inputs_and_without_its_model(browser, tiny, tmp_path):
    models = shutil.copytree(tiny, tmp_path / "models")
    with serving("--no-store-inputs", "--watch", 0.1, models=models, store=f"sqlite:{tmp_path}/x") as running:
        body = {"model": "shared", "sequences": [[[1, 2], [3, 4], [5, 9]]]}
        id = httpx.post(f"{running.url}/predict", json=body).json()["id"]
        with visiting(browser, f"{running.url}/attention/{id}") as page:
            expect(page.locator("#headline")).to_have_text("4")
            expect(page.locator("#hint")).to_contain_text("Its inputs were not kept")
            expect(page.get_by_role("img", name="Most weight lies on step 2 (93%), step 1 (")).to_be_visible()
            assert len(rows(page, "weights")) == 3
            panels = page.evaluate("document.querySelector('#chart').chart.panels.map(panel => panel.kind)")
            assert panels == ["heat", "weights"]
            expect(page.get_by_role("button", name="Test this answer")).to_be_hidden()
            shutil.rmtree(models / "shared")
            wait_until(lambda: "shared" not in served(running.url))
            page.reload()
            expect(page.locator("#headline")).to_have_text("4")
            expect(page.locator("#hint")).to_contain_text("Its model, shared 1, is not served any more")
            expect(page.locator("#card")).to_be_hidden()
