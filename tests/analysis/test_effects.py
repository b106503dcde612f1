"""Words for effects on mixtures whose truth is known, over seeds and users, and runs of earlier versions."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from mdaf_core.analysis import adaptivity, effects
from mdaf_core.analysis.design import Design
from mdaf_core.analysis.factorial import factorial_effects
from mdaf_core.analysis.margins import Margin
from mdaf_core.analysis.significance import BP
from mdaf_core.base.errors import UsageError
from mdaf_core.base.settings import get_settings
from mdaf_core.metrics.auc import auc
from mdaf_core.runs import tracking
from mdaf_core.training.replaced import answer_columns
from tests.reporting.example_study import make_study, mixture_columns

USERS = np.arange(4000) // 8


def mixture(kind: str, seed: int = 0) -> pl.DataFrame:
    """4,000 rows of 500 users: one branch is right for a row (or a user), g says which (or something else)."""
    rng = np.random.default_rng(seed)
    label = np.random.default_rng(99).random(4000) < 0.4
    noise = rng.normal(size=(2, 4000))
    of_user = rng.random(500)[USERS] < 0.5
    right = of_user if kind == "between users" else rng.random(4000) < 0.5
    static, sequential = (np.where(mask, 2.0 * label - 1, 0) + noise[i] for i, mask in enumerate((right, ~right)))
    jitter = 0.01 * rng.normal(size=4000)
    if kind == "score":  # the branches say nothing, g says everything
        static, sequential = -3 + 0.1 * noise[0], 3 + 0.1 * noise[1]
        g = 1 / (1 + np.exp(-(1.5 * label - 0.7 + rng.normal(size=4000))))
    elif kind == "noise":
        g = 0.5 + 0.02 * rng.normal(size=4000)
    elif kind == "fixed":
        g = np.full(4000, 0.5)
    else:
        g = np.where(right, 0.2, 0.8) + jitter
    logit = (1 - g) * static + g * sequential
    columns = mixture_columns(static, sequential, g, label, USERS, seed)
    opinions = {"g": g, "logit": logit, "logit_static": static, "logit_sequential": sequential}
    return pl.DataFrame({"user": USERS, "label": label.astype(np.uint8), **opinions, **columns})


def told(frames: list[pl.DataFrame], margin_bp: float | None = None) -> adaptivity.Contributions:
    found = effects.effects_of(frames, list(range(len(frames))))
    margin = None if margin_bp is None else Margin(size=margin_bp)
    return adaptivity.describe(found.model_copy(update={"gated": True, "fusion": "gate"}), margin)


@pytest.mark.parametrize(
    ("kind", "margin_bp", "word"),
    [
        ("choosing", None, "adaptive"),
        ("between users", None, "adaptive between users"),
        ("score", None, "g acts as a score"),
        ("noise", None, "not shown"),
        ("noise", 0.01, "not shown"),
        ("noise", 500, "shown to cost less than 500 bp"),
        ("fixed", None, "g is constant"),
    ],
)
@pytest.mark.parametrize("seeds", [1, 3])
def test_each_truth_has_its_word(kind, margin_bp, word, seeds):
    found = told([mixture(kind, seed) for seed in range(seeds)], margin_bp)
    assert found.gate.word == word
    text = " ".join([found.gate.sentence, *found.gate.notes])
    assert "not adaptive" not in text
    if word == "not shown":
        assert ("none is set" in text) == (margin_bp is None)
    if kind == "score":
        assert f"AUC {found.effects.aucs['g']:.4f}" in text and found.effects.aucs["g"] > 0.7


def test_a_small_gain_that_is_shown_is_adaptive_by_less_than_the_margin():
    found = told([mixture("choosing")], 5000)
    assert found.gate.verdict == "adaptive" and "by less than 5000 bp" in found.gate.sentence


def test_the_cost_is_the_mean_of_the_aucs_of_all_shuffles():
    frame = mixture("choosing")
    label = frame["label"].to_numpy() == 1
    found = told([frame]).effects
    mean_auc = frame["placement_g_shuffled"].to_numpy()[label].mean()
    assert found.effects["g_shuffled"].test.estimate == pytest.approx(auc(label, frame["logit"]) - mean_auc, abs=1e-6)
    assert frame["placement_g_shuffled"].to_numpy()[~label].mean() == pytest.approx(mean_auc, abs=1e-6)
    branches = found.effects["static"].test.estimate + found.effects["sequential"].test.estimate
    assert branches == pytest.approx(found.auc - 0.5, abs=1e-6)
    parts = found.effects["choice"].test.estimate + found.effects["main_of_g"].test.estimate
    assert parts == pytest.approx(found.auc - auc(label, frame["logit_branches"]))


def test_the_variance_is_that_of_leaving_each_user_out():
    """The mean over draws of AUC differences, computed anew without each user."""
    frame = mixture("choosing").filter(pl.col("user") < 25)
    rng = np.random.default_rng(0)
    label, user = frame["label"].to_numpy() == 1, frame["user"].to_numpy()
    logit = frame["logit"].to_numpy()
    answers = logit + rng.normal(size=(5, len(label)))
    columns = answer_columns("g_shuffled", label, answers, user)
    test = (
        effects.effects_of([frame.select("user", "label", "logit").with_columns(**columns)], [1])
        .effects["g_shuffled"]
        .test
    )

    def cost(keep):
        return auc(label[keep], logit[keep]) - np.mean([auc(label[keep], answer[keep]) for answer in answers])

    without = np.array([cost(user != u) for u in range(25)])
    assert test.estimate == pytest.approx(cost(user >= 0), abs=1e-6)
    assert test.se**2 == pytest.approx(24 / 25 * ((without - without.mean()) ** 2).sum(), rel=1e-4)


def test_one_verdict_over_seeds_counts_seeds_and_users():
    """Variance of the mean over users that seeds share, plus that of the mean over seeds."""
    frames = [mixture("choosing", seed) for seed in range(3)]
    alone = [effects.effects_of([frame], [1]).effects["g_shuffled"].test for frame in frames]
    test = effects.effects_of(frames, [1, 2, 3]).effects["g_shuffled"].test
    costs = np.array([one.estimate for one in alone])
    assert test.estimate == pytest.approx(costs.mean())
    found = {c.name: c.variance for c in test.components}
    assert found["seeds"] == pytest.approx(costs.var(ddof=1) / 3)
    assert 0 <= found["users"] < np.mean([one.se**2 for one in alone])
    assert test.covers == "other seeds and other users"


def test_intervals_are_said_to_be_on_these_items_where_rows_have_some(made_once, give_tiny, home):
    """Of gates as of a factorial's effects; the same words when they come from the disk."""

    def make():
        tiny = give_tiny(get_settings().home)
        return make_study(["mdaf-full", "lr"], [1, 2], dataset=tiny, gates=True)

    runs = tracking.list_runs(made_once(make).id)
    for _ in range(2):
        found = effects.measure_effects(effects.runs_of(runs, "mdaf-full"))
        assert {one.test.covers for one in found.effects.values()} == {"other seeds and other users, on these items"}
    assert "2 seeds; intervals cover other seeds and other users, on these items." in adaptivity.describe(found).notes
    design = Design(factors={"history": ["x=1"]}, levels={"mdaf-full": [1], "lr": [-1]})
    (effect,) = factorial_effects(design, runs).effects
    assert effect.test is not None and effect.test.covers == "other seeds and other users, on these items"


