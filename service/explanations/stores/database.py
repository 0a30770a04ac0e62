"""A SQLite file with tables of explanations, and connections to it whose statements run off the event loop."""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from service.explanations.stores import catalogue, journal
from service.explanations.stores.store import StoreError

logger = logging.getLogger(__name__)
R = TypeVar("R")

FORMAT = 11  # of the rows; PRAGMA user_version of the file
SCHEMA = (
    # A record holds the explanations (sequence - how many, sequence], numbered in the order in which they came. `last`
    # is the largest id, `created` the latest.
    """CREATE TABLE IF NOT EXISTS bundles (
        sequence INTEGER PRIMARY KEY, last BLOB NOT NULL, created REAL NOT NULL, record BLOB NOT NULL
    )""",
    "CREATE TABLE IF NOT EXISTS notes (id BLOB, name TEXT, note BLOB, PRIMARY KEY (id, name)) WITHOUT ROWID",
    catalogue.SCHEMA,
    journal.SCHEMA,
)
# Tables of this format and of earlier ones.
TABLES = ("bundles", "notes", "explanations", "entries", "catalogue", "catalogued", "journals")
# Pages of the write-ahead log, of 4 kB, before they are moved into the file, which takes milliseconds: not too often.
CHECKPOINT = 4000
BUSY_S = 5  # to wait while another connection writes


class Connection:
    """A connection to the file, with a thread on which its statements run one after the other, off the event loop.

    Args:
        path: of the file.

    Attributes:
        db: only for use on the thread, once the event loop runs.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        self.db.execute("PRAGMA synchronous=NORMAL")  # survives kill -9; a power cut may cost the last answers
        self.db.execute("PRAGMA secure_delete=ON")  # what is deleted is written over; some builds leave it in the file
        self.db.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT}")
        self._thread = ThreadPoolExecutor(1, "sqlite")

    def prepare(self) -> None:
        """Makes the tables; drops those of another format."""
        self._keep_a_wal()
        with self.transaction() as db:
            [found] = db.execute("PRAGMA user_version").fetchone()
            if found not in (0, FORMAT):
                logger.warning("explanations of another version of this server are dropped")
                for table in TABLES:
                    db.execute(f"DROP TABLE IF EXISTS {table}")
                journal.drop(self._path)
            for statement in SCHEMA:
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
            StoreError: SQLite failed, or a journal.
        """
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, function, *args)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"the SQLite store failed: {error}") from error

    async def close(self) -> None:
        """Closes the connection and ends the thread."""
        await self.do(self.db.close)
        self._thread.shutdown()
