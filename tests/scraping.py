"""What GET /metrics says, and waiting for something to become true."""

import time

import httpx
from prometheus_client.parser import text_string_to_metric_families

PREFIX = "attention_lstm_"


class Scrape:
    """The samples of one answer."""

    def __init__(self, text: str):
        families = list(text_string_to_metric_families(text))
        self.samples = [sample for family in families for sample in family.samples]

    def __call__(self, name, **labels):
        """The sum of the samples of that name (without our prefix) that have these labels."""
        return sum(sample.value for sample in self.of(name, **labels))

    def of(self, name, **labels):
        names = (name, PREFIX + name)
        return [s for s in self.samples if s.name in names and labels.items() <= s.labels.items()]


def scrape(url):
    answer = httpx.get(f"{url}/metrics").raise_for_status()
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return Scrape(answer.text)


def wait_until(true, seconds=20):
    """Asks again and again; returns what `true()` returned when it was no longer false. A refused connection is."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if found := true():
                return found
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"expected {true.__name__} within {seconds} s")
