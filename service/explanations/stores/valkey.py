"""Explanations in Valkey, which several replicas of the server share; `scripts.py` says what is where in it."""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import accumulate
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
from uuid_utils import UUID
from valkey.asyncio import BlockingConnectionPool, Valkey
from valkey.asyncio.retry import Retry
from valkey.backoff import NoBackoff
from valkey.exceptions import ResponseError, ValkeyError

from service.errors import StartupError
from service.explanations.record import Explanation
from service.explanations.stores import scripts
from service.explanations.stores.bundles import (
    CLOCKS_S,
    HASH,
    ID,
    decode,
    encode,
    hashes,
    key_of,
    least_id,
    short_hash,
)
from service.explanations.stores.groups import Groups, Kept
from service.explanations.stores.store import READ_BYTES, Entry, Filter, StoreDown, StoreError

logger = logging.getLogger(__name__)
Row = tuple[bytes, bytes, Explanation]  # entry, record, what both are of

PREFIX = b"attention:"
CONNECT_S = 0.5
COMMAND_S = 2.0  # until an answer: as long as a prediction waits, once, for a store that went away
PAUSE_S = 0.5  # from one look at whether it is back to the next
CONNECTIONS = 8  # to ask with; another one keeps, and waits for none of them
OPTIONS = ("ssl_", "db", "socket_timeout", "socket_connect_timeout")  # of the URL, or what they begin with
MANY, LISTED = 100, 1000  # explanations, and entries, that are asked for at once: others wait for all of them
MANY_SEQUENCES = 10_000  # of explanations that are forgotten at once, and for the same reason
AT_ONCE = 256_000  # bytes of records that are hashed on the event loop: that takes less than to a thread and back
ID_S = 0.001  # what ids tell apart


