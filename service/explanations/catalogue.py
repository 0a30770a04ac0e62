"""What lists of explanations in a SQLite file are made from: all of them but their arrays, in a table of its own.

Looking through the whole of it for a model or a label takes milliseconds. It follows the bundles with some delay, many
at a time: a second table, or an index, would make a commit of one explanation much longer.
"""

import sqlite3
from collections.abc import Iterator

import msgspec
from uuid_utils import UUID

from service.explanations.bundles import ID, decode_head
from service.explanations.store import Entry, Filter

TABLES = ("entries", "catalogued")
SCHEMA = (
    # `place`: the number of the explanation, in the order in which they came.
    """CREATE TABLE IF NOT EXISTS entries (
        id BLOB PRIMARY KEY, place INTEGER, created REAL, model TEXT, version INTEGER, sequences INTEGER, labels TEXT
    ) WITHOUT ROWID""",
    # The last bundle that is in the catalogue.
    "CREATE TABLE IF NOT EXISTS catalogued (one INTEGER PRIMARY KEY CHECK (one = 1), sequence INTEGER NOT NULL)",
    "INSERT OR IGNORE INTO catalogued VALUES (1, 0)",
)
Row = tuple[bytes, int, float, str, int, int, str]


def catch_up(db: sqlite3.Connection) -> None:
    """Adds the explanations that are new since the last time."""
    new = db.execute(
        "SELECT sequence, record FROM bundles WHERE sequence > (SELECT sequence FROM catalogued) AND ids != x'' "
        "ORDER BY sequence"
    ).fetchall()
    if new:
        rows = (row for sequence, record in new for row in _rows(sequence, record))
        db.executemany("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        db.execute("UPDATE catalogued SET sequence = ?", (new[-1][0],))


def forget(db: sqlite3.Connection, ids: bytes) -> None:
    """Removes explanations whose ids, end to end, these are."""
    each = ((ids[start : start + ID],) for start in range(0, len(ids), ID))
    db.executemany("DELETE FROM entries WHERE id = ?", each)


def latest(db: sqlite3.Connection, filter: Filter, oldest: float, max_count: int, limit: int) -> list[Entry]:
    """The newest that pass the filter, newest first, out of what `catch_up` has added.

    Args:
        oldest: seconds since 1970; what was made before has been kept long enough.
        max_count: so many are kept.
    """
    since = max(oldest, filter.since.timestamp() if filter.since else 0)
    conditions: dict[str, object] = {
        "created >= ?": since,
        "place > (SELECT max(sequence) FROM bundles) - ?": max_count,
    }
    if filter.model is not None:
        conditions["model = ?"] = filter.model
    if filter.version is not None:
        conditions["version = ?"] = filter.version
    if filter.label is not None:
        # The first is quick, and wrong only where a label has quotes in it.
        conditions["instr(labels, ?)"] = msgspec.json.encode(filter.label).decode()
        conditions["EXISTS (SELECT 1 FROM json_each(labels) WHERE value = ?)"] = filter.label
    if filter.before is not None:
        conditions["id < ?"] = UUID(filter.before).bytes
    rows = db.execute(
        "SELECT id, created, model, version, sequences, labels FROM entries "  # noqa: S608 (our own conditions)
        f"WHERE {' AND '.join(conditions)} ORDER BY id DESC LIMIT ?",
        (*conditions.values(), limit),
    )
    return [
        Entry(str(UUID(bytes=id)), created, model, version, sequences, msgspec.json.decode(labels))
        for id, created, model, version, sequences, labels in rows
    ]


def _rows(sequence: int, record: bytes) -> Iterator[Row]:
    """The explanations of a bundle."""
    head = decode_head(record)
    place = sequence - len(head)
    for index, rows in enumerate(head.rows):
        id = head.ids[ID * index : ID * index + ID]
        labels = sorted(set(head.labels[rows])) if head.labels else []
        text = msgspec.json.encode(labels).decode()
        yield id, place + index + 1, head.created[index], head.model, head.version, head.counts[index], text
