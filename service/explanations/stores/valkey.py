"""Explanations in Valkey, which several replicas of the server share.

Its keys, each beneath `attention:`

    record:ID                     an explanation, encoded; expires by itself
    notes:ID                      what was noted about it, by name; goes with it
    entries:MODEL/VERSION/LABEL   a sorted set of entries, which are all that a list shows of an explanation; one for
                                  each combination of filters, where those that do not filter are empty

An entry is the 16 bytes of the id, then the rest as MessagePack. All entries have the score 0, and then Valkey sorts
them by their bytes: by id, so by time. The scripts run in Valkey, each as one step that nothing comes in between.
"""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from uuid_utils import UUID
from valkey.asyncio import BlockingConnectionPool, Valkey
from valkey.asyncio.retry import Retry
from valkey.backoff import NoBackoff
from valkey.exceptions import ValkeyError

from service.errors import StartupError
from service.explanations.record import Explanation
from service.explanations.stores.bundles import decode, encode
from service.explanations.stores.groups import Groups, Kept
from service.explanations.stores.store import Entry, Filter, StoreDown, StoreError

logger = logging.getLogger(__name__)
Row = tuple[bytes, bytes]  # entry, record

PREFIX = b"attention:"
CONNECT_S = 0.5
COMMAND_S = 2.0  # until an answer: as long as a prediction waits, once, for a store that went away
PAUSE_S = 0.5  # from one look at whether it is back to the next
CONNECTIONS = 8
MANY = 100  # asked for at once: others wait for all of them
CLOCKS_S = 1.0  # an id is made a moment before its explanation
ID_S = 0.001  # what ids tell apart

SETS = """
local function sets(entry)
  local _, model, version, _, labels = unpack(cmsgpack.unpack(string.sub(entry, 17)))
  local names = {}
  labels[#labels + 1] = ''
  for _, label in ipairs(labels) do
    for _, one in ipairs({model .. '/' .. version, model .. '/', '/' .. version, '/'}) do
      names[#names + 1] = KEYS[1] .. 'entries:' .. one .. '/' .. label
    end
  end
  return names
end
local function record(entry) return KEYS[1] .. 'record:' .. string.sub(entry, 1, 16) end
local function forget(entry)
  for _, set in ipairs(sets(entry)) do redis.call('ZREM', set, entry) end
  redis.call('UNLINK', KEYS[1] .. 'notes:' .. string.sub(entry, 1, 16))
  return redis.call('UNLINK', record(entry))
end
"""
# Arguments: how many are kept, how long in seconds, the least id that is not too old, then entry, record, entry, ...
# Forgets what is too much or too old; no more than 1,000 besides, or all others would wait.
KEEP = f"""{SETS}
for i = 4, #ARGV, 2 do
  local ends = 1000 * (cmsgpack.unpack(string.sub(ARGV[i], 17))[1] + ARGV[2])
  redis.call('SET', record(ARGV[i]), ARGV[i + 1], 'PXAT', string.format('%.0f', ends))
  for _, set in ipairs(sets(ARGV[i])) do redis.call('ZADD', set, 0, ARGV[i]) end
end
local all = KEYS[1] .. 'entries://'
local over = math.max(redis.call('ZCARD', all) - ARGV[1], redis.call('ZLEXCOUNT', all, '-', '(' .. ARGV[3]))
local gone = redis.call('ZPOPMIN', all, math.max(0, math.min(over, 1000 + #ARGV)))
for i = 1, #gone, 2 do forget(gone[i]) end
"""
# Arguments: ids. Returns how many explanations there were.
FORGET = rf"""{SETS}
local count = 0
for _, id in ipairs(ARGV) do
  local entry = redis.call('ZRANGE', KEYS[1] .. 'entries://', '[' .. id, '(' .. id .. '\255', 'BYLEX')[1]
  if entry then count = count + forget(entry) end
end
return count
"""
# Arguments: an id, a name, a note.
NOTE = """
local left = redis.call('PTTL', KEYS[1] .. 'record:' .. ARGV[1])
if left > 0 then
  redis.call('HSET', KEYS[1] .. 'notes:' .. ARGV[1], ARGV[2], ARGV[3])
  redis.call('PEXPIRE', KEYS[1] .. 'notes:' .. ARGV[1], left)
end
"""


