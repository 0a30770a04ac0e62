"""Explanations as pictures, in every format, by the committed models."""

import json
import re
import time
import xml.etree.ElementTree as ET

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.e2e.browsing import chromium
from tests.serving import MODELS, serving

TYPES = {
    "svg": "image/svg+xml",
    "png": "image/png",
    "html": "text/html; charset=utf-8",
    "vl.json": "application/vnd.vegalite.v6+json",
}
SEEN = {
    "planted-before": "from 20 steps of 2 features (x0, x1)",
    "italy-power": "from 24 steps of demand",
    "japanese-vowels": "from 19 steps of 12 features (lpc1, ",
    "dates": "read from 'Di. 5 Dez. 1916'",
}


@pytest.fixture(scope="module")
def kept(client):
    """kept(model) is the id of a kept prediction of the model's examples."""
    ids = {}

    def predict(model):
        if model not in ids:
            examples = json.loads((MODELS / model / "1" / "model.json").read_text())["examples"]
            body = {"model": model, "sequences": [example["sequence"] for example in examples]}
            ids[model] = client.post("/predict", json=body).raise_for_status().json()["id"]
        return ids[model]

    return predict


@pytest.fixture
def get(client):
    """get(id, suffix, ...) is an answer that is of the type that its suffix says."""

    def ask(id, suffix, **parameters):
        answer = client.get(f"/attention/{id}.{suffix}", params=parameters).raise_for_status()
        assert answer.headers["content-type"] == TYPES[suffix.removeprefix("faithfulness.")]
        return answer

    return ask


@pytest.mark.parametrize("model", SEEN)
def test_all_formats_say_the_same(client, get, kept, model):
    id = kept(model)
    definition = get(id, "vl.json").json()
    first = client.get(f"/attention/{id}").json()["sequences"][0]
    top = first["top"][0]
    told = [f"{model}, version 1, ", first["label"] or first["prediction"], SEEN[model]]
    told.append("'5' looks at '5', character 4 (" if model == "dates" else f"step {top['step']} ({top['weight']:.0%}; ")
    assert all(text in definition["description"] for text in told)
    svg = ET.fromstring(get(id, "svg").text)
    assert (svg.get("role"), svg.get("aria-label")) == ("img", definition["description"])
    texts = "".join(svg.itertext())
    assert all(line in texts for line in definition["title"]["text"] + definition["title"]["subtitle"])
    png = get(id, "png").content
    width, height = int.from_bytes(png[16:20]), int.from_bytes(png[20:24])
    assert (width, height) == (2 * int(svg.get("width")), 2 * int(svg.get("height")))
    assert "https://cdn" not in get(id, "html").text


def test_the_values_and_weights_are_those_of_the_explanation(client, get, kept):
    definition = get(kept("planted-before"), "vl.json", sequence=1).json()
    data = definition["datasets"]
    sequence = client.get(f"/attention/{kept('planted-before')}").json()["sequences"][1]
    assert [one["value"] for one in data["values"] if one["feature"] == "x1"] == pytest.approx(
        [step[1] for step in sequence["sequence"]]
    )
    assert [one["size"] for one in data["weights"]] == pytest.approx(sequence["attention"])
    assert [one["size"] for one in data["cells"]] == pytest.approx(sequence["attention"])
    assert [round(one["step"]) for one in data["weights"] if one["top"]] == sorted(
        top["step"] for top in sequence["top"]
    )


def test_all_sequences_of_a_request_above_each_other(client, get, kept, example):
    definition = get(kept("japanese-vowels"), "vl.json", sequence="all").json()
    assert definition["title"]["text"] == ["japanese-vowels, version 1: 2 sequences"]
    labels = [one["label"] for one in client.get(f"/attention/{kept('japanese-vowels')}").json()["sequences"]]
    titles = [" ".join(panel["title"]["text"]) for panel in definition["vconcat"][::2]]
    assert [title.partition(" (")[0] for title in titles] == [f"{i}: {label}" for i, label in enumerate(labels)]
    many = {"model": "italy-power", "sequences": [example("italy-power")] * 13}
    id = client.post("/predict", json=many).json()["id"]
    picture = get(id, "svg", sequence="all").text
    assert "the first 12 of 13 sequences" in picture
    assert ">11: April to September (" in picture
    assert ">12: " not in picture
    texts = get(kept("dates"), "svg", sequence="all").text
    assert "Text 2: writes &#x27;1945-01-09&#x27; (" in texts
    assert texts.count(">1</text>") >= 3


