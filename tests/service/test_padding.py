import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from service import padding


@given(
    lengths=st.lists(st.integers(1, 50), min_size=1, max_size=60),
    features=st.integers(1, 4),
    max_values=st.integers(1, 800),
)
def test_a_plan_runs_every_sequence_once_in_order_of_length_and_within_the_bound(lengths, features, max_values):
    lengths = np.array(lengths)
    runs = list(padding.plan(lengths, features, max_values))
    assert sorted(np.concatenate(runs).tolist()) == list(range(len(lengths)))
    assert (np.diff(lengths[np.concatenate(runs)]) >= 0).all()
    for rows in runs:
        assert len(rows) == 1 or len(rows) * lengths[rows].max() * features <= max_values


def test_a_plan_does_not_split_what_fits_one_run():
    assert [rows.tolist() for rows in padding.plan(np.array([3, 1, 2]), 2, 18)] == [[1, 2, 0]]


def test_one_long_sequence_does_not_pad_the_short_ones():
    lengths = np.array([1] * 1000 + [10_000])
    assert [len(rows) for rows in padding.plan(lengths, 1, 10_000)] == [1000, 1]


def test_pad_fills_with_zeros_on_the_right():
    padded = padding.pad([np.ones((1, 2), np.float32), np.ones((3, 2), np.float32)], 4)
    assert padded[:, :, 0].tolist() == [[1, 0, 0, 0], [1, 1, 1, 0]]
    assert padded.dtype == np.float32


def test_pad_of_equal_lengths_is_a_stack():
    assert padding.pad([np.ones((2, 1), np.float32)] * 3, 2).tolist() == np.ones((3, 2, 1)).tolist()