class ValkeyStore:
    """A `Store` in Valkey, bounded by count and by age.

    What is put is kept in groups. Once Valkey has failed, nobody waits for it: everything fails at once until it has
    answered to a look of our own, twice a second. Where it answers, but does not keep, only what is put fails.

    Args:
        url: `valkey://[[user]:password@]host[:port][/db]`, or `valkeys://` for TLS.
        max_count: explanations kept at most; the oldest go first.
        max_age: seconds an explanation is kept.
        clock: seconds since 1970.

    Attributes:
        trouble: see `Store.trouble`: how it failed, until it keeps again.

    Raises:
        StartupError: the URL is none.
    """

    def __init__(self, url: str, max_count: int, max_age: float, clock: Callable[[], float] = time.time) -> None:
        self._max_count, self._max_age, self._clock = max_count, max_age, clock
        self._client, self._keeping = _connect(url, CONNECTIONS), _connect(url, 1)
        self._keep, self._forget = (
            self._keeping.register_script(scripts.KEEP),
            self._client.register_script(scripts.FORGET),
        )
        self._read, self._keep_note = (
            self._client.register_script(scripts.READ),
            self._client.register_script(scripts.NOTE),
        )
        self._search = self._client.register_script(scripts.SEARCH)
        self._free = asyncio.Semaphore(CONNECTIONS)
        self._groups: Groups[Row] = Groups(self._write)
        self._recovery: asyncio.Task[None] | None = None
        self.trouble: str | None = None
        self._answers = True

    async def open(self) -> None:
        """See `Store.open`. Without Valkey the server starts all the same: predictions do not need it."""
        try:
            await self._run_keep([])
        except ValkeyError as error:
            self._failed(error)

    def put(self, explanation: Explanation, kept: Kept) -> None:
        """See `Store.put`."""
        if self.trouble is not None:
            kept(StoreDown(self.trouble))
            return
        listed = (
            explanation.created,
            explanation.model,
            explanation.version,
            len(explanation),
            sorted(set(explanation.labels or [])),
        )
        entry = UUID(explanation.id).bytes + _encoder.encode(listed)
        [record] = encode([explanation])
        self._groups.put((entry, record, explanation), kept)

    async def get(self, id: str) -> Explanation | None:
        """See `Store.get`."""
        key = key_of(id)
        record = key and await self._ask(self._client.get, PREFIX + b"record:" + key)
        explanation = _read(record, id) if record else None
        return explanation if explanation and explanation.created >= self._oldest() else None

    async def latest(self, filter: Filter, limit: int) -> list[Entry]:
        """See `Store.latest`."""
        since = max(self._oldest(), filter.since.timestamp() if filter.since else 0)
        until = filter.until.timestamp() if filter.until else math.inf
        least, most = least_id(since - CLOCKS_S), b"\xff" * ID
        most = min(most, UUID(filter.before).bytes if filter.before else most)
        most = min(most, least_id(until + ID_S) if filter.until else most)
        look = self._newest if filter.sequence is None else self._newest_of_sequence
        found: list[Entry] = []
        last: bytes | None = most
        while last is not None and (missing := min(LISTED, limit - len(found))) > 0:
            some, last = await look(filter, last, least, missing)
            found += [entry for entry in map(_entry, some) if since <= entry.created < until]
            # ids are made a moment before: of the first ones some may be too new
        return found

    async def read(self, filter: Filter, limit: int) -> list[Explanation]:
        """See `Store.read`."""
        ids = [entry.id for entry in await self.latest(filter, limit)]
        found: list[Explanation] = []
        left = READ_BYTES
        for start in range(0, len(ids), MANY):
            some = ids[start : start + MANY]
            records = await self._ask(self._read, keys=[PREFIX], args=[left, *(UUID(id).bytes for id in some)])
            found += [_read(record, id) for id, record in zip(some, records, strict=False) if record]
            left -= sum(len(record) for record in records if record)
            if left <= 0 or len(records) < len(some):
                break
        return found

    async def delete(self, id: str) -> bool:
        """See `Store.delete`."""
        key = key_of(id)
        return key is not None and bool(await self._ask(self._forget, keys=[PREFIX], args=[key]))

    async def delete_all(self, filter: Filter) -> int:
        """See `Store.delete_all`. Others may come in between."""
        count = 0
        while entries := _few(await self.latest(filter, MANY)):
            count += await self._ask(self._forget, keys=[PREFIX], args=[UUID(entry.id).bytes for entry in entries])
            filter = replace(filter, before=entries[-1].id)  # what comes meanwhile is newer, and not meant
        return count

    async def note(self, id: str, name: str) -> bytes | None:
        """See `Store.note`."""
        key = key_of(id)
        ask = self._client.execute_command
        found: bytes | None = await self._ask(ask, "HGET", PREFIX + b"notes:" + key, name) if key else None
        return found

    async def keep_note(self, id: str, name: str, note: bytes) -> None:
        """See `Store.keep_note`."""
        if (key := key_of(id)) is not None:
            await self._ask(self._keep_note, keys=[PREFIX], args=[key, name, note])

    async def close(self) -> None:
        """See `Store.close`."""
        await self._groups.settle()
        if self._recovery is not None:
            self._recovery.cancel()
        for client in (self._client, self._keeping):
            await client.aclose()

    async def _newest(self, filter: Filter, most: bytes, least: bytes, limit: int) -> tuple[list[bytes], bytes | None]:
        """The newest entries of ids from `least` up to but without `most`; the last id, if there may be more."""
        bounds = (b"(" + most, b"[" + least)
        some = await self._ask(
            self._client.zrange, PREFIX + _set(filter), *bounds, desc=True, bylex=True, offset=0, num=limit
        )
        return some, some[-1][:ID] if len(some) == limit else None

    async def _newest_of_sequence(
        self, filter: Filter, most: bytes, least: bytes, limit: int
    ) -> tuple[list[bytes], bytes | None]:
        """Those of `_newest` that have the sequence: of the first `LISTED` with it, those that are in the set."""
        hash = short_hash(filter.sequence or "")
        bounds = (b"(" + hash + most, b"[" + hash + least)
        last, some = await self._ask(self._search, keys=[PREFIX], args=[_set(filter), hash, *bounds, LISTED, limit])
        return some, last and last[HASH:]

    async def _write(self, rows: list[Row]) -> None:
        if self.trouble is not None:
            raise StoreDown(self.trouble)
        size = sum(len(record) for _, record, _ in rows)
        parts = await asyncio.to_thread(_parts, rows) if size > AT_ONCE else _parts(rows)
        try:
            await self._run_keep(parts)
        except ValkeyError as error:
            raise StoreError(self._failed(error)) from error

    async def _run_keep(self, parts: list[bytes]) -> None:
        bounds: list[bytes | float] = [self._max_count, self._max_age, least_id(self._oldest())]
        await self._keep(keys=[PREFIX], args=[*bounds, *parts])

    async def _ask(self, function: Callable[..., Awaitable[Any]], *args: Any, **options: Any) -> Any:
        """Asks Valkey, unless it is known not to answer.

        Raises:
            StoreDown: it is.
            StoreError: it failed.
        """
        self._check()
        async with self._free:
            self._check()  # those before may have found out
            try:
                return await function(*args, **options)
            except ResponseError as error:
                raise StoreError(f"the Valkey store failed: {error}") from error
            except ValkeyError as error:
                raise StoreError(self._failed(error)) from error

    def _check(self) -> None:
        if not self._answers:
            raise StoreDown(self.trouble)

    def _failed(self, error: ValkeyError) -> str:
        """From now on nothing is put, nor asked if it does not answer, until it keeps again."""
        trouble = f"the Valkey store failed: {error}"
        self._answers &= isinstance(error, ResponseError)
        if self.trouble is None:
            self.trouble = trouble
            logger.error("explanations are not kept, predictions go on: %s", trouble)
            self._recovery = asyncio.create_task(self._recover())
        return trouble

    async def _recover(self) -> None:
        while self.trouble is not None:
            await asyncio.sleep(PAUSE_S)
            try:
                await self._run_keep([])
            except ValkeyError as error:
                self._answers = isinstance(error, ResponseError)
                self.trouble = f"the Valkey store failed: {error}"
            else:
                self._answers, self.trouble = True, None
                logger.warning("the Valkey store answers again: explanations are kept")

    def _oldest(self) -> float:
        return self._clock() - self._max_age


