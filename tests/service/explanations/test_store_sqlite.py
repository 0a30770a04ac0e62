"""What only a SQLite file can come across; see `test_stores.py` for the rest."""

import asyncio

import pytest

from service.errors import StartupError
from service.explanations import sqlite
from service.explanations.sqlite import SQLiteStore
from service.explanations.store import StoreError
from tests.service.explanations.builders import explanation, put


def test_a_file_that_is_no_database_stops_the_start(tmp_path):
    path = tmp_path / "explanations.sqlite3"
    path.write_text("not a database " * 100)
    with pytest.raises(StartupError, match=r"expected a SQLite file for explanations at .*: file is not a database"):
        SQLiteStore(path, 5, 100)


def test_the_catalogue_forgets_what_is_gone(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite, "BEHIND", 2)
    store = SQLiteStore(tmp_path / "explanations.sqlite3", max_count=3, max_age=100)

    async def fill():
        for _ in range(10):
            await put(store, explanation(labels=["yes"]))
        [count] = await store._writer.do(store._writer.db.execute("SELECT count(*) FROM catalogue").fetchone)
        assert count <= 5  # some were put since it was last looked at
        await store.close()

    asyncio.run(fill())


def test_a_failing_database_is_a_store_error_and_it_recovers(tmp_path):
    store = SQLiteStore(tmp_path / "explanations.sqlite3", 5, 100)

    async def fail_and_recover():
        await put(store, explanation())
        assert store.trouble is None
        await store._writer.do(store._writer.db.execute, "ALTER TABLE bundles RENAME TO elsewhere")
        with pytest.raises(StoreError, match="no such table"):
            await put(store, explanation())
        assert "no such table" in store.trouble
        await store._writer.do(store._writer.db.execute, "ALTER TABLE elsewhere RENAME TO bundles")
        await put(store, explanation())
        assert store.trouble is None
        await store.close()

    asyncio.run(fail_and_recover())
