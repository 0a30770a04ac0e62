"""/docs in a real browser: it renders without a network, and its examples run."""

import pytest
from playwright.sync_api import expect

from tests.e2e.browsing import chromium


@pytest.fixture
def page(server):
    with chromium() as browser:
        yield browser.new_page(viewport={"width": 1200, "height": 900})


def test_the_examples_of_every_model_run(page, server):
    faults, hosts = [], set()
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: hosts.add("/".join(request.url.split("/")[:3])))
    page.goto(f"{server}/docs")
    predict = page.locator("#operations-predict-predict_predict_post")
    predict.locator(".opblock-summary").click()
    examples = predict.locator("select.examples-select-element, .examples-select select").first
    for name in ("dates", "italy-power", "japanese-vowels", "planted-after", "planted-before", "tecator"):
        examples.select_option(label=name)  # waits until the page has drawn the choice
        predict.get_by_role("button", name="Execute").click()
        answer = predict.locator(".live-responses-table")
        expect(answer.locator(".response-col_status").last).to_contain_text("200")
        expect(answer).to_contain_text(f'"model": "{name}"')
        predict.get_by_role("button", name="Clear").click()
    assert faults == []
    assert {host for host in hosts if host.startswith("http")} == {server}
