"""Explanations in one SQLite file, which survives a restart and a kill (WAL), and which other processes may read."""

import asyncio
import logging
import sqlite3
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

import msgspec
from uuid_utils import UUID

from service.errors import StartupError
from service.explanations.record import Explanation
from service.explanations.stores import catalogue, journal
from service.explanations.stores.bundles import Bundle, decode, encode, span
from service.explanations.stores.catalogue import Match
from service.explanations.stores.database import Connection
from service.explanations.stores.groups import Groups, Kept
from service.explanations.stores.journal import Journal
from service.explanations.stores.store import Entry, Filter, StoreError

logger = logging.getLogger(__name__)

AT_ONCE = 256_000  # bytes that are written on the event loop: that takes less than going to a thread and back
FOLD_S = 0.1  # after which what is in the journal goes into the database
JOURNAL = 4_000_000  # bytes, after which a new one is begun
UNTIDY = 4096  # explanations from one time that what is too much is deleted to the next
AT_A_TIME = 32  # bundles that are read as one row
FIND = """SELECT sequence, record, (SELECT max(sequence) FROM bundles) FROM bundles WHERE sequence =
    (SELECT sequence FROM catalogue WHERE last BETWEEN :id AND :end AND instr(head, :id))"""


class SQLiteStore:
    """A `Store` in one file, bounded by count and by age.

    What is put is written to a journal, which goes into the file a little later, or before anyone reads. Reading has a
    connection and a thread of its own, so that it does not wait for writing.

    Args:
        path: the file; made, with its folder, where it is not there.
        max_count: explanations kept at most; the oldest go first.
        max_age: seconds an explanation is kept.
        clock: seconds since 1970.

    Attributes:
        trouble: see `Store.trouble`: why the file or the journal failed last; both are tried again before all else.

    Raises:
        StartupError: the file cannot be opened or is not a database.
    """

    def __init__(self, path: Path, max_count: int, max_age: float, clock: Callable[[], float] = time.time) -> None:
        self._path, self._max_count, self._max_age, self._clock = path, max_count, max_age, clock
        self._groups: Groups[Explanation] = Groups(self._commit)
        self._timer: asyncio.TimerHandle | None = None
        self._folding: asyncio.Task[None] | None = None
        self._untidy = UNTIDY
        self.trouble: str | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)  # it holds what callers sent
            self._writer = Connection(path)
            self._writer.prepare()
            self._fold_all()
            self._journal, self._reader = Journal(path), Connection(path)
        except (OSError, sqlite3.Error) as error:
            raise StartupError(f"expected a SQLite file for explanations at {path}, received: {error}") from error

    async def open(self) -> None:
        """See `Store.open`; the file is open."""

    def put(self, explanation: Explanation, kept: Kept) -> None:
        """See `Store.put`."""
        self._groups.put(explanation, kept)

    async def get(self, id: str) -> Explanation | None:
        """See `Store.get`."""
        if (key := _key(id)) is None:
            return None
        await self._bring_in()
        return await self._reader.do(self._get, key)

    async def latest(self, filter: Filter, limit: int) -> list[Entry]:
        """See `Store.latest`."""
        await self._bring_in()
        return await self._reader.do(self._latest, filter, limit)

    async def read(self, filter: Filter, limit: int) -> list[Explanation]:
        """See `Store.read`."""
        await self._bring_in()
        return await self._reader.do(self._read, filter, limit)

    async def delete(self, id: str) -> bool:
        """See `Store.delete`."""
        key = _key(id)
        return key is not None and await self._writer.do(self._delete, key)

    async def delete_all(self, filter: Filter) -> int:
        """See `Store.delete_all`. Others may write in between."""
        count = 0
        while some := await self._writer.do(self._delete_some, filter):
            count += some
        return count

    async def note(self, id: str, name: str) -> bytes | None:
        """See `Store.note`."""
        return await self._reader.do(self._note, _key(id), name)

    async def keep_note(self, id: str, name: str, note: bytes) -> None:
        """See `Store.keep_note`."""
        if (key := _key(id)) is not None:
            await self._writer.do(self._keep_note, key, name, note)

    async def close(self) -> None:
        """See `Store.close`. What cannot be brought into the file now stays in the journal, for the next start."""
        await self._groups.settle()
        if self._timer is not None:
            self._timer.cancel()
        if self._folding is not None:
            await self._folding
        self._journal.close()
        try:
            await self._writer.do(self._fold)
            await self._writer.do(self._fold_all)  # which deletes the journal
        except StoreError as error:
            logger.error("explanations stay in %s: %s", self._journal.path, error)
        for connection in (self._writer, self._reader):
            await connection.close()

    def _commit(self, explanations: list[Explanation]) -> Awaitable[None] | None:
        """Writes a group to the journal: right here if it is small and all is well."""
        records = encode(explanations)
        if self._journal.size >= JOURNAL:
            self._begin_another_journal()
        self._fold_later()
        if self.trouble is not None or sum(map(len, records)) > AT_ONCE:
            return self._write(records)
        self._append(records)
        return None

    async def _write(self, records: list[bytes]) -> None:
        """Writes to the journal on a thread, once what failed last works again."""
        if self.trouble is not None:
            await self._bring_in()
        await self._writer.do(self._append, records)

    def _begin_another_journal(self) -> None:
        try:
            another = Journal(self._path)
        except OSError as error:
            self.trouble = f"the journal of the SQLite store failed: {error}"
            raise StoreError(self.trouble) from error
        self._journal.close()
        self._journal = another

    def _append(self, records: list[bytes]) -> None:
        try:
            self._journal.append(records)
        except StoreError as error:
            self.trouble = str(error)
            raise

    def _fold_later(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FOLD_S, self._fold_now)

    def _fold_now(self) -> None:
        self._folding = asyncio.create_task(self._keep_folding())

    async def _keep_folding(self) -> None:
        """Folds; what comes meanwhile, or if it fails, again later."""
        self._timer = None
        try:
            await self._bring_in()
        except StoreError:
            self._fold_later()

    async def _bring_in(self) -> None:
        """Moves what is in the journals into the file, and knows whether that works."""
        try:
            await self._writer.do(self._fold)
        except StoreError as error:
            self.trouble = str(error)
            raise
        self.trouble = None

    def _fold(self) -> None:
        if journal.is_behind(self._writer.db, self._path):
            self._fold_all()

    def _fold_all(self) -> None:
        with self._writer.transaction() as db:
            self._untidy += journal.fold(db, self._path)
        if self._untidy >= UNTIDY:
            self._tidy()

    def _tidy(self) -> None:
        """Deletes what is too much or too old; reading looks at that itself."""
        self._untidy = 0
        with self._writer.transaction() as db:
            gone = db.execute(
                "SELECT sequence, last FROM bundles WHERE sequence <= (SELECT max(sequence) FROM bundles) - ? UNION"
                " SELECT sequence, last FROM (SELECT sequence, last, created FROM bundles ORDER BY sequence LIMIT ?)"
                " WHERE created < ?",
                (self._max_count, UNTIDY, self._oldest()),
            ).fetchall()
            db.executemany("DELETE FROM bundles WHERE sequence = ?", ((sequence,) for sequence, _ in gone))
            db.executemany("DELETE FROM catalogue WHERE last = ?", ((last,) for _, last in gone))
            db.execute("DELETE FROM notes WHERE id < (SELECT min(last) FROM catalogue)")

    def _oldest(self) -> float:
        return self._clock() - self._max_age

    def _get(self, id: bytes) -> Explanation | None:
        found = _find(self._reader.db, id)
        if found is None:
            return None
        sequence, kept, last = found
        index = kept.index(id)
        if index is None or sequence - len(kept) + index < last - self._max_count:
            return None
        return kept[index] if kept.created[index] >= self._oldest() else None

    def _latest(self, filter: Filter, limit: int) -> list[Entry]:
        return [match.entry for match in self._find(self._reader.db, filter, limit)]

    def _read(self, filter: Filter, limit: int) -> list[Explanation]:
        matches = self._find(self._reader.db, filter, limit)
        bundles = _read_all(self._reader.db, {match.sequence for match in matches})
        return [one for match in matches if (one := _pick(bundles.get(match.sequence), match)) is not None]

    def _find(self, db: sqlite3.Connection, filter: Filter, limit: int) -> list[Match]:
        return catalogue.find(db, filter, self._oldest(), self._max_count, limit)

    def _delete_some(self, filter: Filter) -> int:
        self._fold()
        with self._writer.transaction() as db:
            gone: defaultdict[int, set[int]] = defaultdict(set)
            for match in self._find(db, filter, UNTIDY):
                gone[match.sequence].add(match.place)
                db.execute("DELETE FROM notes WHERE id = ?", (match.id,))
            for sequence, places in gone.items():
                kept = _read(db, sequence)
                _rewrite(db, sequence, [one for index, one in enumerate(kept or []) if index not in places])
            return sum(map(len, gone.values()))

    def _delete(self, id: bytes) -> bool:
        self._fold()
        with self._writer.transaction() as db:
            found = _find(db, id)
            if found is None:
                return False
            sequence, kept, _ = found
            _rewrite(db, sequence, [one for one in kept if one.id != str(UUID(bytes=id))])
            db.execute("DELETE FROM notes WHERE id = ?", (id,))
            return True

    def _note(self, id: bytes | None, name: str) -> bytes | None:
        found = self._reader.db.execute("SELECT note FROM notes WHERE id = ? AND name = ?", (id, name)).fetchone()
        return bytes(found[0]) if found else None

    def _keep_note(self, id: bytes, name: str, note: bytes) -> None:
        self._fold()
        with self._writer.transaction() as db:
            if _find(db, id) is not None:
                db.execute("INSERT OR REPLACE INTO notes VALUES (?, ?, ?)", (id, name, note))


