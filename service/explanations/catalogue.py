"""What lists of explanations in a SQLite file are made from: all of them but their arrays, in a table of its own.

Looking through the whole of it for a model or a label takes milliseconds. It follows the explanations with some delay,
many at a time: a second table, or indexes, would make a commit of one explanation much longer.
"""

import sqlite3

import msgspec
from uuid_utils import UUID

from service.explanations.store import Entry, Filter

TABLES = ("entries", "catalogued")
SCHEMA = (
    """CREATE TABLE IF NOT EXISTS entries (
        id BLOB PRIMARY KEY, created REAL, model TEXT, version INTEGER, sequences INTEGER, labels TEXT
    ) WITHOUT ROWID""",
    # The last explanation that is in the catalogue.
    "CREATE TABLE IF NOT EXISTS catalogued (one INTEGER PRIMARY KEY CHECK (one = 1), sequence INTEGER NOT NULL)",
    "INSERT OR IGNORE INTO catalogued VALUES (1, 0)",
)


def catch_up(db: sqlite3.Connection) -> None:
    """Adds the explanations that are new since the last time."""
    db.execute(
        "INSERT OR IGNORE INTO entries SELECT id, created, model, version, sequences, labels FROM explanations "
        "WHERE sequence > (SELECT sequence FROM catalogued)"
    )
    db.execute("UPDATE catalogued SET sequence = coalesce((SELECT max(sequence) FROM explanations), 0)")


def sweep(db: sqlite3.Connection) -> None:
    """Removes what is not kept any more."""
    db.execute("DELETE FROM entries WHERE id < (SELECT id FROM explanations ORDER BY sequence LIMIT 1)")


def latest(db: sqlite3.Connection, filter: Filter, oldest: float, max_count: int, limit: int) -> list[Entry]:
    """The newest that pass the filter, newest first, out of what `catch_up` has added.

    Args:
        oldest: seconds since 1970; what was made before has been kept long enough.
        max_count: so many are kept.
    """
    since = max(oldest, filter.since.timestamp() if filter.since else 0)
    conditions: dict[str, object] = {
        "created >= ?": since,
        "id >= (SELECT id FROM explanations WHERE sequence > (SELECT max(sequence) FROM explanations) - ? "
        "ORDER BY sequence LIMIT 1)": max_count,
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
