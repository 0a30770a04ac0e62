import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import pytest


@pytest.fixture(scope="module")
def answer(client, example):
    """A kept prediction of two sequences."""
    sequences = [example("planted-before"), [[0.5, 0.5]] * 20]
    return client.post("/predict", json={"model": "planted-before", "sequences": sequences}).json()


def test_an_explanation_is_readable_the_moment_predict_has_answered(client, answer, example):
    explanation = client.get(f"/attention/{answer['id']}").json()
    first = explanation["sequences"][0]
    assert explanation["model"] == "planted-before"
    assert explanation["features"] == ["x0", "x1"]
    assert explanation["attention_axes"] == ["time"]
    assert first["sequence"] == example("planted-before")
    assert first["prediction"] == answer["predictions"][0]
    assert first["label"] == answer["labels"][0]
    assert first["attention"] == answer["attention"][0]
    assert first["top"][0]["step"] == 10
    assert len(first["top"]) == 3
    assert 0 <= first["concentration"] <= 1


def test_the_list_is_newest_first_and_has_pages(client, example):
    body = {"model": "italy-power", "sequences": [example("italy-power")]}
    earlier = {entry["id"] for entry in client.get("/attention", params={"limit": 1000}).json()["explanations"]}
    made = [client.post("/predict", json=body).json()["id"] for _ in range(3)][::-1]
    page = client.get("/attention", params={"limit": 2, "model": "italy-power"}).json()
    assert [entry["id"] for entry in page["explanations"]] == made[:2]
    following = client.get("/attention", params={"limit": 1000, "model": "italy-power", "cursor": page["next"]}).json()
    assert [entry["id"] for entry in following["explanations"] if entry["id"] not in earlier] == made[2:]
    assert following["next"] is None
    assert client.get(page["explanations"][0]["url"]).json()["id"] == made[0]


def test_the_list_can_be_filtered_by_label_and_time(client, answer):
    found = client.get("/attention", params={"label": answer["labels"][0], "model": "planted-before"}).json()
    assert answer["id"] in [entry["id"] for entry in found["explanations"]]
    assert client.get("/attention", params={"label": "nobody"}).json()["explanations"] == []
    for since, some in {"2100-01-01T00:00:00Z": False, "2100-01-01": False, "0001-01-01": True}.items():
        assert bool(client.get("/attention", params={"since": since}).json()["explanations"]) == some


def test_times_are_iso_8601_and_a_plus_need_not_be_escaped(client, answer):
    made = datetime.fromisoformat(client.get(f"/attention/{answer['id']}").json()["created"])
    for hours, passes in {-1: True, 1: False}.items():
        time = (made + timedelta(hours=hours)).astimezone(timezone(timedelta(hours=3))).isoformat()
        assert time.endswith("+03:00")
        for written in (time, time.replace("T", " "), time.replace("+", "%2B")):
            found = client.get(f"/attention?limit=1000&model=planted-before&since={written}").raise_for_status().json()
            assert (answer["id"] in [entry["id"] for entry in found["explanations"]]) == passes, written


def test_a_picture_by_suffix_and_by_content_negotiation(client, answer):
    by_suffix = client.get(f"/attention/{answer['id']}.svg", params={"sequence": 1})
    by_header = client.get(
        f"/attention/{answer['id']}",
        params={"sequence": 1},
        headers={"Accept": "image/avif,image/svg+xml;q=0.9,*/*;q=0.8"},
    )
    assert by_suffix.headers["content-type"].startswith("image/svg+xml")
    assert by_suffix.text.startswith("<svg")
    assert "most weight on step" in by_suffix.text
    assert by_suffix.text == by_header.text


def test_a_picture_of_a_sequence_that_is_not_there(client, answer):
    problem = client.get(f"/attention/{answer['id']}.svg", params={"sequence": 2})
    assert problem.status_code == 404
    assert problem.json()["detail"] == "expected a sequence from 0 to 1, received 2"


def test_what_is_not_to_be_stored_is_not(client, example):
    before = client.get("/attention", params={"limit": 1}).json()
    body = {"model": "italy-power", "sequences": [example("italy-power")], "store": False}
    assert client.post("/predict", json=body).json()["id"] is None
    assert client.get("/attention", params={"limit": 1}).json() == before


def test_what_is_deleted_is_gone(client, example):
    body = {"model": "italy-power", "sequences": [example("italy-power")]}
    id = client.post("/predict", json=body).json()["id"]
    assert client.delete(f"/attention/{id}").status_code == 204
    assert client.get(f"/attention/{id}").status_code == 404
    assert client.delete(f"/attention/{id}").status_code == 404


def test_no_prediction_waits_while_a_large_explanation_is_described(client, example):
    body = {"model": "planted-before", "sequences": [example("planted-before")] * 10_000}
    large = client.post("/predict", json=body, timeout=60).raise_for_status().json()["id"]
    with ThreadPoolExecutor(1) as threads:
        start, waits = time.monotonic(), []
        describing = threads.submit(client.get, f"/attention/{large}", timeout=60)
        while not describing.done():
            before = time.monotonic()
            client.post("/predict", json={**body, "sequences": [example("planted-before")], "store": False})
            waits.append(time.monotonic() - before)
        took = time.monotonic() - start
    assert len(describing.result().json()["sequences"]) == 10_000
    assert max(waits) < took / 2
    client.delete(f"/attention/{large}")


def test_texts_are_compared_but_not_averaged(client, doubtful_dates):
    body = {"model": "dates", "sequences": ["3 May 1999", "4 June 2001"]}
    id = client.post("/predict", json=body).json()["id"]
    found = client.post(f"/attention/{id}/compare", json={}).raise_for_status().json()
    for sequence in found["sequences"]:
        assert sequence["a"] == sequence["b"]
        assert sequence["same_input"] is True
        assert sequence["change"] is sequence["weights"] is None
    refused = client.get("/attention/summary", params={"model": "dates"})
    assert refused.status_code == 422
    assert "dates, which reads text" in refused.json()["detail"]
    body = {"model": "dates", "sequences": doubtful_dates}
    narrow, wide = (client.post("/predict", json={**body, "beam": beam}).json() for beam in (1, 4))
    assert narrow["predictions"] != wide["predictions"]
    again = client.post(f"/attention/{wide['id']}/compare", json={}).raise_for_status().json()["sequences"]
    assert [one["b"]["prediction"] for one in again] == wide["predictions"]  # by the same search
    [first, _] = client.get(f"/attention/{id}").json()["sequences"]
    assert client.get("/attention", params={"sequence": first["hash"]}).json()["explanations"][0]["id"] == id
