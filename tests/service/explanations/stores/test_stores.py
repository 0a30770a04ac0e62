"""The contract of a store, which each of them keeps."""

import asyncio
import random
import time
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import pytest

from service.explanations.stores import catalogue, contents, sqlite, valkey
from service.explanations.stores.paging import pages
from service.explanations.stores.sqlite import SQLiteStore
from service.explanations.stores.store import Filter
from service.explanations.stores.valkey import ValkeyStore
from service.ragged import Ragged
from tests.service.explanations.builders import at, explanation, put, text_explanation
from tests.valkeys import valkey_server

NOBODY = "00000000-0000-7000-8000-000000000000"


class Clock:
    def __init__(self):
        self.now = time.time()

    def __call__(self):
        return self.now


class Kept:
    """A store on an event loop of its own."""

    def __init__(self, make, clock):
        self.make, self.clock = make, clock
        self._runner = asyncio.Runner()
        self.open()

    def open(self, max_count=5):
        self.store = self.make(max_count=max_count, max_age=100, clock=self.clock)
        self.do(self.store.open())

    def close(self):
        self.do(self.store.close())

    def do(self, coroutine):
        return self._runner.run(coroutine)

    def put(self, count=None, **fields):
        """Puts explanations together; returns the id, or a count of ids."""
        made = [explanation(**{"created": self.clock.now, **fields}) for _ in range(count or 1)]

        async def keep():
            await asyncio.gather(*(put(self.store, one) for one in made))

        self.do(keep())
        return made[0].id if count is None else [one.id for one in made]

    def get(self, id):
        return self.do(self.store.get(id))

    def delete(self, id):
        return self.do(self.store.delete(id))

    def read(self, limit=10, **filter):
        return [one.id for one in self.do(self.store.read(Filter(**filter), limit))]

    def delete_all(self, **filter):
        return self.do(self.store.delete_all(Filter(**filter)))

    def list(self, limit=10, **filter):
        return self.do(self.store.latest(Filter(**filter), limit))

    def ids(self, limit=10, **filter):
        return [entry.id for entry in self.list(limit, **filter)]


@pytest.fixture(scope="module")
def server():
    with valkey_server() as server:
        yield server


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(params=["sqlite", "valkey"])
def kept(request, tmp_path, clock):
    if request.param == "sqlite":
        kept = Kept(lambda **bounds: SQLiteStore(tmp_path / "sub" / "explanations.sqlite3", **bounds), clock)
    else:
        server = request.getfixturevalue("server")
        with server.client() as client:
            client.flushdb()
        kept = Kept(lambda **bounds: ValkeyStore(server.url, **bounds), clock)
    yield kept
    kept.close()
    kept._runner.close()


def test_what_was_put_is_got_and_listed_newest_first(kept, clock):
    first, second = kept.put(), kept.put(steps=(2, 3), labels=["yes", "no"], model="other", version=3)
    found = kept.get(second)
    assert (found.id, found.created, found.labels) == (second, clock.now, ["yes", "no"])
    assert [found.sequences[i].shape for i in range(2)] == [(2, 2), (3, 2)]
    newest, oldest = kept.list()
    assert (newest.id, newest.model, newest.version) == (second, "other", 3)
    assert (newest.sequences, list(newest.labels), newest.created) == (2, ["no", "yes"], clock.now)
    assert (oldest.id, list(oldest.labels)) == (first, ["yes"])


@pytest.mark.parametrize("id", ["nope", NOBODY])
def test_what_was_never_put_is_none(kept, id):
    kept.put()
    assert kept.get(id) is None
    assert kept.delete(id) is False


def test_filters(kept, clock):
    a = kept.put(model="a", labels=["x"], created=clock.now - 50)
    b2 = kept.put(model="b", version=2, labels=["y"], created=clock.now - 50)
    b1 = kept.put(model="b", labels=None)
    assert kept.ids() == [b1, b2, a]
    assert kept.ids(model="b") == [b1, b2]
    assert kept.ids(model="b", version=2) == [b2]
    assert kept.ids(version=1) == [b1, a]
    assert kept.ids(label="x") == [a]
    assert kept.ids(label="x", model="b") == kept.ids(label="x", version=2) == []
    assert kept.ids(label="y", model="b") == kept.ids(label="y", version=2) == [b2]
    assert kept.ids(label="y", model="b", version=2) == [b2]
    assert kept.ids(since=datetime.fromtimestamp(clock.now - 10, UTC)) == [b1]
    assert kept.ids(since=datetime(1, 1, 1, tzinfo=UTC)) == [b1, b2, a]
    assert kept.ids(model="nobody") == []