def _find(db: sqlite3.Connection, id: bytes) -> tuple[int, Bundle, int] | None:
    """The bundle with an explanation, its number, and that of the newest of all."""
    found = db.execute(FIND, {"id": id, "end": span(id)[1]}).fetchone()
    return found and (found[0], decode(found[1]), found[2])


def _read(db: sqlite3.Connection, sequence: int) -> Bundle | None:
    """A bundle; None if it has gone meanwhile."""
    found = db.execute("SELECT record FROM bundles WHERE sequence = ? AND record != x''", (sequence,)).fetchone()
    return decode(found[0]) if found else None


def _read_all(db: sqlite3.Connection, sequences: Iterable[int]) -> dict[int, Bundle]:
    """Bundles by their number, `AT_A_TIME` in a row: at every row Python's lock is let go, and predictions take it."""
    found = {}
    for numbers in _batched(sequences, AT_A_TIME):
        [text] = db.execute(
            "SELECT group_concat(sequence || ' ' || hex(record)) FROM bundles "
            "WHERE sequence IN (SELECT value FROM json_each(?)) AND record != x''",
            (msgspec.json.encode(numbers).decode(),),
        ).fetchone()
        for one in text.split(",") if text else ():
            number, record = one.split(" ")
            found[int(number)] = decode(bytes.fromhex(record))
    return found


def _batched(numbers: Iterable[int], size: int) -> Iterator[list[int]]:
    """So many at a time. (itertools has it from Python 3.12 on.)"""
    rest = iter(numbers)
    while some := list(islice(rest, size)):
        yield some


def _pick(bundle: Bundle | None, match: Match) -> Explanation | None:
    """The explanation of a match in its bundle, which may have been rewritten since."""
    if bundle is None:
        return None
    place = match.place if bundle.ids == match.head.ids else bundle.index(match.id)
    return None if place is None else bundle[place]


def _rewrite(db: sqlite3.Connection, sequence: int, rest: list[Explanation]) -> None:
    """Leaves only these in a bundle. Of an empty one the number stays, which is not given twice."""
    [record] = encode(rest) or [b""]
    head = decode(record).encode_head() if rest else b""
    [last] = db.execute("SELECT last FROM bundles WHERE sequence = ?", (sequence,)).fetchone()
    db.execute("UPDATE bundles SET record = ? WHERE sequence = ?", (record, sequence))
    db.execute("UPDATE catalogue SET head = ? WHERE last = ?", (head, last))


def _key(id: str) -> bytes | None:
    """The id as it is kept; None where it is none."""
    try:
        return UUID(id).bytes
    except ValueError:
        return None
