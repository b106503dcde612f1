"""The capsule of a study of 30 runs: its size, what making and verifying it take, and that it needs no network.

    python -m benchmarks.capsule --home /tmp/capsule        an empty folder is filled first

Method: six configurations × five seeds on `synthetic tiny` are recorded as trainings leave them (3,000 test rows,
gates, epochs), not trained. The file is made, opened from the disk in Chromium with the network off, every tab is
clicked, and whatever is asked of the network, or said on the console, is an error. Then one figure of a table, and one
prediction, is changed in a copy, and `verify` must name it. Seconds are of the processor.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import time
from pathlib import Path
from typing import Any

CONFIGURATIONS = ("mdaf-full", "mdaf-bst", "bst", "autoint", "dcnv2", "lr")
SEEDS = (42, 43, 44, 45, 46)


def fill() -> Any:
    """The study, in the folder that MDAF_HOME names."""
    from mdaf_core.data.prepare.pipeline import prepare
    from mdaf_core.data.store.dataset import PreparedDataset
    from tests.reporting.example_study import make_study

    prepare("synthetic", path=None, name="tiny", options={"size": "tiny"})
    return make_study(CONFIGURATIONS, SEEDS, title="Thirty runs", dataset=PreparedDataset.open("tiny"), gates=True)


def opened(path: Path) -> tuple[int, int, float]:
    """Tabs, charts that were drawn, and seconds of the clock until the first tab was.

    Raises:
        AssertionError: a request, an error, or a tab without content.
    """
    from playwright.sync_api import expect, sync_playwright

    asked, said, charts = list[str](), list[str](), 0
    with sync_playwright() as play:
        found = shutil.which("chromium") or shutil.which("google-chrome")
        browser = play.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_context(offline=True).new_page()
        expect.set_options(timeout=600_000)
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.extend([message.text] * (message.type == "error")))
        page.on("pageerror", lambda error: said.append(str(error)))
        began = time.monotonic()
        page.goto(path.as_uri(), timeout=600_000)
        expect(page.locator("figure:visible .chart svg").first).to_be_visible()
        first = time.monotonic() - began
        tabs = page.get_by_role("tab")
        for index in range(tabs.count()):
            tabs.nth(index).click()
            expect(tabs.nth(index)).to_have_attribute("aria-selected", "true")
            panel = page.locator("section[role=tabpanel]:visible")
            assert panel.count() == 1 and panel.inner_text().strip(), tabs.nth(index).inner_text()
            drawn = page.locator("figure:visible .chart")
            expect(page.locator("figure:visible .chart svg")).to_have_count(drawn.count())
            charts += drawn.count()
        count = tabs.count()
        browser.close()
    assert asked == [path.as_uri()] and not said, (asked, said)
    return count, charts, first


def tampered(path: Path) -> tuple[str, str]:
    """What `verify` says of a changed digit of a table, and of a changed prediction."""
    import base64

    from mdaf_core.reporting.capsule import page, scores
    from mdaf_core.reporting.capsule.verify import verify

    text = path.read_text("utf-8")
    cell = re.search(r"(<td[^>]*>)(0\.\d{3})(\d)(</td>)", text)
    assert cell is not None
    digit = f"{cell[1]}{cell[2]}{(int(cell[3]) + 1) % 10}{cell[4]}"
    copy = path.with_name("digit.html")
    copy.write_text(text[: cell.start()] + digit + text[cell.end() :], "utf-8")
    (first, *_) = verify(copy).differences
    packed = base64.b64decode(page.blocks(text)["predictions"])
    held = scores.unpack(packed)
    run = next(iter(held))
    held[run] = dict(held[run]) | {"logit": held[run]["logit"].copy()}
    held[run]["logit"][7] += 0.5
    changed = base64.b64encode(scores.pack(held)).decode()
    copy = path.with_name("prediction.html")
    copy.write_text(text.replace(page.blocks(text)["predictions"], changed), "utf-8")
    (second, *_) = verify(copy).differences
    return first.sentence, second.sentence


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True)
    home = parser.parse_args().home.resolve()
    os.environ["MDAF_HOME"] = str(home)
    from mdaf_core.reporting.capsule.make import capsule
    from mdaf_core.reporting.capsule.verify import verify
    from mdaf_core.reporting.material import Material
    from mdaf_core.studies.store import list_studies

    study = next(iter(list_studies()), None) or fill()
    path = home / "study.html"
    began = time.process_time()
    path.write_text(capsule(Material(study)).html, "utf-8")
    made = time.process_time()
    found = verify(path)
    verified = time.process_time()
    assert not found.differences, found.differences[:3]
    print(f"{found.runs} runs, {found.rows:,} rows of predictions, {found.numbers:,} numbers made again")
    print(f"{path.stat().st_size / 1e6:.2f} MB; made in {made - began:.1f} s, verified in {verified - made:.1f} s")
    tabs, charts, seconds = opened(path)
    print(
        f"{tabs} tabs, {charts} charts, no request, no error; the first tab stands after {seconds:.1f} s by the clock"
    )
    for sentence in tampered(path):
        print(f"changed and named: {sentence}")


if __name__ == "__main__":
    main()
