"""Starting, stopping, and what a person sees when it does not start."""

import shutil
import signal
import socket
import subprocess
import sys

import httpx
import pytest

from tests.scraping import wait_until
from tests.service.graphs import write_model
from tests.serving import MODELS, ROOT, serving


def start(*options):
    """Runs `python -m service` to its end."""
    command = [sys.executable, "-m", "service", "--store", "none", *map(str, options)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_cleanly(number):
    with serving() as running:
        assert running.stop(number) == 0


def test_the_greeting_says_where_to_look_and_its_request_runs():
    with serving() as running:
        lines = [running.process.stdout.readline() for _ in range(5)]
        assert f"{running.url}/docs" in lines[0]
        assert f"{running.url}/attention" in lines[1]
        answer = subprocess.run(lines[4], shell=True, capture_output=True, check=True).stdout
        assert b'"predictions":[' in answer


def test_explanations_survive_a_restart_and_a_kill(tmp_path, example):
    store = f"sqlite:{tmp_path / 'explanations.sqlite3'}"
    body = {"model": "italy-power", "sequences": [example("italy-power")]}
    ids = []
    for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGINT):
        with serving(store=store) as running:
            ids.append(httpx.post(f"{running.url}/predict", json=body).json()["id"])
            assert [httpx.get(f"{running.url}/attention/{id}").status_code for id in ids] == [200] * len(ids)
            running.stop(number)


def test_without_a_store_predictions_go_on_and_attention_says_why_not(example):
    with serving(store="none") as running:
        body = {"model": "italy-power", "sequences": [example("italy-power")]}
        assert httpx.post(f"{running.url}/predict", json=body).json()["id"] is None
        problem = httpx.get(f"{running.url}/attention")
        assert problem.status_code == 404
        assert "started with the store set to none" in problem.json()["detail"]


def test_a_port_that_is_taken_is_one_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = start("--port", taken.getsockname()[1])
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert "Address already in use; --port picks another" in ended.stderr


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (
            ["--provider", "cuda"],
            1,
            "error: expected CUDA, because the provider is set to cuda; the installed onnxruntime",
        ),
        (["--models", "/nowhere"], 1, "error: expected a folder of models at /nowhere, found none"),
        (["--default-model", "nope"], 1, "error: expected a default model out of"),
        (
            ["--host", "nosuch.invalid"],
            1,
            "error: expected an IPv4 address of this machine for --host, received nosuch.invalid",
        ),
        (["--port", "abc"], 2, "error: --port: Input should be a valid integer"),
        (["--store", "sqlite:/proc/nowhere/x"], 1, "error: expected a SQLite file for explanations at /proc/nowhere/x"),
    ],
)
def test_what_stops_the_start_is_said_without_a_trace(options, status, message):
    ended = start(*options)
    assert ended.returncode == status
    assert ended.stderr.startswith(message)
    assert "Traceback" not in ended.stderr


def test_a_broken_model_is_reported_and_the_others_are_served(tmp_path, example):
    shutil.copytree(MODELS / "italy-power", tmp_path / "italy-power")
    (write_model(tmp_path, "broken") / "model.onnx").write_bytes(b"truncated")
    with serving(models=tmp_path) as running:
        [broken] = httpx.get(f"{running.url}/models").json()["broken"]
        assert broken["folder"] == "broken/1"
        assert "expected sha256" in broken["reason"]
        answer = httpx.post(f"{running.url}/predict", json={"sequences": [example("italy-power")]})
        assert answer.json()["model"] == "italy-power"


def test_a_server_without_a_model_is_alive_but_not_ready(tmp_path):
    (write_model(tmp_path) / "model.onnx").write_bytes(b"truncated")
    with serving(models=tmp_path) as running:
        assert httpx.get(f"{running.url}/livez").status_code == 200
        problem = httpx.get(f"{running.url}/readyz")
        assert problem.status_code == 503
        assert "expected a model to serve, found none (broken folders: mean/1)" in problem.json()["detail"]


def test_a_model_without_attention_is_served_kept_and_drawn(tmp_path):
    write_model(tmp_path)
    with serving(models=tmp_path, store=f"sqlite:{tmp_path / 'x.sqlite3'}") as running:
        answer = httpx.post(f"{running.url}/predict", json={"sequences": [[[1, 2], [3, 4], [5, 6]]]}).json()
        assert answer["attention"] is None
        [sequence] = httpx.get(f"{running.url}/attention/{answer['id']}").json()["sequences"]
        assert sequence["attention"] is None
        assert sequence["top"] == []
        assert sequence["concentration"] is None
        assert "this model has no attention" in httpx.get(f"{running.url}/attention/{answer['id']}.svg").text


def test_four_models_and_a_picture_stay_below_250_mb(tmp_path, example):
    with serving(store=f"sqlite:{tmp_path / 'x.sqlite3'}") as running:
        body = {"model": "planted-before", "sequences": [example("planted-before")] * 100}
        for _ in range(20):
            id = httpx.post(f"{running.url}/predict", json=body).json()["id"]
        assert httpx.get(f"{running.url}/attention/{id}.svg").status_code == 200
        status = (ROOT / f"/proc/{running.process.pid}/status").read_text()
        peak_kb = int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])
        assert peak_kb < 250_000


def test_a_client_that_hangs_up_leaves_no_trace(tmp_path):
    with (tmp_path / "log").open("w+") as log, serving(log=log) as running:
        host, port = running.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as client:
            client.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
        assert httpx.get(f"{running.url}/livez").status_code == 200
        running.stop()
        log.seek(0)
        assert log.read() == ""


def test_it_stops_although_a_client_never_finishes_its_request():
    with serving() as running:
        host, port = running.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as client:
            client.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
            assert httpx.get(f"{running.url}/livez").status_code == 200  # by now the other request has begun
            assert running.stop(signal.SIGTERM) == 0


def test_load_balancers_see_that_it_will_stop_before_it_does(tmp_path):
    write_model(tmp_path)
    body = {"sequences": [[[1, 2], [3, 4], [5, 6]]]}
    with serving("--stop-notice", 3, models=tmp_path) as running:
        assert httpx.get(f"{running.url}/readyz").status_code == 200
        running.process.send_signal(signal.SIGTERM)
        problem = wait_until(lambda: not (answer := httpx.get(f"{running.url}/readyz")).is_success and answer)
        assert problem.status_code == 503
        assert problem.headers["retry-after"] == "10"
        assert "about to stop" in problem.json()["detail"]
        assert httpx.get(f"{running.url}/livez").status_code == 200
        assert httpx.post(f"{running.url}/predict", json=body).status_code == 200
        assert running.process.wait(20) == 0


def test_health_may_be_asked_for_without_a_body(client):
    for path in ("/livez", "/readyz"):
        answer = client.head(path)
        assert (answer.status_code, answer.content) == (200, b"")
