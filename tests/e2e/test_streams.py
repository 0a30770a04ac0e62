"""POST /predict as NDJSON: every line answered, in order, while others come; memory that does not grow with them."""

import contextlib
import itertools
import json
import socket
import threading
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest

from tests.scraping import scrape, wait_until
from tests.service.graphs import failing_model, write_model
from tests.serving import serving

NDJSON = {"Content-Type": "application/x-ndjson"}
PLANTED = {"model": "planted-before"}
random = np.random.default_rng(0)
SEQUENCES = random.standard_normal((300, 20, 2)).round(3).tolist()
LINE = json.dumps(SEQUENCES[0]).encode() + b"\n"


def post(client, content, **params):
    """Lines in, lines out."""
    response = client.post("/predict", content=content, params=params or PLANTED, headers=NDJSON)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in response.text.splitlines()]


class Pipe:
    """A connection that writes a stream, in chunks, and reads the answer when it is told to."""

    def __init__(self, url, path="/predict?model=planted-before"):
        parts = urlsplit(url)
        self.socket = socket.create_connection((parts.hostname, parts.port), timeout=20)
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n"
        self.socket.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        self.file = self.socket.makefile("rb")

    def send(self, data):
        self.socket.sendall(b"%x\r\n%s\r\n" % (len(data), data))

    def end(self):
        self.socket.sendall(b"0\r\n\r\n")

    def head(self):
        status = int(self.file.readline().split()[1])
        while self.file.readline().strip():
            pass
        return status

    def lines(self):
        """The answers, as they come."""
        rest = b""
        while size := int(self.file.readline(), 16):
            *lines, rest = (rest + self.file.read(size)).split(b"\n")
            self.file.readline()
            yield from map(json.loads, lines)


@pytest.fixture
def pipe(server):
    pipe = Pipe(server)
    with pipe.socket:
        yield pipe