def test_themes_differ_in_their_colours_only(get, kept):
    light, dark = (get(kept("italy-power"), "vl.json", theme=theme).json() for theme in ("light", "dark"))
    assert (light.pop("config")["background"], dark.pop("config")["background"]) == ("white", "#111827")
    assert light == dark
    assert 'fill="#111827"' in get(kept("italy-power"), "svg", theme="dark").text


def test_what_never_changes_is_sent_once(client, get, example):
    id = client.post("/predict", json={"model": "italy-power", "sequences": [example("italy-power")]}).json()["id"]
    tags = {get(id, suffix, theme=theme).headers["etag"] for suffix in TYPES for theme in ("light", "dark")}
    assert len(tags) == 8
    answer = get(id, "svg")
    assert answer.headers["cache-control"] == "private, no-cache"
    known = {"If-None-Match": f'"other", W/{answer.headers["etag"]}'}
    again = client.get(f"/attention/{id}.svg", headers=known)
    assert (again.status_code, again.content) == (304, b"")
    assert client.get(f"/attention/{id}.svg", headers={"If-None-Match": '"other"'}).text == answer.text
    client.delete(f"/attention/{id}").raise_for_status()
    assert client.get(f"/attention/{id}.svg", headers=known).status_code == 404


@pytest.mark.parametrize(
    ("accept", "type"),
    [
        ("image/png", "image/png"),
        ("image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8", "image/svg+xml"),  # an <img> of Chromium
        ("image/svg+xml;q=0.2, image/png;q=0.3, application/json;q=0.1", "image/png"),
        ("image/*", "image/svg+xml"),
        ("*/*", "application/json"),
        ("application/json, image/png", "application/json"),
        ("video/mp4", "application/json"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html; charset=utf-8"),
    ],
)
def test_the_picture_by_what_the_client_accepts(client, kept, accept, type):
    answer = client.get(f"/attention/{kept('italy-power')}", headers={"Accept": accept}).raise_for_status()
    assert answer.headers["content-type"] == type
    assert "Accept" in answer.headers["vary"]


def test_two_explanations_and_their_difference(client, get, kept, example):
    changed = [[0.0]] * 8 + [[value] for [value] in example("italy-power")[8:]]
    id = client.post("/predict", json={"model": "italy-power", "sequences": [changed]}).json()["id"]
    a, b = (client.get(f"/attention/{one}").json()["sequences"][0] for one in (kept("italy-power"), id))
    definition = get("compare", "vl.json", a=kept("italy-power"), b=id).json()
    moved = [of - before for of, before in zip(b["attention"], a["attention"], strict=True)]
    assert [one["size"] for one in definition["datasets"]["difference"]] == pytest.approx(moved, abs=1e-6)
    assert f"{sum(map(abs, moved)) / 2:.0%} of the weight lies elsewhere" in definition["description"]
    other = get("compare", "svg", a=id, b=kept("planted-before")).text
    assert "They differ in length, 24 and 20 steps" in other
    assert ">b: writes '1916-12-05' (" in get("compare", "svg", a=kept("dates"), b=kept("dates")).text
    mixed = client.get("/attention/compare.svg", params={"a": id, "b": kept("dates")})
    assert mixed.json()["errors"][0]["received"] == "one of texts, by dates"


def test_the_profile_of_a_model_s_explanations(client, get, kept):
    kept("japanese-vowels")
    found = client.get("/attention/summary", params={"model": "japanese-vowels", "label": "speaker 1"}).json()
    answer = get("summary", "vl.json", model="japanese-vowels", label="speaker 1")
    profile = answer.json()["datasets"]["profile"]
    assert [row["mean"] for row in profile] == pytest.approx([step["mean"] for step in found["steps"]])
    assert [row["q95"] for row in profile] == pytest.approx([step["quantiles"]["0.95"] for step in found["steps"]])
    shares = [step["share"] for step in found["steps"]]
    assert [row["size"] for row in answer.json()["datasets"]["heaviest"]] == pytest.approx(shares)
    assert sum(shares) == pytest.approx(1)
    assert "where it predicts speaker 1" in answer.json()["description"]
    assert answer.headers["cache-control"] == "private, no-cache"
    for suffix in TYPES:
        get("summary", suffix, model="japanese-vowels", theme="dark")
    assert "there are none yet" in get("summary", "svg", model="nobody").text
    assert client.get("/attention/summary.svg", params={"model": "dates"}).status_code == 422


def test_the_test_of_an_explanation_in_all_formats(get, kept):
    for suffix in TYPES:
        get(f"{kept('italy-power')}/faithfulness", suffix)
    told = get(f"{kept('italy-power')}/faithfulness", "vl.json", sequence=1).json()["description"]
    assert "The prediction changes most without step 19" in told
    assert "Removed steps hold the training mean of each feature." in told


@pytest.mark.parametrize(
    ("model", "baseline", "told"),
    [
        ("italy-power", None, "removed steps hold the training mean of each feature"),
        ("italy-power", "last", "removed steps hold the last value kept"),
        ("tecator", None, "the mean of the sequence; changes in standard deviations of the training target"),
        ("tecator", "zero", "removed steps hold zero; changes in standard deviations of the training target"),
        ("dates", None, "an unknown character; changes in shares of the characters of the answer"),
    ],
)
def test_what_removed_steps_hold_is_chosen_and_said_with_the_unit(client, get, kept, model, baseline, told):
    chosen = {} if baseline is None else {"baseline": baseline}
    changes = client.get(f"/attention/{kept(model)}/faithfulness", params=chosen).json()["leave_one_out"]["changes"]
    occlusion = get(kept(model), "vl.json", method="occlusion", **chosen).json()
    test = get(f"{kept(model)}/faithfulness", "vl.json", **chosen).json()
    for definition in (occlusion, test) if model != "dates" else (occlusion,):
        assert told in " ".join(definition["title"]["subtitle"])
        assert told in definition["description"].replace("Removed", "removed")
        assert [bar["size"] for bar in definition["datasets"]["changes"]] == pytest.approx(changes, abs=1e-5)


def test_of_a_long_sequence_steps_are_removed_and_told_together(client, get, example):
    long = (example("italy-power") * 60)[:1200]
    id = client.post("/predict", json={"model": "japanese-vowels", "sequences": [[[v] * 12 for [v] in long]]}).json()[
        "id"
    ]
    definition = get(id, "vl.json", method="occlusion").json()
    [first] = re.findall(r"changes most without (steps \d+ to \d+) together", definition["title"]["subtitle"][0])
    assert f"changes most without {first} together" in definition["description"]


def test_a_long_text_makes_no_large_picture(client, get):
    text = ("Dienstag, den 3. Mai 2016, auf dem Markt. " * 250)[:10_000]
    id = client.post("/predict", json={"model": "dates", "sequences": [text]}).raise_for_status().json()["id"]
    began = time.monotonic()
    png = get(id, "png").content
    assert time.monotonic() - began < 10  # it was 20 s
    assert int.from_bytes(png[16:20]) < 3600
    definition = get(id, "vl.json").json()
    assert re.search(
        "dots: 99[0-9]{2} of 10000 characters read are left out", " ".join(definition["title"]["subtitle"])
    )
    assert len(definition["description"]) < 1000


@pytest.mark.parametrize(
    "query",
    [
        *("sequence=some", "sequence=-1", "sequence=99999999999", "theme=red", "method=guess", "baseline=zero"),
        *("sequence=all&method=occlusion", "baseline=median&method=occlusion", "baseline=unknown&method=occlusion"),
    ],
)
def test_what_is_not_a_picture_is_told(client, kept, query):
    answer = client.get(f"/attention/{kept('italy-power')}.svg?{query}")
    assert answer.status_code == 422
    assert f"the query parameter {query.split('=')[0]}: expected " in answer.json()["detail"]


def test_the_page_of_a_chart_needs_nothing_but_itself_and_fits_a_phone(get, kept, client, tmp_path):
    hostile = "5 May 2016 {chart}</script><script>document.title = 'owned'</script>"
    id = client.post("/predict", json={"model": "dates", "sequences": [hostile]}).json()["id"]
    pages = {"vowels": (kept("japanese-vowels"), {}), "planted": (kept("planted-before"), {"sequence": "all"})}
    pages["hostile"] = (id, {})
    for name, (one, parameters) in pages.items():
        answer = get(one, "html", **parameters)
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        (tmp_path / f"{name}.html").write_bytes(answer.content)
    served = f"{client.base_url}/attention/{kept('planted-before')}.html?theme=dark"  # under its policy
    addresses = [served, *(f"file://{tmp_path}/{name}.html" for name in pages)]
    faults: list[str] = []
    with chromium() as browser:
        for address in addresses:
            page = browser.new_page(offline=address != served)
            page.on("pageerror", lambda error: faults.append(str(error)))
            page.on("console", lambda message: faults.append(message.text))
            page.goto(address)
            for width in (1200, 390):
                page.set_viewport_size({"width": width, "height": 800})
                page.wait_for_selector(f"#chart[data-width='{width}'] svg")
                assert page.evaluate("document.documentElement.scrollWidth") <= width
                if "hostile" not in address:  # a text of 60 characters scrolls in its own box
                    assert page.evaluate("chart.scrollWidth") <= width
            assert page.title() != "owned"
            assert "version 1" in page.get_by_role("img").first.get_attribute("aria-label")
            if address != served:  # whose policy keeps the check out as well
                assert Axe().run(page).response["violations"] == []
            page.close()
    assert faults == []


@pytest.fixture(scope="module")
def answered(client):
    """answered(model) is what POST /attention/draw takes of the model's first example, which is not kept."""

    def predict(model):
        manifest = json.loads((MODELS / model / "1" / "model.json").read_text())
        sequences = [example["sequence"] for example in manifest["examples"]]
        answer = client.post("/predict", json={"model": model, "sequences": sequences, "store": False}).json()
        sequence = sequences[0]
        given = {"model": model, "version": 1, "attention": answer["attention"][0]}
        if model == "dates":
            given |= {"text": sequence, "answer": answer["predictions"][0]}
            return {**given, "prediction": answer["probabilities"][0]}
        given |= {"sequence": sequence, "features": manifest["features"], "prediction": answer["predictions"][0]}
        return given | ({"label": answer["labels"][0]} if "labels" in answer else {})

    return predict


@pytest.fixture
def draw(client):
    """draw(body, suffix, ...) is the answer to POST /attention/draw.{suffix}."""
    return lambda body, suffix="vl.json", **query: client.post(f"/attention/draw.{suffix}", json=body, params=query)


@pytest.mark.parametrize("model", [*SEEN, "tecator"])
def test_what_is_not_kept_is_drawn_as_what_is(draw, get, kept, answered, model):
    for suffix, kind in TYPES.items():
        drawn = draw(answered(model), suffix, theme="dark").raise_for_status()
        assert drawn.headers["content-type"] == kind
        if suffix != "png":
            assert drawn.text == get(kept(model), suffix, theme="dark").text


def test_what_leaving_out_a_step_changes_is_drawn_alone_or_beneath_the_weights(draw, get, client, kept, answered):
    found = client.get(f"/attention/{kept('italy-power')}/faithfulness").raise_for_status().json()
    given = {**answered("italy-power"), "importance": found["leave_one_out"]["changes"]}
    alone = draw(given, method="occlusion").raise_for_status().json()
    stored = get(kept("italy-power"), "vl.json", method="occlusion").json()
    told = "removed steps hold the training mean of each feature"  # which who sends changes does not say
    stored["title"]["subtitle"].remove(told)
    assert alone == {**stored, "description": stored["description"].replace(f" {told.capitalize()}.", "")}
    both = draw(given).raise_for_status().json()
    assert [panel["kind"] for panel in both["usermeta"]["panels"]] == ["values", "heat", "weights", "changes"]
    assert both["datasets"]["changes"] == alone["datasets"]["changes"]


def without(given, *names):
    return {name: value for name, value in given.items() if name not in names}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda given: {**without(given, "sequence"), "attention": None}, "the body: expected a sequence, a text, or"),
        (lambda given: {**given, "text": "a"}, "the body: expected either a sequence or a text, received both"),
        (lambda given: without(given, "attention"), "/attention: expected this field, received nothing"),
        (lambda given: {**given, "attention": [1.0]}, "/attention: expected a weight for each step, 24, received 1"),
        (lambda given: {**given, "attention": [[0, 1]] * 24}, "/attention/0: expected 1 numbers, received 2"),
        (lambda given: {**given, "attention": [-1.0] * 24}, "/attention/0/0: expected greater than or equal to 0"),
        (lambda given: {**given, "features": ["a", "b"]}, "/sequence/0: expected 2 numbers, received 1"),
        (lambda given: {**given, "features": ["a", "a"]}, "/features: expected a name for each that no other has"),
        (lambda given: {**given, "features": ["a" * 201]}, "/features/0: expected a name of at most 200 characters"),
        (lambda given: {**given, "sequence": [1, 1e39]}, "/sequence/1/0: expected less than or equal to 34"),
        (lambda given: {**given, "sequence": [1, "2"]}, '/sequence/1/0: expected a valid number, received "2"'),
        (lambda given: {**given, "sequence": [1, [2, 3]]}, "/sequence/1: expected 1 numbers, received 2"),
        (lambda given: {**given, "sequence": []}, "/sequence: expected 1 to 10000 steps, received 0"),
        (lambda given: {**given, "sequence": [0] * 10_001}, "/sequence: expected 1 to 10000 steps, received 10001"),
        (lambda given: {**given, "importance": [0.5]}, "/importance: expected a number for each of 24 steps"),
        (lambda given: {**given, "more": 1}, "/more: expected no such field (the fields are model, version, "),
        (lambda given: {**without(given, "sequence"), "text": "a"}, "/answer: expected what was written"),
    ],
)
def test_parts_that_do_not_fit_are_told(draw, answered, change, told):
    answer = draw(change(answered("italy-power")))
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(told)


