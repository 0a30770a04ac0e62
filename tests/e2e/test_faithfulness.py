"""Answered predictions put to the test over HTTP."""

import json
import math
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import onnxruntime as ort
import pytest

from tests.scraping import scrape
from tests.service.graphs import misleading_model, write_model
from tests.serving import MODELS, serving


def examples(model):
    return json.loads((MODELS / model / "1" / "model.json").read_text())["examples"]


@pytest.fixture(scope="module")
def kept(client):
    """kept(model) is the id of a kept prediction of the model's examples; the first is of the class with evidence."""

    def predict(model):
        sequences = [example["sequence"] for example in examples(model)[::-1]]
        return client.post("/predict", json={"model": model, "sequences": sequences}).json()["id"]

    return predict


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A client of a server with two models that predict the value of step 7 of 10: one has weights that point at the
    first steps, and one has none.
    """
    root = tmp_path_factory.mktemp("models")
    declare = {"lengths": {"min": 10, "max": 10}}
    write_model(root, "misleading", graph=misleading_model(), attention="shared", declare=declare)
    write_model(root, "none", graph=misleading_model(attention=False), declare=declare)
    with (
        serving(models=root, store=f"sqlite:{root}/x.sqlite3") as running,
        httpx.Client(base_url=running.url) as client,
    ):
        yield client


def ask(client, id, **parameters):
    return client.get(f"/attention/{id}/faithfulness", params=parameters)


def runs(client):
    return scrape(client.base_url)("compute_seconds_count")


def test_weights_before_the_lstm_that_point_at_the_planted_step_are_supported(client, kept):
    found = ask(client, kept("planted-before")).raise_for_status().json()
    assert found["verdict"] == "supported"
    assert found["leave_one_out"]["top"][0]["step"] == 10
    assert found["leave_one_out"]["width"] == 1
    assert found["baseline"] == "mean"
    assert found["baseline_values"].keys() == {"x0", "x1"}
    assert found["unit"] == "probability of 1"
    assert not found["uniformity"]["nearly_uniform"]
    assert [share["steps"] for share in found["shares"]] == [1, 1, 2, 4, 10]
    assert f"drops by {found['comprehensiveness']['attention']:.2f}" in found["reason"]


def test_hour_19_leads_where_each_hour_of_power_demand_is_left_out(client, kept):
    found = ask(client, kept("italy-power")).json()
    assert found["leave_one_out"]["top"][0]["step"] == 19
    assert np.argmax(found["leave_one_out"]["changes"]) == 19
    assert found["verdict"] == "supported"


def test_weights_whose_top_steps_change_nothing_claim_nothing(tiny):
    sequence = [[0, 0]] * 7 + [[9, 9]] + [[0, 0]] * 2
    id = tiny.post("/predict", json={"model": "misleading", "sequences": [sequence]}).json()["id"]
    found = ask(tiny, id).json()
    assert found["verdict"] == "no better than random"
    assert found["comprehensiveness"]["attention"] == 0
    assert found["comprehensiveness"]["occlusion"] > 0
    assert found["leave_one_out"]["top"][0]["step"] == 7
    assert found["leave_one_out"]["rank_correlation"] < 0
    assert found["baseline"] == "sequence"  # the model declares no training means
    assert found["unit"] == "value of the prediction"


def test_the_numbers_are_those_of_a_plain_implementation(client, kept):
    """Comprehensiveness and sufficiency from their definition, on the graph itself."""
    model = json.loads((MODELS / "planted-before/1/model.json").read_text())
    graph = ort.InferenceSession(MODELS / "planted-before/1/model.onnx", providers=["CPUExecutionProvider"])
    sequence = np.array(examples("planted-before")[1]["sequence"], np.float32)
    prediction, attention = graph.run(["prediction", "attention"], {"sequences": sequence[None]})
    heaviest = sorted(range(20), key=lambda step: -attention[0, step])

    def drop(removed):
        copy = sequence.copy()
        for step in removed:
            copy[step] = model["training"]["feature_means"]
        return float(prediction[0, 0] - graph.run(["prediction"], {"sequences": copy[None]})[0][0, 0])

    counts = [math.ceil(share * 20) for share in (0.01, 0.05, 0.1, 0.2, 0.5)]
    found = ask(client, kept("planted-before")).json()
    for share, steps in zip(found["shares"], counts, strict=True):
        assert share["without"]["attention"] == pytest.approx(drop(heaviest[:steps]), abs=1e-5)
        assert share["alone"]["attention"] == pytest.approx(drop(heaviest[steps:]), abs=1e-5)
    changes = [abs(drop([step])) for step in range(20)]
    assert found["leave_one_out"]["changes"] == pytest.approx(changes, abs=1e-5)


def test_asked_again_it_is_the_same_and_nothing_runs(client, kept):
    id = kept("japanese-vowels")
    with ThreadPoolExecutor(4) as pool:
        first = {answer.text for answer in pool.map(lambda _: ask(client, id), range(4))}  # together, they run it once
    before = runs(client)
    assert {ask(client, id).text} == first
    assert client.get(f"/attention/{id}/faithfulness.svg").status_code == 200
    assert runs(client) == before
    assert ask(client, id, sequence=1).json()["sequence"] == 1
    assert runs(client) > before


@pytest.mark.parametrize("baseline", ["mean", "sequence", "last", "zero"])
def test_what_a_removed_step_holds_is_chosen_and_said(client, kept, baseline):
    found = ask(client, kept("italy-power"), baseline=baseline).json()
    assert found["baseline"] == baseline
    if baseline == "last":
        assert found["baseline_values"] is None
    else:
        sequence = np.array(examples("italy-power")[1]["sequence"], np.float32)
        expected = {"mean": -2.3e-9, "sequence": sequence.mean(), "zero": 0}[baseline]
        assert found["baseline_values"]["demand"] == pytest.approx(expected, abs=1e-6)


def test_a_regression_counts_in_the_spread_of_its_target(client, kept):
    found = ask(client, kept("tecator")).json()
    assert found["unit"] == "standard deviations of the training target"
    assert found["baseline"] == "sequence"  # it scales each sequence by itself


def test_of_a_text_every_character_written_is_tested(client):
    body = {"model": "dates", "sequences": ["Dienstag, 3. Mai 2016", "5 Dez. 1916"], "faithfulness": "fast"}
    answer = client.post("/predict", json=body).raise_for_status().json()
    assert len(answer["faithfulness"]) == 2
    found = ask(client, answer["id"]).json()
    assert (found["baseline"], found["baseline_values"]) == ("unknown", None)
    assert found["unit"] == "share of the answer's characters that stay, at their places"
    assert found["verdict"] == "supported"
    assert found["comprehensiveness"]["attention"] > found["comprehensiveness"]["random"]
    changes = found["leave_one_out"]["changes"]
    assert len(changes) == len("Dienstag, 3. Mai 2016")
    assert max(changes[:8]) < max(changes[8:])  # what day of the week it was says nothing
    svg = client.get(f"/attention/{answer['id']}/faithfulness.svg").raise_for_status().text
    assert all(f">{character}</text>" in svg for character in "Dienstag")
    alone = client.get(f"/attention/{answer['id']}.svg", params={"method": "occlusion", "sequence": 1})
    assert alone.status_code == 200


def test_what_cannot_be_tested_says_why(client, tiny, kept):
    assert ask(client, "01a20764-b3cc-7475-8e13-48a41be6e360").status_code == 404
    assert ask(client, kept("italy-power"), sequence=2).status_code == 404
    assert ask(client, kept("italy-power"), baseline="median").status_code == 422
    means = ask(client, kept("tecator"), baseline="mean")
    assert (means.status_code, "declares no training means" in means.json()["detail"]) == (422, True)
    text = ask(client, kept("dates"), baseline="mean")
    assert (text.status_code, "expected unknown, because dates reads text" in text.json()["detail"]) == (422, True)
    numbers = ask(client, kept("italy-power"), baseline="unknown")
    assert (numbers.status_code, "because italy-power reads numbers" in numbers.json()["detail"]) == (422, True)
    id = tiny.post("/predict", json={"model": "none", "sequences": [[[1, 2]] * 10]}).json()["id"]
    weights = ask(tiny, id)
    assert (weights.status_code, "a model without attention" in weights.json()["detail"]) == (422, True)


def test_what_is_deleted_is_not_tested(client, kept):
    id = kept("italy-power")
    assert ask(client, id).status_code == 200
    client.delete(f"/attention/{id}").raise_for_status()
    assert ask(client, id).status_code == 404


def test_the_pictures(client, tiny, kept):
    both = client.get(f"/attention/{kept('italy-power')}/faithfulness.svg")
    assert both.headers["content-type"].startswith("image/svg+xml")
    assert all(text in both.text for text in ("supported: without", ">weight<", ">change without<"))
    occlusion = client.get(f"/attention/{kept('italy-power')}.svg", params={"method": "occlusion"})
    most = max(ask(client, kept("italy-power")).json()["leave_one_out"]["changes"])
    assert f"changes most without step 19 ({most:.2f})" in occlusion.text
    assert ">weight<" not in occlusion.text
    id = tiny.post("/predict", json={"model": "none", "sequences": [[[1, 2]] * 7 + [[9, 9]] + [[1, 2]] * 2]}).json()[
        "id"
    ]
    assert "changes most without step 7" in tiny.get(f"/attention/{id}.svg", params={"method": "occlusion"}).text


def test_predict_can_have_the_cheap_part(client, kept):
    sequences = [example["sequence"] for example in examples("planted-before")[::-1]]
    body = {"model": "planted-before", "sequences": sequences}
    plain = client.post("/predict", json=body).json()
    tested = client.post("/predict", json={**body, "faithfulness": "fast"}).json()
    assert "faithfulness" not in plain
    found = tested.pop("faithfulness")
    assert {**tested, "id": None} == {**plain, "id": None}
    whole = [ask(client, tested["id"], sequence=index).json() for index in range(2)]
    for one, other in zip(found, whole, strict=True):
        assert one["comprehensiveness"] == pytest.approx(other["comprehensiveness"]["attention"], abs=1e-6)
        assert one["sufficiency"] == pytest.approx(other["sufficiency"]["attention"], abs=1e-6)
    assert found[0]["random_comprehensiveness"] < found[0]["comprehensiveness"]
    chunked = client.post(  # not on the fast path
        "/predict",
        content=iter([json.dumps({**body, "faithfulness": "fast"}).encode()]),
        headers={"Content-Type": "application/json"},
    )
    assert chunked.json()["faithfulness"] == found


def test_the_cheap_part_is_refused_where_it_cannot_be_had(client, tiny, example):
    for model, sequence in (("italy-power", example("italy-power")), ("dates", "5 May 2026")):
        many = {"model": model, "sequences": [sequence] * 17, "faithfulness": "fast"}
        refused = client.post("/predict", json=many).json()
        assert refused["errors"] == [
            {"pointer": "/sequences", "expected": "at most 16 sequences with a test of their weights", "received": "17"}
        ]
    none = {"model": "none", "sequences": [[[1, 2]] * 10], "faithfulness": "fast"}
    refused = tiny.post("/predict", json=none).json()
    assert (refused["status"], refused["errors"][0]["pointer"]) == (422, "/faithfulness")


def test_predictions_go_on_while_a_long_sequence_is_tested(client, example):
    long = (example("japanese-vowels") * 60)[:500]
    id = client.post("/predict", json={"model": "japanese-vowels", "sequences": [long]}).raise_for_status().json()["id"]
    body = {"model": "italy-power", "sequences": [example("italy-power")], "store": False}
    answered = 0
    with ThreadPoolExecutor(1) as pool:
        testing = pool.submit(ask, client, id)
        while not testing.done():
            client.post("/predict", json=body).raise_for_status()
            answered += 1
    assert len(testing.result().json()["leave_one_out"]["changes"]) == 500
    assert answered >= 5


def test_inputs_that_are_not_kept_are_not_tested_later_but_can_be_at_once(tmp_path, example):
    with serving("--no-store-inputs", store=f"sqlite:{tmp_path / 'x.sqlite3'}") as running:
        body = {"model": "italy-power", "sequences": [example("italy-power")], "faithfulness": "fast"}
        answer = httpx.post(f"{running.url}/predict", json=body).json()
        assert len(answer["faithfulness"]) == 1
        for path in ("/faithfulness", "/faithfulness.svg", ".svg?method=occlusion"):
            refused = httpx.get(f"{running.url}/attention/{answer['id']}{path}")
            assert refused.status_code == 404
            assert "expected an explanation whose inputs are kept" in refused.json()["detail"]


def test_an_empty_answer_cannot_be_tested(client):
    body = {"model": "dates", "sequences": ["x" * 100, "5 Dez. 1916"], "faithfulness": "fast"}
    answer = client.post("/predict", json=body).raise_for_status().json()
    assert answer["predictions"] == ["", "1916-12-05"]
    nothing, found = answer["faithfulness"]
    assert nothing is None
    assert found["unit"] == "share of the answer's characters that stay, at their places"
    refused = ask(client, answer["id"])
    assert (refused.status_code, "one whose answer is empty" in refused.json()["detail"]) == (422, True)
    assert ask(client, answer["id"], sequence=1).status_code == 200


def test_an_answer_of_a_wide_search_is_tested_by_one(client, doubtful_dates):
    body = {"model": "dates", "sequences": doubtful_dates}
    narrow, wide = (client.post("/predict", json={**body, "beam": beam}).json() for beam in (1, 4))
    pairs = zip(narrow["predictions"], wide["predictions"], strict=True)
    index = next(i for i, (one, other) in enumerate(pairs) if one != other)  # the searches come to different ends
    for answer in (narrow, wide):
        found = ask(client, answer["id"], sequence=index).raise_for_status().json()
        assert all(0 <= change <= 1 for change in found["leave_one_out"]["changes"])
        assert found["comprehensiveness"]["attention"] > 0


def test_where_nothing_changes_nothing_is_claimed(client, kept):
    found = ask(client, kept("planted-before"), sequence=1).json()  # the label that noise has, too
    assert found["verdict"] == "inconclusive"
    assert found["reason"] == (
        "whatever was removed, the prediction hardly drops: with this baseline there is nothing to explain"
    )


def test_random_steps_are_each_sequences_own(client, kept):
    first, second = (ask(client, kept("italy-power"), sequence=index).json() for index in range(2))
    explained = client.get(f"/attention/{first['id']}").json()["sequences"]
    assert [found["seed"] for found in (first, second)] == [int(one["hash"][:8], 16) for one in explained]