def resident(running):
    status = Path(f"/proc/{running.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def test_every_line_is_answered_in_order_as_predict_does(client):
    body = {"model": "planted-before", "sequences": SEQUENCES, "store": False}
    expected = client.post("/predict", json=body).json()
    lines = [
        json.dumps(sequence) if i % 3 else json.dumps({"sequence": sequence, "id": i})
        for i, sequence in enumerate(SEQUENCES)
    ]
    answers = post(client, "\r\n".join(lines))  # neither the form of line ends matters, nor a last one
    assert [answer["line"] for answer in answers] == list(range(1, 301))
    assert [answer.get("id") for answer in answers] == [None if i % 3 else i for i in range(300)]
    assert [answer["label"] for answer in answers] == expected["labels"]
    np.testing.assert_allclose([answer["prediction"] for answer in answers], expected["predictions"], atol=1e-6)
    np.testing.assert_allclose([answer["attention"] for answer in answers], expected["attention"], atol=1e-6)


def test_different_lengths_one_feature_and_texts(client, example):
    vowels = [random.standard_normal((steps, 12)).tolist() for steps in (7, 29, 1)]
    answers = post(client, "\n".join(map(json.dumps, vowels)), model="japanese-vowels")
    assert [len(answer["attention"]) for answer in answers] == [7, 29, 1]
    flat = post(client, json.dumps([step[0] for step in example("italy-power")]), model="italy-power")
    assert len(flat[0]["attention"]) == 24
    texts = ["3 mars 2021", example("dates")]
    expected = client.post("/predict", json={"model": "dates", "sequences": texts, "store": False}).json()
    answers = post(client, "\n".join(map(json.dumps, texts)), model="dates")
    assert [answer["prediction"] for answer in answers] == expected["predictions"]
    assert [answer["probability"] for answer in answers] == pytest.approx(expected["probabilities"], abs=1e-6)


def test_what_is_wrong_with_a_line_is_answered_on_that_line(client):
    good = json.dumps(SEQUENCES[0])
    lines = {
        good: None,
        "": None,  # an empty line is none, and is counted
        '{"sequence": [[1, 2]], "id": "a"}': (422, "/sequence: expected 20 time steps, received 1"),
        "[[1, 2": (400, "expected JSON"),
        f"{good},{good}": (400, "expected JSON"),
        f'{good}],"model":"dates","x":[1': (400, "expected JSON"),
        good.replace("[[", '[["x", ', 1): (422, '/0/0: expected a number, received "x"'),
        json.dumps([[0.0, float("nan")]] + [[0.0, 0.0]] * 19): (422, "/0/1: expected a finite number, received NaN"),
        json.dumps([[1e39, 0.0]] + [[0.0, 0.0]] * 19): (422, "/0/0: expected a number that fits float32"),
        '{"sequences": []}': (422, "/sequence: expected this field, received nothing"),
        "[" * 100_000: (400, "expected JSON"),
        '"text"': (422, 'received "text"'),
        f'{{"sequence": {good}, "id": 123456789012345678901}}': (
            422,
            "/id: expected a text or an integer of 64 bits, received an integer beyond 64 bits",
        ),
        f'{{"sequence": {good}, "id": 1.5}}': (422, "/id: expected a text or an integer of 64 bits, received 1.5"),
        f'{{"sequence": {good}, "id": true}}': (422, "/id: expected a text or an integer of 64 bits, received true"),
        "\xff": (400, "expected JSON"),
        good + " ": None,
    }
    answers = post(client, "\n".join(lines).encode("latin-1"))
    wanted = [(number, fault) for number, (line, fault) in enumerate(lines.items(), 1) if line]
    assert [answer["line"] for answer in answers] == [number for number, _ in wanted]
    for answer, (_, fault) in zip(answers, wanted, strict=True):
        if fault is None:
            assert "prediction" in answer
        else:
            status, detail = fault
            assert answer["status"] == status
            assert detail in answer["detail"]
            assert answer["request_id"]
    assert answers[1]["id"] == "a"


@pytest.mark.parametrize("id", [-(2**63), 2**64 - 1, "", "\U0001f600"])
def test_an_id_is_answered_as_it_came(client, id):
    [answer] = post(client, json.dumps({"sequence": SEQUENCES[0], "id": id}))
    assert answer["id"] == id
    assert "prediction" in answer


@pytest.mark.parametrize("id", [-(2**63) - 1, 2**64])
def test_an_id_that_no_answer_can_hold_fails_its_line_alone(client, id):
    lines = [json.dumps({"sequence": SEQUENCES[0], "id": one}) for one in (1, id, 3)]
    first, refused, last = post(client, "\n".join(lines))
    assert (first["id"], last["id"]) == (1, 3)
    assert "prediction" in first
    assert "prediction" in last
    assert (refused["line"], refused["status"]) == (2, 422)
    assert refused["detail"].startswith("/id: expected a text or an integer of 64 bits, received ")
    assert "id" not in refused


def test_a_line_on_which_the_model_fails_does_not_fail_its_neighbours(tmp_path):
    write_model(tmp_path, "failing", graph=failing_model())
    with serving(models=tmp_path) as running, httpx.Client(base_url=running.url) as client:
        answers = post(client, "\n".join(json.dumps([[value, 0.0]] * 3) for value in (1, 2, 1000, 3)), model="failing")
    assert [answer.get("status", 200) for answer in answers] == [200, 200, 500, 200]


def test_each_line_is_answered_before_the_next_is_sent(pipe):
    answers = pipe.lines()
    for number in range(1, 4):
        pipe.send(LINE[:50])
        pipe.send(LINE[50:])
        if number == 1:
            assert pipe.head() == 200
        assert next(answers)["line"] == number
    pipe.end()
    assert list(answers) == []


def test_nothing_is_read_while_nobody_reads_and_memory_stays_flat():
    """A client that only writes is stopped; when it reads, all is answered."""
    with serving() as running:
        pipe = Pipe(running.url)
        pipe.send(LINE)
        assert pipe.head() == 200
        before, chunk = resident(running), LINE * 200
        frame = b"%x\r\n%s\r\n" % (len(chunk), chunk)
        pipe.socket.settimeout(1)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 400:  # 30 MB
                rest = memoryview(frame)
                while rest:
                    rest = rest[pipe.socket.send(rest) :]
                sent += 1
        assert sent < 400, "expected the server to stop reading"
        pipe.socket.settimeout(20)
        count = itertools.count()

        def finish():
            pipe.socket.sendall(bytes(rest))
            for _ in range(20):
                pipe.socket.sendall(frame)
            pipe.end()

        writer = threading.Thread(target=finish)
        writer.start()
        for answer in pipe.lines():
            assert answer["line"] == next(count) + 1
            assert "prediction" in answer
        writer.join()
        assert next(count) == 1 + 200 * (sent + 1 + 20)
        assert resident(running) - before < 40
        pipe.socket.close()


def test_a_line_that_does_not_end_is_refused():
    with serving("--max-body", 100_000) as running, httpx.Client(base_url=running.url, timeout=30) as client:
        before = resident(running)

        def endless():
            for _ in range(300):
                yield b"[" * 100_000

        response = client.post("/predict", content=endless(), params=PLANTED, headers=NDJSON)
        assert response.status_code == 413
        assert response.json()["detail"] == "expected lines of at most 100000 bytes, received more in line 1"
        assert resident(running) - before < 20
        *_, last = post(client, LINE * 3 + b"1" * 200_000 + b"\n" + LINE)
        assert (last["status"], last["line"], last["detail"][-23:]) == (413, 4, "received more in line 4")


def test_the_work_of_a_client_that_has_gone_is_dropped():
    with serving() as running:
        pipe = Pipe(running.url, "/predict?model=dates&beam=16")  # takes seconds
        pipe.send(b'"3 mars 2021"\n' * 3000)
        pipe.end()
        assert pipe.head() == 200
        pipe.file.close()
        pipe.socket.close()
        wait_until(lambda: scrape(running.url)("http_requests_total", route="/predict") == 1)
        wait_until(lambda: scrape(running.url)("queue_length") == 0)
        assert 0 < scrape(running.url)("sequences_total", model="dates") < 3000


def test_a_stream_waits_where_a_request_is_refused():
    """So little may wait that most requests are too much; a stream takes longer."""
    with serving("--max-wait", 0.000001) as running, httpx.Client(base_url=running.url, timeout=60) as client:
        pipes = [Pipe(running.url) for _ in range(4)]
        for pipe in pipes:
            threading.Thread(target=lambda pipe=pipe: (pipe.send(LINE * 500), pipe.end())).start()
        for pipe in pipes:
            assert pipe.head() == 200
            assert sum("prediction" in answer for answer in pipe.lines()) == 500
            pipe.socket.close()
        assert client.get("/readyz").status_code == 200


@pytest.mark.parametrize(
    ("params", "headers", "status", "detail"),
    [
        ({"model": "nope"}, {}, 404, "expected a model out of"),
        ({**PLANTED, "store": "true"}, {}, 422, "the query parameter store: expected none in a stream, received True"),
        ({**PLANTED, "top_k": "2"}, {}, 422, "the query parameter top_k: expected none in a stream"),
        ({**PLANTED, "attention": "per_feature"}, {}, 422, "no attention vector per feature"),
        ({**PLANTED, "x": "1"}, {}, 422, "the query parameter x: expected no such field"),
        (PLANTED, {"Content-Encoding": "gzip"}, 415, "expected a stream that is not compressed"),
    ],
)
def test_what_a_stream_cannot_be_is_refused_before_it_begins(client, params, headers, status, detail):
    response = client.post("/predict", content=LINE, params=params, headers={**NDJSON, **headers})
    assert response.status_code == status
    assert detail in response.json()["detail"]


def test_a_stream_of_nothing_is_answered_with_nothing(client):
    assert post(client, b"") == []
    assert post(client, b"\n\n") == []
