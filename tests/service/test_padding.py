import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from service import padding
from service.models.cost import Cost

FREE = Cost(overhead=0, per_time=0, per_step=1)  # a run more costs nothing
DEAR = Cost(overhead=1e9, per_time=0, per_step=1)


@given(
    lengths=st.lists(st.integers(1, 50), min_size=1, max_size=60),
    max_count=st.integers(1, 70),
    max_steps=st.integers(1, 800),
    overhead=st.integers(0, 200),
)
def test_a_plan_runs_every_sequence_once_in_order_of_length_and_within_the_bounds(
    lengths, max_count, max_steps, overhead
):
    lengths = np.array(lengths)
    runs = list(padding.plan(lengths, max_count, max_steps, Cost(overhead, 1, 1)))
    assert sorted(np.concatenate(runs).tolist()) == list(range(len(lengths)))
    assert (np.diff(lengths[np.concatenate(runs)]) >= 0).all()
    for rows in runs:
        assert len(rows) <= max_count
        assert len(rows) == 1 or len(rows) * lengths[rows].max() <= max_steps


def plan(lengths, cost, max_count=100, max_steps=10**6):
    return [rows.tolist() for rows in padding.plan(np.array(lengths), max_count, max_steps, cost)]


def test_where_a_run_more_costs_much_all_are_padded_into_one():
    assert plan([3, 1, 2], DEAR) == [[1, 2, 0]]


def test_where_a_run_more_costs_nothing_nothing_is_padded():
    assert plan([3, 1, 2, 1], FREE) == [[1, 3], [2], [0]]


def test_padding_adds_up_until_it_costs_more_than_a_run():
    # one step of padding for [1], three for [1, 2], six for [1, 2, 3]
    assert plan([1, 2, 3, 4], Cost(overhead=5, per_time=0, per_step=1)) == [[0, 1, 2], [3]]


def test_one_long_sequence_does_not_pad_the_short_ones():
    assert [len(rows) for rows in plan([1] * 1000 + [10_000], DEAR, 2000, 10_000)] == [1000, 1]
