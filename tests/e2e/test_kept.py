"""What can be asked of many kept explanations: lists of a sequence, summaries, comparisons, deletion by filter."""

import hashlib

import httpx
import numpy as np
import pytest

from tests.service.graphs import mean_model, write_model
from tests.serving import serving

SEQUENCE = [[1, 2], [3, 4], [5, 6]]
OTHER = [[0.5, 0.1], [0.1, 0.1], [0.1, 0.4]]
BINARY = {"task": "binary", "labels": ["no", "yes"]}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Two versions of a model, one with labels, and one without attention."""
    root = tmp_path_factory.mktemp("models")
    write_model(root, attention="shared")
    write_model(root, attention="shared", version=2, graph=mean_model("shared", scale=2))
    write_model(root, "labels", attention="shared", declare=BINARY)
    write_model(root, "plain")
    return root


@pytest.fixture(scope="module")
def client(models, store):
    with serving(models=models, store=store) as running, httpx.Client(base_url=running.url, timeout=30) as client:
        yield client


@pytest.fixture(autouse=True)
def empty(client):
    assert client.delete("/attention", params={"until": "2100-01-01"}).status_code == 200


def predict(client, *sequences, model="mean", **fields):
    body = {"model": model, "sequences": sequences or [SEQUENCE], **fields}
    return client.post("/predict", json=body).raise_for_status().json()


def ids(client, **query):
    answer = client.get("/attention", params=query).raise_for_status().json()
    return [entry["id"] for entry in answer["explanations"]]


def hash_of(sequence):
    return hashlib.sha256(np.array(sequence, "<f4").tobytes()).hexdigest()


def fault(answer):
    assert answer.status_code == 422, answer.text
    [fault] = answer.json()["errors"]
    return fault


def test_a_sequence_is_found_by_its_hash(client):
    first, _, both = predict(client), predict(client, OTHER), predict(client, OTHER, SEQUENCE, model="plain")
    [described] = client.get(f"/attention/{first['id']}").json()["sequences"]
    assert described["hash"] == hash_of(SEQUENCE)
    assert ids(client, sequence=described["hash"]) == [both["id"], first["id"]]
    assert ids(client, sequence=described["hash"], model="mean") == [first["id"]]
    page = client.get("/attention", params={"sequence": described["hash"], "limit": 1}).json()
    assert [entry["id"] for entry in page["explanations"]] == [both["id"]]
    assert ids(client, sequence=described["hash"], cursor=page["next"]) == [first["id"]]
    assert ids(client, sequence="0" * 64) == []
    assert fault(client.get("/attention", params={"sequence": "nope"}))["pointer"] == "the query parameter sequence"


def test_what_passes_a_filter_is_deleted(client):
    one, two, other = predict(client, version=1), predict(client), predict(client, model="plain")
    assert client.delete("/attention", params={"model": "mean", "version": 1}).json() == {"deleted": 1}
    assert ids(client) == [other["id"], two["id"]]
    assert client.get(f"/attention/{one['id']}").status_code == 404
    assert client.delete("/attention", params={"until": "2020-01-01T00:00:00Z"}).json() == {"deleted": 0}
    assert fault(client.delete("/attention")) == {
        "pointer": "the query",
        "expected": "model, version, label, sequence, since or until",
        "received": "none of them",
    }
    for nothing in ("model", "label", "version", "since", "until", "sequence"):  # which must not mean all
        assert client.delete("/attention", params={nothing: ""}).status_code == 422
    assert ids(client) == [other["id"], two["id"]]
    assert ids(client, until="2020-01-01") == []


def test_all_explanations_of_a_sequence_are_deleted_and_nothing_else(client):
    predict(client), predict(client, OTHER, SEQUENCE, model="plain")
    other = predict(client, OTHER)
    hash = hash_of(SEQUENCE)
    assert client.delete("/attention", params={"sequence": hash, "model": "nobody"}).json() == {"deleted": 0}
    assert client.delete("/attention", params={"sequence": hash}).json() == {"deleted": 2}
    assert ids(client) == [other["id"]]
    assert ids(client, sequence=hash) == []


def test_a_sequence_is_found_at_once_however_many_were_kept_since(client):
    old = predict(client)
    for _ in range(1001):
        predict(client, OTHER)
    page = client.get("/attention", params={"sequence": hash_of(SEQUENCE), "limit": 1}).json()
    assert ([entry["id"] for entry in page["explanations"]], page["next"]) == ([old["id"]], None)


def test_a_deletion_takes_the_filters_of_the_list(client):
    made = [predict(client)["id"] for _ in range(4)][::-1]
    created = [client.get(f"/attention/{id}").json()["created"] for id in made]
    between = {"model": "mean", "since": created[2], "until": created[1]}
    assert ids(client, **between) == [made[2]]
    assert client.delete("/attention", params=between).json() == {"deleted": 1}
    assert ids(client) == [made[0], made[1], made[3]]


@pytest.mark.parametrize("unknown", ["modle", "before", "hash", "limit", "cursor"])
def test_a_deletion_with_a_filter_that_there_is_not_deletes_nothing(client, unknown):
    made = predict(client)
    assert fault(client.delete("/attention", params={"model": "mean", unknown: "1"})) == {
        "pointer": f"the query parameter {unknown}",
        "expected": "no such parameter (the parameters are label, model, sequence, since, until, version)",
        "received": '"1"',
    }
    assert ids(client) == [made["id"]]


def test_a_filter_that_is_given_twice_is_refused(client):
    twice = client.delete("/attention?model=mean&model=plain")
    assert fault(twice) == {"pointer": "the query parameter model", "expected": "one value", "received": "2"}


def test_a_summary_is_of_the_weights_that_were_answered(client):
    answers = [predict(client, SEQUENCE, OTHER, model="labels"), predict(client, OTHER, model="labels")]
    weights = np.array([one for answer in answers for one in answer["attention"]])
    found = client.get("/attention/summary", params={"model": "labels"}).raise_for_status().json()
    assert (found["model"], found["version"], found["label"]) == ("labels", 1, None)
    assert (found["explanations"], found["count"]) == (2, 3)
    assert [step["mean"] for step in found["steps"]] == pytest.approx(weights.mean(axis=0))
    assert [step["quantiles"]["0.25"] for step in found["steps"]] == pytest.approx(np.quantile(weights, 0.25, axis=0))
    assert [step["count"] for step in found["steps"]] == [3, 3, 3]
    assert found["top"][0]["step"] == np.bincount(weights.argmax(axis=1)).argmax()
    no = client.get("/attention/summary", params={"model": "labels", "label": "no"}).json()
    assert (no["label"], no["count"]) == ("no", 2)
    assert [step["mean"] for step in no["steps"]] == pytest.approx(weights[1:].mean(axis=0))
    newest = client.get("/attention/summary", params={"limit": 1}).json()
    assert (newest["model"], newest["explanations"], newest["count"]) == ("labels", 1, 1)


def test_a_summary_of_nothing_is_empty_and_one_of_two_models_is_refused(client):
    found = client.get("/attention/summary", params={"model": "nobody"}).json()
    assert (found["model"], found["count"], found["steps"], found["top"]) == ("nobody", 0, [], [])
    predict(client, version=1), predict(client)
    found = client.get("/attention/summary").json()
    assert (found["model"], found["version"], found["count"]) == ("mean", None, 2)
    predict(client, model="plain")
    assert client.get("/attention/summary", params={"model": "plain"}).json()["count"] == 0  # without attention
    assert fault(client.get("/attention/summary")) == {
        "pointer": "the query parameter model",
        "expected": "the name of one model, whose steps mean the same",
        "received": "mean and plain",
    }


def test_two_explanations_are_compared(client):
    a, b = predict(client, version=1), predict(client, OTHER)
    found = client.get("/attention/compare", params={"a": a["id"], "b": b["id"]}).raise_for_status().json()
    assert [(found[side]["id"], found[side]["version"]) for side in "ab"] == [(a["id"], 1), (b["id"], 2)]
    [sequence] = found["sequences"]
    weights = np.array([a["attention"][0], b["attention"][0]])
    assert sequence["same_input"] is False
    assert sequence["a"]["attention"] == a["attention"][0]
    assert sequence["change"] == pytest.approx(b["predictions"][0] - a["predictions"][0])
    assert sequence["weights"]["difference"] == pytest.approx(weights[1] - weights[0])
    assert sequence["weights"]["total_variation"] == pytest.approx(abs(weights[1] - weights[0]).sum() / 2)
    assert sequence["weights"]["rank_correlation"] == pytest.approx(-0.5)
    assert sequence["weights"]["shared_top"] == [0, 1, 2]


def test_what_cannot_be_compared_says_why(client):
    a, b, plain = predict(client), predict(client, SEQUENCE, OTHER), predict(client, model="plain")
    assert fault(client.get("/attention/compare", params={"a": a["id"], "b": b["id"]})) == {
        "pointer": "the query parameter b",
        "expected": "an explanation with as many sequences, 1",
        "received": "2",
    }
    found = client.get("/attention/compare", params={"a": a["id"], "b": plain["id"]}).json()
    assert found["sequences"][0]["weights"] is None
    assert found["sequences"][0]["same_input"] is True
    assert client.get("/attention/compare", params={"a": a["id"], "b": "nope"}).status_code == 404


def test_another_version_and_another_model_predict_the_same_sequences_again(client):
    a = predict(client, SEQUENCE, OTHER, version=1)
    path = f"/attention/{a['id']}/compare"
    found = client.post(path, json={"version": 2}).raise_for_status().json()
    assert found["a"]["id"] == a["id"]
    assert (found["b"]["id"], found["b"]["model"], found["b"]["version"]) == (None, "mean", 2)
    for index, sequence in enumerate(found["sequences"]):
        assert sequence["same_input"] is True
        assert sequence["b"]["prediction"] == pytest.approx(2 * a["predictions"][index])
        assert sequence["change"] == pytest.approx(a["predictions"][index])
        assert sequence["weights"]["total_variation"] == 0
    assert client.post(path, json={}).json()["b"]["version"] == 2  # what answers now
    of_labels = client.post(path, json={"model": "labels"}).json()
    assert of_labels["sequences"][0]["b"]["label"] == "yes"
    assert of_labels["sequences"][0]["change"] is None  # of a value and a probability
    assert client.post(path, json={"model": "nobody"}).status_code == 404
    for wrong in ({"mdoel": "labels"}, {"version": 10**20}, {"version": "1"}, []):
        assert client.post(path, json=wrong).status_code == 422
    assert ids(client) == [a["id"]]  # nothing more is kept


def test_an_explanation_is_not_sent_twice_and_not_shown_once_it_is_deleted(client):
    a, b = predict(client)["id"], predict(client)["id"]
    known = {}
    for path, others in {f"/attention/{a}": f"/attention/{b}", compared(a, b): compared(b, a)}.items():
        first = client.get(path)
        assert first.headers["cache-control"] == "private, no-cache"  # asked for again each time
        known[path] = {"If-None-Match": first.headers["etag"]}
        again = client.get(path, headers=known[path])
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
        assert client.get(others, headers=known[path]).status_code == 200
    client.delete(f"/attention/{a}")
    assert [client.get(path, headers=headers).status_code for path, headers in known.items()] == [404, 404]


def compared(a, b):
    return f"/attention/compare?a={a}&b={b}"
