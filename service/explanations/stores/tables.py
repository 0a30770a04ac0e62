"""Explanations in the tables of a SQLite file: found, read, deleted, and bounded by count and by age.

They are numbered in the order in which they came; a bundle holds the numbers (sequence - how many, sequence]. Where
some of a bundle are deleted the rest keep the last of its numbers, and those before become a hole.
"""

import sqlite3
from collections.abc import Collection, Iterator

import msgspec

from service.explanations.record import Explanation
from service.explanations.stores.bundles import MOST_BYTES, SPAN, Bundle, decode, encode, hashes, span

SCHEMA = (
    # `last` is the largest id, `created` the latest.
    """CREATE TABLE IF NOT EXISTS bundles (
        sequence INTEGER PRIMARY KEY, last BLOB NOT NULL, created REAL NOT NULL, record BLOB NOT NULL
    )""",
    "CREATE TABLE IF NOT EXISTS notes (id BLOB, name TEXT, note BLOB, PRIMARY KEY (id, name)) WITHOUT ROWID",
    # Of what is kept, the numbers (low, top] are missing.
    "CREATE TABLE IF NOT EXISTS holes (low INTEGER PRIMARY KEY, top INTEGER NOT NULL UNIQUE)",
    # One row: the newest number given; what has a number up to `bound` is gone, since there were too many; how many
    # there are above it.
    "CREATE TABLE IF NOT EXISTS numbers (one INTEGER PRIMARY KEY, newest INTEGER, bound INTEGER, there INTEGER)",
    "INSERT OR IGNORE INTO numbers VALUES (1, 0, 0, 0)",
    # Files that this server kept before there was this table, and since by one of that time.
    """UPDATE numbers SET newest = sequence, there = there + sequence - newest
        FROM (SELECT max(sequence) AS sequence FROM bundles) WHERE sequence > newest""",
)
FIND = """SELECT sequence, record, (SELECT bound FROM numbers) FROM bundles WHERE sequence =
    (SELECT sequence FROM catalogue WHERE last BETWEEN :id AND :end AND instr(head, :id))"""
AT_A_TIME = 32  # bundles that are read as one row
ROW_BYTES = AT_A_TIME * MOST_BYTES  # of these: SQLite takes no more than 1e9 as one value, and hex has two for each
LOOKED_AT = 4096  # bundles, the oldest, that are deleted at once where they are too old


def newest(db: sqlite3.Connection) -> int:
    """The number of the newest explanation, which may be deleted already."""
    return int(db.execute("SELECT newest FROM numbers").fetchone()[0])


def bound(db: sqlite3.Connection) -> int:
    """The number up to which all are gone, since there were too many."""
    return int(db.execute("SELECT bound FROM numbers").fetchone()[0])


def count(db: sqlite3.Connection, sequence: int) -> None:
    """Counts all up to this number, which is the newest now."""
    db.execute("UPDATE numbers SET there = there + ?1 - newest, newest = ?1", (sequence,))


def find(db: sqlite3.Connection, id: bytes) -> tuple[int, Bundle, int] | None:
    """The bundle with an explanation, its number, and how many of its first are gone for there being too many."""
    found = db.execute(FIND, {"id": id, "end": span(id)[1]}).fetchone()
    if found is None:
        return None
    bundle = decode(found[1])
    return found[0], bundle, _gone(found[0], bundle, found[2])


def sizes(db: sqlite3.Connection, sequences: Collection[int]) -> dict[int, int]:
    """Bytes of bundles, by their number."""
    [text] = db.execute(
        "SELECT group_concat(sequence || ' ' || length(record)) FROM bundles "
        "WHERE sequence IN (SELECT value FROM json_each(?))",
        (_json(sequences),),
    ).fetchone()
    return {int(number): int(size) for number, size in (one.split(" ") for one in text.split(","))} if text else {}


def read(db: sqlite3.Connection, sizes: dict[int, int]) -> dict[int, Bundle]:
    """Bundles by their number, many in a row: at every row Python's lock is let go, and predictions take it.

    Args:
        sizes: of those that are read; see there.
    """
    return {number: decode(record) for some in _rows(sizes) for number, record in _records(db, some)}


