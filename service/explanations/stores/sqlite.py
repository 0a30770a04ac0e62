"""Explanations in one SQLite file, which survives a restart and a kill (WAL), and which other processes may read."""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeVar

from service.errors import StartupError
from service.explanations.record import Explanation
from service.explanations.stores import journal, tables
from service.explanations.stores.bundles import encode, key_of
from service.explanations.stores.contents import Contents
from service.explanations.stores.database import Connection, Database
from service.explanations.stores.groups import Groups, Kept
from service.explanations.stores.journal import Journal
from service.explanations.stores.store import Entry, Filter, StoreDown, StoreError, TooBig

logger = logging.getLogger(__name__)
R = TypeVar("R")
Part = Literal["file", "journal"]

AT_ONCE = 256_000  # bytes that are written on the event loop: that takes less than going to a thread and back
LARGEST = 900_000_000  # bytes of a record: SQLite takes no row above 1e9, and a few small ones may join it there
FOLD_S = 0.1  # after which what is in the journal goes into the database
PAUSE_S = 0.5  # from one try to have what failed work again to the next
JOURNAL = 4_000_000  # bytes, after which a new one is begun
UNTIDY = 4096  # explanations from one time that what is too much is deleted to the next
TIDY_S = 60.0  # after which it is deleted all the same, with what is too old


