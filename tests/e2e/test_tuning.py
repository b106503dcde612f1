"""A whole tuning study in the browser, by clicks alone: equal budgets, winners, fresh seeds, verdict."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

import pytest

pytest.importorskip("playwright")
from playwright.sync_api import Page, expect

from mdaf_core.data.prepare.pipeline import prepare
from tests.data.raw_files import write_ml_100k
from tests.e2e.clicks import open_page, settled, wait_for

pytestmark = pytest.mark.e2e


MODELS = 3  # of the study `peers` as it is here


class Size(NamedTuple):
    """What is tuned, and for how long."""

    data: str
    trials: int
    epochs: int | None
    seeds: str


SIZES = {
    "generated": Size("ml-walk", 2, 1, "7"),
    "published": Size("ml-100k", 12, None, "42, 43, 44"),
}


@pytest.fixture(params=list(SIZES))
def size(request: pytest.FixtureRequest, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Size:
    """A data set in the app's folder: generated, or MovieLens-100K at `$MDAF_SHARED_DATA`."""
    found, raw = SIZES[request.param], tmp_path / "ml-100k"
    if request.param == "published":
        if "MDAF_SHARED_DATA" not in os.environ:
            pytest.skip("takes half an hour; set MDAF_SHARED_DATA to the folder of the published samples")
        raw = Path(os.environ["MDAF_SHARED_DATA"]) / "ml-100k"
    else:
        write_ml_100k(raw, 1500)
    monkeypatch.setenv("MDAF_HOME", str(home))
    prepare("movielens", path=raw, name=found.data)
    return found


def _type(page: Page, label: str, value: str) -> None:
    field = page.get_by_label(label, exact=True)
    field.fill(value)
    field.press("Enter")
    settled(page)


def test_a_tuning_study_by_clicks(page: Page, app: str, home: Path, size: Size) -> None:
    page.goto(f"{app}/launch?dataset={size.data}")
    settled(page)
    page.get_by_role("combobox", name="Study", exact=True).click()
    page.get_by_role("option", name="peers", exact=True).click()
    expect(page.get_by_role("button", name=re.compile("^Launch [0-9]+ runs"))).to_be_attached()
    settled(page)
    if size.epochs is not None:
        _type(page, "Max epochs", str(size.epochs))
    page.get_by_text("Tuned first", exact=True).click()
    settled(page)
    _type(page, "Seeds", size.seeds)
    _type(page, "Trials of each", str(size.trials))
    trials = MODELS * size.trials
    go = page.get_by_role("button", name=f"Tune {MODELS} configurations × {size.trials} trials")
    expect(go).to_be_enabled()
    go.click()

    expect(page.get_by_role("heading", name="Tuning", exact=True)).to_be_visible()
    wait_for(page, page.get_by_text(f"{trials} of {trials} trials have ended"), home)
    wait_for(page, page.get_by_text("Confirmed on fresh seeds"), home)
    for title in ("Trials and compute", "Expected best of k trials", "Trials"):
        expect(page.get_by_test_id("stMain").locator("strong").get_by_text(title, exact=True)).to_be_visible()
    page.get_by_role("link", name="The winners' study").click()
    runs = MODELS * len(size.seeds.split(","))
    wait_for(page, page.get_by_text(f"{runs} of {runs} runs finished", exact=True), home)
    open_page(page, "Compare")
    settled(page)
    expect(page.get_by_test_id("stAlertContentError")).to_have_count(0)
    expect(page.get_by_text(re.compile("better|worse|parity|not shown")).first).to_be_visible()
