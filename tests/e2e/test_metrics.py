"""GET /metrics of a real server: what it counts, and what never becomes a series."""

import httpx
import pytest

from tests.scraping import scrape
from tests.service.graphs import write_model
from tests.serving import serving

MORE = {"model": "attentive", "version": "1"}
SEQUENCE = [[1, 2], [3, 4], [5, 6]]
OF_MODEL = {"model": "mean", "version": "1"}


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    write_model(root)
    profile = [0.05] * 20
    attention = {"kind": "softmax", "position": "before", "axes": ["time"], "profile": profile}
    write_model(root, "attentive", attention="shared", declare={"attention": attention})
    write_model(root, "unprofiled", attention="shared")
    broken = write_model(root, "broken")
    (broken / "model.onnx").write_bytes(b"not a graph")
    with serving("--default-model", "mean", models=root, store=f"sqlite:{root}.sqlite3") as running:
        yield running.url


def predict(url, sequences, **fields):
    return httpx.post(f"{url}/predict", json={"sequences": sequences, **fields})


def test_predictions_are_counted_by_model(url):
    before = scrape(url)
    for count in (1, 4, 2):
        assert predict(url, [SEQUENCE] * count).status_code == 200
    after = scrape(url)

    def more(name, **labels):
        return after(name, **labels) - before(name, **labels)

    assert more("requests_total", **OF_MODEL, outcome="ok") == 3
    for histogram in ("request_seconds", "queue_seconds", "compute_seconds", "batch_sequences"):
        assert more(f"{histogram}_count", **OF_MODEL) == 3
        assert more(f"{histogram}_bucket", **OF_MODEL, le="+Inf") == 3
    assert more("batch_sequences_sum", **OF_MODEL) == more("sequences_total", **OF_MODEL) == 7
    assert more("batch_sequences_bucket", **OF_MODEL, le="1.0") == 1
    assert more("steps_total", **OF_MODEL) == more("padded_steps_total", **OF_MODEL) == 21
    assert 0 < more("compute_seconds_sum", **OF_MODEL) < more("request_seconds_sum", **OF_MODEL)
    assert more("http_requests_total", method="POST", route="/predict", status="200") == 3
    assert more("http_request_seconds_count", route="/predict") == 3
    assert after("queue_length") == 0


def test_errors_are_counted_by_kind(url):
    before = scrape(url)
    assert predict(url, [[[1]]]).status_code == 422
    assert httpx.get(f"{url}/attention/x").status_code == 404
    after = scrape(url)
    for kind, status in (("Invalid", "422"), ("NotFound", "404")):
        assert after("errors_total", kind=kind, status=status) - before("errors_total", kind=kind, status=status) == 1
    assert after("http_requests_total", route="/predict", status="422") == 1


def test_what_a_client_makes_up_is_no_series(url):
    assert predict(url, [SEQUENCE]).status_code == 200
    assert predict(url, [SEQUENCE], model="made-up").status_code == 404
    assert predict(url, [SEQUENCE], version=77).status_code == 404
    assert httpx.get(f"{url}/attention/made-up.svg").status_code == 404
    assert httpx.get(f"{url}/made-up").status_code == 404
    assert httpx.request("PROPFIND", f"{url}/models").status_code == 405
    found = scrape(url)
    labels = [value for sample in found.samples for value in sample.labels.values()]
    assert not [value for value in labels if "made" in value.lower() or value in ("77", "PROPFIND")]
    assert found("http_requests_total", route="/attention/{id}.{format:picture}", status="404") == 1
    assert found("http_requests_total", route="none", status="404") == 1
    assert found("http_requests_total", route="/models", method="other") == 1


LATE = [[0, 0], [0, 0], [9, 9]]  # softmax: all but all of the weight is on the last step
EVEN = [[0, 0]] * 3


def test_the_weights_of_a_model_are_measured(url):
    before = scrape(url)
    for sequence in (LATE, LATE, EVEN):
        assert predict(url, [sequence], model="attentive").status_code == 200
    assert predict(url, [LATE] * 40, model="attentive").status_code == 200  # every 16th: 3
    after = scrape(url)

    def more(name, **labels):
        return after(f"attention_{name}", **MORE, **labels) - before(f"attention_{name}", **MORE, **labels)

    assert more("concentration_count") == more("top_position_count") == 6
    assert more("concentration_bucket", le="0.1") == 1
    assert more("concentration_bucket", le="0.9") == 1
    assert more("concentration_sum") == pytest.approx(5, abs=0.02)
    assert more("top_position_bucket", le="0.2") == 1  # of equals the first, (0 + .5) / 3
    assert more("top_position_bucket", le="0.8") == 1
    assert more("top_position_bucket", le="0.9") == 6  # (2 + .5) / 3


def test_the_distance_of_recent_weights_from_those_of_training(url):
    for _ in range(8):  # even, as the profile is
        assert predict(url, [EVEN] * 16, model="attentive").status_code == 200
        assert predict(url, [LATE] * 16, model="unprofiled").status_code == 200
    near = scrape(url)("attention_drift", **MORE)
    for _ in range(8):
        assert predict(url, [LATE] * 16, model="attentive").status_code == 200
    far = scrape(url)("attention_drift", **MORE)
    assert near < 0.03  # of the other tests
    # The last third had a third of the weight, and has all of that of one half of the sequences: 2/3.
    assert far == pytest.approx(1 / 3, abs=0.03)
    assert scrape(url).of("attention_drift", model="unprofiled") == []
    assert scrape(url)("attention_concentration_count", model="unprofiled") == 128


def test_a_model_without_attention_has_no_numbers_of_it(url):
    assert predict(url, [SEQUENCE]).status_code == 200
    assert scrape(url)("sequences_total", **OF_MODEL) > 0
    assert [
        s for s in scrape(url).samples if "attention_lstm_attention" in s.name and s.labels["model"] == "mean"
    ] == []


def test_verdicts_are_counted_by_word_once_for_each_sequence(url):
    answer = predict(url, [LATE], model="attentive").json()
    before = scrape(url)
    assert {s.labels["verdict"] for s in before.of("faithfulness_verdicts_total", **MORE)} == {
        "supported",
        "weak",
        "no better than random",
        "inconclusive",
    }
    for _ in range(2):
        verdict = httpx.get(f"{url}/attention/{answer['id']}/faithfulness").json()["verdict"]
    httpx.get(f"{url}/attention/{answer['id']}/faithfulness", params={"baseline": "zero"}).raise_for_status()
    after = scrape(url)
    rises = {
        s.labels["verdict"]: s.value - before("faithfulness_verdicts_total", **s.labels)
        for s in after.of("faithfulness_verdicts_total", **MORE)
    }
    assert {word: rise for word, rise in rises.items() if rise} == {verdict: 1}
    # The test runs the model on changed sequences, whose weights are no answers.
    assert after("attention_top_position_count", **MORE) == before("attention_top_position_count", **MORE)


def test_a_refused_model_is_shown(url):
    assert scrape(url)("model_refused", model="broken", version="1") == 1
    assert len(scrape(url).of("model_refused")) == 1


def test_the_process_is_described(url):
    found = scrape(url)
    assert found("build_info") == 1
    assert found("process_resident_memory_bytes", worker="1") > 10e6
    assert found("process_cpu_seconds_total", worker="1") > 0
    assert found("process_open_fds", worker="1") > 3
    assert found("process_start_time_seconds", worker="1") > 1.7e9