class SQLiteStore:
    """A `Store` in one file, bounded by count and by age.

    What is put is written to a journal, which goes into the file a little later, or before anyone reads. Reading has a
    connection and a thread of its own, so that it does not wait for writing.

    Once the file or the journal has failed, or is no longer what was opened, nothing is put until it has been mended,
    which is tried twice a second.

    Args:
        path: the file; made, with its folder, where it is not there.
        max_count: explanations kept at most; the oldest go first.
        max_age: seconds an explanation is kept.
        clock: seconds since 1970.

    Raises:
        StartupError: the file cannot be opened, is not a database, or not one of ours.
    """

    def __init__(self, path: Path, max_count: int, max_age: float, clock: Callable[[], float] = time.time) -> None:
        self._path = _resolve(path)
        self._max_count = max_count
        self._groups: Groups[Explanation] = Groups(self._commit)
        self._timer: asyncio.TimerHandle | None = None
        self._folding: asyncio.Task[None] | None = None
        self._tidying: asyncio.Task[None] | None = None
        self._closing = False
        self._untidy = UNTIDY
        self._ends: dict[str, int] = {}  # how much of each journal is in the file
        self._troubles: dict[Part, str] = {}  # how each failed, until it works again
        try:
            self._database = Database(self._path)
            self._contents = Contents(self._database, max_age, clock)
            journal.sweep(self._path)
            self._database.writer.run(self._fold_all, None)
            self._journal = Journal(self._path)
        except (OSError, sqlite3.Error, StoreError) as error:
            raise StartupError(f"expected a SQLite file for explanations at {path}, received: {error}") from error

    @property
    def trouble(self) -> str | None:
        """See `Store.trouble`: how the file or the journal failed, until both work again."""
        return next(iter(self._troubles.copy().values()), None)  # a thread may change it

    async def open(self) -> None:
        """See `Store.open`; the file is open."""
        self._tidying = asyncio.create_task(self._keep_tidying())

    def put(self, explanation: Explanation, kept: Kept) -> None:
        """See `Store.put`."""
        if self._troubles:
            kept(StoreDown(self.trouble))
        else:
            self._groups.put(explanation, kept)

    async def get(self, id: str) -> Explanation | None:
        """See `Store.get`. What is in the file is found without waiting for who writes to it."""
        if (key := key_of(id)) is None:
            return None
        found = await self._read_with(self._contents.get, key)
        if found is None:
            await self._bring_in()
            found = await self._read_with(self._contents.get, key)
        return found

    async def latest(self, filter: Filter, limit: int) -> list[Entry]:
        """See `Store.latest`."""
        await self._bring_in()
        return await self._read_with(self._contents.latest, filter, limit)

    async def read(self, filter: Filter, limit: int) -> list[Explanation]:
        """See `Store.read`."""
        await self._bring_in()
        return await self._read_with(self._contents.read, filter, limit)

    async def delete(self, id: str) -> bool:
        """See `Store.delete`."""
        key = key_of(id)
        return key is not None and await self._change(self._contents.delete, key)

    async def delete_all(self, filter: Filter) -> int:
        """See `Store.delete_all`. Others may write in between."""
        count = 0
        while True:
            some = await self._change(self._contents.delete_newest, filter, UNTIDY)
            count += len(some)
            if len(some) < UNTIDY:
                return count
            filter = replace(filter, before=some[-1])  # what comes meanwhile is newer, and not meant

    async def note(self, id: str, name: str) -> bytes | None:
        """See `Store.note`."""
        return await self._read_with(self._contents.note, key, name) if (key := key_of(id)) else None

    async def keep_note(self, id: str, name: str, note: bytes) -> None:
        """See `Store.keep_note`."""
        if (key := key_of(id)) is not None:
            await self._change(self._contents.keep_note, key, name, note)

    async def close(self) -> None:
        """See `Store.close`. What cannot be brought into the file now stays in the journal, for the next start."""
        await self._groups.settle()
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
        if self._tidying is not None:
            self._tidying.cancel()
        if self._folding is not None:
            await self._folding
        try:
            if "file" not in self._troubles:  # or to stop would take as long as to find out that once more
                await self._keep_up()
            self._journal.close()
            await self._write_with(self._fold_all, None)  # which deletes the journal
            await self._write_with(self._tidy)
        except StoreError as error:
            logger.error("explanations stay in %s: %s", self._journal.path, error)
        self._journal.close()
        with suppress(sqlite3.Error):
            await self._database.close(wait="file" not in self._troubles)

    def _commit(self, explanations: list[Explanation]) -> Awaitable[None] | None:
        """Writes a group to the journal: right here if it is small."""
        if self._troubles:
            raise StoreDown(self.trouble)
        self._fold_later()
        if self._journal.size >= JOURNAL:
            self._check_journal(self._journal)  # what is in one that has no name is brought in while it is open
            self._begin_another_journal()
        records = encode(explanations)
        if sum(map(len, records)) > AT_ONCE:
            _check_size(records)
            return asyncio.to_thread(self._append, records)
        self._append(records)
        return None

    def _append(self, records: list[bytes]) -> None:
        try:
            self._journal.append(records)
        except StoreError as error:
            raise self._failed("journal", error) from error

    def _begin_another_journal(self) -> None:
        try:
            another = Journal(self._path)
        except OSError as error:
            raise self._failed("journal", StoreError(f"the journal of the SQLite store failed: {error}")) from error
        self._database.writer.later(self._journal.close)  # which may be reading it
        self._journal = another

    def _check_journal(self, own: Journal) -> None:
        if not own.is_intact():
            said = f"the journal of the SQLite store failed: {own.path} was removed or cut"
            raise self._failed("journal", StoreError(said))

    def _fold_later(self, seconds: float = FOLD_S) -> None:
        if self._timer is None and not self._closing:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._fold_now)

    def _fold_now(self) -> None:
        self._timer = None
        if self._folding is None or self._folding.done():
            self._folding = asyncio.create_task(self._keep_folding())
        else:
            self._fold_later()

    async def _keep_folding(self) -> None:
        """Folds; what comes meanwhile, or if it fails, again later."""
        try:
            await self._keep_up()
        except StoreError:
            self._fold_later(PAUSE_S)

    async def _keep_tidying(self) -> None:
        while True:
            await asyncio.sleep(TIDY_S)
            with suppress(StoreError):
                await self._bring_in()
                await self._write_with(self._tidy)

    async def _keep_up(self) -> None:
        """Moves what is in the journals into the file, once what failed last works again."""
        if self._troubles:
            await self._groups.settle()  # nothing is on its way into a journal that another may follow
            await self._database.writer.do(self._mend)
        else:
            await self._bring_in()
        if self._troubles:
            raise StoreDown(self.trouble)

    async def _bring_in(self) -> None:
        """Moves what is in the journals into the file."""
        await self._write_with(self._fold)

    async def _write_with(self, function: Callable[..., R], *args: object) -> R:
        """Calls a function on the writer's thread.

        Raises:
            StoreDown: the file is known to fail.
            StoreError: it failed.
        """
        return await self._ask(self._database.writer, function, *args)

    async def _read_with(self, function: Callable[..., R], *args: object) -> R:
        """Calls a function on the reader's thread, whatever is known of the file.

        Raises:
            StoreError: it failed.
        """
        return await self._ask(self._database.reader, function, *args)

    async def _ask(self, connection: Connection, function: Callable[..., R], *args: object) -> R:
        try:
            return await connection.do(self._attempt, connection, function, *args)
        finally:
            if self._troubles:
                self._fold_later(0)

    def _attempt(self, connection: Connection, function: Callable[..., R], *args: object) -> R:
        if connection is self._database.writer and "file" in self._troubles:  # by now: others may have waited for long
            raise StoreDown(self._troubles["file"])
        try:
            return connection.run(function, *args)
        except TooBig:
            raise
        except StoreError as error:
            raise self._failed("file", error) from error

    def _failed(self, part: Part, error: StoreError) -> StoreError:
        """From now on nothing is put, until it has been mended. How it failed first."""
        if not self._troubles:
            logger.error("explanations are not kept, predictions go on: %s", error)
        return StoreError(self._troubles.setdefault(part, str(error)))

    def _mend(self) -> None:
        """Has the file and the journal work again: first the file, into which goes what the journal holds."""
        attempts: dict[Part, Callable[[], None]] = {"file": self._mend_file, "journal": self._mend_journal}
        for part, attempt in attempts.items():
            try:
                attempt()
            except Exception as error:  # noqa: BLE001 (whatever it is, it is tried again)
                said = str(error)
                self._troubles[part] = said if isinstance(error, StoreError) else f"the SQLite store failed: {said}"
                break
            self._troubles.pop(part, None)
        if not self._troubles:
            logger.warning("the SQLite store works again: explanations are kept")

    def _mend_file(self) -> None:
        if not self._database.is_intact():
            self._database.reopen(self._ends)
        self._database.writer.run(self._fold_all, self._journal)
        self._database.reader.run(self._contents.latest, Filter(), 1)

    def _mend_journal(self) -> None:
        if self._journal.size >= JOURNAL or not self._journal.is_intact():
            self._begin_another_journal()
        self._journal.probe()

    def _fold(self) -> None:
        """Moves what is in the journals into the file, if they hold anything more; sees whether all is there."""
        if not self._database.is_intact():
            lost = f"{self._path} was removed, replaced or damaged, and what it held may be lost"
            raise StoreError(f"the SQLite store failed: {lost}")
        own = self._journal
        if journal.is_behind(self._database.writer.db, self._path, own):
            self._fold_all(own)
        with suppress(StoreError):  # all that it held is in the file
            self._check_journal(own)

    def _fold_all(self, own: Journal | None) -> None:
        with self._database.writer.transaction() as db:
            self._untidy += journal.fold(db, self._path, own)
            tables.raise_bound(db, self._max_count)
            ends = journal.read_ends(db)
        self._ends = ends
        if self._untidy >= UNTIDY:
            self._tidy()

    def _tidy(self) -> None:
        self._untidy = 0
        self._contents.tidy()

    async def _change(self, function: Callable[..., R], *args: object) -> R:
        """Calls a function on the writer's thread, once all that was put is in the file. Raises: see `_write_with`."""

        def change() -> R:
            self._fold()
            return function(*args)

        return await self._write_with(change)


def _check_size(records: list[bytes]) -> None:
    """Holds records to what can be brought into the file: one that cannot would hold up all that follows.

    Raises:
        TooBig: one cannot.
    """
    if (largest := max(map(len, records))) > LARGEST:
        raise TooBig(f"expected an explanation of at most {LARGEST:,} bytes for the SQLite store, received {largest:,}")


def _resolve(path: Path) -> Path:
    """One name for the file, whatever it is called: journals are found beside it.

    Raises:
        StartupError: it is nothing that SQLite or anybody else would take for the path of a file.
    """
    if str(path).startswith((":", "file:", "//")):
        expected = "expected the path of a file for explanations, as in sqlite:/var/lib/explanations.sqlite3"
        raise StartupError(f"{expected}, received sqlite:{path}")
    try:
        return path.expanduser().resolve()
    except (OSError, RuntimeError) as error:  # no such user; links that lead to themselves
        raise StartupError(f"expected a SQLite file for explanations at {path}, received: {error}") from error
