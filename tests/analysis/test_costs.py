from __future__ import annotations

from mdaf_core.analysis.costs import ledger
from tests.analysis.test_comparison import study


def test_ledger(make_run):
    runs = study(make_run, {"base": 1.0, "good": 0.2}, seeds=(1, 2)) + study(make_run, {"single": 3.0}, seeds=(1,))
    costs = ledger(runs)
    assert costs["configuration"].to_list() == ["base", "good", "single"]
    assert costs["seeds"].to_list() == [2, 2, 1]
    assert costs["total_seconds"].to_list() == [0.0, 0.0, 0.0]
    assert ledger([]).is_empty()
