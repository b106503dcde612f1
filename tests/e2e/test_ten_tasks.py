"""Ten tasks of somebody who comes from another tracker, by clicks and typing alone, each from Overview.

How many clicks each takes stands in docs/pages.md, and is counted here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

pytest.importorskip("playwright")
from playwright.sync_api import Locator, Page, expect

from mdaf_core.queue import api
from mdaf_core.runs.tracking import get_run, list_runs
from mdaf_core.studies import shelf
from mdaf_core.studies.store import get_study
from tests.e2e import recorded
from tests.e2e.clicks import settled
from tests.e2e.conftest import ROOT, browsing, new_page
from tests.waiting import STILL

pytestmark = pytest.mark.e2e

FIRST_ROW, ALL_ROWS = {"x": 15, "y": 52}, {"x": 15, "y": 17}  # boxes of a table whose rows can be chosen


@pytest.fixture
def page(chromium: str) -> Iterator[Page]:
    with browsing(chromium) as browser:
        yield new_page(browser)


class Visitor:
    """Somebody at a page; counts what is clicked."""

    def __init__(self, page: Page, address: str) -> None:
        self.page, self.address, self.clicks = page, address, 0
        page.set_default_timeout(STILL * 1000)
        self.main = page.get_by_test_id("stMain")

    def begin(self) -> None:
        """Open the app, which shows Overview."""
        self.page.goto(self.address)
        expect(self.page.get_by_role("heading", name="Overview", exact=True)).to_be_visible()
        expect(self.main.get_by_text(re.compile("runs? finished"))).to_be_visible()
        self.clicks = 0

    def click(self, wanted: Locator, **where: object) -> None:
        wanted.click(**where)  # type: ignore[arg-type]
        self.clicks += 1
        settled(self.page)

    def button(self, name: str | re.Pattern[str]) -> None:
        self.click(self.page.get_by_role("button", name=name))

    def choose(self, label: str, option: str) -> None:
        """An option of a select box: two clicks."""
        self.click(self.main.get_by_role("combobox", name=label))
        self.click(self.page.get_by_role("option", name=option).first)

    def study(self, title: str) -> None:
        """Another study; the link names it as soon as the page does."""
        before = self.page.url
        self.choose("Study", title)
        expect(self.page).not_to_have_url(before)
        settled(self.page)

    def type(self, label: str, text: str) -> None:
        field = self.page.get_by_label(label, exact=True)
        field.fill(text)
        field.press("Enter")
        settled(self.page)

    def go(self, name: str) -> None:
        self.click(self.page.get_by_test_id("stSidebarNav").get_by_role("link", name=name))
        expect(self.page.get_by_role("heading", name=name, exact=True)).to_be_visible()
        settled(self.page)

    def follow(self, wanted: Locator) -> Visitor:
        """A link in a table, which opens a tab of its own: who reads there. Its clicks go on from here."""
        with self.page.expect_popup() as opened:
            self.click(wanted)
        there = Visitor(opened.value, self.address)
        there.clicks = self.clicks
        expect(there.page.get_by_role("heading", name="Run", exact=True)).to_be_visible()
        expect(there.main.get_by_text("Predictions and files", exact=True)).to_be_visible()
        settled(there.page)
        return there

    def run_of(self, configuration: str) -> Visitor:
        """On Overview, the page of the first run of a configuration."""
        row = self.main.get_by_role("row", name=re.compile(f"^{configuration}"))
        return self.follow(row.get_by_role("link").first)

    def saved(self, button: Locator, folder: Path) -> Path:
        with self.page.expect_download() as download:
            self.click(button)
        path = folder / download.value.suggested_filename
        download.value.save_as(path)
        return path


def documented() -> dict[str, int]:
    """Task → clicks, of the table in docs/pages.md."""
    text = (ROOT / "docs" / "pages.md").read_text("utf-8").partition("## Ten tasks")[2]
    return {task.strip(): int(clicks) for task, clicks in re.findall(r"^\| ([^|]+) \|[^|]+\| (\d+) \|$", text, re.M)}


def test_ten_tasks(lab: tuple[recorded.Lab, str], page: Page, tmp_path: Path) -> None:
    there, address = lab
    visitor, needed = Visitor(page, address), {}
    for task in TASKS:
        visitor.begin()
        needed[TASKS[task]] = task(visitor, there, tmp_path)
    assert needed == documented()


def best_of_last_week(visitor: Visitor, there: recorded.Lab, _: Path) -> int:
    visitor.go("Studies")
    visitor.choose("Data set", "toy")
    visitor.choose("Made", "Last 7 days")
    visitor.click(visitor.main.get_by_text("Best first", exact=True))
    visitor.click(visitor.main.get_by_test_id("stDataFrame"), position=FIRST_ROW)
    visitor.click(visitor.main.get_by_role("link", name="Its best run"))
    expect(visitor.page.get_by_role("heading", name="Run", exact=True)).to_be_visible()
    (run_id,) = re.findall("run=([0-9a-f]+)", visitor.page.url)
    week = [run for study in (there.last_week, there.failed) for run in list_runs(study) if run.result]
    configuration = shelf.best_first(shelf.standings([get_study(there.last_week), get_study(there.failed)]))[0].best
    best = max((run for run in week if run.configuration == configuration), key=lambda run: run.result.val.auc)
    assert get_run(run_id).run_id == best.run_id
    return visitor.clicks


def why_it_changed(visitor: Visitor, there: recorded.Lab, _: Path) -> int:
    visitor.study("Nightly, week 48")
    reader = visitor.run_of("mdaf-full")
    reader.choose("Another run", "mdaf-full, seed 42 · Nightly, week 47")
    expect(reader.main.get_by_text("What differs: settings. The same: data.")).to_be_visible()
    table = reader.main.locator(".st-key-table-run-differs")
    table.scroll_into_view_if_needed()  # its cells are there while it is seen
    differs = table.locator("tbody td")
    expect(differs).to_have_text(["Setting", "training.learning_rate", "0.01", "0.001"])
    assert re.search(r"with=[0-9a-f]+", reader.page.url)
    reader.page.close()
    return reader.clicks


def share_with_a_reviewer(visitor: Visitor, there: recorded.Lab, folder: Path) -> int:
    visitor.study("Headline")
    visitor.go("Export")
    visitor.button("For a reviewer")
    path = visitor.saved(visitor.page.get_by_role("button", name="Without names"), folder)
    text = path.read_text("utf-8")
    assert path.name == "study.html" and 'id="predictions"' in text
    assert not any(words in text for words in ("Headline", "of the paper", there.finished))
    return visitor.clicks


def two_more_seeds(visitor: Visitor, there: recorded.Lab, _: Path) -> int:
    visitor.study("Headline")
    visitor.button("Add seeds")
    visitor.type("Seeds to add", "44, 45")
    visitor.button("Add them")
    expect(visitor.main.get_by_text("4 of 8 runs finished")).to_be_visible()
    assert get_study(there.finished).seeds == [42, 43, 44, 45]
    assert len(api.list_jobs(api.ACTIVE, group=there.finished)) == 4
    return visitor.clicks


def delete_and_undo(visitor: Visitor, there: recorded.Lab, _: Path) -> int:
    visitor.go("Studies")
    visitor.choose("State", "failed")
    visitor.click(visitor.main.get_by_test_id("stDataFrame"), position=FIRST_ROW)
    visitor.button("Manage")
    visitor.button("Move to the bin")
    expect(visitor.main.get_by_text("is in the bin")).to_be_visible()
    assert [study.id for study in shelf.binned()] == [there.failed]
    visitor.button("Undo")
    expect(visitor.main.get_by_text("is in the bin")).to_have_count(0)
    assert get_study(there.failed) and not shelf.binned()
    return visitor.clicks


def over_three_data_sets(visitor: Visitor, there: recorded.Lab, folder: Path) -> int:
    visitor.study("Nightly, week 47")
    visitor.go("Compare")
    visitor.click(visitor.main.get_by_text("Across studies", exact=True))
    visitor.choose("With these studies", "Third data · third")
    visitor.choose("With these studies", "Elsewhere · other")
    expect(visitor.main.get_by_text("Two data sets: ")).to_have_count(0)  # the page is of three
    visitor.click(visitor.main.get_by_text("Table for the paper"))
    path = visitor.saved(visitor.main.get_by_role("button", name="CSV", exact=True), folder)
    found = pl.read_csv(path).filter(pl.col("kind") == "data set")
    pairs = {(name, data) for name in ("mdaf-full", "lr") for data in ("toy", "third", "other")}
    assert set(found.select("configuration", "on").iter_rows()) == pairs
    return visitor.clicks


def runs_of_two_studies(visitor: Visitor, there: recorded.Lab, _: Path) -> int:
    visitor.study("Nightly, week 48")
    visitor.go("Compare")
    visitor.click(visitor.main.get_by_text("Across studies", exact=True))
    visitor.choose("With these studies", "Nightly, week 47 · toy")
    names = visitor.main.locator(".st-key-table-comparison tbody td[aria-colindex='1']")
    expect(names).to_have_count(3)
    return visitor.clicks


def predictions_of_a_run(visitor: Visitor, there: recorded.Lab, folder: Path) -> int:
    visitor.study("Headline")
    reader = visitor.run_of("mdaf-full")
    path = reader.saved(reader.main.get_by_role("button", name="Test rows, CSV"), folder)
    assert {"row_id", "user", "label", "probability", "g", "item"} <= set(pl.read_csv(path).columns)
    reader.page.close()
    return reader.clicks


def again_with_one_change(visitor: Visitor, there: recorded.Lab, _: Path) -> int:
    visitor.study("Headline")
    reader = visitor.run_of("mdaf-full")
    reader.button("Run again with one change")
    reader.click(reader.page.get_by_role("combobox", name="Setting"))
    reader.click(reader.page.get_by_role("option", name="training.max_epochs"))
    reader.type("Max epochs", "3")
    reader.button("Add and run it")
    expect(reader.page.get_by_text("4 runs are queued")).to_be_visible()
    assert get_study(there.finished).configuration("mdaf-full-2").training.max_epochs == 3
    reader.page.close()
    return reader.clicks


def archive_ten(visitor: Visitor, there: recorded.Lab, _: Path) -> int:
    visitor.go("Studies")
    visitor.type("Find", "old sweep")
    expect(visitor.main.get_by_text("10 studies.")).to_be_visible()
    visitor.click(visitor.main.get_by_test_id("stDataFrame"), position=ALL_ROWS)
    visitor.type("Tag to add", "2025")
    visitor.button("Add it to all")
    visitor.button("Archive")
    expect(visitor.main.get_by_text("No study fits.")).to_be_visible()
    visitor.type("Find", "2025 sweep")
    visitor.click(visitor.main.get_by_text("Archived", exact=True))
    expect(visitor.main.get_by_text("10 studies.")).to_be_visible()
    found = shelf.select(shelf.Wanted("old sweep", ("2025",), archived=True))
    assert len(found) == recorded.OLD
    return visitor.clicks


TASKS = {
    best_of_last_week: "Find the best run of the last seven days",
    why_it_changed: "Say why it differs from the week before",
    share_with_a_reviewer: "Share a study with a reviewer, without names",
    two_more_seeds: "Add two seeds",
    delete_and_undo: "Delete a failed study, and undo it",
    over_three_data_sets: "One table over three data sets",
    runs_of_two_studies: "Compare runs of two studies on the same rows",
    predictions_of_a_run: "Download the predictions of a run",
    again_with_one_change: "Run again with one change",
    archive_ten: "Tag and archive ten old studies, and find them again",
}
