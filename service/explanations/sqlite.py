"""Explanations in one SQLite file, which survives a restart and a kill (WAL), and which other processes may read."""

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from service.errors import StartupError
from service.explanations.record import Explanation
from service.explanations.store import Entry, Filter, StoreError

R = TypeVar("R")

SCHEMA = """
CREATE TABLE IF NOT EXISTS explanations (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    created REAL NOT NULL,
    model TEXT NOT NULL,
    version INTEGER NOT NULL,
    sequences INTEGER NOT NULL,
    labels TEXT NOT NULL,
    record BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS by_created ON explanations (created);
CREATE INDEX IF NOT EXISTS by_model ON explanations (model, version, id);
"""


class SQLiteStore:
    """A `Store` in one file, bounded by count and by age.

    Statements run on a thread of their own, off the event loop, one after the other.

    Args:
        path: the file; made, with its folder, where it is not there.
        max_count: explanations kept at most; the oldest go first.
        max_age: seconds an explanation is kept.
        clock: seconds since 1970.

    Raises:
        StartupError: the file cannot be opened or is not a database.
    """

    def __init__(self, path: Path, max_count: int, max_age: float, clock: Callable[[], float] = time.time) -> None:
        self._max_count, self._max_age, self._clock = max_count, max_age, clock
        self._thread = ThreadPoolExecutor(1, "sqlite")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)  # it holds what callers sent
            self._db = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")  # survives kill -9; a power cut may cost the last answers
            self._db.executescript(SCHEMA)
            self._prune()
        except (OSError, sqlite3.Error) as error:
            raise StartupError(f"expected a SQLite file for explanations at {path}, received: {error}") from error

    async def put(self, explanation: Explanation) -> None:
        """See `Store.put`."""
        await self._do(self._put, explanation)

    async def get(self, id: str) -> Explanation | None:
        """See `Store.get`."""
        return await self._do(self._get, id)

    async def latest(self, filter: Filter, limit: int) -> list[Entry]:
        """See `Store.latest`."""
        return await self._do(self._latest, filter, limit)

    async def delete(self, id: str) -> bool:
        """See `Store.delete`."""
        return await self._do(self._delete, id)

    async def close(self) -> None:
        """See `Store.close`."""
        await self._do(self._db.close)
        self._thread.shutdown()

    async def _do(self, function: Callable[..., R], *args: object) -> R:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, function, *args)
        except sqlite3.Error as error:
            raise StoreError(f"the SQLite store failed: {error}") from error

    def _put(self, explanation: Explanation) -> None:
        row = (
            explanation.id,
            explanation.created,
            explanation.model,
            explanation.version,
            len(explanation),
            json.dumps(sorted(set(explanation.labels or []))),
            explanation.encode(),
        )
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute(
                "INSERT INTO explanations (id, created, model, version, sequences, labels, record) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                row,
            )
            self._prune()

    def _prune(self) -> None:
        self._db.execute(
            "DELETE FROM explanations WHERE sequence <= (SELECT max(sequence) FROM explanations) - ?",
            (self._max_count,),
        )
        self._db.execute("DELETE FROM explanations WHERE created < ?", (self._oldest(),))

    def _oldest(self) -> float:
        return self._clock() - self._max_age

    def _get(self, id: str) -> Explanation | None:
        found = self._db.execute(
            "SELECT record FROM explanations WHERE id = ? AND created >= ?", (id, self._oldest())
        ).fetchone()
        return Explanation.decode(found[0]) if found else None

    def _latest(self, filter: Filter, limit: int) -> list[Entry]:
        since = max(self._oldest(), filter.since.timestamp() if filter.since else 0)
        conditions: dict[str, object] = {"created >= ?": since}
        if filter.model is not None:
            conditions["model = ?"] = filter.model
        if filter.version is not None:
            conditions["version = ?"] = filter.version
        if filter.label is not None:
            conditions["EXISTS (SELECT 1 FROM json_each(labels) WHERE value = ?)"] = filter.label
        if filter.before is not None:
            conditions["id < ?"] = filter.before
        rows = self._db.execute(
            "SELECT id, created, model, version, sequences, labels FROM explanations "  # noqa: S608 (our own conditions)
            f"WHERE {' AND '.join(conditions)} ORDER BY id DESC LIMIT ?",
            (*conditions.values(), limit),
        )
        return [
            Entry(id, created, model, version, sequences, json.loads(labels))
            for id, created, model, version, sequences, labels in rows
        ]

    def _delete(self, id: str) -> bool:
        return self._db.execute("DELETE FROM explanations WHERE id = ?", (id,)).rowcount > 0
