"""What only a SQLite file can come across; see `test_stores.py` for the rest."""

import asyncio
import fcntl
import os
import resource
import shutil
import signal
import sqlite3
import time
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.errors import StartupError
from service.explanations.stores import catalogue, database, journal, sqlite
from service.explanations.stores.bundles import encode
from service.explanations.stores.journal import Journal
from service.explanations.stores.paging import pages
from service.explanations.stores.sqlite import SQLiteStore
from service.explanations.stores.store import Filter, StoreDown, StoreError, TooBig
from tests.limits import no_more_files
from tests.scraping import wait_until
from tests.service.explanations.builders import at, explanation, put


@pytest.fixture
def path(tmp_path):
    """Of the file, in a folder of its own."""
    return tmp_path / "store" / "explanations.sqlite3"


def run(path, story, max_count=500, max_age=100, clock=time.time):
    """Runs story(store), with the store opened before and closed afterwards; what it returns."""

    async def tell():
        store = SQLiteStore(path, max_count, max_age, clock)
        await store.open()
        found = await story(store)
        await store.close()
        return found

    return asyncio.run(tell())


def fresh(**fields):
    return explanation(created=time.time(), **fields)


async def until(true):
    await asyncio.to_thread(wait_until, true)


async def ids(store):
    """All, newest first."""
    return [entry.id for entry in await store.latest(Filter(), 500)]


def stored(path):
    """All ids, newest first, after a start."""
    return run(path, ids)


def journals(path):
    return [one for one in path.parent.iterdir() if "journal" in one.name]


def left_behind(path, count):
    """What a process that was killed has put, none of it brought into the database; its journal and the ids."""
    path.parent.mkdir(exist_ok=True)
    made = [fresh() for _ in range(count)]
    journal = Journal(path)
    journal.append([record for one in made for record in encode([one])])
    journal.close()  # as the system does for one that is killed
    return journal.path, [one.id for one in made]


