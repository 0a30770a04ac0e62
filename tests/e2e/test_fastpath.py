"""POST /predict over sockets of our own: whatever way a request takes through the server, it is answered alike."""

import gzip
import json
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
import zstandard

from tests.scraping import scrape, wait_until
from tests.service.graphs import failing_model, write_model
from tests.serving import serving

HEAD = "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@pytest.fixture
def body(example):
    return json.dumps({"model": "italy-power", "sequences": [example("italy-power")], "store": False}).encode()


@pytest.fixture
def expected(client, body):
    return client.post("/predict", content=body, headers={"Content-Type": "application/json"}).json()


class Wire:
    """A connection that sends bytes as told and reads answers one by one."""

    def __init__(self, url):
        parts = urlsplit(url)
        self.socket = socket.create_connection((parts.hostname, parts.port), timeout=10)
        self.file = self.socket.makefile("rb")

    def send(self, *pieces):
        for piece in pieces:
            self.socket.sendall(piece.encode() if isinstance(piece, str) else piece)

    def answer(self):
        """Status, headers and body of the next answer."""
        status = int(self.file.readline().split()[1])
        headers = {}
        while line := self.file.readline().strip():
            name, _, value = line.decode().partition(": ")
            headers[name] = value
        return status, headers, json.loads(self.file.read(int(headers["content-length"])))

    def closed(self):
        return self.file.read(1) == b""


@pytest.fixture
def wire(server):
    wire = Wire(server)
    with wire.socket:
        yield wire


def test_one_request_after_the_other_on_one_connection(wire, body, expected):
    for _ in range(3):
        wire.send(f"{HEAD}Content-Length: {len(body)}\r\n\r\n", body)
        status, headers, answer = wire.answer()
        assert (status, answer, headers["content-type"]) == (200, expected, "application/json")
        assert headers["x-request-id"]


def test_a_request_in_small_pieces(wire, body, expected):
    whole = f"{HEAD}Content-Length: {len(body)}\r\n\r\n".encode() + body
    wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for start in range(0, len(whole), 7):
        wire.send(whole[start : start + 7])
    assert wire.answer()[2] == expected


