import asyncio
import os
import subprocess
import tomllib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import VERSION
from service.telemetry import prometheus
from service.telemetry.collect import Telemetry
from service.telemetry.metrics import SECONDS, SEQUENCES
from service.telemetry.numbers import MEMORY_S, Drift, Histogram, distance, merge
from service.telemetry.requests import identify
from service.telemetry.shared import Shared
from tests.scraping import Scrape
from tests.serving import ROOT

values = st.lists(st.floats(0, 1e5) | st.sampled_from(SECONDS) | st.sampled_from(SEQUENCES))
me = os.getpid()


def text(*snapshots):
    return Scrape(prometheus.text(snapshots, {"version": VERSION}).decode())


@given(values, st.sampled_from([SECONDS, SEQUENCES]))
def test_a_histogram_counts_as_numpy_does(observed, bounds):
    histogram = Histogram(bounds)
    for value in observed:
        histogram.observe(value)
    # Each bucket ends with its bound, as Prometheus' `le` says; numpy's searchsorted puts a tie to the left, too.
    expected = np.bincount(np.searchsorted(bounds, observed), minlength=len(bounds) + 1)
    assert histogram.counts == expected.tolist()
    assert histogram.sum == pytest.approx(np.sum(observed))
    together = Histogram(bounds)
    together.observe_all(np.array(observed, np.float64))
    assert together.values() == pytest.approx(histogram.values())


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["a", "b"]), st.floats(0, 10))))
def test_the_numbers_of_several_processes_add_up_to_those_of_one(observed):
    one, several = Telemetry(), [Telemetry() for _ in range(3)]
    for process, model, seconds in observed:
        for telemetry in (one, several[process]):
            telemetry.model(model, 1).total.observe(seconds)
            telemetry.model(model, 1).requests.add("ok")
            telemetry.model(model, 1).steps.add(20)
            telemetry.drift(model, 1).add([seconds, 1.0], [0.5, 0.5])
            telemetry.http("POST", "/predict", 200, seconds)
            telemetry.error("Invalid", 422)
    merged = merge(telemetry.snapshot(number, me) for number, telemetry in enumerate(several))
    alone = merge([one.snapshot(1, me)])
    assert {metric: series.keys() for metric, series in merged.items()} == {m: s.keys() for m, s in alone.items()}
    for metric, series in alone.items():
        for labels, numbers in series.items():
            np.testing.assert_allclose(merged[metric][labels], numbers, rtol=1e-2)  # drifts fade between two readings


def test_the_text_has_what_was_counted():
    telemetry = Telemetry()
    metrics = telemetry.model("mean", 3)
    metrics.requests.add("ok")
    metrics.requests.add("TooLate")
    metrics.queue.observe(0.002)
    metrics.batch_size.observe(5)
    metrics.steps.add(15)
    metrics.padded_steps.add(20)
    telemetry.gauge("queue_length", "waiting", lambda: {("mean",): 7}, labels=("model",))
    found = text(telemetry.snapshot(2, me))
    of_model = {"model": "mean", "version": "3"}
    assert found("requests_total", **of_model) == 2
    assert found("requests_total", **of_model, outcome="TooLate") == 1
    assert found("queue_seconds_bucket", **of_model, le="0.001") == 0
    assert found("queue_seconds_bucket", **of_model, le="0.0025") == 1
    assert found("queue_seconds_bucket", **of_model, le="+Inf") == found("queue_seconds_count", **of_model) == 1
    assert found("queue_seconds_sum", **of_model) == 0.002
    assert found("batch_sequences_bucket", **of_model, le="4.0") == 0
    assert found("batch_sequences_bucket", **of_model, le="8.0") == 1
    assert 1 - found("steps_total", **of_model) / found("padded_steps_total", **of_model) == 0.25
    assert found("queue_length", model="mean", worker="2") == 7
    assert found("build_info", version=VERSION) == 1
    assert found("process_resident_memory_bytes", worker="2") > 1e6


def test_a_model_that_is_gone_leaves_no_series_and_the_others_stay():
    telemetry = Telemetry()
    for version in (1, 2):
        telemetry.model("mean", version).requests.add("ok")
    telemetry.forget("mean", 1)
    found = text(telemetry.snapshot(1, me))
    assert {sample.labels["version"] for sample in found.samples if "model" in sample.labels} == {"2"}


