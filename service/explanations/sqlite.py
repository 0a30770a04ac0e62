"""Explanations in one SQLite file, which survives a restart and a kill (WAL), and which other processes may read."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from uuid_utils import UUID

from service.errors import StartupError
from service.explanations import catalogue
from service.explanations.database import Connection
from service.explanations.groups import Groups
from service.explanations.record import Explanation
from service.explanations.store import Entry, Filter, StoreError

Row = tuple[bytes, float, str, int, int, str, bytes]
AT_ONCE = 64  # rows that are committed on the event loop: that takes less than going to a thread and back
BEHIND = 256  # rows from one time that the catalogue is brought up to date, and what is too much deleted, to the next


class SQLiteStore:
    """A `Store` in one file, bounded by count and by age.

    What is put is committed in groups. Reading has a connection and a thread of its own, so that it does not wait for
    writing. So has writing, but for small groups: they are committed right away, if nobody else writes.

    Args:
        path: the file; made, with its folder, where it is not there.
        max_count: explanations kept at most; the oldest go first.
        max_age: seconds an explanation is kept.
        clock: seconds since 1970.

    Attributes:
        trouble: see `Store.trouble`: why the last commit failed; the next tries again.

    Raises:
        StartupError: the file cannot be opened or is not a database.
    """

    def __init__(self, path: Path, max_count: int, max_age: float, clock: Callable[[], float] = time.time) -> None:
        self._max_count, self._max_age, self._clock = max_count, max_age, clock
        self._groups: Groups[Row] = Groups(self._write, self._write_at_once)
        self._behind = 0
        self.trouble: str | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)  # it holds what callers sent
            self._writer = Connection(path)
            self._writer.prepare()
            self._tidy()
            self._reader, self._at_once = Connection(path), Connection(path, timeout=0, checkpoint=0)
        except (OSError, sqlite3.Error) as error:
            raise StartupError(f"expected a SQLite file for explanations at {path}, received: {error}") from error

    async def open(self) -> None:
        """See `Store.open`; the file is open."""

    def put(self, explanation: Explanation) -> asyncio.Future[None]:
        """See `Store.put`."""
        row: Row = (
            UUID(explanation.id).bytes,
            explanation.created,
            explanation.model,
            explanation.version,
            len(explanation),
            msgspec.json.encode(sorted(set(explanation.labels or []))).decode(),
            explanation.encode(),
        )
        return self._groups.put(row)

    async def get(self, id: str) -> Explanation | None:
        """See `Store.get`."""
        key = _key(id)
        found = key and await self._reader.do(self._get, key)
        return Explanation.decode(found) if found else None

    async def latest(self, filter: Filter, limit: int) -> list[Entry]:
        """See `Store.latest`."""
        await self._writer.do(self._catch_up)
        return await self._reader.do(catalogue.latest, self._reader.db, filter, self._oldest(), self._max_count, limit)

    async def delete(self, id: str) -> bool:
        """See `Store.delete`."""
        key = _key(id)
        return key is not None and await self._writer.do(self._delete, key)

    async def close(self) -> None:
        """See `Store.close`."""
        await self._groups.settle()
        for connection in (self._writer, self._reader, self._at_once):
            await connection.close()

    def _write_at_once(self, rows: list[Row]) -> bool:
        """Commits a few rows, unless someone else writes, or it is time to tidy up."""
        if len(rows) > AT_ONCE or self._behind >= BEHIND:
            return False
        try:
            with self._at_once.transaction() as db:
                _insert(db, rows)
        except sqlite3.Error:  # busy, mostly; what it is otherwise comes out on the thread
            return False
        self._behind += len(rows)
        self.trouble = None
        return True

    async def _write(self, rows: list[Row]) -> None:
        try:
            await self._writer.do(self._insert, rows)
        except StoreError as error:
            self.trouble = str(error)
            raise
        self.trouble = None

    def _insert(self, rows: list[Row]) -> None:
        with self._writer.transaction() as db:
            _insert(db, rows)
        self._behind += len(rows)
        if self._behind >= BEHIND:
            self._tidy()

    def _catch_up(self) -> None:
        with self._writer.transaction() as db:
            catalogue.catch_up(db)

    def _tidy(self) -> None:
        """Brings the catalogue up to date, and deletes what is too much or too old; reading looks at that itself."""
        self._behind = 0
        with self._writer.transaction() as db:
            catalogue.catch_up(db)
            db.execute(
                "DELETE FROM explanations WHERE sequence <= (SELECT max(sequence) FROM explanations) - ?",
                (self._max_count,),
            )
            db.execute(
                "DELETE FROM explanations WHERE created < ? "
                "AND sequence IN (SELECT sequence FROM explanations ORDER BY sequence LIMIT ?)",
                (self._oldest(), BEHIND),
            )
            catalogue.sweep(db)

    def _oldest(self) -> float:
        return self._clock() - self._max_age

    def _get(self, id: bytes) -> bytes | None:
        found = self._reader.db.execute(
            "SELECT record FROM explanations WHERE id = ? AND created >= ? "
            "AND sequence > (SELECT max(sequence) FROM explanations) - ?",
            (id, self._oldest(), self._max_count),
        ).fetchone()
        return found[0] if found else None

    def _delete(self, id: bytes) -> bool:
        with self._writer.transaction() as db:
            db.execute("DELETE FROM entries WHERE id = ?", (id,))
            return db.execute("DELETE FROM explanations WHERE id = ?", (id,)).rowcount > 0


def _insert(db: sqlite3.Connection, rows: list[Row]) -> None:
    for some in _in_powers_of_two(rows):
        values = ", ".join(["(?, ?, ?, ?, ?, ?, ?)"] * len(some))
        db.execute(
            "INSERT INTO explanations (id, created, model, version, sequences, labels, record) "  # noqa: S608
            f"VALUES {values}",
            [value for row in some for value in row],
        )


def _key(id: str) -> bytes | None:
    """The id as it is kept; None where it is none."""
    try:
        return UUID(id).bytes
    except ValueError:
        return None


def _in_powers_of_two(rows: list[Row]) -> Iterator[list[Row]]:
    """Rows for one statement each: few different ones, so that SQLite need not compile them again and again."""
    size, start = 64, 0
    while start < len(rows):
        while size > len(rows) - start:
            size //= 2
        yield rows[start : start + size]
        start += size
