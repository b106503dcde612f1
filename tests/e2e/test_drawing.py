"""What pages are made of is in the browser before a page asks for it."""

from __future__ import annotations

import pytest

pytest.importorskip("playwright")
from playwright.sync_api import Page, expect

from tests.e2e import recorded
from tests.e2e.clicks import open_page
from tests.waiting import STILL

pytestmark = pytest.mark.e2e

FETCHED = "() => performance.getEntriesByType('resource').some(entry => entry.name.includes('/DataFrame.'))"


def test_charts_and_tables_need_nothing_that_is_not_there(lab: tuple[recorded.Lab, str], page: Page) -> None:
    there, address = lab
    page.goto(f"{address}/?study={there.finished}")
    page.wait_for_function(FETCHED, timeout=STILL * 1000)
    page.wait_for_load_state("networkidle")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.resource_type == "script" else None)
    open_page(page, "Curves")
    expect(page.locator("[data-testid=stVegaLiteChart] canvas").first).to_be_visible()
    expect(page.get_by_test_id("stDataFrame").first).to_be_visible()
    assert asked == []


def test_charts_below_the_edge_are_drawn_too(lab: tuple[recorded.Lab, str], page: Page) -> None:
    """In their turn, and without anybody looking; nothing is left of the place that was kept for them."""
    there, address = lab
    page.goto(f"{address}/curves?study={there.finished}")
    charts = page.get_by_test_id("stVegaLiteChart")
    expect(charts.nth(5)).to_be_attached()
    expect(page.locator("[data-testid=stVegaLiteChart]:not(:has(canvas))")).to_have_count(0)
    assert charts.last.evaluate("place => place.getBoundingClientRect().top > window.innerHeight")
    expect(page.locator("[data-testid=stVegaLiteChart][style*='min-height: ']")).to_have_count(0)