@pytest.mark.parametrize("filter", [{}, {"model": "m"}, {"model": "m", "version": 1}, {"label": "yes"}])
def test_a_cursor_goes_on_where_the_page_before_ended(kept, filter):
    ids = [kept.put() for _ in range(5)][::-1]
    assert kept.ids(limit=2, **filter) == ids[:2]
    assert kept.ids(limit=2, before=ids[1], **filter) == ids[2:4]
    assert kept.ids(limit=2, before=ids[3], **filter) == ids[4:]
    assert kept.ids(limit=2, before=ids[4], **filter) == []


def test_the_oldest_go_when_there_are_too_many(kept):
    ids = [kept.put() for _ in range(4)] + kept.put(count=4)
    for filter in ({}, {"model": "m"}, {"model": "m", "version": 1}, {"label": "yes"}):
        assert sorted(kept.ids(**filter)) == sorted(ids[3:])
    assert [id for id in ids if kept.get(id)] == ids[3:]


def test_a_smaller_bound_holds_from_the_next_put_on(kept):
    kept.put(count=5)
    kept.close()
    kept.open(max_count=2)
    newest = kept.put()
    assert len(kept.ids()) == 2
    assert kept.ids()[0] == newest


def test_what_is_too_old_is_gone_before_anything_is_put(kept, clock):
    id = kept.put()
    clock.now += 100.5
    assert kept.get(id) is None
    assert kept.ids() == []


def test_what_is_deleted_is_gone(kept):
    id, other = kept.put(), kept.put()
    assert kept.delete(id) is True
    assert kept.delete(id) is False
    assert kept.get(id) is None
    assert kept.ids() == kept.ids(label="yes") == kept.ids(model="m", version=1) == [other]


def test_what_is_read_is_what_is_listed_whole(kept):
    ids = [*kept.put(count=3), kept.put(model="other")]
    for filter in ({}, {"model": "m"}, {"label": "yes"}, {"model": "nobody"}, {"before": ids[1]}):
        assert kept.read(**filter) == kept.ids(**filter)
    assert kept.read(limit=2) == kept.ids(limit=2) == sorted(ids, reverse=True)[:2]
    [newest] = kept.do(kept.store.read(Filter(), 1))
    assert newest.sequences[0].shape == (5, 2)


@pytest.fixture
def little_at_once(monkeypatch):
    """What is read at once is bounded so that two explanations of 1,000 steps, 12 kB each, are too much."""
    for module in (contents, valkey):
        monkeypatch.setattr(module, "READ_BYTES", 20_000)


def put_one_by_one(kept, lengths):
    """Explanations of so many steps, none of them kept with another; their ids, newest first."""
    ids = []
    for steps in lengths:
        ids.append(kept.put(steps=(steps,)))
        kept.ids()  # a store that gathers what is put has done so
    return ids[::-1]


def test_large_ones_are_read_a_few_at_once(kept, little_at_once):
    small, large = put_one_by_one(kept, [5] * 3), put_one_by_one(kept, [1000] * 2)
    assert kept.read() == large[:1]
    assert kept.read(before=large[0]) == [large[1], *small]
    assert kept.read(before=large[1]) == small


def test_one_that_is_larger_than_what_is_read_at_once_is_read_alone(kept, little_at_once):
    newest, large, oldest = put_one_by_one(kept, [5, 10_000, 5])
    assert kept.read() == [newest]
    assert kept.read(before=newest) == [large]
    assert kept.read(before=large) == [oldest]