class ValkeyStore:
    """A `Store` in Valkey, bounded by count and by age.

    What is put is kept in groups. Once Valkey has failed, nobody waits for it: everything fails at once until it has
    answered to a look of our own, twice a second.

    Args:
        url: `valkey://[[user]:password@]host[:port][/db]`, or `valkeys://` for TLS.
        max_count: explanations kept at most; the oldest go first.
        max_age: seconds an explanation is kept.
        clock: seconds since 1970.

    Attributes:
        trouble: see `Store.trouble`: how it failed, until it answers again.

    Raises:
        StartupError: the URL is none.
    """

    def __init__(self, url: str, max_count: int, max_age: float, clock: Callable[[], float] = time.time) -> None:
        self._max_count, self._max_age, self._clock = max_count, max_age, clock
        self._client = _connect(url)
        self._keep, self._forget = self._client.register_script(KEEP), self._client.register_script(FORGET)
        self._keep_note = self._client.register_script(NOTE)
        self._groups: Groups[Row] = Groups(self._write)
        self._recovery: asyncio.Task[None] | None = None
        self.trouble: str | None = None

    async def open(self) -> None:
        """See `Store.open`. Without Valkey the server starts all the same: predictions do not need it."""
        try:
            await self._look()
        except ValkeyError as error:
            self._went_away(error)

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
        self._groups.put((entry, record), kept)

    async def get(self, id: str) -> Explanation | None:
        """See `Store.get`."""
        key = _key(id)
        record = key and await self._ask(self._client.get, PREFIX + b"record:" + key)
        explanation = decode(record)[0] if record else None
        return explanation if explanation and explanation.created >= self._oldest() else None

    async def latest(self, filter: Filter, limit: int) -> list[Entry]:
        """See `Store.latest`."""
        since = max(self._oldest(), filter.since.timestamp() if filter.since else 0)
        until = filter.until.timestamp() if filter.until else math.inf
        least = b"[" + _least_id(since - CLOCKS_S)
        above = [UUID(filter.before).bytes] if filter.before else []
        above += [_least_id(until + ID_S)] if filter.until else []
        most = b"(" + min(above) if above else b"+"
        found: list[Entry] = []
        while (missing := limit - len(found)) > 0:
            some = await self._ask(
                self._client.zrange, PREFIX + _set(filter), most, least, desc=True, bylex=True, offset=0, num=missing
            )
            found += [entry for entry in map(_entry, some) if since <= entry.created < until]
            if len(some) < missing:
                break
            most = b"(" + some[-1][:16]  # ids are made a moment before: of the first ones some may be too new
        return found

    async def read(self, filter: Filter, limit: int) -> list[Explanation]:
        """See `Store.read`."""
        keys = [PREFIX + b"record:" + UUID(entry.id).bytes for entry in await self.latest(filter, limit)]
        found: list[Explanation] = []
        for start in range(0, len(keys), MANY):
            records = await self._ask(self._client.mget, keys[start : start + MANY])
            found += [decode(record)[0] for record in records if record]
        return found

    async def delete(self, id: str) -> bool:
        """See `Store.delete`."""
        key = _key(id)
        return key is not None and bool(await self._ask(self._forget, keys=[PREFIX], args=[key]))

    async def delete_all(self, filter: Filter) -> int:
        """See `Store.delete_all`. Others may come in between."""
        count = 0
        while entries := await self.latest(filter, MANY):
            count += await self._ask(self._forget, keys=[PREFIX], args=[UUID(entry.id).bytes for entry in entries])
        return count

    async def note(self, id: str, name: str) -> bytes | None:
        """See `Store.note`."""
        key = _key(id)
        ask = self._client.execute_command
        found: bytes | None = await self._ask(ask, "HGET", PREFIX + b"notes:" + key, name) if key else None
        return found

    async def keep_note(self, id: str, name: str, note: bytes) -> None:
        """See `Store.keep_note`."""
        if (key := _key(id)) is not None:
            await self._ask(self._keep_note, keys=[PREFIX], args=[key, name, note])

    async def close(self) -> None:
        """See `Store.close`."""
        await self._groups.settle()
        if self._recovery is not None:
            self._recovery.cancel()
        await self._client.aclose()

    async def _write(self, rows: list[Row]) -> None:
        arguments = [self._max_count, self._max_age, _least_id(self._oldest()), *(part for row in rows for part in row)]
        await self._ask(self._keep, keys=[PREFIX], args=arguments)

    async def _ask(self, function: Callable[..., Awaitable[Any]], *args: Any, **options: Any) -> Any:
        """Asks Valkey, unless it is known not to answer.

        Raises:
            StoreDown: it is.
            StoreError: it failed.
        """
        if self.trouble is not None:
            raise StoreDown(self.trouble)
        try:
            return await function(*args, **options)
        except ValkeyError as error:
            raise StoreError(self._went_away(error)) from error

    def _went_away(self, error: ValkeyError) -> str:
        """From now on nothing is asked, until it answers again."""
        trouble = f"the Valkey store failed: {error}"
        if self.trouble is None:
            self.trouble = trouble
            logger.error("explanations are not kept, predictions go on: %s", trouble)
            self._recovery = asyncio.create_task(self._recover())
        return trouble

    async def _recover(self) -> None:
        while self.trouble is not None:
            await asyncio.sleep(PAUSE_S)
            try:
                await self._look()
            except ValkeyError as error:
                self.trouble = f"the Valkey store failed: {error}"
            else:
                self.trouble = None
                logger.warning("the Valkey store answers again: explanations are kept")

    async def _look(self) -> None:
        """Writes a key of no meaning: a full Valkey, or a replica that only reads, would answer to a ping."""
        await self._client.set(PREFIX + b"look", b"", ex=1)

    def _oldest(self) -> float:
        return self._clock() - self._max_age


def _connect(url: str) -> Valkey:
    try:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS,
            timeout=None,  # a wait for others' questions, which have their own limit
            socket_connect_timeout=CONNECT_S,
            socket_timeout=COMMAND_S,
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError as error:
        raise StartupError(f"expected a store like valkey://host:6379/0, received no such URL: {error}") from error
    return Valkey.from_pool(pool)


def _set(filter: Filter) -> bytes:
    """The name of the set of all that passes, as `sets` in the scripts makes it."""
    version = "" if filter.version is None else filter.version
    return f"entries:{filter.model or ''}/{version}/{filter.label or ''}".encode()


def _entry(member: bytes) -> Entry:
    return Entry(str(UUID(bytes=member[:16])), *_decoder.decode(member[16:]))


def _least_id(seconds: float) -> bytes:
    """What ids of that time begin with: their milliseconds since 1970."""
    return int(max(0, seconds) * 1000).to_bytes(6, "big")


def _key(id: str) -> bytes | None:
    """The id as it is kept; None where it is none."""
    try:
        return UUID(id).bytes
    except ValueError:
        return None


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple[float, str, int, int, list[str]])