def test_occlusion_wants_an_importance_and_a_picture_wants_json(draw, client, answered):
    missing = draw(answered("dates"), method="occlusion")
    assert missing.json()["detail"] == "/importance: expected a number for each of 15 steps, received nothing"
    assert client.post("/attention/draw.svg", content=b"{").status_code == 400
    huge = client.post("/attention/draw.svg", content=b" " * 16_000_001)
    assert huge.status_code == 413


def test_a_server_without_a_store_draws(answered):
    with serving() as server:
        drawn = httpx.post(f"{server.url}/attention/draw.svg", json=answered("planted-before")).raise_for_status()
        assert "planted-before, version 1, predicts" in drawn.text


def test_what_xml_has_no_place_for_is_drawn_as_a_mark(client, get, draw, answered):
    text = "5 May\x00 2016\uffff"
    id = client.post("/predict", json={"model": "dates", "sequences": [text]}).raise_for_status().json()["id"]
    for query in ({}, {"method": "occlusion"}):
        assert "\N{REPLACEMENT CHARACTER}" in "".join(ET.fromstring(get(id, "svg", **query).text).itertext())
    named = {**answered("italy-power"), "label": "\x01", "features": ["\x1f"]}
    assert "predicts \N{REPLACEMENT CHARACTER}" in "".join(ET.fromstring(draw(named, "svg").text).itertext())


def test_the_example_of_the_documentation_is_drawn(client, draw):
    documented = client.get("/openapi.json").json()["paths"]["/attention/draw.{format}"]["post"]["requestBody"]
    drawn = draw(documented["content"]["application/json"]["example"], "svg").raise_for_status()
    assert "pump, version 1, predicts leak (93%)" in drawn.text
