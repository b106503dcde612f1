"""What every visitor does."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from tests.waiting import traces, wait_until


def open_page(page: Page, name: str) -> None:
    page.get_by_test_id("stSidebarNav").get_by_role("link", name=name).click()
    expect(page.get_by_role("heading", name=name, exact=True).first).to_be_visible()


def press(page: Page, wanted: Locator, most: int = 200) -> None:
    """Go to an element by the tabulator key, as people without a mouse do, and press it."""
    wanted.wait_for()
    settled(page)
    for _ in range(most):
        page.keyboard.press("Tab")
        if wanted.evaluate("e => e.contains(document.activeElement)"):
            page.keyboard.press("Enter")
            return
    raise AssertionError(f"the keyboard does not reach it in {most} steps: {wanted}")


def wait_for(page: Page, wanted: Locator, home: Path) -> None:
    """Wait until `wanted` is to be seen, as long as the page's text or the jobs of the folder `home` move."""
    jobs = traces(home)

    def look() -> object:
        return page.get_by_test_id("stMain").inner_text(), jobs()

    def seen() -> bool:
        page.wait_for_timeout(500)  # lets the browser work
        return wanted.count() > 0 and wanted.first.is_visible()

    wait_until(seen, look)


def settled(page: Page) -> None:
    """Wait until the script has run and all charts are drawn, which moves what is below them; nothing may fail."""
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0)
    expect(page.locator("[data-testid=stVegaLiteChart]:not(:has(canvas, svg.marks))")).to_have_count(0)
    expect(page.get_by_test_id("stException")).to_have_count(0)
