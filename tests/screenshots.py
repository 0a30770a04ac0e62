"""Pictures of the explorer page for the README: python -m tests.screenshots [FOLDER], or make screenshots."""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page

from tests.e2e.browsing import chromium, drawn, visiting
from tests.serving import ROOT, serving

DESKTOP, PHONE = {"width": 1080, "height": 1000}, {"width": 390, "height": 844}


def planted_before(page: Page) -> None:
    """Its evidence is masked: the answer turns round."""
    page.get_by_role("button", name="Example 2").click()
    page.get_by_text("the true answer: 1").wait_for()
    page.get_by_label("from step").fill("10")
    page.get_by_label("to step").fill("10")
    page.get_by_role("button", name="Mask").click()
    page.get_by_role("img", name="predicts 0").wait_for()


def italy_power(page: Page) -> None:
    """Put to the test."""
    page.get_by_role("button", name="Example 2").click()
    page.get_by_text("the true answer: October to March").wait_for()
    page.get_by_role("button", name="Test this answer").click()
    page.locator("#trial table").wait_for()
    drawn(page, "changes", "rows => rows.length > 0")


def dates(page: Page) -> None:
    """A text of one's own."""
    page.get_by_label("Text", exact=True).fill("Dienstag, 3. Mai 2016")
    page.get_by_role("img", name="2016-05-03").wait_for()


def shoot(browser: Browser, url: str, folder: Path) -> None:
    """Writes a picture of each."""
    for name, prepare, scheme, viewport in [
        ("italy-power", italy_power, "light", DESKTOP),
        ("planted-before", planted_before, "light", DESKTOP),
        ("dates", dates, "dark", DESKTOP),
        ("phone", italy_power, "light", PHONE),
    ]:
        model = "italy-power" if name == "phone" else name
        with visiting(browser, f"{url}/?model={model}", color_scheme=scheme, viewport=viewport) as page:
            page.locator("#chart svg").wait_for()
            prepare(page)
            page.evaluate("document.activeElement.blur()")
            page.mouse.move(0, 0)
            box = page.locator("#picture").bounding_box()
            height = viewport["height"] if name == "phone" else box["y"] + box["height"] + 12
            width = viewport["width"] if name in ("italy-power", "phone") else box["x"] + box["width"] + 12
            clip = {"x": 0, "y": 0, "width": width, "height": height}
            path = folder / f"{name}.png"
            page.screenshot(path=path, full_page=True, clip=clip, animations="disabled")
            print(f"{path} {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "page"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as store, serving(store=f"sqlite:{store}/x") as running, chromium() as browser:
        shoot(browser, running.url, folder)
