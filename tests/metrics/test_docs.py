"""What the documentation lists of metrics is what the metrics say of themselves."""

from __future__ import annotations

import numpy as np
import pytest

from mdaf_core.metrics import Scored, Undefined
from mdaf_core.metrics.registry import metric, metrics, sampling_errors
from tests.conftest import ROOT

TEXT = (ROOT / "docs" / "statistics.md").read_text("utf-8")
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in TEXT.splitlines() if line.startswith("| ")]


@pytest.mark.parametrize("one", metrics().values(), ids=metrics().keys())
def test_the_table_of_metrics_says_what_each_is(one):
    assert [one.words, one.definition, one.undefined] in ROWS


def test_the_table_of_margins_has_every_metric():
    both, share, none = (next(row for row in ROWS if row[1].startswith(text)) for text in ("bp (", "a share", "none:"))
    found = metrics().values()
    assert set(both[0].split(", ")) == {one.words for one in found if one.in_bp}
    assert set(share[0].split(", ")) == {one.words for one in found if one.gain and not one.in_bp}
    assert set(none[0].split(", ")) == {one.words for one in found if not one.gain}
    assert all(one.gain_words in TEXT.replace("\n", " ") for one in found)


def test_the_metric_of_ones_own_can_be_taken_from_the_page(tmp_path, monkeypatch):
    file = tmp_path / "top.py"
    file.write_text(TEXT.split("```python\n")[1].split("```")[0])
    monkeypatch.setenv("MDAF_PLUGINS", str(file))
    rng = np.random.default_rng(0)
    score = rng.normal(size=400)
    label = rng.random(400) < 0.3
    found = sampling_errors("top1", label, score, None)
    first = np.argsort(-score)[:5]
    with_fourth, with_fifth = label[first[:4]].mean(), label[first[1:4]].mean()
    assert metric("top1").of(Scored.of(label, score)) == with_fourth and len(found) == 400
    assert metric("top1").of(Scored.of(np.delete(label, first[0]), np.delete(score, first[0]))) == with_fifth
    with pytest.raises(Undefined, match="It takes 100 rows"):
        metric("top1").of(Scored.of(label[:99], score[:99]))
