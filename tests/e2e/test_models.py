"""Models that change while they are served: published, rolled back, refused, unloaded."""

import math
import os
import shutil
import threading
import time
from contextlib import ExitStack

import httpx
import pytest

from tests.scraping import wait_until
from tests.service.graphs import mean_model, write_model
from tests.serving import serving

SEQUENCE = [[1, 2], [3, 4], [5, 6]]
MEAN = 3.5
BODY = {"model": "mean", "sequences": [SEQUENCE]}


class Models:
    """A folder of models and a server that watches it. Version n answers n × the mean."""

    def __init__(self, folder, running, client):
        self.folder, self.running, self.client = folder, running, client

    def publish(self, version, name="mean", **options):
        return publish(self.folder, version, name, **options)

    def ask(self, **body):
        """The version that answered; its answer must be its own."""
        answer = self.client.post("/predict", json=BODY | body)
        assert answer.status_code == 200, answer.text
        found = answer.json()
        assert found["predictions"] == [found["version"] * MEAN]
        return found["version"]

    def listed(self):
        return self.client.get("/models").json()

    def states(self):
        return {(m["manifest"]["name"], m["manifest"]["version"]): m["state"] for m in self.listed()["models"]}

    def pin(self, version):
        return self.client.put("/models/mean/pin", json={"version": version})

    def unpin(self):
        return self.client.delete("/models/mean/pin")


def publish(folder, version, name="mean", broken=False):
    """Writes a version beside the others and renames it into place, as training does."""
    written = write_model(folder / ".writing", name, version, mean_model(scale=float(version)))
    if broken:
        (written / "model.onnx").write_bytes(b"truncated")
    (folder / name).mkdir(exist_ok=True)
    os.rename(written, folder / name / str(version))
    return folder / name / str(version)


@pytest.fixture
def start(tmp_path):
    """start(*options) serves a model of version 1, and whatever the test has published before."""
    folder, pins = tmp_path / "models", tmp_path / "pins.json"
    folder.mkdir()
    publish(folder, 1)
    with ExitStack() as open_until_the_end:

        def start(*options, watch=0.05):
            options = ("--watch", watch, "--pins", pins, *options)
            running = open_until_the_end.enter_context(serving(*options, models=folder))
            client = open_until_the_end.enter_context(httpx.Client(base_url=running.url, timeout=30))
            return Models(folder, running, client)

        yield start


class Load(threading.Thread):
    """Requests that name no version, one after the other, until it is told to end."""

    def __init__(self, url):
        super().__init__()
        self.url, self.ended = url, threading.Event()
        self.answers = []  # (asked, answered, status, version, predictions)

    def run(self):
        with httpx.Client(base_url=self.url, timeout=30) as client:
            while not self.ended.is_set():
                asked = time.monotonic()
                answer = client.post("/predict", json=BODY)
                found = answer.json()
                version, predictions = found.get("version"), found.get("predictions")
                self.answers.append((asked, time.monotonic(), answer.status_code, version, predictions))

    def __enter__(self):
        self.start()
        wait_until(lambda: self.answers)  # what happens next happens under load
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.join()


class Changes:
    """Which version was current when: from before it was asked for, until after the next one was seen."""

    def __init__(self, first):
        self.spans = [[first, -math.inf, math.inf]]

    def change(self, version, do, is_done):
        asked = time.monotonic()
        do()
        wait_until(is_done)
        self.spans[-1][2] = time.monotonic()
        self.spans.append([version, asked, math.inf])

    def allow(self, asked, answered, version):
        return any(v == version and asked <= until and answered >= since for v, since, until in self.spans)


def test_fifty_versions_are_published_and_rolled_back_under_load(start):
    models = start()
    changes = Changes(1)
    with Load(models.running.url) as one, Load(models.running.url) as other:
        for version in range(2, 52):
            changes.change(version, lambda: models.publish(version), lambda: models.ask() == version)  # noqa: B023
            changes.change(version - 1, lambda: models.pin(version - 1), lambda: True)  # noqa: B023
            changes.change(version, models.unpin, lambda: True)
    answers = one.answers + other.answers
    assert {status for _, _, status, _, _ in answers} == {200}
    assert all(predictions == [version * MEAN] for *_, version, predictions in answers)
    assert all(changes.allow(asked, answered, version) for asked, answered, _, version, _ in answers)
    assert len({version for *_, version, _ in answers}) > 25  # the load was there all along


def test_a_broken_version_is_refused_and_taken_when_it_is_repaired(start):
    models = start()
    with Load(models.running.url) as load:
        folder = models.publish(2, broken=True)
        [broken] = wait_until(lambda: models.listed()["broken"])
        assert broken["folder"] == "mean/2"
        assert "expected sha256" in broken["reason"]
        assert models.ask() == 1
        (folder / "model.onnx").write_bytes(mean_model(scale=2.0))
        wait_until(lambda: models.ask() == 2)
        assert models.listed()["broken"] == []
    assert {status for _, _, status, _, _ in load.answers} == {200}


def test_a_version_that_is_removed_leaves_its_place_and_its_numbers(start):
    models = start()
    folder = models.publish(2)
    wait_until(lambda: models.ask() == 2)
    with Load(models.running.url) as load:
        shutil.rmtree(folder)
        wait_until(lambda: models.ask() == 1)
    assert {status for _, _, status, _, _ in load.answers} == {200}
    assert models.client.post("/predict", json=BODY | {"version": 2}).status_code == 404
    assert 'version="2"' not in models.client.get("/metrics").text


