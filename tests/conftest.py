import json
from collections.abc import Iterator

import httpx
import pytest

from tests.serving import MODELS, serving


@pytest.fixture(scope="session")
def server(tmp_path_factory) -> Iterator[str]:
    """The URL of a server with the committed models and a store."""
    with serving(store=f"sqlite:{tmp_path_factory.mktemp('store') / 'explanations.sqlite3'}") as running:
        yield running.url


@pytest.fixture(scope="session")
def client(server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server, timeout=30) as client:
        yield client


@pytest.fixture(scope="session")
def example():
    """example(model) is one sequence of the model's own examples."""
    return lambda model: json.loads((MODELS / model / "1" / "model.json").read_text())["examples"][0]["sequence"]
