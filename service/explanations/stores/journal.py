"""What is kept but not yet in the SQLite file: a journal beside it for each process, which only grows.

A commit of one explanation takes longer than a small model; a write to the end of a file takes a twentieth of that, and
outlives a kill as well. Who reads, and whoever has time, moves what is in the journals into the database: `fold`, in
the transaction that says how far it got, so that nothing is lost or there twice, whoever is killed at which moment.

    frame       length and CRC-32 of a record (4 bytes each, little-endian), the record: a bundle, see bundles.py
"""

import fcntl
import os
import sqlite3
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from uuid import uuid4

from service.explanations.stores import catalogue
from service.explanations.stores.bundles import Bundle, merge
from service.explanations.stores.store import StoreError

SCHEMA = "CREATE TABLE IF NOT EXISTS journals (name TEXT PRIMARY KEY, folded INTEGER NOT NULL)"  # bytes of the file
FRAME = struct.Struct("<II")


class Journal:
    """The journal of this process. A lock on it says that the process lives.

    Args:
        database: path of the SQLite file.

    Attributes:
        size: bytes.

    Raises:
        OSError: the file cannot be made.
    """

    def __init__(self, database: Path) -> None:
        name = uuid4().hex
        self.path, beside = _path(database, name), database.with_name(f"{database.name}-opening-{name}")
        self._file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        beside.rename(self.path)  # only now do others see it: one without a lock is taken for one that was left
        self.size = 0

    def append(self, records: Sequence[bytes]) -> None:
        """Adds records, all or none.

        Raises:
            StoreError: they could not be written.
        """
        data = b"".join([part for record in records for part in (FRAME.pack(len(record), zlib.crc32(record)), record)])
        try:
            if os.write(self._file, data) != len(data):  # a full disk takes what still fits
                raise OSError("the disk is full")
        except OSError as error:
            os.ftruncate(self._file, self.size)
            raise StoreError(f"the journal of the SQLite store failed: {error}") from error
        self.size += len(data)

    def close(self) -> None:
        """Leaves it to who folds next."""
        os.close(self._file)


def is_behind(db: sqlite3.Connection, database: Path) -> bool:
    """Whether some journal holds what the database does not."""
    folded = dict(db.execute("SELECT name, folded FROM journals"))
    return any(size > folded.get(path.name, 0) for path, size in _journals(database))


def fold(db: sqlite3.Connection, database: Path) -> int:
    """Moves what all journals hold into the database, in a transaction of the caller's; how many explanations.

    A journal that was left, and is folded since an earlier transaction, is deleted.
    """
    folded, count = dict(db.execute("SELECT name, folded FROM journals")), 0
    for path, _ in _journals(database):
        left = _is_left(path)  # before it is read: nothing is added to it any more
        start = folded.pop(path.name, 0)
        records, end = _read(path, start)
        if records:
            count += _insert(db, merge(records))
            db.execute("INSERT OR REPLACE INTO journals VALUES (?, ?)", (path.name, end))
        elif left:
            path.unlink(missing_ok=True)
    db.executemany("DELETE FROM journals WHERE name = ?", [(name,) for name in folded])  # their files are gone
    return count


def drop(database: Path) -> None:
    """Deletes all journals of a database."""
    for path, _ in _journals(database):
        path.unlink(missing_ok=True)


def _insert(db: sqlite3.Connection, bundles: Iterable[Bundle]) -> int:
    """Adds bundles to the database, numbered in this order; how many explanations."""
    [first] = db.execute("SELECT coalesce(max(sequence), 0) FROM bundles").fetchone()
    sequence = first
    for bundle in bundles:
        sequence += len(bundle)
        last, created = bundle.last, max(bundle.created)
        db.execute("INSERT INTO bundles VALUES (?, ?, ?, ?)", (sequence, last, created, bundle.encode()))
        catalogue.add(db, sequence, last, created, bundle)
    return int(sequence - first)


def _path(database: Path, name: str) -> Path:
    return database.with_name(f"{database.name}-journal-{name}")


def _journals(database: Path) -> Iterator[tuple[Path, int]]:
    """The journals and their sizes; others may delete some meanwhile."""
    beginning = _path(database, "").name
    for path in [path for path in database.parent.iterdir() if path.name.startswith(beginning)]:
        try:
            yield path, path.stat().st_size
        except FileNotFoundError:
            continue


def _is_left(path: Path) -> bool:
    """Whether the process that wrote it has ended, or has begun another."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def _read(path: Path, start: int) -> tuple[list[bytes], int]:
    """The whole records from `start` on, and where they end. One that is not whole was never answered for."""
    with path.open("rb") as file:
        file.seek(start)
        data = file.read()
    records, place = [], 0
    while place + FRAME.size <= len(data):
        length, checksum = FRAME.unpack_from(data, place)
        record = data[place + FRAME.size : place + FRAME.size + length]
        if length == 0 or len(record) < length or zlib.crc32(record) != checksum:
            break
        records.append(record)
        place += FRAME.size + length
    return records, start + place
