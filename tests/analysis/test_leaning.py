"""Where g leans: against counts, free of g's scale, and silent where the branches were not trained."""

from __future__ import annotations

import numpy as np
import pytest

from mdaf_core.analysis import adaptivity, gates
from mdaf_core.metrics.values import row_loss


def test_the_lean_is_towards_the_branch_with_the_smaller_loss(make_run):
    """Against the share of pairs, counted; and free of the scale of g."""
    rng = np.random.default_rng(0)
    label, better = rng.integers(0, 2, 300), rng.random(300) < 0.4
    sign = 2 * label - 1
    columns = {
        "logit_static": np.where(better, 0.0, sign), "logit_sequential": np.where(better, sign, 0.0),
        "g": np.round(np.where(better, 0.6, 0.5) + 0.1 * rng.normal(size=300), 2),
    }  # fmt: skip
    pairs = columns["g"][better][:, None] - columns["g"][~better]
    expected = ((pairs > 0) + 0.5 * (pairs == 0)).mean()
    config = {"model.fusion": "gate", "model.branch_loss_weight": "0.1"}
    run = make_run("mdaf-full", 1, label, rng.normal(size=300), columns=columns, config=config)
    lean = gates.gate_summary(run).lean
    assert lean.probability == pytest.approx(expected) and lean.low < expected < lean.high
    scaled = make_run("mdaf-full", 2, label, rng.normal(size=300), columns=columns | {"g": columns["g"] ** 3 / 9},
                      config=config)  # fmt: skip
    again = gates.gate_summary(scaled).lean
    assert [(b.rows, b.share, b.low) for b in again.bins] == [(b.rows, b.share, b.low) for b in lean.bins]
    assert again.model_copy(update={"bins": lean.bins}) == lean


@pytest.mark.parametrize("weight", ["0", "0.0", None])
def test_without_a_branch_loss_nothing_is_said_of_branches_alone(make_run, weight):
    rng = np.random.default_rng(0)
    label, logit = rng.integers(0, 2, 50), rng.normal(size=50)
    columns = {"g": rng.random(50), "logit_static": logit, "logit_sequential": -logit, "logit_g_median": logit}
    config = {"model.fusion": "gate"} | ({} if weight is None else {"model.branch_loss_weight": weight})
    run = make_run("mdaf-full", 1, label, logit, columns=columns, config=config)
    lean = gates.gate_summary(run).lean
    assert lean.probability is None and "extrapolations" in lean.note
    told = adaptivity.EXTRAPOLATED in adaptivity.contributions([run]).notes
    assert told == (weight is not None)  # not known: nothing is claimed of them


def test_tenths_of_the_rows_by_g(make_run):
    """By their definition; rows of equal g stay together."""
    rng = np.random.default_rng(3)
    label, g = rng.integers(0, 2, 400), np.round(rng.random(400), 2)
    logits = {f"logit_{branch}": rng.normal(size=400) for branch in ("static", "sequential")}
    whole = rng.normal(size=400)
    config = {"model.fusion": "gate", "model.branch_loss_weight": "0.1"}
    run = make_run("mdaf-full", 1, label, whole, columns={"g": g, **logits}, config=config)
    lean = gates.gate_summary(run).lean
    static, sequential = (row_loss(label, logit) for logit in logits.values())
    better = sequential < static
    assert len(lean.bins) == 10 and lean.share == better.mean()
    for one, after in zip(lean.bins, [*lean.bins[1:], None], strict=True):
        mine = (g >= one.start) & (g <= one.end)
        assert one.rows == mine.sum() and 30 <= one.rows <= 50 and (after is None or one.end < after.start)
        assert one.share == pytest.approx(better[mine].mean()) and one.low < one.share < one.high
        assert one.loss_static == pytest.approx(static[mine].mean())
        assert one.loss == pytest.approx(row_loss(label, whole)[mine].mean())
    tied = make_run("mdaf-full", 2, label, whole, columns={"g": np.round(g), **logits}, config=config)
    assert [(b.start, b.end) for b in gates.gate_summary(tied).lean.bins] == [(0, 0), (1, 1)]
