"""--workers: several processes on one port."""

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest

from tests.scraping import scrape, wait_until
from tests.service.graphs import write_model
from tests.serving import ROOT, serving

BODY = {"sequences": [[[1, 2], [3, 4], [5, 6]]]}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    write_model(root)
    return root


@pytest.fixture(scope="module")
def shared(models, tmp_path_factory):
    """A server for tests after which it serves as before."""
    with serving(
        "--workers", 2, models=models, store=f"sqlite:{tmp_path_factory.mktemp('x') / 'x.sqlite3'}"
    ) as running:
        yield running
        running.stop()


@pytest.fixture
def running(models):
    """A server for tests that end it."""
    with serving("--workers", 2, models=models) as running:
        yield running


def pids(running):
    """The processes of the workers."""
    parent = running.process.pid
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return {int(pid) for pid in children if b"spawn_main" in command(pid)}


def command(pid):
    """The command of a process; nothing of one that has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def are_gone(pids):
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


def address(running):
    host, port = running.url.removeprefix("http://").split(":")
    return host, int(port)


def predict(url):
    return httpx.post(f"{url}/predict", json=BODY)


def answers_of_both(url):
    """Predictions, each over a new connection, until both workers have answered; how many."""
    workers = set()
    for count in range(1, 100):
        workers.add(predict(url).raise_for_status().headers["x-request-id"][:16])  # all ids of a process begin alike
        if len(workers) == 2:
            return count
    raise AssertionError(f"expected answers of two workers, received them of {workers}")


def start(*options):
    command = [sys.executable, "-m", "service", "--workers", "2", "--store", "none", *map(str, options)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def counted(running):
    return scrape(running.url)("requests_total", model="mean", outcome="ok")


def workers_counted(running):
    return sorted(sample.labels["worker"] for sample in scrape(running.url).of("process_open_fds"))


def test_both_answer_and_either_tells_the_numbers_of_both(shared):
    before, http_before = counted(shared), scrape(shared.url)("http_requests_total", route="/predict")
    count = answers_of_both(shared.url)
    for _ in range(4):  # over four connections: most likely both are asked
        wait_until(lambda: counted(shared) == before + count)
    assert scrape(shared.url)("http_requests_total", route="/predict") == http_before + count
    assert workers_counted(shared) == ["1", "2"]


def test_one_that_is_killed_under_load_is_replaced_and_no_request_hangs(running):
    ended, stop = [], threading.Event()

    def ask():
        while not stop.is_set():
            try:
                with httpx.Client(base_url=running.url, timeout=10) as client:
                    while not stop.is_set():
                        ended.append(client.post("/predict", json=BODY).status_code)
            except httpx.TimeoutException:
                ended.append("hung")
            except httpx.TransportError:
                ended.append("broken")

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    try:
        victim = min(pids(running))
        wait_until(lambda: len(ended) > 100)
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: len(pids(running) - {victim}) == 2)
        wait_until(lambda: workers_counted(running) == ["1", "2"])
    finally:
        stop.set()
    for thread in threads:
        thread.join(20)
    assert "broken" in ended  # the victim's connections
    assert set(ended) == {200, "broken"}
    assert ended.count("broken") <= len(threads) * 2
    answers_of_both(running.url)
    running.stop()


def test_the_numbers_of_one_that_was_killed_stay(shared):
    before = counted(shared)
    count = before + answers_of_both(shared.url)
    for victim in (first := pids(shared)):  # both: what one knows of the other is not enough
        wait_until(lambda: counted(shared) == count)
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda victim=victim: len(pids(shared) - {victim}) == 2)
        wait_until(lambda: workers_counted(shared) == ["1", "2"])
    assert not first & pids(shared)
    assert counted(shared) == count
    assert predict(shared.url).status_code == 200
    wait_until(lambda: counted(shared) == count + 1)


def test_a_stop_answers_what_has_begun_and_ends_all(running):
    workers = pids(running)
    with socket.create_connection(address(running)) as client:
        body = httpx.Request("POST", running.url, json=BODY).content
        head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n"
        client.sendall(head % len(body))
        assert client.recv(100).startswith(b"HTTP/1.1 100 ")  # it has begun
        running.process.send_signal(signal.SIGTERM)
        wait_until(lambda: refuses(running))
        client.sendall(body)
        assert client.recv(1000).startswith(b"HTTP/1.1 200 ")
    assert running.process.wait(20) == 0
    assert are_gone(workers)


def refuses(running):
    try:
        socket.create_connection(address(running)).close()
    except ConnectionRefusedError:
        return True
    return False


def test_without_its_parent_a_worker_ends(running):
    workers = pids(running)
    assert len(workers) == 2
    running.process.kill()
    wait_until(lambda: are_gone(workers))
    assert refuses(running)


def test_ctrl_c_reaches_all_and_is_quiet(models, tmp_path):
    with (tmp_path / "log").open("w+") as log, serving("--workers", 2, models=models, log=log) as running:
        workers = pids(running)
        assert all(is_blocked(signal.SIGINT, pid) for pid in workers)  # or a late one would break the stop off
        for pid in [running.process.pid, *workers]:  # as a terminal does
            os.kill(pid, signal.SIGINT)
        assert running.process.wait(20) == 0
        log.seek(0)
        assert log.read() == ""


def is_blocked(number, pid):
    """Whether the process never sees that signal."""
    status = Path(f"/proc/{pid}/status").read_text()
    mask = int(status.partition("SigBlk:")[2].split()[0], 16)
    return bool(mask >> (number - 1) & 1)


def test_a_port_that_is_taken_is_refused_even_by_those_who_would_share_it(shared, models):
    ended = start("--models", models, "--port", address(shared)[1])
    assert ended.returncode == 1
    assert ended.stderr.splitlines() == [
        f"error: expected to listen on {shared.url.removeprefix('http://')}, "
        "received: Address already in use; --port picks another"
    ]


def test_what_stops_the_start_of_every_worker_is_said_once():
    ended = start("--models", "/nowhere", "--port", 0)
    assert ended.returncode == 1
    assert ended.stderr == "error: expected a folder of models at /nowhere, found none\n"
    assert ended.stdout == ""


def test_one_that_keeps_ending_is_started_again_after_a_pause(models, tmp_path):
    with (tmp_path / "log").open("w+") as log, serving("--workers", 2, models=models, log=log) as running:
        for _ in range(2):
            victim = max(pids(running))
            os.kill(victim, signal.SIGKILL)
            wait_until(lambda victim=victim: len(pids(running) - {victim}) == 2)
        running.stop()
        log.seek(0)
        assert [line.partition("ended, ")[2] for line in log.read().splitlines()] == [
            "the next starts at once: killed by signal 9",
            "the next starts in 1.0 s: killed by signal 9",
        ]
