"""What every visitor does."""

from __future__ import annotations

from playwright.sync_api import Page, expect


def open_page(page: Page, name: str) -> None:
    page.get_by_test_id("stSidebarNav").get_by_role("link", name=name).click()
    expect(page.get_by_role("heading", name=name, exact=True).first).to_be_visible()


def settled(page: Page) -> None:
    """Wait until the script has run, and that nothing failed."""
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0)
    expect(page.get_by_test_id("stException")).to_have_count(0)
