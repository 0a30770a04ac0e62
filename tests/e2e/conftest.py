from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.browsing import WAIT, chromium, visiting
from tests.valkeys import valkey_server

expect.set_options(timeout=WAIT)


@pytest.fixture(scope="module")  # and no longer: while there is one, `asyncio.run` refuses
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def visit(browser, server):
    """visit(path) is the page there, as a context."""
    return lambda path="/", **options: visiting(browser, server + path, **options)


@pytest.fixture(scope="module", params=["sqlite", "valkey"])
def store(request, tmp_path_factory) -> Iterator[str]:
    """The URL of an empty store, of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:{tmp_path_factory.mktemp('store') / 'x.sqlite3'}"
        return
    with valkey_server() as server:
        yield server.url


@pytest.fixture
def doubtful_dates() -> list[str]:
    """Texts, of some of which a wide search finds another answer than a narrow one."""
    return [f"{day} {month} {year}" for day in range(10, 16) for month in range(10, 16) for year in (17, 30, 43)]
