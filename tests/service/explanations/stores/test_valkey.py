"""What only Valkey can come across; see `test_stores.py` for the rest."""

import asyncio
import ssl
import subprocess
import time
from contextlib import asynccontextmanager

import numpy as np
import pytest

from service.errors import StartupError
from service.explanations.stores import valkey as module
from service.explanations.stores.store import Filter, StoreDown, StoreError
from service.explanations.stores.valkey import ValkeyStore
from service.ragged import Ragged
from tests.scraping import wait_until
from tests.service.explanations.builders import explanation, put
from tests.valkeys import valkey_server


@pytest.fixture
def server():
    with valkey_server() as server:
        yield server


def run(server, story, max_count=100, max_age=100):
    """Runs story(store), with the store opened before and closed afterwards."""

    async def tell():
        store = ValkeyStore(server.url, max_count, max_age)
        await store.open()
        await story(store)
        await store.close()

    asyncio.run(tell())


def fresh(**fields):
    return explanation(created=time.time(), **fields)


async def until(true):
    await asyncio.to_thread(wait_until, true)


def keys(client):
    return {key.decode("latin-1").removeprefix("attention:") for key in client.scan_iter()} - {"look"}


def test_what_goes_leaves_nothing_behind(server):
    async def fill_and_delete(store):
        made = [fresh(model=f"m{i}", labels=[f"l{i}"] * 3, steps=(5, 6, 6)) for i in range(6)]
        for one in made:
            await put(store, one)
        with server.client() as client:
            found = keys(client)
            beginnings = {bytes.fromhex(made[5].hash(i)[:4]).decode("latin-1") for i in range(3)}
            for kind in ("record:", "hashes:"):
                assert len({key for key in found if key.startswith(kind)}) == 2
            assert {key for key in found if not key.startswith(("record:", "hashes:"))} == {
                *("entries://", "entries:/1/", *(f"sequences:{two}" for two in beginnings)),
                *(f"entries:m{i}/{version}/{label}" for i in (4, 5) for version in (1, "") for label in (f"l{i}", "")),
                *(f"entries:/{version}/l{i}" for i in (4, 5) for version in (1, "")),
            }
            for one in made:
                await store.keep_note(one.id, "test", b"note")
            assert len({key for key in keys(client) if key.startswith("notes:")}) == 2
            for one in made:
                await store.delete(one.id)
            assert keys(client) == set()

    run(server, fill_and_delete, max_count=2)


def test_what_is_much_work_to_forget_is_forgotten_by_and_by(server):
    def long():
        values = np.random.default_rng().standard_normal((3000, 2)).astype(np.float32)
        return fresh(steps=(1,) * 3000, sequences=Ragged(values, np.ones(3000, np.int32)))

    def there():
        with server.client() as client:
            return len([key for key in keys(client) if key.startswith("hashes:")])

    async def fill(store):
        for _ in range(12):
            await put(store, long())

    async def go_on(store):
        assert 1 < there() < 12
        for _ in range(3):
            await put(store, fresh())
        assert there() == 1

    run(server, fill)
    run(server, go_on, max_count=1)


def test_records_expire_by_themselves_and_their_entries_with_the_next_put(server):
    async def wait(store):
        soon = explanation(created=time.time() - 99.5)
        await put(store, soon)
        with server.client() as client:
            assert 0 < client.pttl(module.PREFIX + b"record:" + module.key_of(soon.id)) <= 500
            await until(lambda: client.exists(module.PREFIX + b"record:" + module.key_of(soon.id)) == 0)
        assert await store.get(soon.id) is None
        assert await store.latest(Filter(), 10) == []
        assert await store.delete(soon.id) is False

    run(server, wait)


def test_a_server_that_is_gone_is_a_store_error_and_is_found_again(server):
    async def lose_and_find(store):
        await put(store, fresh())
        server.stop()
        with pytest.raises(StoreError, match="the Valkey store failed: "):
            await put(store, fresh())
        for ask in (lambda: put(store, fresh()), lambda: store.get(fresh().id), lambda: store.latest(Filter(), 1)):
            with pytest.raises(StoreDown, match="the Valkey store failed"):
                await ask()
        server.start()
        await until(lambda: store.trouble is None)
        kept = fresh()
        await put(store, kept)
        assert (await store.get(kept.id)).id == kept.id

    run(server, lose_and_find)


def test_a_server_that_hangs_is_waited_for_once(server, monkeypatch):
    monkeypatch.setattr(module, "COMMAND_S", 0.1)

    async def hang(store):
        with server.frozen():
            with pytest.raises(StoreError, match="Timeout"):
                await put(store, fresh())
            refused = put(store, fresh())
            assert refused.done()  # at once
            assert isinstance(refused.exception(), StoreDown)
        await until(lambda: store.trouble is None)
        await put(store, fresh())

    run(server, hang)


def test_what_waits_behind_a_commit_that_fails_is_not_tried(server, monkeypatch):
    monkeypatch.setattr(module, "COMMAND_S", 0.1)

    async def hang(store):
        with server.frozen():
            first = put(store, fresh())
            await asyncio.sleep(0)  # its commit is on its way
            second = put(store, fresh())
            await asyncio.wait([first, second])
        assert type(first.exception()) is StoreError
        assert type(second.exception()) is StoreDown

    run(server, hang)