def test_pages_go_to_the_end_whatever_their_explanations_hold(kept, little_at_once):
    ids = put_one_by_one(kept, [5, 5, 1000, 10_000, 1000])

    async def read(limit):
        return [[one.id for one in page] async for page in pages(kept.store, Filter(), limit)]

    assert kept.do(read(10)) == [ids[:1], ids[1:2], ids[2:]]
    assert kept.do(read(3)) == [ids[:1], ids[1:2], ids[2:3]]


def test_what_was_made_before_a_time(kept, clock):
    old, new = kept.put(**at(clock.now - 50)), kept.put(**at(clock.now - 10))
    until = datetime.fromtimestamp(clock.now - 30, UTC)
    assert kept.ids(until=until) == kept.read(until=until) == [old]
    assert kept.ids(since=until) == [new]
    assert kept.ids(until=datetime.fromtimestamp(clock.now - 60, UTC)) == []
    assert kept.delete_all(until=until) == 1
    assert kept.ids() == [new]


def test_since_is_inclusive_and_until_exclusive_to_the_microsecond(kept, clock):
    second = int(clock.now) - 50
    made = [second + micros / 1e6 for micros in (100_100, 100_200, 100_200, 100_300)]  # in one millisecond
    oldest, *same, newest = [kept.put(**at(created)) for created in made]
    time = datetime.fromtimestamp(made[1], UTC)
    assert time.microsecond == 100_200
    assert kept.ids(since=time) == [newest, *same[::-1]]
    assert kept.ids(until=time) == [oldest]
    assert kept.ids(until=time, limit=1) == [oldest]  # whose page is full, whatever is newer
    assert kept.ids(since=time, until=time) == []
    assert kept.ids(since=time, until=time + timedelta(microseconds=1)) == same[::-1]


def test_all_that_pass_a_filter_are_deleted(kept):
    ids = kept.put(count=3, labels=["no"])
    [other] = kept.put(count=1, labels=["yes"])
    assert kept.delete_all(label="nobody") == 0
    assert kept.delete_all(model="m", label="no") == 3
    assert [id for id in ids if kept.get(id)] == kept.ids(label="no") == []
    assert kept.ids() == kept.read() == [other]
    assert kept.delete_all(model="m") == 1
    assert kept.ids() == []


@pytest.fixture
def in_pages(monkeypatch):
    """What is deleted is deleted two at a time, in Valkey one of several sequences."""
    monkeypatch.setattr(sqlite, "UNTIDY", 2)
    monkeypatch.setattr(valkey, "MANY", 2)
    monkeypatch.setattr(valkey, "MANY_SEQUENCES", 2)


def test_what_comes_after_it_was_asked_for_is_not_deleted(kept, in_pages):
    kept.close()
    kept.open(max_count=100_000)
    old = kept.put(count=60)

    async def delete_while_others_come():
        deleting, came = asyncio.create_task(kept.store.delete_all(Filter(model="m"))), []
        while len(await kept.store.latest(Filter(), 60)) == len(old):
            pass  # it has not begun
        while not deleting.done() and len(came) < 10_000:
            one = explanation(created=kept.clock.now)
            await put(kept.store, one)
            came.append(one.id)
        return await deleting, came

    count, came = kept.do(delete_while_others_come())
    assert count == len(old)
    assert kept.ids(limit=100_000) == came[::-1]


def test_what_is_deleted_leaves_room(kept):
    precious = kept.put()
    for _ in range(3):
        for one in [kept.put() for _ in range(4)]:
            kept.delete(one)
    assert kept.ids() == [precious]
    following = [kept.put() for _ in range(5)]
    assert kept.ids() == following[::-1]
    assert kept.get(precious) is None


def test_what_had_to_go_does_not_come_back_where_others_are_deleted(kept):
    ids = kept.put(count=4) + kept.put(count=4)
    kept.delete(ids[5])
    kept.delete(ids[3])
    assert kept.ids() == [ids[7], ids[6], ids[4]]
    newest = kept.put()
    assert kept.ids() == [newest, ids[7], ids[6], ids[4]]
    assert [id for id in ids if kept.get(id)] == [ids[4], ids[6], ids[7]]


