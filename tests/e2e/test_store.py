"""Stores behind a real server: shared, lost, killed, without inputs."""

import itertools
import signal
import threading

import httpx
import pytest

from tests.scraping import scrape, wait_until
from tests.service.graphs import write_model
from tests.serving import serving
from tests.valkeys import valkey_server

ROUNDS = 2  # of kill -9; more find nothing that a few do not, but 10 can be asked for here
ANSWERS = 200  # before each kill
BODY = {"sequences": [[[1, 2], [3, 4], [5, 6]]]}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    write_model(root, attention="shared")
    return root


@pytest.fixture
def valkey():
    with valkey_server() as server:
        yield server


def predict(url, **fields):
    return httpx.post(f"{url}/predict", json={**BODY, **fields}).raise_for_status().json()


@pytest.fixture(params=["sqlite", "valkey"])
def store(request, tmp_path):
    """The URL of a store that outlives the server."""
    return f"sqlite:{tmp_path / 'x.sqlite3'}" if request.param == "sqlite" else request.getfixturevalue("valkey").url


class Load:
    """Predictions, one after the other over each of several connections, until the server is gone."""

    def __init__(self, url, connections=8):
        self.ids = []
        self._url = url
        self._threads = [threading.Thread(target=self._ask) for _ in range(connections)]
        for thread in self._threads:
            thread.start()

    def _ask(self):
        with httpx.Client() as client:
            try:
                while True:
                    self.ids.append(client.post(f"{self._url}/predict", json=BODY).json()["id"])
            except httpx.TransportError:
                pass

    def end(self):
        for thread in self._threads:
            thread.join(20)
        return self.ids


def test_what_was_answered_is_kept_whatever_happens_to_the_server(models, store):
    ids = []
    for _ in range(ROUNDS):
        with serving(models=models, store=store) as running:
            load = Load(running.url)
            wait_until(lambda load=load: len(load.ids) >= ANSWERS)
            running.stop(signal.SIGKILL)
            ids += load.end()
    assert len(ids) >= ROUNDS * ANSWERS
    assert None not in ids
    with serving(models=models, store=store) as running, httpx.Client(base_url=running.url) as client:
        assert [id for id in ids if client.get(f"/attention/{id}").status_code != 200] == []
        assert set(ids) <= set(listed(client))


def listed(client):
    """All ids, page by page."""
    cursor = None
    for _ in itertools.count():
        page = client.get("/attention", params={"limit": 150, **({"cursor": cursor} if cursor else {})}).json()
        yield from (entry["id"] for entry in page["explanations"])
        if (cursor := page["next"]) is None:
            return


def test_an_explanation_of_one_replica_is_readable_from_another(models, valkey):
    with serving(models=models, store=valkey.url) as one, serving(models=models, store=valkey.url) as other:
        for here, there in ((one, other), (other, one)):
            id = predict(here.url)["id"]
            assert httpx.get(f"{there.url}/attention/{id}").json() == httpx.get(f"{here.url}/attention/{id}").json()
            assert httpx.get(f"{there.url}/attention", params={"limit": 1}).json()["explanations"][0]["id"] == id
        assert httpx.delete(f"{one.url}/attention/{id}").status_code == 204
        assert httpx.get(f"{other.url}/attention/{id}").status_code == 404


FAILED = "the store of explanations failed; the server's log says how"  # and not its host or port


def ready(running):
    answer = httpx.get(f"{running.url}/readyz")
    assert answer.status_code == 200  # predictions go on
    return answer.json()


