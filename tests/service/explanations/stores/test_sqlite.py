"""What only a SQLite file can come across; see `test_stores.py` for the rest."""

import asyncio
import os
import resource
import signal
import time

import pytest

from service.errors import StartupError
from service.explanations.stores import sqlite
from service.explanations.stores.bundles import encode
from service.explanations.stores.journal import Journal
from service.explanations.stores.sqlite import SQLiteStore
from service.explanations.stores.store import Filter, StoreError
from tests.service.explanations.builders import explanation, put


def test_a_file_that_is_no_database_stops_the_start(tmp_path):
    path = tmp_path / "explanations.sqlite3"
    path.write_text("not a database " * 100)
    with pytest.raises(StartupError, match=r"expected a SQLite file for explanations at .*: file is not a database"):
        SQLiteStore(path, 5, 100)


def test_the_catalogue_forgets_what_is_gone(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite, "UNTIDY", 2)
    store = SQLiteStore(tmp_path / "explanations.sqlite3", max_count=3, max_age=100)

    async def fill():
        for _ in range(10):
            await put(store, explanation(created=time.time(), labels=["yes"]))
            await store.latest(Filter(), 1)
        [count] = await store._writer.do(store._writer.db.execute("SELECT count(*) FROM catalogue").fetchone)
        assert count <= 5  # some were put since it was last looked at
        await store.close()

    asyncio.run(fill())


def test_a_failing_database_is_a_store_error_and_it_recovers(tmp_path):
    store = SQLiteStore(tmp_path / "explanations.sqlite3", 5, 100)

    async def fail_and_recover():
        await store._writer.do(store._writer.db.execute, "ALTER TABLE bundles RENAME TO elsewhere")
        one, other = explanation(created=time.time()), explanation(created=time.time())
        await put(store, one)  # into the journal, where it is safe
        with pytest.raises(StoreError, match="no such table"):
            await store.get(one.id)
        assert "no such table" in store.trouble
        with pytest.raises(StoreError, match="no such table"):
            await put(store, other)
        await store._writer.do(store._writer.db.execute, "ALTER TABLE elsewhere RENAME TO bundles")
        await put(store, other)
        assert store.trouble is None
        assert [entry.id for entry in await store.latest(Filter(), 5)] == [other.id, one.id]
        await store.close()

    asyncio.run(fail_and_recover())


def journals(tmp_path):
    return [path for path in tmp_path.iterdir() if "journal" in path.name]


def left_behind(tmp_path, count):
    """What a process that was killed has put, none of it brought into the database."""
    bundles = [explanation(created=time.time()) for _ in range(count)]
    journal = Journal(tmp_path / "explanations.sqlite3")
    journal.append([record for one in bundles for record in encode([one])])
    journal.close()  # as the system does for one that is killed
    return [one.id for one in bundles]


def stored(tmp_path):
    """All ids, newest first, after a start."""
    store = SQLiteStore(tmp_path / "explanations.sqlite3", 500, 100)

    async def read():
        found = [entry.id for entry in await store.latest(Filter(), 500)]
        await store.close()
        return found

    return asyncio.run(read())


def test_what_a_killed_process_left_is_found_once(tmp_path):
    ids = left_behind(tmp_path, 150)
    assert stored(tmp_path) == ids[::-1]
    assert stored(tmp_path) == ids[::-1]
    assert journals(tmp_path) == []


def test_half_a_record_at_the_end_of_a_journal_is_dropped(tmp_path):
    ids = left_behind(tmp_path, 3)
    [path] = journals(tmp_path)
    path.write_bytes(path.read_bytes()[:-1])
    assert stored(tmp_path) == ids[1::-1]


@pytest.mark.parametrize("place", [3, 4, 60])  # in the length, the checksum, the record
def test_a_damaged_journal_ends_where_the_damage_is(tmp_path, place):
    left_behind(tmp_path, 3)
    [path] = journals(tmp_path)
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    assert stored(tmp_path) == []


def test_processes_that_fold_at_the_same_time_bring_in_everything_once(tmp_path):
    stores = [SQLiteStore(tmp_path / "explanations.sqlite3", 5000, 100) for _ in range(3)]
    ids = []

    async def work(store):
        for _ in range(50):
            one = explanation(created=time.time())
            await put(store, one)
            ids.append(one.id)
            assert await stores[len(ids) % 3].get(one.id) is not None

    async def run():
        await asyncio.gather(*map(work, stores))
        entries = await stores[0].latest(Filter(), 500)
        assert sorted(entry.id for entry in entries) == sorted(ids)
        for store in stores:
            await store.close()

    asyncio.run(run())
    assert journals(tmp_path) == []


def test_a_long_journal_is_followed_by_another(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite, "JOURNAL", 1)
    store = SQLiteStore(tmp_path / "explanations.sqlite3", 500, 100)

    async def fill():
        ids = []
        for _ in range(20):
            one = explanation(created=time.time())
            await put(store, one)
            ids.append(one.id)
            assert (await store.get(one.id)).id == one.id
        assert len(journals(tmp_path)) <= 3  # it, the one before, which is folded, and the one before that
        assert [entry.id for entry in await store.latest(Filter(), 500)] == ids[::-1]
        await store.close()

    asyncio.run(fill())


def test_a_journal_that_cannot_be_begun_is_a_store_error_and_it_recovers(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite, "JOURNAL", 1)
    store = SQLiteStore(tmp_path / "explanations.sqlite3", 500, 100)

    async def fill():
        one, other = explanation(created=time.time()), explanation(created=time.time())
        await put(store, one)
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        free = os.dup(0)
        os.close(free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, before[1]))  # no file can be opened
        try:
            with pytest.raises(StoreError, match="the journal of the SQLite store failed"):
                await put(store, other)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        await put(store, other)
        assert [entry.id for entry in await store.latest(Filter(), 5)] == [other.id, one.id]
        await store.close()

    asyncio.run(fill())


def test_a_full_disk_is_a_store_error_and_leaves_no_half_a_record(tmp_path):
    store = SQLiteStore(tmp_path / "explanations.sqlite3", 500, 100)

    async def fill():
        one, other = explanation(created=time.time()), explanation(created=time.time())
        await put(store, one)
        size = store._journal.size
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, before[1]))  # what is written beyond does not fit
        try:
            with pytest.raises(StoreError, match="the journal of the SQLite store failed"):
                await put(store, other)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, ignored)
        assert store._journal.path.stat().st_size == size
        assert "journal" in store.trouble
        await put(store, other)
        assert store.trouble is None
        assert [entry.id for entry in await store.latest(Filter(), 5)] == [other.id, one.id]
        await store.close()

    asyncio.run(fill())
