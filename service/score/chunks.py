"""Rows of a table as sequences, with what is wrong with them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from service.arrays import FloatArray, IntArray
from service.score.columns import Columns, floats, plain, times


class Place(NamedTuple):
    """Where in the file a value of a sequence is, and what stands there."""

    row: int
    where: str
    received: Any


@dataclass(frozen=True)
class Chunk:
    """Some sequences of a table.

    Attributes:
        values: `(step, feature)`, of all sequences end to end; not finite where the file has no number.
        lengths: `(sequence,)`; 0 where `faults` says why.
        rows: `(sequence,)`, the row in the file where each begins.
        ids: `(sequence,)`, where the file has them.
        place: of a value, by its step and feature in `values`.
        faults: what was expected and what was received, by sequence.
    """

    values: FloatArray
    lengths: IntArray
    rows: IntArray
    ids: pa.Array | None
    place: Callable[[int, int], Place]
    faults: dict[int, tuple[str, str]] = field(default_factory=dict)


def to_chunk(table: pa.Table, rows: IntArray, columns: Columns) -> Chunk:
    """The sequences of rows of a table.

    Args:
        table: whole sequences.
        rows: `(row,)`, of the table in the file.
    """
    return {"long": _of_long, "lists": _of_lists, "wide": _of_wide}[columns.layout](table, rows, columns)


def starts(ids: pa.Array) -> IntArray:
    """Where each sequence of a long table begins: its id is not that of the row before. A missing one is its own."""
    changed = pc.fill_null(pc.not_equal(ids[1:], ids[:-1]), True).to_numpy(zero_copy_only=False)
    return np.concatenate([[0], np.flatnonzero(changed) + 1]) if len(ids) else np.empty(0, np.int64)


def _of_long(table: pa.Table, rows: IntArray, columns: Columns) -> Chunk:
    ids = plain(table[columns.id])
    firsts = starts(ids)
    lengths = np.diff(np.append(firsts, len(ids))).astype(np.int32)
    order, faults = _order(table, lengths, firsts, columns)
    for sequence in np.flatnonzero(ids.take(firsts).is_null().to_numpy(zero_copy_only=False)).tolist():
        faults[sequence] = (f"a value in column {columns.id}", "nothing")
    arrays = [plain(table[name]) for name in columns.values]
    values = np.stack([floats(array) for array in arrays], axis=1)

    def place(step: int, feature: int) -> Place:
        row = step if order is None else int(order[step])
        where = f"column {columns.values[feature]}"
        return Place(int(rows[row]), where, arrays[feature][row].as_py())

    return Chunk(
        values if order is None else values[order], lengths, rows[firsts], ids.take(pa.array(firsts)), place, faults
    )


def _order(
    table: pa.Table, lengths: IntArray, firsts: IntArray, columns: Columns
) -> tuple[IntArray | None, dict[int, tuple[str, str]]]:
    """The order of rows by time within each sequence, None where they are in order; and what is wrong with times."""
    array = plain(table[columns.time])
    values, missing = times(array)
    first = np.zeros(len(values), bool)
    first[firsts] = True
    later = values[1:] > values[:-1]
    if not missing.any() and bool((later | first[1:]).all()):
        return None, {}
    of = np.repeat(np.arange(len(lengths)), lengths)  # the sequence of each row
    order = np.lexsort((values, of))
    faults = {}
    twice = np.append(False, (values[order][1:] == values[order][:-1]) & ~first[1:])
    for row in order[twice].tolist():
        faults[int(of[row])] = (f"every {columns.time} once in a sequence", f"{array[row]} again")
    for row in np.flatnonzero(missing).tolist():
        faults[int(of[row])] = (f"a number or a date in column {columns.time}", said(array[row].as_py()))
    return order, faults


def _of_lists(table: pa.Table, rows: IntArray, columns: Columns) -> Chunk:
    arrays = [plain(table[name]) for name in columns.values]
    each = [pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False) for array in arrays]
    lengths = each[0].astype(np.int32)
    faults = {}
    differ = np.any([other != each[0] for other in each[1:]], axis=0) if len(each) > 1 else np.zeros(len(rows), bool)
    if differ.any():
        for sequence in np.flatnonzero(differ).tolist():
            found = ", ".join(str(counts[sequence]) for counts in each)
            faults[sequence] = (f"lists of the same length in {', '.join(columns.values)}", f"lengths {found}")
        lengths[differ] = 0
        arrays = [array.filter(pa.array(~differ)) for array in arrays]
    flat = [plain(array.flatten()) for array in arrays]

    def place(step: int, feature: int) -> Place:
        ends = np.cumsum(lengths)
        sequence = int(np.searchsorted(ends, step, "right"))
        where = f"column {columns.values[feature]}, step {step - int(ends[sequence] - lengths[sequence])}"
        return Place(int(rows[sequence]), where, flat[feature][step].as_py())

    return Chunk(
        np.stack([floats(array) for array in flat], axis=1), lengths, rows, _ids(table, columns), place, faults
    )


def _of_wide(table: pa.Table, rows: IntArray, columns: Columns) -> Chunk:
    arrays = [plain(table[name]) for name in columns.values]
    steps = len(arrays)

    def place(step: int, feature: int) -> Place:
        row, column = divmod(step, steps)
        return Place(int(rows[row]), f"column {columns.values[column]}", arrays[column][row].as_py())

    values = np.stack([floats(array) for array in arrays], axis=1)  # (sequence, time)
    return Chunk(values.reshape(-1, 1), np.full(len(rows), steps, np.int32), rows, _ids(table, columns), place)


def _ids(table: pa.Table, columns: Columns) -> pa.Array | None:
    return None if columns.id is None else plain(table[columns.id])


def said(value: Any) -> str:
    """A value of a file, for a message."""
    return "nothing" if value is None else str(value)[:100]