@contextmanager
def another_program(path):
    """A connection of another program to the file."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        yield db


def bundles(path):
    """How many there are in the file; as many as in its catalogue."""
    with another_program(path) as db:
        [count] = db.execute("SELECT count(*) FROM bundles").fetchone()
        assert db.execute("SELECT count(*) FROM catalogue").fetchone() == (count,)
    return count


def said(caplog):
    """What was logged."""
    return [record.getMessage() for record in caplog.records]


def test_a_file_that_is_no_database_stops_the_start(path):
    path.parent.mkdir()
    path.write_text("not a database " * 100)
    with pytest.raises(StartupError, match=r"expected a SQLite file for explanations at .*: file is not a database"):
        SQLiteStore(path, 5, 100)


@pytest.mark.parametrize("name", [":memory:", "file:x.sqlite3?mode=memory", "//x.sqlite3", "~nobody-has-this-name/x"])
def test_what_is_no_path_stops_the_start(name):
    with pytest.raises(StartupError, match=r"^expected .*(received sqlite:|received: Could not)"):
        SQLiteStore(Path(name), 5, 100)


def test_a_tilde_is_the_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    run(Path("~/explanations.sqlite3"), lambda store: put(store, fresh()))
    assert (tmp_path / "explanations.sqlite3").exists()


def test_a_file_with_two_names_has_one_set_of_journals(path, tmp_path):
    path.parent.mkdir()
    path.touch()
    link = tmp_path / "link.sqlite3"
    link.symlink_to(path)

    async def share(one):
        other = SQLiteStore(link, 500, 100)
        made = [fresh() for _ in range(6)]
        for i, each in enumerate(made):
            await put((one, other)[i % 2], each)
            assert (await (other, one)[i % 2].get(each.id)).id == each.id
        assert await ids(one) == await ids(other) == [each.id for each in made[::-1]]
        await other.close()

    run(path, share)


def test_a_file_of_another_program_stops_the_start_and_stays_as_it_is(path):
    path.parent.mkdir()
    with another_program(path) as db:
        for statement in ("CREATE TABLE notes (body)", "CREATE TABLE entries (body)", "PRAGMA user_version = 3"):
            db.execute(statement)
    before = path.read_bytes()
    with pytest.raises(StartupError, match="another program's, with the tables entries, notes"):
        SQLiteStore(path, 5, 100)
    assert path.read_bytes() == before


def test_a_file_with_the_id_of_another_program_stops_the_start(path):
    path.parent.mkdir()
    with another_program(path) as db:
        db.execute("CREATE TABLE bundles (body)")
        db.execute("PRAGMA application_id = 7")
    with pytest.raises(StartupError, match="another program's"):
        SQLiteStore(path, 5, 100)


def test_a_file_of_a_newer_format_stops_the_start_and_keeps_all(path):
    one = fresh()
    run(path, lambda store: put(store, one))
    with another_program(path) as db:
        db.execute(f"PRAGMA user_version = {database.FORMAT + 1}")
    with pytest.raises(StartupError, match=rf"of format 12 at most, received format {database.FORMAT + 1}"):
        SQLiteStore(path, 5, 100)
    with another_program(path) as db:
        db.execute(f"PRAGMA user_version = {database.FORMAT}")
    assert stored(path) == [one.id]


@pytest.mark.parametrize("had_an_id", [True, False])
def test_a_file_of_the_format_before_is_kept_and_found_by_sequence(path, had_an_id):
    texts = [[f"{number} May", "a text of all"] for number in range(3)]
    made = [fresh(texts=texts[number], steps=(5, 6)) for number in range(3)]

    async def fill(store):
        for one in made:
            await put(store, one)
        await store.delete(made[2].id)

    run(path, fill)
    with another_program(path) as db:
        for statement in ("ALTER TABLE catalogue DROP COLUMN hashes", "PRAGMA user_version = 11"):
            db.execute(statement)
        for statement in () if had_an_id else ("PRAGMA application_id = 0", "DROP TABLE numbers", "DROP TABLE holes"):
            db.execute(statement)
    assert stored(path) == [made[1].id, made[0].id]

    async def search(store):
        found = [await store.latest(Filter(sequence=made[1].hash(index)), 5) for index in range(2)]
        assert [[entry.id for entry in some] for some in found] == [[made[1].id], [made[1].id, made[0].id]]

    run(path, search)
    newest = fresh()
    run(path, lambda store: put(store, newest))
    assert stored(path) == [newest.id, made[1].id, made[0].id]
    with another_program(path) as db:
        assert db.execute("PRAGMA application_id").fetchone() == (database.APPLICATION,)


def test_a_file_of_an_earlier_format_is_emptied_and_says_so(path, caplog):
    path.parent.mkdir()
    with another_program(path) as db:
        for statement in ("CREATE TABLE explanations (old)", "CREATE TABLE labels (old)", "PRAGMA user_version = 4"):
            db.execute(statement)
    one = fresh()
    run(path, lambda store: put(store, one))
    assert said(caplog) == ["explanations of another version of this server are dropped"]
    assert stored(path) == [one.id]


def test_the_catalogue_forgets_what_is_gone(path, monkeypatch):
    monkeypatch.setattr(sqlite, "UNTIDY", 2)

    async def fill(store):
        for _ in range(10):
            await put(store, fresh())
            await store.latest(Filter(), 1)

    run(path, fill, max_count=3)
    assert bundles(path) == 3


@pytest.mark.parametrize("tidied", ["by and by", "at the end"])
def test_what_is_too_old_leaves_the_file(path, monkeypatch, tidied):
    if tidied == "by and by":
        monkeypatch.setattr(sqlite, "TIDY_S", 0.02)
    text, now = "Tuesday 5 March 1871", time.time()

    async def wait(store):
        nonlocal now
        await put(store, fresh(texts=[text]))
        await put(store, fresh(model="other"))
        assert len(await ids(store)) == 2
        now += 101
        if tidied == "by and by":
            await until(lambda: bundles(path) == 0)
        newest = explanation(created=now)
        await put(store, newest)
        assert await ids(store) == [newest.id]

    run(path, wait, clock=lambda: now)
    assert [one.name for one in path.parent.iterdir() if text.encode() in one.read_bytes()] == []
    assert bundles(path) == 1


def test_notes_are_kept_as_long_as_what_they_are_about(path):
    async def note(store):
        made = [fresh() for _ in range(3)]
        await asyncio.gather(*(put(store, one) for one in made))
        for one in made:
            await store.keep_note(one.id, "test", b"note")
        await store._write_with(store._tidy)
        return [await store.note(one.id, "test") for one in made]

    assert run(path, note) == [b"note"] * 3


def test_what_was_made_before_a_time_is_not_looked_for_among_all_that_is_newer(path, monkeypatch):
    heads = []
    monkeypatch.setattr(
        catalogue, "decode_head", lambda data, decode=catalogue.decode_head: heads.append(0) or decode(data)
    )

    now = time.time()

    async def fill(store):
        old = explanation(**at(now - 50))
        for one in (old, *(explanation(**at(now - 40 + i / 10)) for i in range(100))):
            await put(store, one)
            await store.latest(Filter(), 1)
        heads.clear()
        moment = datetime.fromtimestamp(now - 45, UTC)
        assert [entry.id for entry in await store.latest(Filter(until=moment), 5)] == [old.id]

    run(path, fill)
    assert len(heads) < 10


def test_a_failing_database_is_a_store_error_and_it_recovers(path):
    async def fail_and_recover(store):
        with another_program(path) as db:
            db.execute("ALTER TABLE bundles RENAME TO elsewhere")
            one, other = fresh(), fresh()
            await put(store, one)  # into the journal, where it is safe
            with pytest.raises(StoreError, match="no such table"):
                await store.get(one.id)
            assert "no such table" in store.trouble
            refused = put(store, other)
            assert isinstance(refused.exception(), StoreDown)  # at once
            assert "no such table" in str(refused.exception())
            db.execute("ALTER TABLE elsewhere RENAME TO bundles")
        await until(lambda: store.trouble is None)
        await put(store, other)
        assert await ids(store) == [other.id, one.id]

    run(path, fail_and_recover)


@contextmanager
def no_row_above(store, size):
    """SQLite, while it reads, takes no value and no row above so many bytes; else it is 1e9."""
    reader = store._database.reader.db
    before = reader.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, size)
    yield
    reader.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, before)


def test_large_explanations_are_read_in_rows_that_sqlite_takes(path):
    async def fill_and_read(store):
        made = [fresh(steps=(steps,)) for steps in (800_000, *[300_000] * 8)]  # 9.6 MB, and 3.6 MB each
        for one in made:
            await put(store, one)
            await ids(store)
        with no_row_above(store, 20_000_000):
            found = [[one.id for one in page] async for page in pages(store, Filter(), 10)]
        assert [id for page in found for id in page] == [one.id for one in made[::-1]]
        assert [len(page) for page in found] == [4, 4, 1]
        assert store.trouble is None

    run(path, fill_and_read)


def test_what_sqlite_does_not_take_is_no_trouble_of_the_file(path, caplog):
    async def read(store):
        large, small = fresh(steps=(1000,)), fresh()
        await put(store, large)
        await ids(store)
        await put(store, small)
        assert await ids(store) == [small.id, large.id]
        with no_row_above(store, 5000):
            for ask in (lambda: store.get(large.id), lambda: store.read(Filter(), 2)):
                with pytest.raises(TooBig, match="string or blob too big"):
                    await ask()
            assert store.trouble is None
            await put(store, fresh())
            assert (await store.get(small.id)).id == small.id

    run(path, read)
    assert said(caplog) == []


def test_an_explanation_that_sqlite_would_not_take_is_refused_alone(path, monkeypatch, caplog):
    monkeypatch.setattr(sqlite, "AT_ONCE", 1000)
    monkeypatch.setattr(sqlite, "LARGEST", 10_000)

    async def fill(store):
        with pytest.raises(TooBig, match=r"expected an explanation of at most 10,000 bytes .*, received 12,"):
            await put(store, fresh(steps=(1000,)))
        assert store.trouble is None
        one = fresh(steps=(500,))
        await put(store, one)
        assert await ids(store) == [one.id]

    run(path, fill)
    assert said(caplog) == []


def test_a_locked_file_stops_no_prediction(path, monkeypatch, caplog):
    monkeypatch.setattr(database, "BUSY_S", 0.2)

    async def lock(store):
        old, one, other = fresh(), fresh(), fresh()
        await put(store, old)
        assert await ids(store) == [old.id]
        with another_program(path) as db:
            db.execute("BEGIN IMMEDIATE")
            await put(store, one)  # into the journal
            await until(lambda: store.trouble is not None)
            assert (await store.get(old.id)).id == old.id  # it is in the file, whoever writes to that
            refused = put(store, other)
            assert isinstance(refused.exception(), StoreDown)  # at once
            for ask in (lambda: store.get(one.id), lambda: store.latest(Filter(), 1), lambda: store.delete(old.id)):
                with pytest.raises(StoreDown, match="database is locked"):
                    await ask()
            db.execute("ROLLBACK")
        await until(lambda: store.trouble is None)
        await put(store, other)
        assert await ids(store) == [other.id, one.id, old.id]

    run(path, lock)
    assert said(caplog) == [
        "explanations are not kept, predictions go on: the SQLite store failed: database is locked",
        "the SQLite store works again: explanations are kept",
    ]


def remove_the_file(path):
    path.unlink()


def remove_the_folder(path):
    shutil.rmtree(path.parent)


def replace_the_file(path):
    one, other = path.with_name("a copy"), path.with_name("another")
    shutil.copy(path, one)
    path.rename(other)
    one.rename(path)


def remove_the_log(path):
    path.with_name(f"{path.name}-wal").unlink()


def cut_the_file(path):
    os.truncate(path, 0)


def cut_the_log(path):
    os.truncate(path.with_name(f"{path.name}-wal"), 0)


def remove_the_journal(path):
    [journal] = [one for one in journals(path) if "journal-" in one.name]
    journal.unlink()


LOST = [
    remove_the_file,
    remove_the_folder,
    replace_the_file,
    remove_the_log,
    cut_the_file,
    cut_the_log,
    remove_the_journal,
]


@pytest.mark.parametrize("lose", LOST)
def test_what_is_lost_beneath_it_is_said_and_made_anew(path, caplog, lose):
    async def lose_it(store):
        await put(store, fresh())
        await ids(store)
        lose(path)
        await put(store, fresh())  # nobody knows yet
        await until(lambda: "the SQLite store works again: explanations are kept" in said(caplog))
        made = [fresh() for _ in range(3)]
        for one in made:
            await put(store, one)
            assert (await store.get(one.id)).id == one.id
        assert (await ids(store))[:3] == [one.id for one in made[::-1]]
        return made

    made = run(path, lose_it)
    [first, _] = said(caplog)
    assert first.startswith("explanations are not kept, predictions go on: ")
    assert "was removed" in first or "disk I/O error" in first or "malformed" in first
    assert stored(path)[:3] == [one.id for one in made[::-1]]


def test_what_is_in_a_journal_without_a_name_is_brought_in(path):
    async def remove(store):
        made = [fresh() for _ in range(3)]
        for one in made:
            await put(store, one)
        remove_the_journal(path)
        assert await ids(store) == [one.id for one in made[::-1]]
        await until(lambda: store.trouble is None)
        made.append(fresh())
        await put(store, made[-1])
        return [one.id for one in made[::-1]]

    assert run(path, remove) == stored(path)


def test_what_was_deleted_does_not_come_back_when_the_file_is_lost(path, caplog):
    async def lose_it(store):
        deleted = fresh()
        await put(store, deleted)
        assert await store.delete(deleted.id)
        remove_the_file(path)
        await put(store, fresh())
        await until(lambda: "the SQLite store works again: explanations are kept" in said(caplog))
        assert await store.get(deleted.id) is None

    run(path, lose_it)


def test_a_file_that_is_replaced_by_no_database_is_trouble_until_it_is_one_again(path):
    async def break_it(store):
        one = fresh()
        await put(store, one)
        path.rename(path.with_name("away"))
        path.write_text("not a database " * 100)
        await put(store, fresh())
        await until(lambda: "file is not a database" in (store.trouble or ""))
        assert isinstance(put(store, fresh()).exception(), StoreDown)
        path.unlink()
        await until(lambda: store.trouble is None)
        await put(store, one)
        assert (await store.get(one.id)).id == one.id

    run(path, break_it)


def test_what_a_killed_process_left_is_found_once(path):
    _, ids = left_behind(path, 150)
    assert stored(path) == ids[::-1]
    assert stored(path) == ids[::-1]
    assert journals(path) == []


def test_half_a_record_at_the_end_of_a_journal_is_dropped_and_said(path, caplog):
    journal, ids = left_behind(path, 3)
    journal.write_bytes(journal.read_bytes()[:-1])
    assert stored(path) == ids[1::-1]
    [line] = said(caplog)
    assert line.endswith("are of no whole record: damaged, or never all written")
    assert journals(path) == []


@pytest.mark.parametrize("place", [0, 3, 4, 8, 60])  # in the length, the checksum, the record
def test_a_damaged_record_of_a_journal_is_skipped_and_said(path, caplog, place):
    journal, ids = left_behind(path, 3)
    data = bytearray(journal.read_bytes())
    data[place] ^= 1
    journal.write_bytes(data)
    assert stored(path) == ids[:0:-1]
    [line] = said(caplog)
    assert line.startswith(f"{len(data) // 3} bytes of the journal {journal} are of no whole record")


def test_what_follows_damage_in_the_journal_of_a_process_that_lives_is_kept(path, caplog):
    async def damage(store):
        made = [fresh() for _ in range(3)]
        for one in made:
            await put(store, one)
        [journal] = journals(path)
        with journal.open("r+b") as file:
            file.write(b"\0" * 30)
        assert await ids(store) == [one.id for one in made[:0:-1]]

    run(path, damage)
    assert [line.partition(" bytes of the journal ")[1] for line in said(caplog)] == [" bytes of the journal "]


def test_a_record_that_cannot_be_read_is_left_out_and_said(path, caplog):
    path.parent.mkdir()
    one, other = fresh(), fresh()
    journal = Journal(path)
    journal.append([*encode([one]), b"garbage", *encode([other])])
    journal.close()
    assert stored(path) == [other.id, one.id]
    assert said(caplog) == [f"a record of 7 bytes of the journal {journal.path} cannot be read"]


def test_a_copy_of_a_journal_changes_nothing(path):
    journal, ids = left_behind(path, 3)
    shutil.copy(journal, journal.with_name(journal.name + "-copy"))
    assert stored(path) == ids[::-1]
    assert stored(path) == ids[::-1]


def test_what_was_killed_while_it_began_a_journal_leaves_nothing(path):
    path.parent.mkdir()
    left, begun = (path.with_name(f"{path.name}-opening-{name}") for name in ("left", "begun"))
    left.touch()
    with begun.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert stored(path) == []
    assert not left.exists()
    assert begun.exists()


def test_a_journal_is_begun_again_where_it_was_taken_for_one_that_was_left(path, monkeypatch):
    path.parent.mkdir()
    lock = fcntl.flock

    def sweep_before(file, how):
        if how == fcntl.LOCK_EX and not swept:
            swept.append(file)
            journal.sweep(path)
        lock(file, how)

    swept = []
    monkeypatch.setattr(fcntl, "flock", sweep_before)
    begun = Journal(path)
    assert swept
    assert begun.is_intact()
    assert [one.name for one in path.parent.iterdir()] == [begun.path.name]
    begun.close()


def test_processes_that_fold_at_the_same_time_bring_in_everything_once(path):
    async def work_together():
        stores = [SQLiteStore(path, 5000, 100) for _ in range(3)]
        made = []

        async def work(store):
            for _ in range(50):
                one = fresh()
                await put(store, one)
                made.append(one.id)
                assert await stores[len(made) % 3].get(one.id) is not None

        await asyncio.gather(*map(work, stores))
        assert sorted(await ids(stores[0])) == sorted(made)
        for store in stores:
            await store.close()

    asyncio.run(work_together())
    assert journals(path) == []


def test_a_long_journal_is_followed_by_another(path, monkeypatch):
    monkeypatch.setattr(sqlite, "JOURNAL", 1)

    async def fill(store):
        made = []
        for _ in range(20):
            one = fresh()
            await put(store, one)
            made.append(one.id)
            assert (await store.get(one.id)).id == one.id
        assert len(journals(path)) <= 3  # it, the one before, which is folded, and the one before that
        assert await ids(store) == made[::-1]

    run(path, fill)


def test_much_at_once_is_kept_as_well(path, monkeypatch):
    monkeypatch.setattr(sqlite, "AT_ONCE", 100)

    async def fill(store):
        made = [fresh() for _ in range(20)]
        await asyncio.gather(*(put(store, one) for one in made))
        assert await ids(store) == [one.id for one in made[::-1]]

    run(path, fill)


def test_a_journal_that_cannot_be_begun_is_a_store_error_and_it_recovers(path, monkeypatch):
    monkeypatch.setattr(sqlite, "JOURNAL", 1)

    async def fill(store):
        one, other = fresh(), fresh()
        await put(store, one)
        with no_more_files(), pytest.raises(StoreError, match="the journal of the SQLite store failed"):
            await put(store, other)
        await until(lambda: store.trouble is None)
        await put(store, other)
        assert await ids(store) == [other.id, one.id]

    run(path, fill)


@contextmanager
def no_more_room(size):
    """No file of this process may become larger: what is written beyond does not fit."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


def test_a_full_disk_is_trouble_until_there_is_room_and_leaves_no_half_a_record(path, caplog):
    async def fill(store):
        one, other = fresh(), fresh()
        await put(store, one)
        await ids(store)
        size = store._journal.size
        with no_more_room(size + 20):
            with pytest.raises(StoreError, match="the journal of the SQLite store failed"):
                await put(store, other)
            assert (await ids(store))[0] == one.id  # reading works, and changes nothing about that
            await store._database.writer.do(store._mend)  # as is tried again and again
            assert "journal" in store.trouble
            assert isinstance(put(store, other).exception(), StoreDown)
            assert store._journal.path.stat().st_size == size
        await until(lambda: store.trouble is None)
        await put(store, other)
        assert (await ids(store))[:2] == [other.id, one.id]

    run(path, fill)
    assert len([line for line in said(caplog) if line.startswith("explanations are not kept")]) == 1
