import weakref

import numpy as np
import pytest

from service.explanations.tally import EVERY, EVERY_S, WAITING, Tally
from service.manifest import Manifest
from service.ragged import Ragged
from service.telemetry import prometheus
from service.telemetry.collect import Telemetry
from tests.scraping import Scrape
from tests.serving import MODELS

JUMPS = [0, 0, 1, 0]  # all of the weight on the third of four steps


def manifest(name):
    return Manifest.read(MODELS / name / "1")


def items(*weights):
    return Ragged.of([np.array(one, np.float32) for one in weights])


def read(telemetry):
    return Scrape(prometheus.text([telemetry.snapshot(1, 0)], {}).decode())


@pytest.fixture
def telemetry():
    return Telemetry()


@pytest.fixture
def tally(telemetry):
    return Tally(telemetry)


def test_weights_of_different_requests_lengths_and_models_are_counted_each_for_its_own(telemetry, tally):
    tally.add(manifest("japanese-vowels"), items([0.5, 0.5], [1.0]))
    tally.add(manifest("planted-before"), items(JUMPS))
    tally.add(manifest("japanese-vowels"), items([0.1, 0.1, 0.8], JUMPS))
    found = read(telemetry)
    assert found("attention_top_position_count", model="japanese-vowels") == 4
    assert found("attention_top_position_sum", model="japanese-vowels") == pytest.approx(1 / 4 + 1 / 2 + 5 / 6 + 5 / 8)
    assert found("attention_concentration_count", model="japanese-vowels") == 3  # of one step there is none
    assert found("attention_top_position_sum", model="planted-before") == pytest.approx(5 / 8)
    assert found("attention_concentration_sum", model="planted-before") == pytest.approx(1)


def test_weights_of_each_feature_are_counted_by_step(telemetry, tally):
    tally.add(manifest("planted-before"), items([[0.7, 0.0], [0.3, 0.5], [0.0, 0.5]]))  # the means are .35 .4 .25
    assert read(telemetry)("attention_top_position_sum") == pytest.approx(1 / 2)


def test_of_text_what_each_character_looks_at_is_counted_and_no_position(telemetry, tally):
    weights = Ragged.of_matrices([np.array([JUMPS, [0.25] * 4], np.float32), np.array([[0.0, 1.0]], np.float32)])
    tally.add(manifest("dates"), weights)
    tally.add(manifest("dates"), Ragged.of_matrices([np.zeros((0, 5), np.float32)]))  # it wrote nothing
    found = read(telemetry)
    assert found("attention_concentration_count", model="dates") == 3
    assert found("attention_concentration_sum", model="dates") == pytest.approx(2)
    assert found.of("attention_top_position_count", model="dates") == []
    assert found.of("attention_drift", model="dates") == []


def test_the_drift_is_from_the_profile_that_the_model_says(telemetry, tally):
    model = manifest("planted-before")  # of 20 steps, so that each is a twentieth
    weights = np.array(model.attention.profile, np.float32)
    for _ in range(100):
        tally.add(model, items(weights))
    assert read(telemetry)("attention_drift") == pytest.approx(0, abs=1e-6)
    for _ in range(100):
        tally.add(model, items(np.roll(weights, 1)))
    moved = np.abs(np.array(model.attention.profile) - np.roll(model.attention.profile, 1)).sum() / 2
    assert read(telemetry)("attention_drift") == pytest.approx(moved / 2, rel=1e-3)


def test_when_there_are_many_a_few_are_counted_each_second(telemetry, tally):
    model = manifest("planted-before")
    read(telemetry)  # counts what waits: nothing
    for _ in range(10 * WAITING):
        tally.add(model, items(JUMPS))
    assert read(telemetry)("attention_top_position_count") == WAITING
    for _ in range(WAITING):
        tally.add(model, items(JUMPS))
    tally._counted -= EVERY_S  # as if it were a second ago
    tally.add(model, items(JUMPS))
    assert read(telemetry)("attention_top_position_count") == 2 * WAITING + 1


def test_of_large_requests_a_few_are_counted_each_second_too(telemetry, tally):
    read(telemetry)  # counts what waits: nothing
    for _ in range(WAITING):
        tally.add(manifest("planted-before"), items(*[JUMPS] * (2 * EVERY)))
    assert read(telemetry)("attention_top_position_count") == WAITING


def test_what_waits_keeps_no_batch_in_memory(tally):
    batch = items(JUMPS, JUMPS)
    whole = weakref.ref(batch.values)
    tally.add(manifest("planted-before"), batch.cut(0, 1))
    del batch
    assert whole() is None
