"""The serving benchmarks run, and refuse to count what is wrong. How fast anything is, is not tested."""

import itertools
import subprocess
import sys
import xml.etree.ElementTree as ET

import numpy as np
import orjson
import pytest

from benchmarks.serving.bare import feed, open_session
from benchmarks.serving.load import OK
from benchmarks.serving.loops import FULL, closed_loop, open_loop
from benchmarks.serving.measured import BenchmarkError
from benchmarks.serving.questions import normal, requests
from benchmarks.serving.servers import graph
from tests.serving import ROOT

MODEL = "planted-before"


def rows(text):
    """The cells of every row of the Markdown tables."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]


def test_two_cases_give_a_complete_table_and_a_picture(tmp_path):
    command = [sys.executable, "-m", "benchmarks.serving", "--cases", "single-sqlite,batch64", "--repeats", "1"]
    subprocess.run([*command, "--seconds", "0.2", "--out", tmp_path], cwd=ROOT, check=True)
    found = rows((tmp_path / "serving.md").read_text())
    cases = ["1 sequence, 32 clients, every explanation kept in SQLite", "64 sequences, 8 clients"]
    figures = {(row[0], row[1]): row[2:] for row in found if len(row) == 8}
    for case, way in itertools.product(cases, ["bare", "plain", "ours"]):
        assert all(float(cell.replace(",", "")) > 0 for cell in figures[case, way])
    held = [row for row in found if len(row) == 6 and row[3].startswith(("at least", "at most"))]
    assert [row[0] for row in held] == [cases[0], cases[0], cases[1]]
    assert all(row[4] in {"yes", "**no**"} for row in held)
    assert ET.parse(tmp_path / "serving.svg").getroot().tag.endswith("svg")


@pytest.mark.parametrize("store", ["sqlite", "valkey"])
def test_what_is_kept_is_read_in_every_way(store):
    command = [sys.executable, "-m", "benchmarks.serving", "--cases", f"stored-{store}", "--repeats", "1"]
    done = subprocess.run([*command, "--seconds", "0.02"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    found = [row for row in rows(done.stdout) if row[0].startswith(f"1,333 explanations in {store}")]
    assert len(found) == 12
    assert sum(row[3] == "at most 50 ms" for row in found) == 10


def test_an_error_answer_fails_the_load(server):
    asked = requests(f"{server}/predict", MODEL, normal(1, 1, 20, 2), name="no-such-model")
    with pytest.raises(BenchmarkError, match="expected status 200, received 404"):
        closed_loop(f"{server}/predict", asked, 1, 1)


def test_a_wrong_answer_fails_the_load(server):
    asked = requests(f"{server}/predict", "planted-after", normal(1, 1, 20, 2), name=MODEL)
    with pytest.raises(BenchmarkError, match="expected predictions"):
        closed_loop(f"{server}/predict", asked, 1, 1)


def test_a_server_that_is_gone_fails_the_load():
    with pytest.raises(BenchmarkError, match=r"expected a connection to 127\.0\.0\.1:9"):
        closed_loop("http://127.0.0.1:9/predict", [], 1, 1)


def test_requests_that_end_are_asked_once_each(server):
    asked = requests(f"{server}/predict", MODEL, normal(20, 3, 20, 2), name=MODEL)
    answers = closed_loop(f"{server}/predict", asked, 4, float("inf"), keep=True)
    assert sorted(map(id, asked)) == sorted(id(each.request) for each in answers.kept)
    assert answers.answered == 20 * 3


def test_an_open_loop_asks_at_its_rate_and_misses_no_answer(server):
    asked = requests(f"{server}/predict", MODEL, normal(4, 1, 20, 2), name=MODEL)
    answers = open_loop(f"{server}/predict", itertools.cycle(asked), rate=100, seconds=1, warm_up=0)
    assert 60 < len(answers.seconds[OK]) + len(answers.seconds[FULL]) < 140  # 4 standard deviations around 100


def test_a_peer_of_the_open_inference_protocol_gets_tensors_and_is_checked():
    question = normal(1, 2, 20, 2)[0]
    request = requests("http://127.0.0.1:1/v2/models/planted-before/infer", MODEL, [question])[0]
    head, _, body = request.raw.partition(b"\r\n\r\n")
    (tensor,) = orjson.loads(body)["inputs"]
    assert head.startswith(b"POST /v2/models/planted-before/infer HTTP/1.1\r\n")
    assert (tensor["name"], tensor["shape"], tensor["datatype"]) == ("sequences", [2, 20, 2], "FP32")
    session = open_session(graph(MODEL))
    prediction, attention = session.run(["prediction", "attention"], feed(session, question))
    answer = {"prediction": prediction.ravel().tolist(), "attention": attention.ravel().tolist()}
    request.check(orjson.dumps({"outputs": [{"name": name, "data": data} for name, data in answer.items()]}))
    answer["attention"] = np.roll(attention, 1).ravel().tolist()
    with pytest.raises(ValueError, match="expected attention"):
        request.check(orjson.dumps({"outputs": [{"name": name, "data": data} for name, data in answer.items()]}))
