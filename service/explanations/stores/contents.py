"""What a store in a SQLite file is asked for, answered from its tables. Each method runs on a connection's thread."""

from collections import defaultdict
from collections.abc import Callable
from itertools import takewhile

from uuid_utils import UUID

from service.explanations.record import Explanation
from service.explanations.stores import catalogue, tables
from service.explanations.stores.bundles import Bundle
from service.explanations.stores.catalogue import Match
from service.explanations.stores.database import Connection, Database
from service.explanations.stores.store import READ_BYTES, Entry, Filter


class Contents:
    """The explanations in a file that have not been kept for too long.

    Args:
        max_age: seconds an explanation is kept.
        clock: seconds since 1970.

    Raises:
        sqlite3.Error: SQLite failed; of every method.
    """

    def __init__(self, database: Database, max_age: float, clock: Callable[[], float]) -> None:
        self._writer, self._reader = database.writer, database.reader
        self._max_age, self._clock = max_age, clock

    def get(self, id: bytes) -> Explanation | None:
        """The explanation, or None when there is none (any more). On the reader's thread."""
        found = tables.find(self._reader.db, id)
        if found is None:
            return None
        _, bundle, gone = found
        place = bundle.index(id)
        return bundle[place] if place is not None and self._is_kept(bundle, place, gone) else None

    def latest(self, filter: Filter, limit: int) -> list[Entry]:
        """See `Store.latest`. On the reader's thread."""
        return [match.entry for match in self._find(self._reader, filter, limit)]

    def read(self, filter: Filter, limit: int) -> list[Explanation]:
        """See `Store.read`. On the reader's thread."""
        with self._reader.snapshot() as db:
            matches = self._find(self._reader, filter, limit)
            sizes = tables.sizes(db, {match.sequence for match in matches})
            bundles = tables.read(db, _first(matches, sizes))
        read = takewhile(lambda match: match.sequence in bundles, matches)
        return [bundles[match.sequence][match.place] for match in read]

    def note(self, id: bytes, name: str) -> bytes | None:
        """See `Store.note`. On the reader's thread."""
        select = "SELECT note FROM notes WHERE id = ? AND name = ?"
        found = self._reader.db.execute(select, (id, name)).fetchone()
        return bytes(found[0]) if found else None

    def delete(self, id: bytes) -> bool:
        """Deletes it; False when there was none (any more). On the writer's thread."""
        with self._writer.transaction() as db:
            found = tables.find(db, id)
            place = found and found[1].index(id)
            if found is None or place is None:
                return False
            sequence, bundle, gone = found
            tables.remove(db, sequence, {place})
            db.execute("DELETE FROM notes WHERE id = ?", (id,))
            return self._is_kept(bundle, place, gone)

    def delete_newest(self, filter: Filter, limit: int) -> list[str]:
        """Deletes the newest that pass; their ids, newest first. On the writer's thread."""
        with self._writer.transaction() as db:
            found = self._find(self._writer, filter, limit)
            gone: defaultdict[int, set[int]] = defaultdict(set)
            for match in found:
                gone[match.sequence].add(match.place)
                db.execute("DELETE FROM notes WHERE id = ?", (match.id,))
            for sequence, places in gone.items():
                tables.remove(db, sequence, places)
            return [str(UUID(bytes=match.id)) for match in found]

    def keep_note(self, id: bytes, name: str, note: bytes) -> None:
        """See `Store.keep_note`. On the writer's thread."""
        with self._writer.transaction() as db:
            if tables.find(db, id) is not None:
                db.execute("INSERT OR REPLACE INTO notes VALUES (?, ?, ?)", (id, name, note))

    def tidy(self) -> None:
        """Deletes what is too much or too old; reading looks at that itself. On the writer's thread."""
        is_tidy = False
        while not is_tidy:  # others come in between
            with self._writer.transaction() as db:
                is_tidy = tables.tidy(db, self._oldest())

    def _find(self, connection: Connection, filter: Filter, limit: int) -> list[Match]:
        return catalogue.find(connection.db, filter, self._oldest(), tables.bound(connection.db), limit)

    def _is_kept(self, bundle: Bundle, place: int, gone: int) -> bool:
        return place >= gone and bundle.created[place] >= self._oldest()

    def _oldest(self) -> float:
        return self._clock() - self._max_age


def _first(matches: list[Match], sizes: dict[int, int]) -> dict[int, int]:
    """Numbers and sizes of the bundles of the first of these matches, of no more than `READ_BYTES` unless it is one."""
    first: dict[int, int] = {}
    total = 0
    for match in matches:
        if match.sequence in first:
            continue
        total += sizes[match.sequence]
        if first and total > READ_BYTES:
            break
        first[match.sequence] = sizes[match.sequence]
    return first