def _parts(rows: list[Row]) -> list[bytes]:
    """What `scripts.KEEP` takes of rows."""
    return [part for entry, record, one in rows for part in (entry, record, hashes(one))]


def _connect(url: str, connections: int) -> Valkey:
    try:
        _check_url(url)
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=connections,
            timeout=None,  # a wait for others' questions, which have their own limit
            socket_connect_timeout=CONNECT_S,
            socket_timeout=COMMAND_S,
            retry=Retry(NoBackoff(), 0),
        )
        pool.connection_class(**pool.connection_kwargs)  # connects later, but knows what the options may be
    except (ValueError, TypeError) as error:
        raise StartupError(f"expected a store like valkey://host:6379/0, received no such URL: {error}") from error
    return Valkey.from_pool(pool)


def _check_url(url: str) -> None:
    """Holds a URL to what the client would leave out, or take for its own settings.

    Raises:
        ValueError: it has that.
    """
    parts = urlsplit(url)
    if not parts.hostname:
        raise ValueError("it has no host")
    parts.hostname.encode("idna")  # as it is looked up
    if not (database := parts.path.strip("/")).isdecimal() and database:
        raise ValueError(f"the database is {database!r}, not a number")
    for option in parse_qs(parts.query, keep_blank_values=True):
        if not option.startswith(OPTIONS):
            raise ValueError(f"{option} is none of its options")


def _set(filter: Filter) -> bytes:
    """The name of the set of all that passes, as `sets` in `scripts.py` makes it."""
    version = "" if filter.version is None else filter.version
    return f"entries:{filter.model or ''}/{version}/{filter.label or ''}".encode()


def _few(entries: list[Entry]) -> list[Entry]:
    """The first of them, of not much more than `MANY_SEQUENCES` together."""
    before = accumulate((entry.sequences for entry in entries), initial=0)
    return [entry for entry, sequences in zip(entries, before, strict=False) if sequences < MANY_SEQUENCES]


def _entry(member: bytes) -> Entry:
    try:
        return Entry(str(UUID(bytes=member[:16])), *_decoder.decode(member[16:]))
    except (ValueError, msgspec.MsgspecError) as error:
        raise StoreError(f"the Valkey store failed: the entry {member!r:.80} cannot be read: {error}") from error


def _read(record: bytes, id: str) -> Explanation:
    try:
        return decode(record)[0]
    except (ValueError, IndexError, msgspec.MsgspecError) as error:
        raise StoreError(f"the Valkey store failed: the record of {id} cannot be read: {error}") from error


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple[float, str, int, int, list[str]])