def test_no_prediction_waits_for_others_that_read(server, monkeypatch):
    monkeypatch.setattr(module, "COMMAND_S", 0.5)

    async def hang(store):
        kept = fresh()
        await put(store, kept)
        with server.frozen():
            reading = [asyncio.create_task(store.get(kept.id)) for _ in range(10 * module.CONNECTIONS)]
            await asyncio.sleep(0)  # they are on their way
            start = time.monotonic()
            with pytest.raises(StoreError):
                await put(store, fresh())
            await asyncio.wait(reading)
            assert time.monotonic() - start < 4 * 0.5  # not ten times as long, one after the other
        kinds = {type(one.exception()) for one in reading}
        assert kinds == {StoreError, StoreDown}
        await until(lambda: store.trouble is None)
        assert (await store.get(kept.id)).id == kept.id

    run(server, hang)


def test_a_full_server_keeps_nothing_until_it_has_room_and_answers_all_the_same(server):
    async def fill(store):
        one, other = fresh(), fresh()
        for each in (one, other):
            await put(store, each)
        with server.client() as client:
            client.config_set("maxmemory", 1)
            with pytest.raises(StoreError, match="maxmemory"):
                await put(store, fresh())
            await until(lambda: client.info("errorstats")["errorstat_OOM"]["count"] > 2)  # it answers, keeps nothing
            assert "maxmemory" in store.trouble
            assert isinstance(put(store, fresh()).exception(), StoreDown)
            assert (await store.get(one.id)).id == one.id
            assert [entry.id for entry in await store.latest(Filter(), 5)] == [other.id, one.id]
            assert await store.delete(other.id) is True
            assert await store.delete_all(Filter(model="m")) == 1
            assert "maxmemory" in store.trouble
            client.config_set("maxmemory", 0)
        await until(lambda: store.trouble is None)
        await put(store, fresh())

    run(server, fill)


def test_a_server_that_runs_no_scripts_is_in_trouble_all_the_time(server, monkeypatch):
    monkeypatch.setattr(module, "PAUSE_S", 0.02)
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "app", "on", ">pw", "~*", "+@all", "-@scripting")

    async def wait():
        store = ValkeyStore(server.url.replace("//", "//app:pw@"), 100, 100)
        await store.open()
        seen = []
        with server.client() as client:
            while client.info("errorstats")["errorstat_NOPERM"]["count"] < 10:
                seen.append(store.trouble)
                await asyncio.sleep(0)
        await store.close()
        return seen

    for trouble in asyncio.run(wait()):
        assert "permission" in trouble


def test_what_cannot_be_read_is_a_store_error_and_can_be_deleted(server):
    async def damage(store):
        one, other = fresh(), fresh()
        for each in (one, other):
            await put(store, each)
        with server.client() as client:
            client.set(module.PREFIX + b"record:" + module.key_of(one.id), b"garbage")
            with pytest.raises(StoreError, match=f"the record of {one.id} cannot be read"):
                await store.get(one.id)
            with pytest.raises(StoreError, match=f"the record of {one.id} cannot be read"):
                await store.read(Filter(), 5)
            assert await store.delete(one.id) is True
            assert [found.id for found in await store.read(Filter(), 5)] == [other.id]
            client.zadd("attention:entries://", {b"short": 0})
            with pytest.raises(StoreError, match="the entry b'short' cannot be read"):
                await store.latest(Filter(), 5)
        assert store.trouble is None

    run(server, damage)


def test_without_a_server_it_opens_all_the_same(server, caplog):
    server.stop()

    async def wait(store):
        assert store.trouble.startswith("the Valkey store failed: ")
        server.start()
        await until(lambda: store.trouble is None)

    run(server, wait)
    down, up = [record.getMessage() for record in caplog.records]
    assert down.startswith("explanations are not kept, predictions go on: the Valkey store failed: Error")
    assert up == "the Valkey store answers again: explanations are kept"


@pytest.mark.parametrize(
    ("url", "wrong"),
    [
        ("valkey://host:port/0", "port"),
        ("valkey://host:99999/0", "Port out of range"),
        ("valkey://a..b/0", "label"),
        ("valkey:///0", "it has no host"),
        ("valkey://host/notanumber", "the database is 'notanumber', not a number"),
        ("valkey://host/0?foo=bar", "foo is none of its options"),
        ("valkey://host/0?decode_responses=true", "decode_responses is none of its options"),
        ("valkey://host/0?ssl_ca_certs=x", "ssl_ca_certs"),  # not without TLS
        ("valkey://host/0?socket_timeout=soon", "socket_timeout"),
    ],
)
def test_a_url_that_is_none_stops_the_start(url, wrong):
    with pytest.raises(
        StartupError, match=f"expected a store like valkey://host:6379/0, received no such URL: .*{wrong}"
    ):
        ValkeyStore(url, 1, 1)


@pytest.fixture
def certificate(tmp_path):
    """Of 127.0.0.1, signed by itself: its file and its key's."""
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=valkey"
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate]
    subprocess.run([*command.split(), *names], check=True, capture_output=True)
    return certificate, key


@asynccontextmanager
async def tls_before(server, certificate):
    """Has TLS end at a port of its own, before the server's; gives that port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)

    async def forward(reader, writer):
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def connected(reader, writer):
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", server.port)
        await asyncio.gather(forward(reader, to_writer), forward(to_reader, writer))

    async with await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context) as front:
        yield front.sockets[0].getsockname()[1]


def test_over_tls_the_certificate_is_checked(server, certificate):
    async def keep(trusted):
        async with tls_before(server, certificate) as port:
            store = ValkeyStore(f"valkeys://127.0.0.1:{port}/0{trusted}", 100, 100)
            await store.open()
            if store.trouble is None:
                await put(store, fresh())
            await store.close()
        return store.trouble

    assert asyncio.run(keep(f"?ssl_ca_certs={certificate[0]}")) is None
    assert "certificate verify failed" in asyncio.run(keep(""))
    with server.client() as client:
        assert client.zcard("attention:entries://") == 1