def test_a_store_that_goes_and_comes_back(models, valkey, tmp_path):
    with (tmp_path / "log").open("w+") as log, serving(models=models, store=valkey.url, log=log) as running:
        assert predict(running.url)["id"]
        assert ready(running) == {"status": "ok"}
        assert scrape(running.url)("store_up") == 1
        valkey.stop()
        for _ in range(3):
            answer = predict(running.url)
            assert answer["id"] is None
            assert answer["store_error"] == FAILED
            assert answer["predictions"]
        assert ready(running)["note"] == f"explanations are not kept: {FAILED}"
        problem = httpx.get(f"{running.url}/attention")
        assert problem.status_code == 503
        assert problem.json()["detail"] == FAILED
        assert int(problem.headers["retry-after"]) == 1
        found = scrape(running.url)
        assert found("store_up") == 0
        assert found("explanations_total", outcome="kept") == 1
        assert found("explanations_total", outcome="not kept") == 3
        valkey.start()
        wait_until(lambda: ready(running) == {"status": "ok"})
        id = predict(running.url)["id"]
        assert httpx.get(f"{running.url}/attention/{id}").status_code == 200
        assert scrape(running.url)("store_up") == 1
        running.stop()
        log.seek(0)
        lines = [line.partition("] ")[2] for line in log.read().splitlines()]
    [said] = [line for line in lines if line.startswith("explanations are not kept, predictions go on: ")]
    assert str(valkey.port) in said
    assert sum(line.startswith("explanation not kept: ") for line in lines) <= 1  # not one for each prediction
    assert lines[-1] == "the Valkey store answers again: explanations are kept"


def test_a_file_that_is_lost_is_said_and_another_is_begun(models, tmp_path):
    path = tmp_path / "x.sqlite3"
    with (tmp_path / "log").open("w+") as log, serving(models=models, store=f"sqlite:{path}", log=log) as running:
        before = predict(running.url)["id"]
        assert httpx.get(f"{running.url}/attention/{before}").status_code == 200
        path.unlink()
        path.write_text("not a database " * 100)
        predict(running.url)  # nobody knows yet
        wait_until(lambda: "explanations are not kept" in ready(running).get("note", ""))
        answer = predict(running.url)
        assert answer["id"] is None
        assert answer["store_error"] == "the store of explanations failed; the server's log says how"
        assert scrape(running.url)("store_up") == 0
        assert httpx.get(f"{running.url}/attention/{before}").status_code == 503  # nobody can say that it is not there
        path.unlink()
        wait_until(lambda: ready(running) == {"status": "ok"})
        id = predict(running.url)["id"]
        assert httpx.get(f"{running.url}/attention/{id}").status_code == 200
        assert httpx.get(f"{running.url}/attention/{before}").status_code == 404
        assert scrape(running.url)("store_up") == 1
        assert running.stop() == 0
        log.seek(0)
        lines = [line.partition("] ")[2] or line for line in log.read().splitlines()]
    down, up = [line for line in lines if "explanations are" in line]
    assert "explanations are not kept, predictions go on: " in down
    assert "was removed, replaced or damaged" in down
    assert up.endswith("the SQLite store works again: explanations are kept")


def test_a_server_starts_without_its_valkey(models, valkey):
    valkey.stop()
    with serving(models=models, store=valkey.url) as running:
        assert predict(running.url)["store_error"]
        assert FAILED in ready(running)["note"]
        valkey.start()
        wait_until(lambda: predict(running.url)["id"])


def test_without_inputs_what_needs_them_says_so(tmp_path, example):
    with serving("--no-store-inputs", store=f"sqlite:{tmp_path / 'x.sqlite3'}") as running:
        body = {"model": "planted-before", "sequences": [example("planted-before")], "top_k": 1}
        answer = predict(running.url, **body)
        assert answer["top"][0][0]["values"].keys() == {"x0", "x1"}  # who asks knows them
        address = f"{running.url}/attention/{answer['id']}"
        kept = httpx.get(address).raise_for_status().json()
        picture = httpx.get(f"{address}.svg")
        text = predict(running.url, model="dates", sequences=["3 May 1999"])
        of_text = httpx.get(f"{running.url}/attention/{text['id']}").raise_for_status().json()
    [sequence] = kept["sequences"]
    assert sequence["sequence"] is None
    assert sequence["attention"] == answer["attention"][0]
    assert sequence["prediction"] == answer["predictions"][0]
    assert sequence["top"][0] == {**answer["top"][0][0], "values": None}
    assert kept["attention_axes"] == ["time"]
    said = "the server was told to leave them out (--no-store-inputs)"
    assert said in kept["note"]
    assert picture.status_code == 404
    assert said in picture.json()["detail"]
    [sequence] = of_text["sequences"]
    assert sequence["sequence"] is sequence["unknown"] is sequence["top"][0][0]["values"] is None
    assert sequence["attention"] == text["attention"][0]
    assert of_text["attention_axes"] == ["out_time", "in_time"]