def test_a_head_that_is_known_is_read_alike_however_it_comes(wire, body, expected):
    head = f"{HEAD}Content-Length: {len(body)}\r\n\r\n".encode()
    broken = b"x" * len(body)
    wire.send(head + body)
    assert wire.answer()[2] == expected
    wire.send(head + broken)
    assert wire.answer()[0] == 400
    for cut in (len(head) - 1, len(head), len(head) + 1, len(head) + len(body) - 1):
        whole = head + body
        wire.send(whole[:cut])
        time.sleep(0.01)  # so that it comes in two pieces, most likely
        wire.send(whole[cut:])
        assert wire.answer()[2] == expected
    wire.send(head + body + head + broken + head + body)
    assert [wire.answer()[0] for _ in range(3)] == [200, 400, 200]
    wire.send(head + body[:-1], body[-1:] + b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
    assert [wire.answer()[0] for _ in range(2)] == [200, 200]
    wire.send(b"nonsense\r\n\r\n")
    assert wire.file.readline().startswith(b"HTTP/1.1 400")


def test_ids_of_the_clients_own_are_never_those_of_another_request(wire, body):
    for id in ("one", "two", "one"):
        wire.send(f"{HEAD}X-Request-Id: {id}\r\nContent-Length: {len(body)}\r\n\r\n", body)
        assert wire.answer()[1]["x-request-id"] == id


def test_a_connection_that_is_not_used_any_more_is_closed(wire, body, expected):
    for _ in range(3):
        wire.send(f"{HEAD}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        assert wire.answer()[2] == expected
    asked = time.monotonic()
    assert wire.closed()
    assert time.monotonic() - asked > 4  # uvicorn's 5 s, from the last answer on


def test_a_server_that_is_not_asked_any_more_sleeps(body):
    with serving(store="none") as running:
        wire = Wire(running.url)
        with wire.socket:
            for _ in range(50):  # at once after each answer: it waits awake for the next
                wire.send(f"{HEAD}Content-Length: {len(body)}\r\n\r\n".encode() + body)
                assert wire.answer()[0] == 200
            before = cpu_seconds(running)
            time.sleep(1)
            assert cpu_seconds(running) - before < 0.3


def cpu_seconds(running):
    stat = Path(f"/proc/{running.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")


def test_pipelined_requests_are_answered_in_order(wire, body, expected):
    broken = b'{"sequences": []}'
    get = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
    request = f"{HEAD}Content-Length: {len(body)}\r\n\r\n".encode() + body
    wire.send(request + f"{HEAD}Content-Length: {len(broken)}\r\n\r\n".encode() + broken + request + get.encode())
    assert [wire.answer()[0] for _ in range(4)] == [200, 422, 200, 200]


def test_a_chunked_request(wire, body, expected):
    half = len(body) // 2
    wire.send(f"{HEAD}Transfer-Encoding: chunked\r\n\r\n")
    for piece in (body[:half], body[half:], b""):
        wire.send(f"{len(piece):x}\r\n", piece, "\r\n")
    assert wire.answer()[2] == expected


def test_a_client_that_asks_before_it_sends(wire, body, expected):
    wire.send(f"{HEAD}Expect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n")
    assert wire.file.readline() == b"HTTP/1.1 100 Continue\r\n"
    assert wire.file.readline() == b"\r\n"
    wire.send(body)
    assert wire.answer()[2] == expected


@pytest.mark.parametrize(
    "head", [HEAD + "Connection: close\r\n", HEAD.replace("1.1", "1.0")], ids=["close", "HTTP/1.0"]
)
def test_a_connection_that_is_to_be_closed_is_closed_after_the_answer(wire, body, expected, head):
    wire.send(f"{head}Content-Length: {len(body)}\r\n\r\n", body)
    assert wire.answer()[2] == expected
    assert wire.closed()


def test_an_empty_query_or_a_charset_changes_nothing(client, body, expected):
    for url, media_type in (("/predict?", "application/json"), ("/predict", "application/json; charset=utf-8")):
        assert client.post(url, content=body, headers={"Content-Type": media_type}).json() == expected


def test_a_query_is_refused_whatever_was_asked_before(client, body):
    for url, status in {"/predict": 200, "/predict?x=1": 422}.items():
        for _ in range(2):  # the second time the fast path may know the head
            answer = client.post(url, content=body, headers={"Content-Type": "application/json"})
            assert answer.status_code == status


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_compressed_bodies(client, body, expected, encoding):
    compressed = gzip.compress(body) if encoding == "gzip" else zstandard.compress(body)
    headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
    assert client.post("/predict", content=compressed, headers=headers).json() == expected
    damaged = client.post("/predict", content=compressed[:-9], headers=headers)
    assert damaged.status_code == 400
    assert client.post("/predict", content=b"?", headers=headers).status_code == 400


def test_a_body_that_expands_too_far_and_an_unknown_encoding_are_refused(client):
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    bomb = gzip.compress(b" " * 100_000_000)
    refused = client.post("/predict", content=bomb, headers=headers)
    assert refused.status_code == 413
    assert "expands to more" in refused.json()["detail"]
    refused = client.post("/predict", content=b"x", headers=headers | {"Content-Encoding": "br"})
    assert refused.status_code == 415
    assert refused.json()["detail"] == "expected Content-Encoding: gzip, deflate or zstd, received br"


def test_large_bodies_are_answered_too(client, example):
    sequences = [example("italy-power")] * 5000
    body = {"model": "italy-power", "sequences": sequences, "store": False}
    assert len(json.dumps(body)) > 1_000_000
    answer = client.post("/predict", json=body).json()
    assert np.ptp(answer["predictions"]) < 1e-6
    assert len(answer["attention"]) == 5000


def test_clients_that_hang_up_leave_their_neighbours_untouched(server, client, body, expected):
    for _ in range(20):
        gone = Wire(server)
        gone.send(f"{HEAD}Content-Length: {len(body)}\r\n\r\n", body)
        gone.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # close by reset
        gone.file.close()
        gone.socket.close()
    assert client.post("/predict", content=body, headers={"Content-Type": "application/json"}).json() == expected


def test_a_deadline_that_cannot_be_met_is_504(example):
    # Long sequences through a real model, many of them: seconds of work.
    with serving("--max-steps", "10000", "--max-body", "100000000") as running:
        sequences = [example("dates")] * 5000
        body = {"model": "dates", "sequences": sequences, "store": False, "deadline": 0.05}
        begun = time.monotonic()
        late = httpx.post(f"{running.url}/predict", json=body, timeout=30)
        assert late.status_code == 504
        assert "before the deadline" in late.json()["detail"]
        assert time.monotonic() - begun < 5


def test_more_work_than_may_wait_is_429_and_says_when_to_try_again(example):
    slow = {"model": "dates", "sequences": [example("dates")] * 10_000, "store": False}  # runs of 256: seconds in all
    quick = {"model": "italy-power", "sequences": [example("italy-power")], "store": False}
    with serving("--max-wait", "0.000001") as running, ThreadPoolExecutor() as pool:
        waiting = pool.submit(httpx.post, f"{running.url}/predict", json=slow, timeout=60)
        wait_until(lambda: scrape(running.url)("compute_seconds_count", model="dates") > 0)  # it was let in
        refused = httpx.post(f"{running.url}/predict", json=quick)
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) >= 1
        assert "of it are waiting" in refused.json()["detail"]
        assert waiting.result().status_code == 200
        assert httpx.post(f"{running.url}/predict", json=quick).status_code == 200


def test_background_requests_are_answered(client, body, expected):
    background = json.dumps(json.loads(body) | {"priority": "background"})
    assert client.post("/predict", content=background, headers={"Content-Type": "application/json"}).json() == expected


def test_a_model_that_fails_on_one_request_answers_its_neighbours(tmp_path):
    write_model(tmp_path, graph=failing_model())
    with serving(models=tmp_path) as running, httpx.Client(base_url=running.url) as client:
        good = {"sequences": [[[1, 1]] * 3]}
        bad = {"sequences": [[[99, 99]] * 3]}
        failed = client.post("/predict", json=bad)
        assert (failed.status_code, failed.json()["detail"]) == (
            500,
            "the model failed on these sequences; the server's log says how",
        )
        assert client.post("/predict", json=good).status_code == 200
