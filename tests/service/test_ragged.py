import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from service.ragged import Ragged

lengths = st.lists(st.integers(1, 9), min_size=1, max_size=12)


def ragged(lengths, features=2):
    numbers = np.arange(sum(lengths) * features, dtype=np.float32).reshape(-1, features)
    return Ragged(numbers, np.array(lengths, np.int32))


def same(ragged, items):
    assert len(ragged) == len(items)
    for one, other in zip(ragged, items, strict=True):
        np.testing.assert_array_equal(one, other)


@given(lengths, st.data())
def test_what_is_padded_and_put_back_is_the_same_in_any_order(lengths, data):
    items = ragged(lengths)
    rows = np.array(data.draw(st.permutations(range(len(lengths)))))[: data.draw(st.integers(1, len(lengths)))]
    padded = items.padded(rows, max(lengths) + 1)
    for row, one in zip(rows, padded, strict=True):
        np.testing.assert_array_equal(one[: lengths[row]], items[row])
        assert not one[lengths[row] :].any()
    back = Ragged(np.full_like(items.values, -1), items.lengths)
    back.put(rows, padded)
    same(back.take(rows), [items[row] for row in rows])


@given(lengths, lengths)
def test_joined_parts_are_cut_apart_again(first, second):
    parts = [ragged(first), ragged(second)]
    joined = Ragged.join(parts)
    same(joined.cut(0, len(first)), list(parts[0]))
    same(joined.cut(len(first), len(first) + len(second)), list(parts[1]))


def test_a_block_is_for_equal_lengths_only():
    assert ragged([3, 3]).block.shape == (2, 3, 2)
    assert ragged([3, 2]).block is None
    assert ragged([1, 2, 3]).block is None  # as many steps as three times the middle one


def test_matrices_of_different_widths():
    matrices = [np.arange(6).reshape(2, 3), np.zeros((0, 2)), np.arange(4).reshape(4, 1)]
    items = Ragged.of_matrices(matrices)
    same(items, matrices)
    same(items.take(np.array([2, 0])), [matrices[2], matrices[0]])
    assert items.block is None
