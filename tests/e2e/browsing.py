"""The explorer page in a real browser, which takes note of everything that goes wrong."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, sync_playwright

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
WAIT = 30_000  # ms; the machine may be busy with other tests


@contextmanager
def chromium() -> Iterator[Browser]:
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    assert executable, "expected chromium on the PATH (apt-get install chromium)"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def visiting(browser: Browser, url: str, **options) -> Iterator[Page]:
    """A page of its own on this address. At its end nothing may have been logged as an error (what the policy forbids
    is) or asked of another host. What a test provokes on purpose it takes out of `page.faults`.
    """
    context = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | options))
    page = context.new_page()
    page.set_default_timeout(WAIT)
    hosts, page.faults = set(), []
    page.on(
        "console", lambda message: page.faults.append(message.text) if message.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on("request", lambda request: hosts.add("/".join(request.url.split("/")[:3])))
    try:
        page.goto(url)
        yield page
    finally:
        context.close()
    assert page.faults == []
    assert hosts == {"/".join(url.split("/")[:3])}


def tallest(page: Page, lane: str, within: str = "#chart") -> int:
    """The step of the tallest bar of a lane of the chart: weights or changes."""
    bars = page.locator(f"{within} .{lane} rect.bar")
    return bars.evaluate_all(
        "bars => Number(bars.reduce((a, b) => b.height.baseVal.value > a.height.baseVal.value ? b : a).dataset.step)"
    )