def test_the_last_requests_of_a_model_that_is_gone_do_not_bring_its_series_back():
    telemetry = Telemetry()
    telemetry.forget("mean", 1)
    telemetry.model("mean", 1).requests.add("ok")
    telemetry.model("mean", 1).total.observe(1)
    telemetry.concentration("mean", 1).observe(1)
    telemetry.verdicts("mean", 1).add("weak")
    telemetry.drift("mean", 1).add([100.0], [100.0])
    assert [sample for sample in text(telemetry.snapshot(1, me)).samples if "model" in sample.labels] == []
    telemetry.expect("mean", 1)  # it comes back
    telemetry.model("mean", 1).requests.add("ok")
    assert telemetry.model("mean", 1) is telemetry.model("mean", 1)
    assert text(telemetry.snapshot(1, me))("requests_total", model="mean", version="1", outcome="ok") == 1


def test_the_drift_is_the_share_of_the_weight_that_lies_elsewhere():
    assert distance([60, 40, 0, 20, 40, 40]) == pytest.approx(0.4)
    assert distance([30, 20, 0, 20, 40, 40]) == pytest.approx(0.4)  # weights that do not sum to 1 for each sequence
    assert distance([50, 30, 20, 50, 30, 20]) == 0
    assert distance([59, 40, 0, 20, 39, 40]) is None  # 99 sequences


def test_of_drift_the_old_fades():
    drift = Drift()
    drift.restore([100.0, 0.0, 50.0, 50.0])
    drift._at -= MEMORY_S  # as if it were an hour ago
    drift.add([0.0, 100.0], [50.0, 50.0])
    kept = 100 * np.exp(-1)
    assert drift.values() == pytest.approx([kept, 100, 50 + kept / 2, 50 + kept / 2], rel=1e-3)


def test_what_was_put_off_is_counted_before_it_is_read_or_forgotten():
    telemetry = Telemetry()
    telemetry.before_reading(lambda: telemetry.model("mean", 1).steps.add(1))
    assert text(telemetry.snapshot(1, me))("steps_total") == 1
    telemetry.forget("mean", 1)
    telemetry._settle.clear()
    assert text(telemetry.snapshot(1, me)).of("steps_total") == []


def test_methods_that_nobody_knows_are_one():
    telemetry = Telemetry()
    for method in ("GET", "BREW", "PROPFIND"):
        telemetry.http(method, "/models", 405, 0.1)
    found = text(telemetry.snapshot(1, me))
    assert {sample.labels["method"] for sample in found.of("http_requests_total")} == {"GET", "other"}
    assert found("http_requests_total", method="other") == 2


def ask(shared):
    return asyncio.run(shared.all())


def test_any_worker_answers_for_all_and_no_counter_falls_whoever_is_asked(tmp_path):
    one, two = Shared(Telemetry(), tmp_path, 1), Shared(Telemetry(), tmp_path, 2)
    highest = 0
    for asked in (one, two, two, one, two, one):
        one.telemetry.model("mean", 1).steps.add(1)
        two.telemetry.model("mean", 1).steps.add(10)
        found = text(*ask(asked))("steps_total")
        assert found > highest
        highest = found


def test_the_numbers_of_a_worker_that_ended_stay_but_not_its_gauges(tmp_path):
    ended = subprocess.Popen(["true"])
    ended.wait()
    telemetry = Telemetry()
    telemetry.model("mean", 1).requests.add("ok")
    telemetry.gauge("queue_length", "waiting", lambda: {(): 7})
    telemetry.drift("mean", 1).add([150.0, 0.0], [75.0, 75.0])
    last = telemetry.snapshot(2, ended.pid)
    asyncio.run(Shared(telemetry, tmp_path, 2).leave())
    path = tmp_path / "2.json"
    path.write_bytes(path.read_bytes().replace(str(me).encode(), str(last.pid).encode()))
    found = text(*ask(Shared(Telemetry(), tmp_path, 1)))
    assert found("requests_total") == 1
    assert found("attention_drift", model="mean") == pytest.approx(0.5)
    assert found.of("queue_length") == []
    assert {sample.labels["worker"] for sample in found.of("process_open_fds")} == {"1"}

    successor = Shared(Telemetry(), tmp_path, 2)
    successor.telemetry.model("mean", 1).requests.add("ok")
    successor.telemetry.drift("mean", 1).add([0.0, 150.0], [75.0, 75.0])
    assert text(*ask(successor))("requests_total") == 2
    assert text(*ask(successor))("attention_drift") == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("received", [b"abc-1", b"!~" * 64])
def test_a_usable_request_id_is_kept(received):
    assert identify([(b"host", b"x"), (b"x-request-id", received)]) == (received.decode(), "")


@pytest.mark.parametrize("received", [b"", b"a b", b"a\tb", b"x" * 129, b"caf\xe9", b"a\x1b[31m"])
def test_another_is_replaced(received):
    ids = {identify([(b"x-request-id", received)])[0] for _ in range(3)}
    assert len(ids) == 3
    assert received.decode("latin-1") not in ids


def test_the_version_is_that_of_the_package():
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == VERSION