def test_the_newest_of_those_that_are_there_are_kept_whatever_is_deleted(kept):
    """Against a list that does the same."""
    kept.close()
    kept.open(max_count=20)
    choose, there = random.Random(0), []
    for _ in range(60):
        there = [*there, *kept.put(count=choose.randint(1, 6), labels=[choose.choice("ab")])][-20:]
        for id in choose.sample(there, min(len(there), choose.randint(0, 3))):
            assert kept.delete(id) is True
            there.remove(id)
        if choose.random() < 0.1:
            gone = kept.ids(limit=50, label="a")
            assert kept.delete_all(label="a") == len(gone)
            there = [id for id in there if id not in gone]
        assert kept.ids(limit=50) == there[::-1]


def test_one_of_those_kept_together_is_deleted_alone(kept):
    ids = kept.put(count=4)
    kept.ids()
    ids += kept.put(count=1, model="other")
    for id in (ids[1], ids[3], ids[4], ids[0]):
        assert kept.delete(id) is True
        assert kept.delete(id) is False
    assert [id for id in ids if kept.get(id)] == kept.ids() == [ids[2]]


def test_what_comes_after_the_newest_was_deleted_is_found(kept):
    deleted = kept.put()
    kept.ids()
    kept.delete(deleted)
    assert kept.ids() == []
    following = [kept.put(), kept.put()]
    assert kept.get(following[0]).id == following[0]
    assert kept.ids() == following[::-1]


def test_notes_go_with_what_they_are_about(kept):
    id, other = kept.put(), kept.put()

    def note(id, name="test"):
        return kept.do(kept.store.note(id, name))

    def keep(id, name="test"):
        kept.do(kept.store.keep_note(id, name, f"{name} {id}".encode()))

    assert note(id) is None
    for name in ("test", "other", "test"):
        keep(id, name)
    keep(other)
    assert (note(id), note(id, "other"), note(other)) == tuple(
        text.encode() for text in (f"test {id}", f"other {id}", f"test {other}")
    )
    kept.delete(id)
    assert note(id) is note(id, "other") is None
    assert note(other) is not None
    kept.delete_all(model="m")
    assert note(other) is None
    for gone in (id, NOBODY, "nope"):
        keep(gone)
        assert note(gone) is None


def check_all_come_back(kept, made):
    for before in made:
        after = kept.get(before.id)
        for field in after.__struct_fields__:
            one, other = getattr(before, field), getattr(after, field)
            if isinstance(one, Ragged | np.ndarray):
                assert [part.tolist() for part in one] == [part.tolist() for part in other]
            else:
                assert one == other


def test_those_kept_together_come_back_as_they_were(kept):
    """Of two models, of different lengths, one of them of texts."""
    numbers = [explanation(created=kept.clock.now, steps=steps, labels=None) for steps in ((2,), (3, 4), (5,))]
    texts = [
        explanation(
            created=kept.clock.now,
            steps=(2, 3)[:count],
            model="texts",
            sequences=None,
            attention=Ragged.of_matrices([np.eye(3, 4 + i, dtype=np.float32) for i in range(count)]),
            texts=[f"text {i}" for i in range(count)],
            answers=["abc"] * count,
            unknown=[[i] for i in range(count)],
        )
        for count in (1, 2)
    ]
    made = [numbers[0], texts[0], *numbers[1:], texts[1]]

    async def keep():
        await asyncio.gather(*(put(kept.store, one) for one in made))

    kept.do(keep())
    check_all_come_back(kept, made)


SHAPES = [
    {},
    {"per_feature": True},
    {"with_attention": False},
    {"features": 3},
    {"sequences": None},
    {"labels": None},
    {"predictions": np.full((1, 2), 0.5, np.float32)},
    {"task": "regression", "classes": []},
]


@pytest.mark.parametrize("together", [True, False])
def test_those_of_a_version_whose_shape_has_changed_come_back_as_they_were(kept, together):
    """A model may be replaced in its place, by one with a manifest of its own."""
    kept.close()
    kept.open(max_count=50)
    made = []
    for shape in SHAPES:
        some = [explanation(created=kept.clock.now, **shape) for _ in range(2)]
        names = some[0].features.copy()
        made += [msgspec.structs.replace(one, features=names) for one in some]

    async def keep():
        waiting = [made] if together else [[one] for one in made]
        for some in waiting:
            await asyncio.gather(*(put(kept.store, one) for one in some))

    kept.do(keep())
    kept.close()
    kept.open(max_count=50)
    check_all_come_back(kept, made)
    assert sorted(kept.ids(limit=50)) == sorted(one.id for one in made)