def test_a_server_that_starts_without_a_model_serves_the_first_that_comes(start):
    models = start()
    shutil.rmtree(models.folder / "mean")
    wait_until(lambda: models.client.get("/readyz").status_code == 503)
    models.publish(1)
    wait_until(lambda: models.client.get("/readyz").status_code == 200)
    assert models.ask() == 1


def test_a_pin_holds_against_what_is_published_and_through_a_restart(start):
    models = start()
    models.publish(2)
    wait_until(lambda: models.ask() == 2)
    assert models.pin(1).json() == {"model": "mean", "version": 1, "pinned": True}
    assert models.ask() == 1
    assert models.ask(version=2) == 2
    models.publish(3)
    wait_until(lambda: ("mean", 3) in models.states())
    assert models.ask() == 1
    assert {m["manifest"]["version"]: m["default"] for m in models.listed()["models"]} == {3: False, 2: False, 1: True}
    models.running.stop()
    models = start()
    assert models.ask() == 1
    assert models.unpin().json() == {"model": "mean", "version": 3, "pinned": False}
    assert models.ask() == 3


def test_a_pin_whose_version_is_gone_is_said(start):
    models = start()
    models.publish(2)
    wait_until(lambda: models.ask() == 2)
    models.pin(1)
    shutil.rmtree(models.folder / "mean" / "1")
    wait_until(lambda: models.ask() == 2)
    [pin] = models.listed()["pins"]
    assert (pin["model"], pin["version"]) == ("mean", 1)
    assert "version 2, the newest, answers instead" in pin["fault"]
    assert models.client.get("/readyz").json() == {"status": "ok", "note": f"the pin of mean: {pin['fault']}"}


def test_what_cannot_be_pinned_is_said(start):
    models = start()
    assert models.pin(7).json()["detail"] == "expected a version of mean out of [1], received 7"
    assert models.pin(7).status_code == 404
    assert models.pin("1").status_code == 422
    assert models.client.put("/models/other/pin", json={"version": 1}).status_code == 404
    assert models.client.delete("/models/other/pin").status_code == 404


def test_pins_that_cannot_be_kept_are_said_and_change_nothing(start, tmp_path):
    models = start()
    models.publish(2)
    wait_until(lambda: models.ask() == 2)
    (tmp_path / "pins.json").mkdir()
    answer = models.pin(1)
    assert answer.status_code == 503
    assert "pins" in answer.json()["detail"]
    assert models.ask() == 2


def test_all_workers_take_up_what_is_published_and_pinned(start):
    models = start("--workers", 2)
    models.publish(2)

    def everywhere(version):
        """A connection each: the system spreads them over the workers."""
        found = {httpx.post(f"{models.running.url}/predict", json=BODY).json()["version"] for _ in range(20)}
        return found == {version}

    wait_until(lambda: everywhere(2))
    models.pin(1)
    wait_until(lambda: everywhere(1))


def test_a_lazy_model_is_loaded_by_the_first_request(start):
    models = start("--load", "lazy")
    assert models.states() == {("mean", 1): "not loaded"}
    [model] = models.listed()["models"]
    assert model["provider"] is model["runtime"] is None
    assert models.ask() == 1
    assert models.states() == {("mean", 1): "loaded"}


@pytest.mark.parametrize("large", [False, True])
def test_requests_that_wait_for_a_model_are_all_answered(start, large):
    """Those of one sequence take the fast path beneath ASGI; large ones are read on a thread."""
    models = start("--load", "lazy")
    body = {**BODY, "sequences": [SEQUENCE] * (5000 if large else 1)}
    statuses = []
    threads = [
        threading.Thread(target=lambda: statuses.append(httpx.post(f"{models.running.url}/predict", json=body)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in statuses] == [200] * 4


def test_a_lazy_model_that_is_broken_is_an_error_not_a_hang(start, tmp_path):
    publish(tmp_path / "models", 2, "other", broken=True)
    models = start("--load", "lazy")
    answer = models.client.post("/predict", json=BODY | {"model": "other"})
    assert answer.status_code == 404
    expected = (
        "expected a model out of ['mean'], received 'other'; other/2 is there, but cannot be served: model.onnx: "
    )
    assert answer.json()["detail"].startswith(expected)
    assert models.listed()["broken"][0]["folder"] == "other/2"


def test_a_bound_on_memory_unloads_what_was_asked_for_least_recently(start, tmp_path):
    for name in "abcdefgh":
        publish(tmp_path / "models", 1, name)
    models = start("--load", "lazy", "--max-model-memory", 1)  # MB: four of these
    for name in "abcdefgh":
        models.ask(model=name)
    loaded = [name for (name, _), state in models.states().items() if state == "loaded"]
    assert loaded == ["e", "f", "g", "h"]
    listed = models.listed()
    assert listed["memory_mb"] <= listed["max_memory_mb"] == 1
    assert models.ask(model="a") == 1


def test_a_model_is_unloaded_and_loaded_by_hand_and_comes_back_by_itself(start):
    models = start()
    url = "/models/mean/versions/1"
    expected = {"model": "mean", "version": 1, "state": "not loaded", "memory_mb": 0}
    assert models.client.post(f"{url}/unload").json() == expected
    assert models.client.post(f"{url}/load").json()["state"] == "loaded"
    models.client.post(f"{url}/unload")
    assert models.ask() == 1
    assert models.client.post("/models/mean/versions/2/load").status_code == 404


def test_a_server_that_does_not_watch_stays_as_it_is(start):
    models, watching = start(watch=0), start()
    models.publish(2)
    wait_until(lambda: watching.ask() == 2)  # by now the other would have it, too
    assert models.ask() == 1
