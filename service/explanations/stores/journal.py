"""What is kept but not yet in the SQLite file: a journal beside it for each process, which only grows.

A commit of one explanation takes longer than a small model; a write to the end of a file takes a twentieth of that, and
outlives a kill as well. Who reads, and whoever has time, moves what is in the journals into the database: `fold`, in
the transaction that says how far it got, so that nothing is lost or there twice, whoever is killed at which moment.

    frame       length and CRC-32 of a record (4 bytes each, little-endian), the record: a bundle, see bundles.py
"""

import errno
import fcntl
import logging
import os
import sqlite3
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from service.explanations.stores import catalogue, tables
from service.explanations.stores.bundles import BEGINNING, Bundle, decode, merge
from service.explanations.stores.store import StoreError

logger = logging.getLogger(__name__)

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
        self.path, self._file = _begin(database)
        self.size = 0
        self._refused = 0  # bytes that were not written

    def append(self, records: Sequence[bytes]) -> None:
        """Adds records, all or none.

        Raises:
            StoreError: they could not be written.
        """
        data = b"".join([part for record in records for part in (FRAME.pack(len(record), zlib.crc32(record)), record)])
        self._write(data)
        self.size += len(data)

    def probe(self) -> None:
        """Writes as much as could not be written last, and takes it away again.

        Raises:
            StoreError: it still cannot be written.
        """
        self._write(bytes(self._refused))
        os.ftruncate(self._file, self.size)

    def read(self, start: int) -> bytes:
        """What is in it from there on, even if its name is gone."""
        return os.pread(self._file, self.size - start, start)

    def is_intact(self) -> bool:
        """Whether it still has its name, and all that was written."""
        size = self.size  # before it is looked at: it may grow meanwhile
        try:
            found = self.path.stat()
        except OSError:
            return False
        return os.path.samestat(found, os.fstat(self._file)) and found.st_size >= size

    def close(self) -> None:
        """Leaves it to who folds next."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _write(self, data: bytes) -> None:
        """Writes at its end, wherever the file ends."""
        try:
            if os.pwrite(self._file, data, self.size) != len(data):  # a full disk takes what still fits
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            self._refused = len(data)
            with suppress(OSError):
                os.ftruncate(self._file, self.size)
            raise StoreError(f"the journal of the SQLite store failed: {error}") from error


class Found(NamedTuple):
    """What was read of a journal.

    Attributes:
        end: of the last whole record, in bytes.
        damaged: bytes before that which are of no whole record.
    """

    records: list[bytes]
    end: int
    damaged: int


def is_behind(db: sqlite3.Connection, database: Path, own: Journal) -> bool:
    """Whether some journal holds what the database does not.

    Args:
        own: of this process.
    """
    folded = read_ends(db)
    sizes = {path.name: size for path, size in _journals(database)} | {own.path.name: own.size}
    return any(size > folded.get(name, 0) for name, size in sizes.items())


def read_ends(db: sqlite3.Connection) -> dict[str, int]:
    """How many bytes of each journal are in the database, by its name."""
    return dict(db.execute("SELECT name, folded FROM journals"))


def keep_ends(db: sqlite3.Connection, ends: dict[str, int]) -> None:
    """Has the database hold that much of journals, at least: if what was brought in once were brought in again, so
    would be what was deleted since.
    """
    db.executemany(
        "INSERT INTO journals VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET folded = max(folded, excluded.folded)",
        ends.items(),
    )


def fold(db: sqlite3.Connection, database: Path, own: Journal | None = None) -> int:
    """Moves what all journals hold into the database, in a transaction of the caller's; how many explanations.

    A journal that was left, and is folded since an earlier transaction, is deleted. What is damaged or cannot be read
    is left out, and logged: it would hold up all that follows.

    Args:
        own: of this process, which has it open.
    """
    folded, count = read_ends(db), 0
    if own is not None:
        count += _bring_in(db, own.path, folded.pop(own.path.name, 0), own)
    for path, _ in _journals(database):
        if own is None or path != own.path:
            count += _bring_in(db, path, folded.pop(path.name, 0))
    db.executemany("DELETE FROM journals WHERE name = ?", [(name,) for name in folded])  # their files are gone
    return count


def drop(database: Path) -> None:
    """Deletes all journals of a database."""
    for path, _ in _journals(database):
        path.unlink(missing_ok=True)


def sweep(database: Path) -> None:
    """Deletes what processes left that were killed while they began a journal."""
    for path, _ in _beside(database, "opening"):
        with suppress(FileNotFoundError):
            if _is_left(path):
                path.unlink()


def scan(data: bytes) -> Found:
    """The whole records of a journal, or of its end. What is damaged is skipped, up to the next whole record."""
    records, place, damaged = [], 0, 0
    while place < len(data):
        record = _record(data, place)
        if record is None:
            following = _next(data, place)
            if following is None:
                break
            damaged += following - place
            place = following
        else:
            records.append(record)
            place += FRAME.size + len(record)
    return Found(records, place, damaged)


def _record(data: bytes, place: int) -> bytes | None:
    """The whole record whose frame begins at this place, or None."""
    start = place + FRAME.size
    if start > len(data):
        return None
    length, checksum = FRAME.unpack_from(data, place)
    record = data[start : start + length]
    return record if len(record) == length > 0 and zlib.crc32(record) == checksum else None


def _next(data: bytes, place: int) -> int | None:
    """Where the next frame of a whole record begins behind this place."""
    beginning = place + FRAME.size
    while (beginning := data.find(BEGINNING, beginning + 1)) >= 0:
        if _record(data, beginning - FRAME.size) is not None:
            return beginning - FRAME.size
    return None


def _bring_in(db: sqlite3.Connection, path: Path, start: int, own: Journal | None = None) -> int:
    """Moves what a journal holds from `start` on into the database; how many explanations."""
    left = own is None and _is_left(path)  # before it is read: nothing is added to it any more
    size = own.size if own else 0
    data = _read(path, start) if own is None else own.read(start)
    if left and not data:
        path.unlink(missing_ok=True)
        return 0
    found = scan(data)
    end, damaged = start + found.end, found.damaged
    if own is not None or left:  # then nothing of it is on its way
        whole = max(size, start + len(data))
        end, damaged = whole, damaged + whole - end
    if damaged:
        logger.error("%d bytes of the journal %s are of no whole record: damaged, or never all written", damaged, path)
    if end > start:
        db.execute("INSERT OR REPLACE INTO journals VALUES (?, ?)", (path.name, end))
    return _insert(db, merge(_decode(found.records, path))) if found.records else 0


def _decode(records: Iterable[bytes], path: Path) -> Iterator[tuple[Bundle, int]]:
    """Bundles, with their bytes. One that cannot be read is left out: only a fault of this server would write it."""
    for record in records:
        try:
            yield decode(record), len(record)
        except Exception:
            logger.exception("a record of %d bytes of the journal %s cannot be read", len(record), path)


def _insert(db: sqlite3.Connection, bundles: Iterable[Bundle]) -> int:
    """Adds bundles to the database, numbered in this order; how many explanations."""
    first = sequence = tables.newest(db)
    for bundle in bundles:
        last, created = bundle.last, max(bundle.created)
        if catalogue.add(db, sequence + len(bundle), last, created, bundle):  # else it is of a copy of a journal
            sequence += len(bundle)
            db.execute("INSERT INTO bundles VALUES (?, ?, ?, ?)", (sequence, last, created, bundle.encode()))
    tables.count(db, sequence)
    return sequence - first


def _begin(database: Path) -> tuple[Path, int]:
    """A new journal, and its file with a lock.

    Raises:
        OSError: it cannot be made.
    """
    name = uuid4().hex
    path, beside = (database.with_name(f"{database.name}-{kind}-{name}") for kind in ("journal", "opening"))
    file = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        beside.rename(path)  # only now do others see it: one without a lock is taken for one that was left
    except FileNotFoundError:  # as it was by who sweeps, before it had one
        os.close(file)
        return _begin(database)
    return path, file


def _journals(database: Path) -> Iterator[tuple[Path, int]]:
    """The journals and their sizes."""
    return ((path, found.st_size) for path, found in _beside(database, "journal"))


def _beside(database: Path, kind: str) -> Iterator[tuple[Path, os.stat_result]]:
    """Files of a kind beside the database; others may delete some meanwhile."""
    beginning = f"{database.name}-{kind}-"
    for path in [path for path in database.parent.iterdir() if path.name.startswith(beginning)]:
        try:
            yield path, path.stat()
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


def _read(path: Path, start: int) -> bytes:
    with path.open("rb") as file:
        file.seek(start)
        return file.read()
