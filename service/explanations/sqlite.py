"""Explanations in one SQLite file, which survives a restart and a kill (WAL), and which other processes may read."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from uuid_utils import UUID

from service.errors import StartupError
from service.explanations.database import Connection
from service.explanations.groups import Groups
from service.explanations.record import Explanation
from service.explanations.store import Entry, Filter, StoreError

Row = tuple[bytes, float, str, int, int, str, bytes]
Labelled = tuple[Row, list[str]]
PRUNE_EVERY = 100  # commits from one look at the age of the oldest to the next; reading looks at the age itself
SWEEP_EVERY = 1000  # commits from one look for labels of what is gone to the next, which reads them all


class SQLiteStore:
    """A `Store` in one file, bounded by count and by age.

    What is put is committed in groups. Reading has a connection and a thread of its own, so that it does not wait for
    writing.

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
        self._groups: Groups[Labelled] = Groups(self._write)
        self._commits = 0
        self.trouble: str | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)  # it holds what callers sent
            self._writer = Connection(path)
            self._writer.prepare()
            self._prune()
            self._reader = Connection(path)
        except (OSError, sqlite3.Error) as error:
            raise StartupError(f"expected a SQLite file for explanations at {path}, received: {error}") from error

    async def open(self) -> None:
        """See `Store.open`; the file is open."""

    def put(self, explanation: Explanation) -> asyncio.Future[None]:
        """See `Store.put`."""
        labels = sorted(set(explanation.labels or []))
        row: Row = (
            UUID(explanation.id).bytes,
            explanation.created,
            explanation.model,
            explanation.version,
            len(explanation),
            msgspec.json.encode(labels).decode(),
            explanation.encode(),
        )
        return self._groups.put((row, labels))

    async def get(self, id: str) -> Explanation | None:
        """See `Store.get`."""
        key = _key(id)
        found = key and await self._reader.do(self._get, key)
        return Explanation.decode(found) if found else None

    async def latest(self, filter: Filter, limit: int) -> list[Entry]:
        """See `Store.latest`."""
        return await self._reader.do(self._latest, filter, limit)

    async def delete(self, id: str) -> bool:
        """See `Store.delete`."""
        key = _key(id)
        return key is not None and await self._writer.do(self._delete, key)

    async def close(self) -> None:
        """See `Store.close`."""
        await self._groups.settle()
        await self._writer.close()
        await self._reader.close()

    async def _write(self, rows: list[Labelled]) -> None:
        try:
            await self._writer.do(self._insert, rows)
        except StoreError as error:
            self.trouble = str(error)
            raise
        self.trouble = None

    def _insert(self, rows: list[Labelled]) -> None:
        with self._writer.transaction() as db:
            for some in _in_powers_of_two([row for row, _ in rows]):
                values = ", ".join(["(?, ?, ?, ?, ?, ?, ?)"] * len(some))
                db.execute(
                    "INSERT INTO explanations (id, created, model, version, sequences, labels, record) "  # noqa: S608
                    f"VALUES {values}",
                    [value for row in some for value in row],
                )
            named = ((label, row[0]) for row, labels in rows for label in labels)
            db.executemany("INSERT INTO labels VALUES (?, ?)", named)
            self._prune()

    def _prune(self) -> None:
        """Deletes what is too much and, now and then, what is too old."""
        self._writer.db.execute(
            "DELETE FROM explanations WHERE sequence <= (SELECT max(sequence) FROM explanations) - ?",
            (self._max_count,),
        )
        self._commits += 1
        if self._commits % PRUNE_EVERY == 1:
            self._writer.db.execute("DELETE FROM explanations WHERE created < ?", (self._oldest(),))
        if self._commits % SWEEP_EVERY == 1:
            self._writer.db.execute("DELETE FROM labels WHERE id < (SELECT min(id) FROM explanations)")

    def _oldest(self) -> float:
        return self._clock() - self._max_age

    def _get(self, id: bytes) -> bytes | None:
        found = self._reader.db.execute(
            "SELECT record FROM explanations WHERE id = ? AND created >= ?", (id, self._oldest())
        ).fetchone()
        return found[0] if found else None

    def _latest(self, filter: Filter, limit: int) -> list[Entry]:
        since = max(self._oldest(), filter.since.timestamp() if filter.since else 0)
        conditions: dict[str, object] = {"created >= ?": since}
        if filter.model is not None:
            conditions["model = ?"] = filter.model
        if filter.version is not None:
            conditions["version = ?"] = filter.version
        if filter.label is not None:
            conditions["label = ?"] = filter.label
        if filter.before is not None:
            conditions["id < ?"] = UUID(filter.before).bytes
        # CROSS: the order of the tables is also that of reading; else SQLite may look at every explanation.
        tables = "explanations" if filter.label is None else "labels CROSS JOIN explanations USING (id)"
        rows = self._reader.db.execute(
            f"SELECT id, created, model, version, sequences, labels FROM {tables} "  # noqa: S608 (our own conditions)
            f"WHERE {' AND '.join(conditions)} ORDER BY id DESC LIMIT ?",
            (*conditions.values(), limit),
        )
        return [
            Entry(str(UUID(bytes=id)), created, model, version, sequences, msgspec.json.decode(labels))
            for id, created, model, version, sequences, labels in rows
        ]

    def _delete(self, id: bytes) -> bool:
        with self._writer.transaction() as db:
            db.execute("DELETE FROM labels WHERE id = ?", (id,))
            return db.execute("DELETE FROM explanations WHERE id = ?", (id,)).rowcount > 0


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
