"""Whether an id comes again, in a long table of any length: then its rows do not stand together."""

import numpy as np
import pyarrow as pa

from service.arrays import IntArray
from service.errors import StartupError


class Repeats:
    """The ids of the sequences so far, 8 bytes each.

    Args:
        name: of the column.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._seen: list[IntArray] = []  # sorted keys, each more than twice as long as the next

    def add(self, ids: pa.Array) -> None:
        """Takes the ids of more sequences, `(sequence,)`; missing ones are not compared.

        Raises:
            StartupError: one was there before.
        """
        ids = ids.drop_null()
        of_ids = _keys(ids)
        keys = np.sort(of_ids)
        again = [keys[1:][keys[1:] == keys[:-1]], *(_common(seen, keys) for seen in self._seen)]
        for key in np.concatenate(again)[:1]:
            id = ids[int(np.flatnonzero(of_ids == key)[-1])]
            raise StartupError(
                f"expected the rows of each sequence to stand together, received {self._name} {id} again after others: "
                f"sort the table by {self._name}"
            )
        while self._seen and len(self._seen[-1]) <= 2 * len(keys):
            keys = np.sort(np.concatenate([self._seen.pop(), keys]), kind="stable")
        self._seen.append(keys)


def _keys(ids: pa.Array) -> IntArray:
    """An integer for each id: itself, or its hash (of 10 million, two have the same one in one case of 400,000)."""
    if pa.types.is_integer(ids.type):
        return np.asarray(ids.to_numpy(zero_copy_only=False)).astype(np.int64, copy=False)
    return np.fromiter(map(hash, ids.to_pylist()), np.int64, len(ids))


def _common(seen: IntArray, keys: IntArray) -> IntArray:
    """Those of the sorted keys that are among the sorted seen ones."""
    if not len(keys) or not len(seen) or keys[0] > seen[-1] or keys[-1] < seen[0]:
        return keys[:0]
    places = np.minimum(np.searchsorted(seen, keys), len(seen) - 1)
    common: IntArray = keys[seen[places] == keys]
    return common
