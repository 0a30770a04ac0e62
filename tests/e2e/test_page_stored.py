"""The list of what is kept, on the explorer page: filtered, page by page, and the mean weights of a model."""

import json
import re

import pytest
from playwright.sync_api import expect

from tests.e2e.browsing import rows
from tests.serving import MODELS


def test_the_list_is_filtered_and_has_pages_and_a_profile(visit, client):
    client.delete("/attention", params={"model": "japanese-vowels"})  # what other tests have left
    examples = json.loads((MODELS / "japanese-vowels/1/model.json").read_text())["examples"]
    for example in [examples[0]] * 10 + [examples[1]]:
        body = {"model": "japanese-vowels", "sequences": [example["sequence"]]}
        (label,) = client.post("/predict", json=body).json()["labels"]

    def kept(limit, **filters):
        found = client.get("/attention", params={"model": "japanese-vowels", "limit": limit, **filters}).json()
        return len(found["explanations"])

    with visit() as page:
        listed = page.locator("#stored tbody tr")
        page.get_by_role("combobox", name="Of model").select_option("japanese-vowels")
        expect(listed).to_have_count(10)
        expect(listed.first).to_contain_text(label)
        profile = client.get("/attention/summary", params={"model": "japanese-vowels"}).json()
        expect(page.locator("#stored")).to_contain_text(f"in {profile['count']} sequences")
        # Steps that few of the sequences have are not drawn: of a longer one, which another test may have left.
        means = [step["mean"] for step in profile["steps"] if step["count"] >= 0.05 * profile["count"]]
        assert [row["mean"] for row in rows(page, "profile", "#profile")] == pytest.approx(means)
        with page.expect_download() as download:
            page.get_by_role("link", name="CSV").click()
        assert download.value.path().read_text().startswith('"id","created","model","version",')
        page.get_by_role("button", name="Show older ones").click()
        expect(listed).to_have_count(kept(20))
        expect(listed.nth(10).get_by_role("link")).to_be_focused()  # the button is gone
        wanted = page.get_by_role("combobox", name="With label")
        wanted.fill(label)  # a whole label needs no Enter
        expect(listed).to_have_count(kept(10, label=label))
        wanted.fill("speaker 0")
        wanted.press("Tab")  # any other text counts once it is entered, or left
        expect(page.get_by_text("None is kept that fits.")).to_be_visible()
        expect(listed).to_have_count(0)
        wanted.fill("")
        expect(listed).to_have_count(10)
        expect(page.locator("#stored")).to_contain_text(f"in {profile['count']} sequences")


def test_explanations_of_texts_are_files_without_a_profile(visit, client):
    client.delete("/attention", params={"model": "dates"})
    with visit() as page:
        chosen = page.get_by_role("combobox", name="Of model")
        chosen.select_option("dates")
        expect(page.get_by_text("None is kept that fits.")).to_be_visible()
        expect(page.get_by_role("link", name="CSV")).to_be_hidden()
        client.post("/predict", json={"model": "dates", "sequences": ["3 May 1999"]}).raise_for_status()
        chosen.select_option("all")
        chosen.select_option("dates")
        expect(page.locator("#profile")).to_be_empty()
        with page.expect_download() as download:
            page.get_by_role("link", name="CSV").click()
        assert '"out_character"' in download.value.path().read_text().partition("\n")[0]


def test_the_profile_follows_the_filter_from_model_to_model_and_to_none(visit, client, example):
    vowels = json.loads((MODELS / "japanese-vowels/1/model.json").read_text())["examples"]
    client.post("/predict", json={"model": "japanese-vowels", "sequences": [one["sequence"] for one in vowels]})
    client.post("/predict", json={"model": "planted-before", "sequences": [example("planted-before")]})
    client.delete("/attention", params={"model": "tecator"})
    with visit() as page:
        profile = page.locator("#profile")
        chosen = page.get_by_role("combobox", name="Of model")
        for model in ("japanese-vowels", "planted-before", "japanese-vowels", "japanese-vowels"):
            chosen.select_option(model)
            expect(page.locator("#overview")).to_contain_text(f"Weights of {model}, version 1 in")
            count = client.get("/attention/summary", params={"model": model}).json()["count"]
            expect(profile.get_by_role("img")).to_have_attribute("aria-label", re.compile(f"in {count} sequences?"))
            client.post("/predict", json={"model": model, "sequences": [example(model)]})
        chosen.select_option("tecator")
        expect(page.get_by_text("None is kept that fits.")).to_be_visible()
        expect(page.locator("#overview")).to_be_hidden()
        chosen.select_option("planted-before")
        expect(page.locator("#overview")).to_contain_text("Weights of planted-before, version 1 in")
        expect(page.get_by_role("alert")).to_be_hidden()