def test_a_restart_finds_what_was_kept(kept):
    id = kept.put()
    kept.close()
    kept.open()
    assert kept.get(id).id == id
    assert kept.ids() == [id]


def test_what_is_put_together_is_kept_together_and_before_it_closes(kept):
    made = [explanation(created=kept.clock.now) for _ in range(5)]

    async def put_and_close():
        futures = [put(kept.store, one) for one in made]
        await asyncio.sleep(0)  # the first are on their way
        await kept.store.close()
        return [future.done() for future in futures]

    assert kept.do(put_and_close()) == [True] * 5
    kept.open()
    assert sorted(kept.ids()) == sorted(one.id for one in made)


def random_sequences(*steps):
    """Fields of an explanation of sequences that no other has, so many steps long each."""
    values = [np.random.default_rng().standard_normal((n, 2)).astype(np.float32) for n in steps]
    return {"steps": steps, "sequences": Ragged.of(values)}


@pytest.fixture
def room(kept):
    """The store, of which no test fills the bound."""
    kept.close()
    kept.open(max_count=1000)
    return kept


def test_those_of_a_sequence_are_found_among_many_newest_first(room):
    fields = random_sequences(5, 3)
    first, second = (explanation(**fields).hash(index) for index in range(2))
    old = room.put(**fields)
    for _ in range(3):
        room.put(count=60)
        room.put(**random_sequences(4, 4))
    pair = sorted(room.put(count=2, **{**fields, "model": "other", "labels": ["x", "y"]}), reverse=True)
    newest = room.put(version=2, **fields)
    room.put(count=20)
    all = [newest, *pair, old]
    for hash in (first, second):
        assert room.ids(sequence=hash) == room.read(sequence=hash) == all
    assert room.ids(sequence="0" * 64) == []
    assert room.ids(sequence=first, limit=2) == room.read(sequence=first, limit=2) == all[:2]
    assert room.ids(sequence=first, limit=2, before=all[1]) == all[2:]
    assert room.ids(sequence=first, before=old) == []
    assert room.ids(sequence=first, model="other") == room.ids(sequence=first, label="y") == pair
    assert room.ids(sequence=first, version=2) == [newest]
    assert room.ids(sequence=first, version=2, model="other") == room.ids(sequence=first, label="z") == []


def test_those_of_a_sequence_are_looked_for_to_the_end(room, monkeypatch):
    monkeypatch.setattr(valkey, "LISTED", 3)
    monkeypatch.setattr(catalogue, "AT_A_TIME", 3)
    fields = random_sequences(5)
    hash = explanation(**fields).hash(0)
    old = [room.put(model="other", **fields) for _ in range(2)][::-1]
    new = [room.put(**fields) for _ in range(6)][::-1]
    assert room.ids(sequence=hash) == new + old
    assert room.ids(sequence=hash, model="other") == old
    assert room.ids(sequence=hash, model="other", limit=1) == old[:1]
    assert room.ids(sequence=hash, model="m") == new
    assert room.ids(sequence=hash, model="nobody") == []


def test_those_of_a_sequence_are_found_by_when_they_were_made(room, clock):
    fields = random_sequences(5)
    hash = explanation(**fields).hash(0)
    old, middle, new = (room.put(**fields, **at(clock.now - ago)) for ago in (50, 30, 10))
    room.put(**at(clock.now - 30))
    before, after = (datetime.fromtimestamp(clock.now - ago, UTC) for ago in (40, 20))
    assert room.ids(sequence=hash, since=before) == [new, middle]
    assert room.ids(sequence=hash, until=after) == [middle, old]
    assert room.ids(sequence=hash, since=before, until=after) == [middle]
    clock.now += 75
    assert room.ids(sequence=hash) == room.read(sequence=hash) == [new]


