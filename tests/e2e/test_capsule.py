"""The capsule in a browser without a network: it opens, draws, sorts and changes tabs, and asks nobody for anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from mdaf_core.reporting.capsule import content, make
from mdaf_core.reporting.figures import FIGURES
from mdaf_core.reporting.material import Material
from tests.conftest import new_home
from tests.reporting.example_study import make_study

pytestmark = pytest.mark.e2e


def test_it_opens_from_the_disk_with_the_network_off(
    chromium: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_store: Path
) -> None:
    from playwright.sync_api import expect, sync_playwright

    new_home(tmp_path / "artifacts", monkeypatch, empty_store)
    few = ("leaderboard", "differences", "auc-by-epoch")
    monkeypatch.setattr(content, "FIGURES", {name: FIGURES[name] for name in few})
    path = tmp_path / "study.html"
    path.write_text(make.capsule(Material(make_study(["mdaf-full", "lr"], [1, 2], rows=200))).html, "utf-8")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_context(offline=True, viewport={"width": 390, "height": 800}).new_page()
        asked: list[str] = []
        said: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.extend([message.text] * (message.type == "error")))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(path.as_uri())
        expect(page.locator("figure:visible .chart svg")).to_have_count(2)
        heading = page.locator("section[data-at^=Verdicts] th button", has_text="Mean")
        names = page.locator("section[data-at^=Verdicts] tbody td:first-child")
        best_first = names.all_inner_texts()
        for order in (best_first[::-1], best_first):
            heading.click()
            expect(names).to_have_text(order)
        page.get_by_role("tab", name="Results").press("ArrowRight")
        expect(page.get_by_role("tab", name="Training")).to_have_attribute("aria-selected", "true")
        expect(page.locator("figure:visible .chart svg")).to_have_count(1)
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        browser.close()
    assert asked == [path.as_uri()] and not said
