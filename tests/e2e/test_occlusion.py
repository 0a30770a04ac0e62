"""What leaving out each step changes, as JSON."""

import httpx
import numpy as np
import pytest

from tests.service.graphs import misleading_model, write_model
from tests.serving import serving

BINARY = {"task": "binary", "labels": ["no", "yes"]}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A client of a server with a model without attention, which predicts the mean of both features at step 7 of 10."""
    root = tmp_path_factory.mktemp("models")
    declare = {"lengths": {"min": 10, "max": 10}}
    write_model(root, "plain", graph=misleading_model(attention=False), declare=declare)
    store = f"sqlite:{root / 'x.sqlite3'}"
    with serving(models=root, store=store) as running, httpx.Client(base_url=running.url, timeout=30) as client:
        yield client


def kept(client, model, *sequences):
    return client.post("/predict", json={"model": model, "sequences": sequences}).raise_for_status().json()["id"]


def occluded(client, id, **query):
    answer = client.get(f"/attention/{id}", params={"method": "occlusion", **query}).raise_for_status()
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


def test_of_a_model_without_attention(tiny):
    sequence = [[float(step), 3.0 * step] for step in range(10)]
    id = kept(tiny, "plain", [[0, 0]] * 10, sequence)
    found = occluded(tiny, id, sequence=1, baseline="zero")
    changes = found.pop("changes")
    assert changes == pytest.approx([0.0] * 7 + [14.0] + [0.0] * 2)  # the mean of 7 and 21, less 0
    assert found.pop("top")[0] == {"step": 7, "change": pytest.approx(14.0)}
    assert found == {
        "id": id,
        "model": "plain",
        "version": 1,
        "sequence": 1,
        "method": "occlusion",
        "width": 1,
        "baseline": "zero",
        "baseline_values": {"x0": 0.0, "x1": 0.0},
        "unit": "value of the prediction",
    }
    by_default = occluded(tiny, id, sequence=1)  # a model that does not say its training means
    assert (by_default["baseline"], by_default["baseline_values"]) == ("sequence", {"x0": 4.5, "x1": 13.5})
    assert by_default["changes"][7] == pytest.approx(14 - 9)


def test_it_is_the_leave_one_out_of_the_test(client, example):
    id = kept(client, "planted-before", example("planted-before"))
    found, test = occluded(client, id), client.get(f"/attention/{id}/faithfulness").json()
    assert np.array(found["changes"]) == pytest.approx(np.array(test["leave_one_out"]["changes"]), abs=1e-6)
    steps = [{"step": one["step"], "change": pytest.approx(one["change"])} for one in test["leave_one_out"]["top"]]
    assert found["top"] == steps
    for field in ("baseline", "baseline_values", "unit"):
        assert found[field] == test[field]


def test_of_text(client):
    id = kept(client, "dates", "3 May 1999")
    found = occluded(client, id)
    assert len(found["changes"]) == len("3 May 1999")
    assert (found["baseline"], found["baseline_values"]) == ("unknown", None)
    assert found["unit"] == "share of the answer's characters that stay, at their places"


def test_it_is_not_sent_twice(client, example):
    path = f"/attention/{kept(client, 'planted-before', example('planted-before'))}?method=occlusion"
    first = client.get(path)
    assert first.headers["cache-control"] == "private, no-cache"
    assert client.get(path, headers={"If-None-Match": first.headers["etag"]}).status_code == 304


@pytest.mark.parametrize(
    ("query", "status", "pointer"),
    [
        ({"sequence": 1}, 404, "the query parameter sequence"),
        ({"sequence": 1, "method": "occlusion"}, 404, "the query parameter sequence"),
        ({"sequence": "all", "method": "occlusion"}, 422, "the query parameter sequence"),
        ({"method": "occlusion", "baseline": "unknown"}, 422, "the query parameter baseline"),
        ({"method": "magic"}, 422, "the query parameter method"),
        ({"baseline": "zero"}, 422, "the query parameter baseline"),  # of weights, which have none
    ],
)
def test_what_cannot_be_answered_says_where(client, example, query, status, pointer):
    answer = client.get(f"/attention/{kept(client, 'planted-before', example('planted-before'))}", params=query)
    assert answer.status_code == status
    assert answer.json()["errors"][0]["pointer"] == pointer


def test_all_sequences_are_in_the_weights_as_json(client, example):
    id = kept(client, "planted-before", example("planted-before"))
    assert client.get(f"/attention/{id}?sequence=all").content == client.get(f"/attention/{id}").content
