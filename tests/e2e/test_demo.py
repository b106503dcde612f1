"""A newcomer's first visit: the demo study from nothing to a figure for the paper by the keyboard alone; then the other
pages by clicks."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("playwright")
from playwright.sync_api import Page, expect

from tests.e2e.clicks import open_page, press, settled, wait_for

pytestmark = pytest.mark.e2e


def test_demo_from_first_visit_to_a_pdf(page: Page, app: str, home: Path, tmp_path: Path) -> None:
    pages = page.get_by_test_id("stSidebarNav")
    page.goto(app)
    press(page, page.get_by_role("button", name="Run the demo study"))
    expect(page.get_by_text("of 6 runs finished")).to_be_visible()
    press(page, pages.get_by_role("link", name="Jobs"))
    expect(page.get_by_role("heading", name="Jobs", exact=True)).to_be_visible()
    press(page, pages.get_by_role("link", name="Overview"))
    wait_for(page, page.get_by_text("6 of 6 runs finished", exact=True), home)

    press(page, pages.get_by_role("link", name="Export"))
    expect(page.get_by_role("heading", name="Export", exact=True)).to_be_visible()
    with page.expect_download() as download:
        press(page, page.get_by_role("button", name="PDF").first)
    target = tmp_path / "figure.pdf"
    download.value.save_as(target)
    assert target.read_bytes().startswith(b"%PDF")
    assert download.value.suggested_filename.endswith(".pdf")

    for name in ("Data", "Launch", "Jobs", "Curves", "Compare"):
        open_page(page, name)
        settled(page)
        expect(page.get_by_test_id("stAlertContentError")).to_have_count(0)

    open_page(page, "Gates")
    rows = page.locator(".st-key-frame-gate-rows .dvn-scroller").first
    expect(rows).to_be_visible()
    settled(page)
    rows.click(position={"x": 15, "y": 55})  # the selection box of the first row
    story = page.locator(".st-key-story")
    expect(story).to_be_visible()
    expect(story.get_by_text("Probability").first).to_be_visible()
    settled(page)
