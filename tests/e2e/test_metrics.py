"""GET /metrics of a real server: what it counts, and what never becomes a series."""

import httpx
import pytest

from tests.scraping import scrape
from tests.service.graphs import write_model
from tests.serving import serving

SEQUENCE = [[1, 2], [3, 4], [5, 6]]
OF_MODEL = {"model": "mean", "version": "1"}


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    write_model(root)
    with serving(models=root) as running:
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
    assert found("http_requests_total", route="/attention/{id}.svg", status="404") == 1
    assert found("http_requests_total", route="none", status="404") == 1
    assert found("http_requests_total", route="/models", method="other") == 1


def test_the_process_is_described(url):
    found = scrape(url)
    assert found("build_info") == 1
    assert found("process_resident_memory_bytes", worker="1") > 10e6
    assert found("process_cpu_seconds_total", worker="1") > 0
    assert found("process_open_fds", worker="1") > 3
    assert found("process_start_time_seconds", worker="1") > 1.7e9
