"""By what explanations are found in a SQLite file: model, version and label.

It follows the explanations with some delay, many at a time: with these indexes, too, a commit of one explanation would
take three times as long.
"""

import sqlite3

import msgspec
from uuid_utils import UUID

from service.explanations.store import Entry, Filter

TABLES = ("entries", "labels", "catalogued")
SCHEMA = (
    "CREATE TABLE IF NOT EXISTS entries (id BLOB PRIMARY KEY, model TEXT, version INTEGER) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS by_model ON entries (model, version, id)",
    "CREATE INDEX IF NOT EXISTS by_version ON entries (version, id)",
    "CREATE TABLE IF NOT EXISTS labels (label TEXT, id BLOB, PRIMARY KEY (label, id)) WITHOUT ROWID",
    # The last explanation that is in the catalogue.
    "CREATE TABLE IF NOT EXISTS catalogued (one INTEGER PRIMARY KEY CHECK (one = 1), sequence INTEGER NOT NULL)",
    "INSERT OR IGNORE INTO catalogued VALUES (1, 0)",
)
NEW = "sequence > (SELECT sequence FROM catalogued)"


def catch_up(db: sqlite3.Connection) -> None:
    """Adds the explanations that are new since the last time. Some of the catalogue may be gone already."""
    db.execute(f"INSERT OR IGNORE INTO entries SELECT id, model, version FROM explanations WHERE {NEW}")  # noqa: S608
    db.execute(
        "INSERT OR IGNORE INTO labels SELECT value, explanations.id "  # noqa: S608
        f"FROM explanations, json_each(explanations.labels) WHERE {NEW}"
    )
    db.execute("UPDATE catalogued SET sequence = coalesce((SELECT max(sequence) FROM explanations), 0)")


def sweep(db: sqlite3.Connection) -> None:
    """Removes what is not kept any more."""
    for table in ("entries", "labels"):
        db.execute(f"DELETE FROM {table} WHERE id < (SELECT min(id) FROM explanations)")  # noqa: S608 (our own names)


def remove(db: sqlite3.Connection, id: bytes) -> None:
    """Removes one."""
    for table in ("entries", "labels"):
        db.execute(f"DELETE FROM {table} WHERE id = ?", (id,))  # noqa: S608 (our own names)


def latest(db: sqlite3.Connection, filter: Filter, oldest: float, max_count: int, limit: int) -> list[Entry]:
    """The newest that pass the filter, newest first; `catch_up` comes before, where it filters by the catalogue.

    Args:
        oldest: seconds since 1970; what was made before has been kept long enough.
        max_count: so many are kept.
    """
    since = max(oldest, filter.since.timestamp() if filter.since else 0)
    tables = ["explanations"]
    conditions: dict[str, object] = {
        "explanations.sequence > (SELECT max(sequence) FROM explanations) - ?": max_count,
        "created >= ?": since,
    }
    if filter.model is not None or filter.version is not None:
        tables.insert(0, "entries")
    if filter.model is not None:
        conditions["entries.model = ?"] = filter.model
    if filter.version is not None:
        conditions["entries.version = ?"] = filter.version
    if filter.label is not None:
        tables.insert(0, "labels")
        conditions["label = ?"] = filter.label
    if filter.before is not None:
        conditions[f"{tables[0]}.id < ?"] = UUID(filter.before).bytes
    # CROSS: the order of the tables is also that of reading; else SQLite may look at every explanation.
    joined = tables[0] + "".join(f" CROSS JOIN {table} USING (id)" for table in tables[1:])
    rows = db.execute(
        "SELECT explanations.id, created, explanations.model, explanations.version, sequences, explanations.labels "  # noqa: S608
        f"FROM {joined} WHERE {' AND '.join(conditions)} ORDER BY {tables[0]}.id DESC LIMIT ?",
        (*conditions.values(), limit),
    )
    return [
        Entry(str(UUID(bytes=id)), created, model, version, sequences, msgspec.json.decode(labels))
        for id, created, model, version, sequences, labels in rows
    ]
