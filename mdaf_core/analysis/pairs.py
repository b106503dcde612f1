"""Comparing two trained models on the same rows."""

from __future__ import annotations

from pydantic import BaseModel

from mdaf_core.analysis.items import items_of
from mdaf_core.analysis.significance import (
    Equivalence,
    PairedTest,
    Verdict,
    bootstrap_auc,
    equivalence,
    paired_auc,
    verdict,
)
from mdaf_core.base.cache import cached
from mdaf_core.base.errors import StudioError
from mdaf_core.data.store.schema import Split
from mdaf_core.metrics.values import Undefined, clusters
from mdaf_core.runs.predictions import difference_of_rows, load_predictions
from mdaf_core.runs.tracking import RunRecord


class RunComparison(BaseModel):
    """Two trained models on the same rows: run `a` minus run `b`. It says nothing about other seeds."""

    run_a: str
    run_b: str
    split: Split
    margin_bp: float | None
    delong: PairedTest
    clustered: PairedTest | None
    bootstrap: PairedTest | None
    equivalence: Equivalence | None
    verdict: Verdict
    notes: list[str]


class _PairTests(BaseModel):
    delong: PairedTest
    clustered: PairedTest | None = None
    bootstrap: PairedTest | None = None
    undecided: str = ""
    notes: list[str] = []


def _pair_tests(a: RunRecord, b: RunRecord, split: Split, replicates: int) -> _PairTests:
    refused = difference_of_rows(a, b, split)
    if refused:
        raise StudioError(refused)
    mine, theirs = load_predictions(a.run_id, split), load_predictions(b.run_id, split)
    label, user = mine["label"].to_numpy(), mine["user"].to_numpy()
    score_a, score_b = mine["logit"].to_numpy(), theirs["logit"].to_numpy()
    out = _PairTests(delong=paired_auc(label, score_a, score_b))
    if clusters(user) is None:
        out.notes.append("These rows have no users, and are taken as independent of each other.")
        return out
    try:
        out.clustered = paired_auc(label, score_a, score_b, user)
    except Undefined as reason:
        out.undecided = f"How much other users would change it is not known: {reason}"
        out.notes.append(out.undecided)
    try:
        out.bootstrap = bootstrap_auc(label, score_a, score_b, user, replicates)
    except Undefined as reason:
        out.notes.append(f"No bootstrap over users: {reason}")
    return out


def compare_runs(
    a: RunRecord, b: RunRecord, split: Split = "test", margin_bp: float | None = None, replicates: int = 1000
) -> RunComparison:
    """DeLong's test, the jackknife's over users (`clustered`), and the bootstrap over users, for two runs.

    The verdict is about these two trained models and follows the jackknife (DeLong's where rows have no users); where
    rows have users and the jackknife is undefined the word is "not shown".

    Args:
        margin_bp: half-width of what counts as parity; None: parity is not tested.

    Raises:
        StudioError: the runs are not of the same rows; the message is the reason.
        Undefined: AUC is undefined on these rows.
    """
    key = [split, replicates, a.run_id, a.ended, a.fingerprint, b.run_id, b.ended, b.fingerprint]
    tests = cached("run-pairs", key, _PairTests, lambda: _pair_tests(a, b, split, replicates))
    if items_of(a, split).items is not None:
        for test in (tests.delong, tests.clustered, tests.bootstrap):
            if test is not None:
                test.covers += ", on these items"
    main = tests.clustered or tests.delong
    parity = None if margin_bp is None or tests.undecided else equivalence(main, margin_bp)
    notes = [*tests.notes, "This compares two trained models; what another seed would give is not in the interval."]
    return RunComparison(
        run_a=a.run_id,
        run_b=b.run_id,
        split=split,
        margin_bp=margin_bp,
        delong=tests.delong,
        clustered=tests.clustered,
        bootstrap=tests.bootstrap,
        equivalence=parity,
        verdict=verdict(main.estimate, None if tests.undecided else main.p, parity.p if parity else None, seeds=2),
        notes=notes,
    )
