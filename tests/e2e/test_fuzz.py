"""5,000 generated requests against the running server: none of them is answered with a 500."""

import json
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.bodies import bodies, bounded, damaged, leaves, names

JSON = {"Content-Type": "application/json"}
seen: dict[int, int] = {}


def post(client, content):
    response = client.post("/predict", content=content, headers=JSON)
    seen[response.status_code] = seen.get(response.status_code, 0) + 1
    assert response.status_code in {200, 400, 404, 422}, (content, response.text)
    if response.status_code == 200:
        answer = response.json()
        text = "probabilities" in answer
        rows = [row for weights in answer["attention"] for row in (weights if text else [weights])]
        assert all(0.999 < sum(row) < 1.001 for row in rows)
    else:
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["detail"]


@settings(bounded, max_examples=3000)
@given(bodies)
def test_generated_requests_never_fail_the_server(client, content):
    post(client, content)


@settings(bounded, max_examples=1000)
@given(damaged())
def test_damaged_requests_never_fail_the_server(client, content):
    post(client, content)


PARAMETERS = {
    "/attention": ["limit", "cursor", "model", "version", "label", "since", "until", "sequence"],
    "/attention/{id}": ["sequence", "method", "theme", "baseline"],
    "/attention/{id}.svg": ["sequence", "method", "theme"],
    "/attention/{id}.vl.json": ["sequence", "method", "theme"],
    "/attention/{id}/faithfulness": ["sequence", "baseline"],
    "/attention/{id}/faithfulness.svg": ["sequence", "baseline", "theme"],
}


@settings(bounded, max_examples=2000)
@given(id=st.text(max_size=40), path=st.sampled_from(sorted(PARAMETERS)), data=st.data())
def test_generated_paths_and_parameters_never_fail_the_server(client, id, path, data):
    names = st.one_of(st.sampled_from(PARAMETERS[path]), st.sampled_from(PARAMETERS[path]), st.text(max_size=5))
    params = data.draw(st.dictionaries(names, st.text(max_size=20), max_size=3))
    path = path.format(id=quote(id, safe=""))
    response = client.get(path, params=params)
    assert response.status_code in {200, 307, 404, 422}, (path, params, response.text)


DRAWN = {"model": "m", "version": 1, "features": ["a", "b"], "sequence": [[1, 2], [3, 4]], "attention": [0.2, 0.8]}
DRAWN |= {"importance": [0.1, 0.3], "prediction": 0.7, "label": "yes", "answer": None, "text": None}


@settings(bounded, max_examples=100)
@given(
    change=st.dictionaries(st.sampled_from(sorted(DRAWN)), leaves, max_size=2),
    suffix=st.sampled_from(["svg", "vl.json"]),
    method=st.sampled_from(["attention", "occlusion"]),
)
def test_generated_answers_to_draw_never_fail_the_server(client, change, suffix, method):
    content = json.dumps({**DRAWN, **change})
    response = client.post(f"/attention/draw.{suffix}", content=content, params={"method": method})
    assert response.status_code in {200, 400, 422}, (change, response.text)


@pytest.fixture(scope="module")
def written(client, example):
    """Requests with a body, which change nothing: method and path."""
    body = {"model": "planted-before", "sequences": [example("planted-before")]}
    id = client.post("/predict", json=body).json()["id"]
    return [("PUT", "/models/nobody/pin"), ("POST", f"/attention/{id}/compare")]


OTHERS = st.fixed_dictionaries({}, optional={"version": leaves, "model": st.one_of(names, leaves)})


@settings(bounded, max_examples=500)
@given(
    content=st.one_of(st.binary(max_size=20), OTHERS.map(json.dumps).map(str.encode), bodies),
    headers=st.dictionaries(
        st.sampled_from(["Content-Type", "Content-Encoding"]), st.sampled_from(["application/json", "gzip", "text/csv"])
    ),
)
def test_generated_bodies_never_fail_the_server(client, written, content, headers):
    for method, path in written:
        response = client.request(method, path, content=content, headers=headers)
        assert response.status_code in {200, 400, 404, 415, 422}, (method, path, content, headers, response.text)
        assert response.headers["content-type"].startswith(("application/json", "application/problem+json"))


def test_both_good_and_bad_requests_were_among_them():
    assert seen[200] > 300
    assert seen[422] > 300
    assert seen[400] > 100