def test_a_list_by_a_hash_says_that_some_explanations_have_none(tmp_path, example):
    store, body = f"sqlite:{tmp_path / 'x.sqlite3'}", {"model": "tecator", "sequences": [example("tecator")]}
    with serving(store=store) as running:
        first = predict(running.url, **body)["id"]
        [sequence] = httpx.get(f"{running.url}/attention/{first}").json()["sequences"]
        whole = httpx.get(f"{running.url}/attention", params={"sequence": sequence["hash"]}).json()
        assert whole.keys() == {"explanations", "next"}
    with serving("--no-store-inputs", store=store) as running:
        predict(running.url, **body)
        found = httpx.get(f"{running.url}/attention", params={"sequence": sequence["hash"]}).json()
        assert [entry["id"] for entry in found["explanations"]] == [first]  # kept before inputs were left out
        assert found["note"].startswith("of some explanations the inputs are not kept, nor a hash")
        assert "(--no-store-inputs)" in found["note"]
        assert httpx.get(f"{running.url}/attention").json().keys() == {"explanations", "next"}
        gone = httpx.delete(f"{running.url}/attention", params={"sequence": sequence["hash"]}).json()
        assert gone == {"deleted": 1, "note": found["note"]}
        assert httpx.delete(f"{running.url}/attention", params={"version": 1}).json() == {"deleted": 1}


def test_what_was_tested_is_kept_with_the_explanation(models, store, tmp_path):
    with serving(models=models, store=store) as running:
        path = f"/attention/{predict(running.url)['id']}"
        first = httpx.get(f"{running.url}{path}/faithfulness").raise_for_status()
    write_model(tmp_path, "other", attention="shared")
    with serving(models=tmp_path, store=store) as running:  # which could not test it, without the model
        again = httpx.get(f"{running.url}{path}/faithfulness")
        assert again.content == first.content
        known = {"If-None-Match": first.headers["etag"]}
        assert httpx.get(f"{running.url}{path}/faithfulness", headers=known).status_code == 304
        assert httpx.get(f"{running.url}{path}/faithfulness", params={"baseline": "zero"}).status_code == 404
        assert httpx.delete(f"{running.url}{path}").status_code == 204
        assert httpx.get(f"{running.url}{path}/faithfulness").status_code == 404


def test_a_deleted_text_is_in_no_file_once_the_server_has_stopped(tmp_path):
    text = "Tuesday 5 March 1871"

    def found():
        return [path.name for path in tmp_path.iterdir() if text.encode() in path.read_bytes()]

    with serving(store=f"sqlite:{tmp_path / 'x.sqlite3'}") as running, httpx.Client(base_url=running.url) as client:
        kept = client.post("/predict", json={"model": "dates", "sequences": [text]}).raise_for_status().json()
        for _ in range(20):  # enough that SQLite has pages to leave as they are
            client.post("/predict", json={"model": "dates", "sequences": ["1 May 1999"]}).raise_for_status()
        client.get("/attention").raise_for_status()  # which brings it into the database
        assert found()
        client.delete(f"/attention/{kept['id']}").raise_for_status()
        running.stop()
    assert found() == []


def test_a_cursor_that_is_none_is_refused(client):
    problem = client.get("/attention", params={"cursor": "nope"})
    assert problem.status_code == 422
    assert problem.json()["errors"][0]["pointer"] == "the query parameter cursor"
    assert "UUID" in problem.json()["detail"]
    assert client.get("/attention", params={"cursor": "00000000-0000-7000-8000-000000000000"}).status_code == 200
