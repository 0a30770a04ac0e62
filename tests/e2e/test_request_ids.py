"""The id of a request: in its answer, in the body of an error, and in the log."""

import re
import sqlite3

import httpx

from tests.serving import serving

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_an_answer_bears_the_id_it_was_asked_with_or_a_new_one(client, example):
    body = {"model": "italy-power", "sequences": [example("italy-power")]}
    found = client.post("/predict", json=body, headers={"X-Request-Id": "mine-1"})
    assert found.headers["x-request-id"] == "mine-1"
    new = [client.post("/predict", json=body).headers["x-request-id"] for _ in range(3)]
    new += [client.get(path).headers["x-request-id"] for path in ("/livez", "/models", "/metrics", "/nope", "/docs")]
    assert len(set(new)) == 8
    assert client.get("/livez", headers={"X-Request-Id": "x" * 129}).headers["x-request-id"] != "x" * 129


def test_an_error_bears_it_in_its_body_too(client):
    for path in ("/attention/nope", "/nope", "/attention?limit=0"):
        problem = client.get(path, headers={"X-Request-Id": "mine-2"})
        assert problem.headers["x-request-id"] == problem.json()["request_id"] == "mine-2"
    problem = client.post("/predict", json={"model": "nope", "sequences": [[1]]})
    assert problem.headers["x-request-id"] == problem.json()["request_id"] != ""


def test_log_lines_of_a_request_bear_it(tmp_path, example):
    path = tmp_path / "x.sqlite3"
    with (
        (tmp_path / "log").open("w+") as log,
        serving("--access-log", store=f"sqlite:{path}", log=log) as running,
    ):
        with sqlite3.connect(path) as other:
            other.execute("DROP TABLE bundles")
        other.close()
        headers = {"X-Request-Id": "mine-3", "traceparent": TRACE}
        body = {"model": "italy-power", "sequences": [example("italy-power")]}
        httpx.post(f"{running.url}/predict", json=body).raise_for_status()
        assert httpx.get(f"{running.url}/attention", headers=headers).status_code == 503
        assert "store_error" in httpx.post(f"{running.url}/predict", json=body, headers=headers).json()
        assert httpx.get(f"{running.url}/models%0aforged", params={"secret": "x"}).status_code == 404
        running.stop()
        log.seek(0)
        *_, failed, read, predicted, strange, left = log.read().splitlines()
    assert f"ERROR [mine-3 {TRACE}] explanations not read" in failed
    assert re.search(rf"INFO \[mine-3 {TRACE}\] GET /attention 503 \d+\.\d ms$", read)
    assert "explanations stay in" in left  # for the next start
    assert re.search(rf"INFO \[mine-3 {TRACE}\] POST /predict 200 \d+\.\d ms$", predicted)
    assert re.search(r"INFO \[[0-9a-f]{24}\] GET /models%0aforged 404 \d+\.\d ms$", strange)
