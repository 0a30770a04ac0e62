"""The explorer page in a real browser, which takes note of everything that goes wrong."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, Request, Route, sync_playwright

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
    except BaseException as error:
        error.add_note(f"the browser logged: {page.faults}")
        raise
    finally:
        context.close()
    assert page.faults == []
    assert hosts == {"/".join(url.split("/")[:3])}


def excuse(page: Page, *provoked: str) -> None:
    """Takes what a test provoked out of what was logged; each must have been, and nothing else."""
    assert page.faults
    assert [fault for fault in page.faults if not any(text in fault for text in provoked)] == []
    page.faults.clear()


def hold(page: Page, url: str, wanted: Callable[[Request], bool] = lambda _: True) -> list[Route]:
    """Requests there that wait, until one lets them go on with `continue_()`."""
    held: list[Route] = []
    page.route(url, lambda route: held.append(route) if wanted(route.request) else route.continue_())
    return held


def caught(page: Page, held: list[Route], count: int = 1) -> None:
    """Waits until so many requests are held."""
    for _ in range(WAIT // 20):
        if len(held) >= count:
            return
        page.wait_for_timeout(20)
    raise AssertionError(f"expected {count} requests, received {len(held)}")


def drop(page: Page, name: str, text: str) -> None:
    """A file dropped on the page."""
    page.evaluate(
        """([name, text]) => {
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File([text], name));
            document.body.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
        }""",
        [name, text],
    )


def drawn(page: Page, name: str, condition: str, within: str = "#chart") -> None:
    """Waits until the rows of a data set of the chart are as a JavaScript function of them says."""
    page.wait_for_function(
        f"""([host, name]) => {{
            const chart = document.querySelector(host).chart;
            return chart?.names.includes(name) && ({condition})(chart.view.data(name));
        }}""",
        arg=[within, name],
    )


def rows(page: Page, name: str, within: str = "#chart") -> list[dict]:
    """What a data set of the chart holds, now that it is drawn."""
    page.locator(f"{within} .figure").wait_for()
    return page.evaluate(
        "([host, name]) => document.querySelector(host).chart.view.data(name).map(row => ({ ...row }))", [within, name]
    )


def tallest(page: Page, lane: str, within: str = "#chart") -> int:
    """The step of the tallest bar of a lane of the chart: weights or changes."""
    bar = max(rows(page, lane, within), key=lambda row: row["size"])
    return round((bar["step"] + bar["end"]) / 2)


def place(page: Page, kind: str, step: int, value: float | None = None) -> tuple[float, float]:
    """Where on the screen a value of a step is drawn, in the first panel of a kind; None: half way up the panel."""
    return page.evaluate(
        """([kind, step, value]) => {
            const { panels, svg, view } = document.querySelector("#chart").chart;
            const { name } = panels.find(panel => panel.kind === kind);
            const [box] = view.scenegraph().root.items[0].items.find(group => group.name === `${name}_group`).items;
            const down = value === null ? box.height / 2 : view.scale(`${name}_y`)(value);
            const { left, top } = svg.getBoundingClientRect(), [across, above] = view.origin();
            return [left + across + box.x + view.scale("x")(step), top + above + box.y + down];
        }""",
        [kind, step, value],
    )


def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """The pointer pressed, moved and let go."""
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end, steps=4)
    page.mouse.up()
