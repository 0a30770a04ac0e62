"""What lists of explanations in a SQLite file are made from: all of them but their arrays, in a table of its own.

Looking through the whole of it for a model or a label takes milliseconds.
"""

import math
import sqlite3
from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

import msgspec
from uuid_utils import UUID

from service.explanations.stores.bundles import CLOCKS_S, ID, SPAN, Bundle, Head, decode_head, least_id, span
from service.explanations.stores.store import Entry, Filter

AT_A_TIME = 64  # bundles that are read as one row
# Of each bundle: its largest id, its number, the latest time, all its labels, what lists are made of.
SCHEMA = """CREATE TABLE IF NOT EXISTS catalogue (
    last BLOB PRIMARY KEY, sequence INTEGER, created REAL, model TEXT, version INTEGER, labels TEXT, head BLOB
) WITHOUT ROWID"""


class Match(NamedTuple):
    """An explanation that was looked for.

    Attributes:
        sequence: of its bundle.
        place: of it there.
        rows: its sequences there.
    """

    id: bytes
    sequence: int
    head: Head
    place: int
    rows: slice

    @property
    def entry(self) -> Entry:
        """As lists have it."""
        head, labels = self.head, sorted(set((self.head.labels or [])[self.rows]))
        id, created, count = str(UUID(bytes=self.id)), head.created[self.place], head.counts[self.place]
        return Entry(id, created, head.model, head.version, count, labels)


def add(db: sqlite3.Connection, sequence: int, last: bytes, created: float, bundle: Bundle) -> bool:
    """Adds a bundle, of this number, largest id and latest time; False where there is one of the same largest id."""
    labels = msgspec.json.encode(sorted(set(bundle.labels or []))).decode()
    row = (last, sequence, created, bundle.model, bundle.version, labels, bundle.encode_head())
    return db.execute("INSERT OR IGNORE INTO catalogue VALUES (?, ?, ?, ?, ?, ?, ?)", row).rowcount == 1


def find(db: sqlite3.Connection, filter: Filter, oldest: float, bound: int, limit: int) -> list[Match]:
    """The newest that pass the filter, newest first.

    Args:
        oldest: seconds since 1970; what was made before has been kept long enough.
        bound: number up to which all are gone.
    """
    since = max(oldest, filter.since.timestamp() if filter.since else 0)
    where, values = _conditions(filter, since, bound)
    found: list[Match] = []
    for _, some in groupby(_rows(db, where, values, _below(filter)), lambda row: row[0][:SPAN]):
        matches = [match for _, sequence, head in some for match in _matches(sequence, head, filter, since, bound)]
        found += sorted(matches, key=lambda match: match.id, reverse=True)
        if len(found) >= limit:
            break
    return found[:limit]


def _below(filter: Filter) -> bytes:
    """The largest ids of all bundles of which some explanation passes are below this."""
    ends = [b"\xff" * ID]
    if filter.before is not None:
        ends.append(span(UUID(filter.before).bytes)[1])
    if filter.until is not None:
        ends.append(span(least_id(filter.until.timestamp() + CLOCKS_S))[1])
    return min(ends)


def _rows(
    db: sqlite3.Connection, where: str, values: list[object], before: bytes
) -> Iterator[tuple[bytes, int, bytes]]:
    """`last`, number and head of bundles below `before`, newest first, `AT_A_TIME` of them as one row of the result:
    at every row Python's lock is let go, and predictions take it.
    """
    while True:
        [text] = db.execute(
            "SELECT group_concat(hex(last) || ' ' || sequence || ' ' || hex(head)) FROM (SELECT last, sequence, head "  # noqa: S608
            f"FROM catalogue WHERE {where} AND last < ? ORDER BY last DESC LIMIT ?)",
            (*values, before, AT_A_TIME),
        ).fetchone()
        some = [one.split(" ") for one in text.split(",")] if text else []
        rows = [(bytes.fromhex(last), int(number), bytes.fromhex(head)) for last, number, head in some]
        rows.sort(reverse=True)
        yield from rows
        if len(rows) < AT_A_TIME:
            return
        before = rows[-1][0]


def _conditions(filter: Filter, since: float, bound: int) -> tuple[str, list[object]]:
    """What holds for a bundle of which some explanation passes."""
    conditions: dict[str, object] = {"created >= ?": since, "sequence > ?": bound, "length(head) > ?": 0}
    if filter.model is not None:
        conditions["model = ?"] = filter.model
    if filter.version is not None:
        conditions["version = ?"] = filter.version
    if filter.label is not None:
        conditions["instr(labels, ?)"] = msgspec.json.encode(filter.label).decode()
    return " AND ".join(conditions), list(conditions.values())


def _matches(sequence: int, data: bytes, filter: Filter, since: float, bound: int) -> Iterator[Match]:
    """The explanations of a bundle that pass."""
    head = decode_head(data)
    until = filter.until.timestamp() if filter.until else math.inf
    before = UUID(filter.before).bytes if filter.before else None
    for index, rows in enumerate(head.rows):
        id = head.id(index)
        if (
            since <= head.created[index] < until
            and sequence - len(head) + index >= bound
            and (before is None or id < before)
            and (filter.label is None or filter.label in (head.labels or [])[rows])
        ):
            yield Match(id, sequence, head, index, rows)
