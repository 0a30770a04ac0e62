import json

import numpy as np
import pytest

from tests.serving import MODELS

ALL = sorted(path.name for path in MODELS.iterdir() if path.is_dir())


def manifest(model):
    return json.loads((MODELS / model / "1" / "model.json").read_text())


@pytest.mark.parametrize("model", ALL)
def test_every_committed_model_answers_its_own_examples(client, model):
    examples = manifest(model)["examples"]
    answer = client.post("/predict", json={"model": model, "sequences": [e["sequence"] for e in examples]}).json()
    assert answer["model"] == model
    if manifest(model)["task"] == "regression":
        error = abs(answer["predictions"][0] - examples[0]["target"])
        assert error < 3 * manifest(model)["quality"]["published"]
    else:
        said = answer["predictions"] if manifest(model)["task"] == "sequence" else answer["labels"]
        assert said[0] == examples[0]["target"]
    for weights, example in zip(answer["attention"], examples, strict=True):
        for row in weights if manifest(model)["task"] == "sequence" else [weights]:
            assert len(row) == len(example["sequence"])
            assert sum(row) == pytest.approx(1, abs=1e-5)
            assert min(row) >= 0


def test_the_planted_step_weighs_most(client, example):
    answer = client.post(
        "/predict", json={"model": "planted-before", "sequences": [example("planted-before")], "top_k": 1}
    )
    [[top]] = answer.json()["top"]
    assert top["step"] == 10
    assert top["weight"] >= 0.5
    assert top["values"] == {"x0": 0.0, "x1": 0.0}


def test_sequences_of_seven_to_29_steps_go_in_one_request_and_in_any_order(client):
    longest = np.tile(example_values("japanese-vowels"), (3, 1))
    sequences = [longest[:steps].tolist() for steps in range(7, 30)]
    together = post(client, sequences)
    backwards = post(client, sequences[::-1])
    for i, sequence in enumerate(sequences):
        assert len(together["attention"][i]) == len(sequence)
        for one in (backwards["predictions"][::-1][i], post(client, [sequence])["predictions"][0]):
            np.testing.assert_allclose(one, together["predictions"][i], atol=1e-5)


def example_values(model):
    return np.array(manifest(model)["examples"][0]["sequence"])


def post(client, sequences):
    return client.post("/predict", json={"model": "japanese-vowels", "sequences": sequences}).raise_for_status().json()


def test_a_model_with_one_feature_takes_plain_lists(client, example):
    nested = example("italy-power")
    flat = [step[0] for step in nested]
    answer = client.post("/predict", json={"model": "italy-power", "sequences": [nested, flat]}).json()
    assert answer["predictions"][0] == answer["predictions"][1]


def test_models_tells_what_each_takes_and_where_it_runs(client):
    listed = client.get("/models").json()
    assert listed["broken"] == []
    assert [model["manifest"]["name"] for model in listed["models"]] == ALL
    assert {model["provider"] for model in listed["models"]} == {"cpu"}
    vowels = next(model for model in listed["models"] if model["manifest"]["name"] == "japanese-vowels")
    assert vowels["expects"] == "1 or more time steps × 12 features"


def test_alive_and_ready(client):
    assert client.get("/livez").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ok"}
