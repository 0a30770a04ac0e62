"""A SQLite file with tables of explanations, and connections to it whose statements run off the event loop."""

import asyncio
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from service.errors import StartupError
from service.explanations.stores import catalogue, journal, tables
from service.explanations.stores.store import StoreError, TooBig

logger = logging.getLogger(__name__)
R = TypeVar("R")

APPLICATION = 0x414C5354  # ALST: PRAGMA application_id of our files
FORMAT = 12  # of the rows; PRAGMA user_version of the file
UNHASHED = 11  # the format before, which had no hashes
SCHEMA = (*tables.SCHEMA, catalogue.SCHEMA, journal.SCHEMA)
# The tables of each format of ours in files without an application_id.
EARLIER = {
    2: {"explanations"},
    3: {"explanations"},
    4: {"explanations", "labels"},
    5: {"explanations", "labels", "entries", "catalogued"},
    6: {"explanations", "entries", "catalogued"},
    7: {"bundles", "entries", "catalogued"},
    8: {"bundles", "catalogue", "catalogued"},
    9: {"bundles", "catalogue", "catalogued", "notes"},
    10: {"bundles", "catalogue", "journals", "notes"},
    11: {"bundles", "catalogue", "journals", "notes"},
}
# Pages of the write-ahead log, of 4 kB, before they are moved into the file, which takes milliseconds: not too often.
CHECKPOINT = 4000
BUSY_S = 5  # to wait while another connection writes
DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR}
ANY = 0xFF  # of an extended error code: which kind it is of