def test_a_hash_is_of_one_sequence_not_of_where_one_ends_and_the_next_begins(room):
    fields = random_sequences(2, 2)
    made = explanation(**fields)
    room.put(**fields)
    across = made.hash(0)[8:16] + made.hash(1)[:8]
    assert room.ids(sequence=across + "0" * 48) == []


def test_a_long_request_is_found_by_every_sequence_of_it(room, monkeypatch):
    monkeypatch.setattr(valkey, "AT_ONCE", 100)  # off the event loop
    fields = random_sequences(*[1] * 3000)
    id, made = room.put(**fields), explanation(**fields)
    for index in (0, 1, 1499, 2999):
        assert room.ids(sequence=made.hash(index)) == [id]


def test_a_sequence_that_comes_again_in_a_request_is_found_once(room):
    values = np.ones((3, 2), np.float32)
    fields = {"steps": (3, 3), "sequences": Ragged.of([values, values])}
    ids = [room.put(**fields), room.put(**fields)][::-1]
    hash = explanation(**fields).hash(0)
    assert room.ids(sequence=hash) == ids
    assert room.delete(ids[0])
    assert room.ids(sequence=hash) == ids[1:]


def test_a_text_is_found_by_its_hash(room):
    weights = np.full((2, 6), 1 / 6)
    made = [text_explanation(weights, text, created=room.clock.now) for text in ("3. Mai", "3. Mär", "3. Mai")]
    for one in made:
        room.do(put_one(room.store, one))
    assert room.ids(sequence=made[0].hash(0)) == [made[2].id, made[0].id]
    assert room.ids(sequence=made[1].hash(0)) == [made[1].id]


def test_where_inputs_are_not_kept_nothing_is_found_by_a_hash(room):
    fields = random_sequences(5)
    hash = explanation(**fields).hash(0)
    one = explanation(**fields, created=room.clock.now)
    room.do(put_one(room.store, one.without_inputs()))
    with_inputs = room.put(**fields)
    assert room.ids() == [with_inputs, one.id]
    assert room.ids(sequence=hash) == [with_inputs]
    assert room.delete_all(sequence=hash) == 1
    assert room.ids() == [one.id]


def test_what_is_deleted_is_not_found_by_its_hash_and_its_neighbours_are(room):
    fields = [random_sequences(5, 4) for _ in range(3)]
    made = [explanation(**some, created=room.clock.now) for some in fields]

    async def keep():
        await asyncio.gather(*(put(room.store, one) for one in made))

    room.do(keep())
    assert room.delete(made[0].id)
    assert room.ids(sequence=made[0].hash(1)) == room.read(sequence=made[0].hash(1)) == []
    for one in made[1:]:
        for index in range(2):
            assert room.ids(sequence=one.hash(index)) == room.read(sequence=one.hash(index)) == [one.id]
    for one in made[1:]:
        assert room.delete(one.id)
        assert room.ids(sequence=one.hash(0)) == []


def test_all_of_a_sequence_are_deleted(room, in_pages):
    fields = random_sequences(5, 4)
    hash = explanation(**fields).hash(1)
    others = room.put(count=10)
    for _ in range(3):
        room.put(count=10, **fields)
    other = room.put(model="other", **fields)
    assert room.delete_all(sequence=hash, model="m") == 30
    assert room.ids(sequence=hash) == [other]
    assert room.delete_all(sequence=hash) == 1
    assert sorted(room.ids(limit=100)) == sorted(others)
    assert room.delete_all(sequence=hash) == 0


def test_what_had_to_go_is_not_found_by_its_hash(kept):
    fields = random_sequences(5)
    hash = explanation(**fields).hash(0)
    ids = [kept.put(**fields) for _ in range(4)] + kept.put(count=2) + [kept.put(**fields)]
    assert kept.ids(sequence=hash) == kept.read(sequence=hash) == [ids[6], ids[3], ids[2]]


def test_those_of_a_sequence_are_found_after_a_restart(room):
    fields = random_sequences(5)
    hash = explanation(**fields).hash(0)
    id = room.put(**fields)
    room.close()
    room.open(max_count=1000)
    assert room.ids(sequence=hash) == [id]


async def put_one(store, one):
    await put(store, one)