def test_one_run_is_described_as_one_trained_model():
    one, three = told([mixture("choosing")]), told([mixture("choosing", s) for s in range(3)])
    assert "One trained model" in one.notes[0] and "other users" in one.effects.effects["g_shuffled"].test.covers
    assert "3 seeds" in three.notes[0]


def test_users_with_one_row_each_leave_the_question_within_users_open():
    frame = mixture("choosing").with_columns(user=pl.int_range(4000))
    zero = {f"wins_{name}": pl.lit(0.0) for name in ("static_only", "sequential_only", "g_shuffled", "g_within_user")}
    found = told([frame.with_columns(**zero)])
    assert "g_within_user" not in found.effects.effects and found.gate.verdict == "adaptive"
    assert any("No user has two rows" in note for note in found.gate.notes)


def test_one_label_leaves_everything_undefined():
    frame = mixture("choosing").with_columns(label=pl.lit(0))
    found = told([frame])
    assert found.gate.verdict == "undefined" and "label 0" in found.gate.sentence and found.history is None


def test_runs_of_earlier_versions_open_and_say_what_is_missing(make_run):
    frame = mixture("choosing")
    old = {name: frame[name].to_numpy() for name in ("g", "logit_static", "logit_sequential")}
    old |= {"logit_g_mean": frame["logit"].to_numpy(), "logit_g_permuted": frame["logit"].to_numpy()}
    config = {"model.fusion": "gate"}
    run = make_run(
        "mdaf-full", 1, frame["label"].to_numpy(), frame["logit"].to_numpy(), USERS, columns=old, config=config
    )
    found = adaptivity.contributions([run])
    assert found.gate.verdict == "one permutation only" and "--recompute" in found.gate.sentence
    assert found.history is None and found.branches is None and found.effects.aucs["g"] > 0


def test_a_history_that_helps_and_one_that_does_not(make_run):
    rng = np.random.default_rng(0)
    label = rng.random(4000) < 0.3
    logit = label + rng.normal(size=4000)
    other, none = logit + rng.normal(size=4000), rng.normal(size=4000)
    columns = {"logit_no_history": none, **answer_columns("other_history", label, other[None], USERS)}
    found = adaptivity.contributions([make_run("bst", 1, label, logit, USERS, preset="bst", columns=columns)])
    assert found.gate is None and found.history.verdict == "helps"
    lost = found.effects.effects["history"].test.estimate
    assert lost == pytest.approx(auc(label, logit) - auc(label, other), abs=1e-6)
    assert f"loses {lost / BP:,.1f} bp [" in found.history.sentence
    same = {"logit_no_history": logit, **answer_columns("other_history", label, logit[None], USERS)}
    found = adaptivity.contributions([make_run("bst", 2, label, logit, USERS, preset="bst", columns=same)])
    assert found.history.word == "not shown"


def test_an_unknown_configuration_is_a_sentence(make_run):
    run = make_run("mdaf-full", 1, np.array([0, 1]), np.array([0.0, 1.0]))
    with pytest.raises(UsageError, match="Finished: mdaf-full"):
        effects.runs_of([run], "nothing")


def test_a_gate_that_is_needed_is_no_score_unless_that_is_shown():
    found = effects.effects_of([mixture("choosing")], [0]).model_copy(update={"gated": True, "fusion": "gate"})
    for name in ("choice", "main_of_g"):
        unsure = found.effects[name].test.model_copy(update={"p": 0.5})
        found.effects[name] = found.effects[name].model_copy(update={"test": unsure})
    gate = adaptivity.describe(found).gate
    assert gate.word == "not shown" and "needs g" in gate.sentence and "small" not in " ".join(gate.notes)