def remove(db: sqlite3.Connection, sequence: int, places: Collection[int]) -> None:
    """Takes those at these places out of a bundle, and what there were too many of."""
    bundle = decode(*db.execute("SELECT record FROM bundles WHERE sequence = ?", (sequence,)).fetchone())
    gone = _gone(sequence, bundle, bound(db))
    rest = [one for place, one in enumerate(bundle) if place >= gone and place not in places]
    _rewrite(db, sequence, rest)
    _dig(db, sequence - len(bundle), sequence - len(rest))
    db.execute("UPDATE numbers SET there = there - ?", (len(bundle) - gone - len(rest),))


def raise_bound(db: sqlite3.Connection, max_count: int) -> None:
    """Has no more than `max_count` be there, the newest."""
    low, there = db.execute("SELECT bound, there FROM numbers").fetchone()
    if there <= max_count:
        return
    while there > max_count:
        top = low + there - max_count
        [missing] = db.execute(
            "SELECT coalesce(sum(min(top, ?2) - max(low, ?1)), 0) FROM holes WHERE low < ?2 AND top > ?1", (low, top)
        ).fetchone()
        there -= top - low - missing
        low = top
    db.execute("UPDATE numbers SET bound = ?, there = ?", (low, there))
    db.execute("DELETE FROM holes WHERE top <= ?", (low,))


def tidy(db: sqlite3.Connection, oldest: float) -> bool:
    """Deletes what is gone for there being too many, and what was made before `oldest`, in seconds since 1970, or as
    much of that as does not take long. Whether it was all.
    """
    gone = db.execute(
        "SELECT sequence, last FROM bundles WHERE sequence <= (SELECT bound FROM numbers) UNION "
        "SELECT sequence, last FROM (SELECT sequence, last, created FROM bundles ORDER BY sequence LIMIT ?)"
        " WHERE created < ?",
        (LOOKED_AT, oldest),
    ).fetchall()
    db.executemany("DELETE FROM bundles WHERE sequence = ?", ((sequence,) for sequence, _ in gone))
    db.executemany("DELETE FROM catalogue WHERE last = ?", ((last,) for _, last in gone))
    oldest_span = "SELECT substr(coalesce(min(last), x'ff'), 1, ?) FROM catalogue"
    db.execute(f"DELETE FROM notes WHERE id < ({oldest_span})", (SPAN,))  # noqa: S608
    return len(gone) < LOOKED_AT


def _gone(sequence: int, bundle: Bundle, bound: int) -> int:
    """How many of the first of a bundle are gone for there being too many."""
    return max(0, bound - sequence + len(bundle))


def _rewrite(db: sqlite3.Connection, sequence: int, rest: list[Explanation]) -> None:
    """Leaves only these in a bundle."""
    record = head = hashed = b""
    if rest:
        [record] = encode(rest)
        bundle = decode(record)
        head, hashed = bundle.encode_head(), hashes(bundle)
    [last] = db.execute("SELECT last FROM bundles WHERE sequence = ?", (sequence,)).fetchone()
    db.execute("UPDATE bundles SET record = ? WHERE sequence = ?", (record, sequence))
    db.execute("UPDATE catalogue SET head = ?, hashes = ? WHERE last = ?", (head, hashed, last))


def _dig(db: sqlite3.Connection, low: int, top: int) -> None:
    """The numbers (low, top] are missing from now on, or more of them than before."""
    before = db.execute("SELECT low FROM holes WHERE top = ?", (low,)).fetchone()
    db.execute("INSERT OR REPLACE INTO holes VALUES (?, ?)", (before[0] if before else low, top))


def _rows(sizes: dict[int, int]) -> Iterator[list[int]]:
    """Numbers of bundles that are read as one row; of one that is too large for that, alone."""
    some: list[int] = []
    total = 0
    for number, size in sizes.items():
        if some and (len(some) == AT_A_TIME or total + size > ROW_BYTES):
            yield some
            some, total = [], 0
        some.append(number)
        total += size
    if some:
        yield some


def _records(db: sqlite3.Connection, numbers: list[int]) -> Iterator[tuple[int, bytes]]:
    """The records of bundles, with their numbers, as one row."""
    if len(numbers) == 1:
        yield from db.execute("SELECT sequence, record FROM bundles WHERE sequence = ?", numbers)
        return
    [text] = db.execute(
        "SELECT group_concat(sequence || ' ' || hex(record)) FROM bundles "
        "WHERE sequence IN (SELECT value FROM json_each(?))",
        (_json(numbers),),
    ).fetchone()
    for one in text.split(","):
        number, record = one.split(" ")
        yield int(number), bytes.fromhex(record)


def _json(numbers: Collection[int]) -> str:
    return msgspec.json.encode(numbers).decode()
