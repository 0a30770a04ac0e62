import asyncio
import json
import sqlite3

import numpy as np
import pytest

from service.errors import Invalid
from service.explanations.stores.sqlite import SQLiteStore
from service.explanations.stores.store import Filter, StoreError
from service.models.repository import Repository
from service.predictor import Predictor, name_labels
from service.settings import Settings
from service.telemetry.collect import Telemetry
from tests.service.graphs import mean_model, write_model
from tests.serving import MODELS

SEQUENCE = [[0, 1], [2, 3], [4, 5]]


def predict(root, store=None, settings=None, **request):
    predictor = Predictor(Repository(root, "cpu"), store, settings or Settings(), Telemetry())
    body = {"sequences": [SEQUENCE], **request}
    return json.loads(asyncio.run(predictor.predict(json.dumps(body).encode())))


def test_a_model_without_attention_answers_null_in_its_place(tmp_path):
    write_model(tmp_path)
    answer = predict(tmp_path, top_k=2)
    assert answer == {"id": None, "model": "mean", "version": 1, "predictions": [2.5], "attention": None}


def test_per_feature_weights_are_averaged_by_step_unless_asked_for(tmp_path):
    write_model(tmp_path, attention="per_feature")
    softmax = np.exp([0, 2, 4]) / np.exp([0, 2, 4]).sum()
    [steps] = predict(tmp_path)["attention"]
    [full] = predict(tmp_path, attention="per_feature")["attention"]
    np.testing.assert_allclose(steps, softmax, rtol=1e-6)
    np.testing.assert_allclose(full, np.stack([softmax, softmax], axis=1), rtol=1e-6)


def test_per_feature_weights_cannot_be_had_from_a_shared_vector(tmp_path):
    write_model(tmp_path, attention="shared")
    with pytest.raises(Invalid, match='/attention: expected "per_step", because mean has no attention vector per feat'):
        predict(tmp_path, attention="per_feature")


def test_a_request_of_several_runs_is_answered_like_one():
    examples = json.loads((MODELS / "japanese-vowels" / "1" / "model.json").read_text())["examples"]
    sequences = [example["sequence"][:n] for n in (7, 12, 9, 20) for example in examples]
    whole = predict(MODELS, model="japanese-vowels", sequences=sequences)
    split = predict(
        MODELS, settings=Settings(max_batch_values=29 * 12 * 2), model="japanese-vowels", sequences=sequences
    )
    np.testing.assert_allclose(split["predictions"], whole["predictions"], atol=1e-6)
    for one, other, sequence in zip(split["attention"], whole["attention"], sequences, strict=True):
        assert len(one) == len(sequence)
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_prediction_that_is_not_finite_is_the_fault_of_its_sequence(tmp_path):
    write_model(tmp_path, graph=mean_model(scale=1e38))
    with pytest.raises(Invalid, match="/sequences/1: expected values that the model can compute with"):
        predict(tmp_path, sequences=[SEQUENCE, [[9e9, 9e9]] * 3])


def test_a_store_that_fails_does_not_cost_the_prediction_and_is_not_silent(tmp_path, caplog):
    write_model(tmp_path)
    path = tmp_path / "explanations.sqlite3"
    store = SQLiteStore(path, 10, 60)
    with sqlite3.connect(path) as other:
        other.execute("DROP TABLE bundles")
    other.close()
    assert predict(tmp_path, store)["id"]  # it is in the journal, and will be read once there is a table again
    with pytest.raises(StoreError):
        asyncio.run(store.latest(Filter(), 1))
    answer = predict(tmp_path, store)
    asyncio.run(store.close())
    assert answer["predictions"] == [2.5]
    assert answer["id"] is None
    assert answer["store_error"] == "the store of explanations failed; the server's log says how"
    assert "explanations are not kept, predictions go on: the SQLite store failed: no such table" in caplog.text


@pytest.mark.parametrize(("prediction", "label"), [(0.49, "no"), (0.5, "yes"), (1.0, "yes")])
def test_a_binary_prediction_is_the_probability_of_the_second_label(prediction, label):
    manifest = Repository(MODELS, "cpu").loaded("italy-power", None).manifest
    manifest = manifest.model_copy(update={"labels": ["no", "yes"]})
    assert name_labels(np.array([[prediction]], np.float32), manifest) == [label]
