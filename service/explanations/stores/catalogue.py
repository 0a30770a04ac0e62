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

from service.explanations.stores.bundles import (
    CLOCKS_S,
    HASH,
    ID,
    SPAN,
    Bundle,
    Head,
    decode,
    decode_head,
    hashes,
    least_id,
    short_hash,
    span,
)
from service.explanations.stores.store import Entry, Filter

AT_A_TIME = 64  # bundles that are read as one row
# Of each bundle: its largest id, its number, the latest time, all its labels, what lists are made of, its `hashes`.
SCHEMA = """CREATE TABLE IF NOT EXISTS catalogue (
    last BLOB PRIMARY KEY, sequence INTEGER, created REAL, model TEXT, version INTEGER, labels TEXT, head BLOB,
    hashes BLOB
) WITHOUT ROWID"""


class Row(NamedTuple):
    """A bundle as it is in the catalogue.

    Attributes:
        last: the largest id.
        sequence: its number.
        head: encoded.
        hashes: empty where no sequence was asked for.
    """

    last: bytes
    sequence: int
    head: bytes
    hashes: bytes


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
    row = (last, sequence, created, bundle.model, bundle.version, labels, bundle.encode_head(), hashes(bundle))
    return db.execute("INSERT OR IGNORE INTO catalogue VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row).rowcount == 1


def add_hashes(db: sqlite3.Connection) -> None:
    """Adds to a catalogue without hashes those of all that is kept."""
    db.execute("ALTER TABLE catalogue ADD COLUMN hashes BLOB")
    for last, record in db.execute("SELECT last, record FROM bundles WHERE record != x''"):
        db.execute("UPDATE catalogue SET hashes = ? WHERE last = ?", (hashes(decode(record)), last))


def find(db: sqlite3.Connection, filter: Filter, oldest: float, bound: int, limit: int) -> list[Match]:
    """The newest that pass the filter, newest first.

    Args:
        oldest: seconds since 1970; what was made before has been kept long enough.
        bound: number up to which all are gone.
    """
    since = max(oldest, filter.since.timestamp() if filter.since else 0)
    where, values = _conditions(filter, since, bound)
    found: list[Match] = []
    for _, some in groupby(_rows(db, where, values, filter), lambda row: row.last[:SPAN]):
        matches = [match for row in some for match in _matches(row, filter, since, bound)]
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


def _rows(db: sqlite3.Connection, where: str, values: list[object], filter: Filter) -> Iterator[Row]:
    """Bundles, newest first, `AT_A_TIME` of them as one row of the result: at every row Python's lock is let go, and
    predictions take it.
    """
    asked = "x''" if filter.sequence is None else "hashes"
    before = _below(filter)
    while True:
        [text] = db.execute(
            "SELECT group_concat(hex(last) || ' ' || sequence || ' ' || hex(head) || ' ' || hex(asked)) FROM "  # noqa: S608
            f"(SELECT last, sequence, head, {asked} AS asked FROM catalogue "
            f"WHERE {where} AND last < ? ORDER BY last DESC LIMIT ?)",
            (*values, before, AT_A_TIME),
        ).fetchone()
        some = [one.split(" ") for one in text.split(",")] if text else []
        rows = [Row(bytes.fromhex(last), int(number), *map(bytes.fromhex, rest)) for last, number, *rest in some]
        rows.sort(reverse=True)
        yield from rows
        if len(rows) < AT_A_TIME:
            return
        before = rows[-1].last


def _conditions(filter: Filter, since: float, bound: int) -> tuple[str, list[object]]:
    """What holds for a bundle of which some explanation passes."""
    conditions: dict[str, object] = {"created >= ?": since, "sequence > ?": bound, "length(head) > ?": 0}
    if filter.model is not None:
        conditions["model = ?"] = filter.model
    if filter.version is not None:
        conditions["version = ?"] = filter.version
    if filter.label is not None:
        conditions["instr(labels, ?)"] = msgspec.json.encode(filter.label).decode()
    if filter.sequence is not None:
        conditions["instr(hashes, ?)"] = short_hash(filter.sequence)
    return " AND ".join(conditions), list(conditions.values())


def _matches(row: Row, filter: Filter, since: float, bound: int) -> Iterator[Match]:
    """The explanations of a bundle that pass."""
    head, sequence = decode_head(row.head), row.sequence
    until = filter.until.timestamp() if filter.until else math.inf
    before = UUID(filter.before).bytes if filter.before else None
    for index, rows in enumerate(head.rows):
        id = head.id(index)
        if (
            since <= head.created[index] < until
            and sequence - len(head) + index >= bound
            and (before is None or id < before)
            and (filter.label is None or filter.label in (head.labels or [])[rows])
            and (filter.sequence is None or _has(row.hashes, rows, short_hash(filter.sequence)))
        ):
            yield Match(id, sequence, head, index, rows)


def _has(hashed: bytes, rows: slice, hash: bytes) -> bool:
    """Whether one of these sequences has the hash. (SQLite has looked for its bytes, wherever they begin.)"""
    return any(hashed[start : start + HASH] == hash for start in range(HASH * rows.start, HASH * rows.stop, HASH))
