"""What the documentation lists of metrics is what the metrics say of themselves."""

from __future__ import annotations

import pytest

from mdaf_core.metrics.registry import metrics
from tests.conftest import ROOT

ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (ROOT / "docs" / "statistics.md").read_text("utf-8").splitlines()
    if line.startswith("| ")
]


@pytest.mark.parametrize("metric", metrics().values(), ids=metrics().keys())
def test_the_table_of_metrics_says_what_each_is(metric):
    assert [metric.words, metric.definition, metric.undefined] in ROWS


def test_the_table_of_margins_has_every_metric():
    both, share, none = (next(row for row in ROWS if row[1].startswith(text)) for text in ("bp (", "a share", "none:"))
    found = metrics().values()
    assert set(both[0].split(", ")) == {one.words for one in found if one.in_bp}
    assert set(share[0].split(", ")) == {one.words for one in found if one.gain and not one.in_bp}
    assert set(none[0].split(", ")) == {one.words for one in found if not one.gain}
    text = (ROOT / "docs" / "statistics.md").read_text("utf-8").replace("\n", " ")
    assert all(one.gain_words in text for one in found)
