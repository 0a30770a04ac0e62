import pytest

from service.models import cost
from service.models.cost import Cost, measure


class Machine:
    """Runs that take as long as they should, on a clock of their own."""

    def __init__(self, truth):
        self.truth, self.now = truth, 0.0

    def run(self, count, time):
        self.now += self.truth.seconds(count, time)


def measured(monkeypatch, truth, short, long):
    machine = Machine(truth)
    monkeypatch.setattr(cost, "perf_counter", lambda: machine.now)
    return measure(machine.run, short, long)


@pytest.mark.parametrize("truth", [Cost(1e-5, 1e-6, 2e-7), Cost(1e-3, 0, 2e-6), Cost(0, 0, 1e-7)])
def test_what_a_run_costs_is_found_from_a_few(monkeypatch, truth):
    found = measured(monkeypatch, truth, 5, 20)
    assert (found.overhead, found.per_time, found.per_step) == pytest.approx(
        (truth.overhead, truth.per_time, truth.per_step), abs=1e-12
    )


def test_of_a_single_possible_length_the_whole_is_found(monkeypatch):
    truth = Cost(1e-5, 1e-6, 2e-7)
    found = measured(monkeypatch, truth, 20, 20)
    for count in (1, 64):
        assert found.seconds(count, 20) == pytest.approx(truth.seconds(count, 20))


def test_of_a_slow_model_many_are_not_run_and_each_sequence_counts_whole(monkeypatch):
    found = measured(monkeypatch, Cost(0.1, 1e-3, 1e-3), 5, 20)
    assert found.share(10, 5) == pytest.approx(10 * 5 * 2e-3)