class Connection:
    """A connection to the file, with a thread on which its statements run one after the other, off the event loop.

    Attributes:
        db: only for use on the thread, or while `alone`.
        alone: held while a statement runs.
        damaged: whether SQLite has found the file damaged.
    """

    db: sqlite3.Connection

    def __init__(self) -> None:
        self.alone = threading.Lock()
        self.damaged = False
        self._thread = ThreadPoolExecutor(1, "sqlite")

    def open(self, path: Path) -> None:
        """Opens the file.

        Raises:
            sqlite3.Error: it cannot be opened.
        """
        self.damaged = False
        self.db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        self.db.execute("PRAGMA synchronous=NORMAL")  # survives kill -9; a power cut may cost the last answers
        self.db.execute("PRAGMA secure_delete=ON")  # what is deleted is written over; some builds leave it in the file
        self.db.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT}")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Commits at its end, or rolls back when it raises."""
        with self.db:
            self.db.execute("BEGIN IMMEDIATE")
            yield self.db

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """All that is read in it is of one moment, whoever writes meanwhile."""
        with self.db:
            self.db.execute("BEGIN")
            yield self.db

    async def do(self, function: Callable[..., R], *args: object) -> R:
        """Calls the function on the thread; raises what it raises."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *args)

    def later(self, function: Callable[[], None]) -> None:
        """Calls the function on the thread, after all that it is to do already."""
        self._thread.submit(function)

    def run(self, function: Callable[..., R], *args: object) -> R:
        """Calls a function that uses `db`; on the thread.

        Raises:
            TooBig: it wanted more in a row than SQLite takes.
            StoreError: it failed.
        """
        try:
            with self.alone:
                return function(*args)
        except StoreError:
            raise
        except Exception as error:
            if not isinstance(error, sqlite3.Error | OSError):
                logger.exception("the SQLite store failed")
            kind = getattr(error, "sqlite_errorcode", 0) & ANY
            self.damaged |= kind in DAMAGED
            failed = TooBig if kind == sqlite3.SQLITE_TOOBIG else StoreError
            raise failed(f"the SQLite store failed: {error}") from error

    async def close(self) -> None:
        """Closes the connection and ends the thread.

        Raises:
            sqlite3.Error: it cannot be closed.
        """
        try:
            await self.do(self.db.close)
        finally:
            self._thread.shutdown()


class Database:
    """The file, and two connections: one that writes, and one that reads, so that it does not wait for writing.

    Args:
        path: of the file; made, with its folder, where it is not there.

    Raises:
        StartupError: the file is not ours, or of a newer format.
        sqlite3.Error: it cannot be opened, or is no database.
        OSError: it cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.writer, self.reader = Connection(), Connection()
        self._files: list[os.stat_result] = []  # as they were last; none once they are not what was opened
        self._open()

    def is_intact(self) -> bool:
        """Whether what was opened is still what has its name, and no less, and SQLite has not found it damaged. On the
        writer's thread. Once it is not, it is not until it is opened again.

        SQLite goes on writing to files that were removed, which nobody will find.
        """
        before, self._files = self._files, []
        with suppress(OSError):
            now = self._look()
            pairs = zip(before, now, strict=False)
            if before and all(os.path.samestat(*pair) and pair[0].st_size <= pair[1].st_size for pair in pairs):
                self._files = now
        return bool(self._files) and not self.writer.damaged and not self.reader.damaged

    def reopen(self, ends: dict[str, int]) -> None:
        """Opens what has the name now, or a new file. On the writer's thread.

        Args:
            ends: how much of each journal the file that was opened before held.

        Raises:
            StartupError, sqlite3.Error, OSError: as at first.
        """
        self._files = []
        with self.reader.alone:
            with suppress(sqlite3.Error):  # if its log alone was removed, what is there goes into the file
                self.writer.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._let_go()  # both, and in all processes, or SQLite goes by what it remembers of the file
            try:
                self._open()
            except BaseException:
                self._let_go()
                raise
        with self.writer.transaction() as db:
            journal.keep_ends(db, ends)

    async def close(self, wait: bool = True) -> None:
        """Closes both connections. The last of all moves the write-ahead log into the file.

        Args:
            wait: for who holds the file.

        Raises:
            sqlite3.Error: one cannot be closed.
        """
        if not wait:
            with suppress(sqlite3.Error):
                await self.writer.do(self.writer.db.execute, "PRAGMA busy_timeout = 0")
        try:
            await self.reader.close()
        finally:
            await self.writer.close()

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.touch(mode=0o600)  # it holds what callers sent
        self.writer.open(self._path)
        self._recognise(self.writer.db)  # before anything is written
        self._keep_a_wal()
        with self.writer.transaction() as db:
            self._prepare(db)
        self.reader.open(self._path)
        self._files = self._look()

    def _let_go(self) -> None:
        for connection in (self.reader, self.writer):
            connection.db.close()

    def _look(self) -> list[os.stat_result]:
        """At the file, its write-ahead log, and the index of that."""
        return [os.stat(f"{self._path}{end}") for end in ("", "-wal", "-shm")]

    def _prepare(self, db: sqlite3.Connection) -> None:
        """Makes the tables; drops those of an earlier format than the one before.

        Raises:
            StartupError: the file is not ours, or of a newer format.
        """
        found, earlier = self._recognise(db)
        if earlier and found not in (UNHASHED, FORMAT):
            logger.warning("explanations of another version of this server are dropped")
            for table in earlier:
                db.execute(f"DROP TABLE IF EXISTS {table}")
            journal.drop(self._path)
        for statement in SCHEMA:
            db.execute(statement)
        if earlier and found == UNHASHED:
            catalogue.add_hashes(db)
        db.execute(f"PRAGMA user_version = {FORMAT}")
        db.execute(f"PRAGMA application_id = {APPLICATION}")

    def _recognise(self, db: sqlite3.Connection) -> tuple[int, set[str]]:
        """The format of the file, and its tables that are ours.

        Raises:
            StartupError: the file is not ours, or of a newer format.
        """
        [application] = db.execute("PRAGMA application_id").fetchone()
        [found] = db.execute("PRAGMA user_version").fetchone()
        there = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if (application == APPLICATION and found <= FORMAT) or (application == 0 and not there):
            return found, there
        if application == 0 and there >= EARLIER.get(found, {""}):
            return found, EARLIER[found]
        received = f"another program's, with the tables {', '.join(sorted(there))}"
        if application == APPLICATION:
            received = f"format {found}, of a newer version"
        expected = f"expected a SQLite file of this server at {self._path}, of format {FORMAT} at most"
        raise StartupError(f"{expected}, received {received}")

    def _keep_a_wal(self) -> None:
        """Turns to a write-ahead log. While another process does the same, SQLite says busy at once, timeout or not."""
        for _ in range(100):
            try:
                self.writer.db.execute("PRAGMA journal_mode=WAL")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                    raise
                busy = error
                time.sleep(0.05)
            else:
                return
        raise busy
