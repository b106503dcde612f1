"""Every page of a lab of recorded runs in one browser: axe, narrow windows, the console."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

pytest.importorskip("playwright")
pytest.importorskip("axe_playwright_python")
from playwright.sync_api import Browser, Page, expect

from tests.e2e import recorded
from tests.e2e.clicks import open_page
from tests.e2e.conftest import browsing, new_page
from tests.e2e.eyes import examine, unneeded

pytestmark = pytest.mark.e2e

# What the browser's console may say, and why.
QUIET = {
    'Dropping "fit-y" because spec has discrete height': "Vega-Lite says so of charts that ask for the width alone",
}

# Of what a page shows at a choice, what looks unlike the rest of it.
VIEWS = {"Compare": ("ROC and calibration",), "Export": ("Training", "Tables", "Text", "Use")}


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with browsing(chromium) as found:
        yield found


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = new_page(browser)
    yield page
    page.close()


def test_every_page_is_sound(lab: tuple[recorded.Lab, str], page: Page) -> None:
    there, address = lab
    said: list[str] = []
    page.context.on("console", lambda m: said.append(m.text) if m.type in ("warning", "error") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.emulate_media(color_scheme="light")
    page.goto(f"{address}/?study={there.finished}")
    expect(page.get_by_text("4 of 4 runs finished")).to_be_visible()
    theirs = examine(page)
    with page.expect_popup() as opened:  # Streamlit opens links in tables in a tab of their own
        page.get_by_role("link", name=re.compile(r"^0\.\d{4}$")).first.click()
    expect(opened.value.get_by_role("heading", name="Run", exact=True)).to_be_visible()
    opened.value.get_by_role("combobox", name="Another run").click()
    opened.value.get_by_role("option").first.click()
    expect(opened.value.get_by_text("What came of it", exact=True)).to_be_visible()
    theirs |= examine(opened.value)
    opened.value.close()
    for name in ("Studies", "Data", "Launch", "Jobs", "Curves", "Compare", "Gates", "Export"):
        open_page(page, name)
        theirs |= examine(page)
        for view in VIEWS.get(name, ()):
            page.get_by_role("radio", name=view, exact=True).click()
            expect(page.get_by_role("radio", name=view, exact=True)).to_be_checked()
            theirs |= examine(page)
    page.goto(f"{address}/tuning?search={there.search}")
    expect(page.get_by_text("Importance of settings", exact=True)).to_be_visible()
    theirs |= examine(page)
    assert not unneeded(theirs)
    assert [one for one in said if not any(known in one for known in QUIET)] == []
