"""Explanations in one SQLite file, which survives a restart and a kill (WAL), and which other processes may read."""

import asyncio
import json
import logging
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from service.errors import StartupError
from service.explanations.record import Explanation
from service.explanations.store import Entry, Filter, StoreError

logger = logging.getLogger(__name__)
R = TypeVar("R")

FORMAT = 2  # of the rows; PRAGMA user_version of the file

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


class Connection:
    """A connection to the file, with a thread on which its statements run one after the other, off the event loop.

    Args:
        path: of the file.

    Attributes:
        db: only for use on the thread, once the event loop runs.
    """

    def __init__(self, path: Path) -> None:
        self.db = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
        self.db.execute("PRAGMA synchronous=NORMAL")  # survives kill -9; a power cut may cost the last answers
        self._thread = ThreadPoolExecutor(1, "sqlite")

    def prepare(self) -> None:
        """Makes the tables; drops those of another format."""
        self._keep_a_wal()
        with self.transaction() as db:
            [found] = db.execute("PRAGMA user_version").fetchone()
            if found != FORMAT and db.execute("SELECT 1 FROM sqlite_master WHERE name = 'explanations'").fetchone():
                logger.warning("explanations of another version of this server are dropped")
                db.execute("DROP TABLE explanations")
            for statement in SCHEMA.split(";"):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {FORMAT}")

    def _keep_a_wal(self) -> None:
        """Turns to a write-ahead log. While another process does the same, SQLite says busy at once, timeout or not."""
        for _ in range(100):
            try:
                self.db.execute("PRAGMA journal_mode=WAL")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                    raise
                busy = error
                time.sleep(0.05)
            else:
                return
        raise busy

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Commits at its end, or rolls back when it raises."""
        with self.db:
            self.db.execute("BEGIN IMMEDIATE")
            yield self.db

    async def do(self, function: Callable[..., R], *args: object) -> R:
        """Calls the function on the thread.

        Raises:
            StoreError: SQLite failed.
        """
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, function, *args)
        except sqlite3.Error as error:
            raise StoreError(f"the SQLite store failed: {error}") from error

    async def close(self) -> None:
        """Closes the connection and ends the thread."""
        await self.do(self.db.close)
        self._thread.shutdown()


@dataclass
class Group:
    """Rows that are committed together."""

    committed: asyncio.Future[None]
    rows: list[tuple[object, ...]] = field(default_factory=list)


class SQLiteStore:
    """A `Store` in one file, bounded by count and by age.

    What is put while a commit is on its way is committed together next. Reading has a connection and a thread of its
    own, so that it does not wait for writing.

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
        self._group: Group | None = None
        self._writing = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)  # it holds what callers sent
            self._writer = Connection(path)
            self._writer.prepare()
            self._prune()
            self._reader = Connection(path)
        except (OSError, sqlite3.Error) as error:
            raise StartupError(f"expected a SQLite file for explanations at {path}, received: {error}") from error

    def put(self, explanation: Explanation) -> asyncio.Future[None]:
        """See `Store.put`."""
        row = (
            explanation.id,
            explanation.created,
            explanation.model,
            explanation.version,
            len(explanation),
            json.dumps(sorted(set(explanation.labels or []))),
            explanation.encode(),
        )
        if self._group is None:
            loop = asyncio.get_running_loop()
            self._group = Group(loop.create_future())
            if not self._writing:
                loop.call_soon(self._write)  # with all that is put in this turn of the loop
        self._group.rows.append(row)
        return self._group.committed

    async def get(self, id: str) -> Explanation | None:
        """See `Store.get`."""
        found = await self._reader.do(self._get, id)
        return Explanation.decode(found) if found else None

    async def latest(self, filter: Filter, limit: int) -> list[Entry]:
        """See `Store.latest`."""
        return await self._reader.do(self._latest, filter, limit)

    async def delete(self, id: str) -> bool:
        """See `Store.delete`."""
        return await self._writer.do(self._delete, id)

    async def close(self) -> None:
        """See `Store.close`."""
        while self._group is not None:
            await asyncio.wait([self._group.committed])
        await self._writer.close()
        await self._reader.close()

    def _write(self) -> None:
        """Commits the group on the writer's thread; what comes in the meantime is the next group."""
        group, self._group, self._writing = self._group, None, self._group is not None
        if group is not None:
            writing = asyncio.ensure_future(self._writer.do(self._insert, group.rows))
            writing.add_done_callback(lambda written: self._written(group, written))

    def _written(self, group: "Group", written: asyncio.Future[None]) -> None:
        self._write()
        error = written.exception()
        if error is None:
            group.committed.set_result(None)
        else:
            group.committed.set_exception(error)

    def _insert(self, rows: list[tuple[object, ...]]) -> None:
        with self._writer.transaction() as db:
            db.executemany(
                "INSERT INTO explanations (id, created, model, version, sequences, labels, record) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                rows,
            )
            self._prune()

    def _prune(self) -> None:
        self._writer.db.execute(
            "DELETE FROM explanations WHERE sequence <= (SELECT max(sequence) FROM explanations) - ?",
            (self._max_count,),
        )
        self._writer.db.execute("DELETE FROM explanations WHERE created < ?", (self._oldest(),))

    def _oldest(self) -> float:
        return self._clock() - self._max_age

    def _get(self, id: str) -> bytes | None:
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
            conditions["EXISTS (SELECT 1 FROM json_each(labels) WHERE value = ?)"] = filter.label
        if filter.before is not None:
            conditions["id < ?"] = filter.before
        rows = self._reader.db.execute(
            "SELECT id, created, model, version, sequences, labels FROM explanations "  # noqa: S608 (our own conditions)
            f"WHERE {' AND '.join(conditions)} ORDER BY id DESC LIMIT ?",
            (*conditions.values(), limit),
        )
        return [
            Entry(id, created, model, version, sequences, json.loads(labels))
            for id, created, model, version, sequences, labels in rows
        ]

    def _delete(self, id: str) -> bool:
        return self._writer.db.execute("DELETE FROM explanations WHERE id = ?", (id,)).rowcount > 0
