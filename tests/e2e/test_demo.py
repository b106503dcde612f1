"""A newcomer's first visit, by clicks alone: the demo study from nothing to a figure for the paper."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("playwright")
from playwright.sync_api import Page, expect

from tests.e2e.clicks import open_page, settled, wait_for

pytestmark = pytest.mark.e2e


def test_demo_from_first_visit_to_a_pdf(page: Page, app: str, home: Path, tmp_path: Path) -> None:
    page.goto(app)
    page.get_by_role("button", name="Run the demo study").click()
    expect(page.get_by_text("of 6 runs finished")).to_be_visible()
    open_page(page, "Jobs")
    open_page(page, "Overview")
    wait_for(page, page.get_by_text("6 of 6 runs finished", exact=True), home)

    for name in ("Data", "Launch", "Jobs", "Curves", "Compare"):
        open_page(page, name)
        settled(page)
        expect(page.get_by_test_id("stAlertContentError")).to_have_count(0)

    open_page(page, "Gates")
    rows = page.locator(".st-key-frame-gate-rows .dvn-scroller").first
    rows.scroll_into_view_if_needed()
    rows.click(position={"x": 15, "y": 55})  # the selection box of the first row
    story = page.locator(".st-key-story")
    expect(story).to_be_visible()
    expect(story.get_by_text("Probability").first).to_be_visible()
    settled(page)

    open_page(page, "Export")
    settled(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="PDF").first.click()
    target = tmp_path / "figure.pdf"
    download.value.save_as(target)
    assert target.read_bytes().startswith(b"%PDF")
    assert download.value.suggested_filename.endswith(".pdf")
