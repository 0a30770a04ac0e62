import asyncio
from datetime import UTC, datetime

import pytest

from service.errors import StartupError
from service.explanations.sqlite import SQLiteStore
from service.explanations.store import Filter, StoreError
from tests.service.explanations.builders import explanation


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(tmp_path, clock):
    store = SQLiteStore(tmp_path / "sub" / "explanations.sqlite3", max_count=5, max_age=100, clock=clock)
    yield store
    asyncio.run(store.close())


def put(store, **fields):
    kept = explanation(**fields)

    async def keep():
        await store.put(kept)

    asyncio.run(keep())
    return kept.id


def get(store, id):
    return asyncio.run(store.get(id))


def ids(store, limit=10, **filter):
    return [entry.id for entry in asyncio.run(store.latest(Filter(**filter), limit))]


def test_what_was_put_is_got_and_listed_newest_first(store):
    first, second = put(store), put(store, steps=(2, 3), labels=["yes", "no"])
    assert get(store, first).id == first
    newest, oldest = asyncio.run(store.latest(Filter(), 10))
    assert (newest.id, newest.sequences, newest.labels) == (second, 2, ["no", "yes"])
    assert oldest.id == first


def test_what_was_never_put_is_none(store):
    assert get(store, "nope") is None


def test_filters(store):
    a = put(store, model="a", labels=["x"])
    b2 = put(store, model="b", version=2, labels=["y"])
    b1 = put(store, model="b", created=1050.0, labels=None)
    assert ids(store) == [b1, b2, a]
    assert ids(store, model="b") == [b1, b2]
    assert ids(store, model="b", version=2) == [b2]
    assert ids(store, label="x") == [a]
    assert ids(store, since=datetime.fromtimestamp(1050, UTC)) == [b1]


def test_a_cursor_goes_on_where_the_page_before_ended(store):
    kept = [put(store) for _ in range(5)][::-1]
    assert ids(store, limit=2) == kept[:2]
    assert ids(store, limit=2, before=kept[1]) == kept[2:4]
    assert ids(store, limit=2, before=kept[4]) == []


def test_the_oldest_go_when_there_are_too_many(store):
    kept = [put(store) for _ in range(8)]
    assert ids(store) == kept[:2:-1]
    assert get(store, kept[2]) is None


def test_what_is_too_old_is_gone_before_anything_is_put(store, clock):
    id = put(store)
    clock.now = 1100.5
    assert get(store, id) is None
    assert ids(store) == []


def test_what_is_deleted_is_gone(store):
    id = put(store)
    assert asyncio.run(store.delete(id)) is True
    assert asyncio.run(store.delete(id)) is False
    assert get(store, id) is None


def test_a_restart_finds_what_was_kept(tmp_path, clock):
    path = tmp_path / "explanations.sqlite3"
    before = SQLiteStore(path, 5, 100, clock)
    id = put(before)
    asyncio.run(before.close())
    after = SQLiteStore(path, 5, 100, clock)
    assert get(after, id).id == id
    asyncio.run(after.close())


def test_a_file_that_is_no_database_stops_the_start(tmp_path):
    path = tmp_path / "explanations.sqlite3"
    path.write_text("not a database " * 100)
    with pytest.raises(StartupError, match=r"expected a SQLite file for explanations at .*: file is not a database"):
        SQLiteStore(path, 5, 100)


def test_a_failing_database_is_a_store_error(store, tmp_path):
    put(store)
    asyncio.run(store._writer.do(store._writer.db.execute, "DROP TABLE explanations"))
    with pytest.raises(StoreError, match="no such table"):
        put(store)
