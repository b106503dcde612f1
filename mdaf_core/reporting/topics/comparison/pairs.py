"""Two configurations seed by seed on the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import polars as pl

from mdaf_core.analysis.margins import AFTERWARDS, Margin, bp_words, margin_notes
from mdaf_core.analysis.plan import MARKS
from mdaf_core.analysis.power import rounded, rows_needed, seeds_needed
from mdaf_core.analysis.significance import BP, noise_floor
from mdaf_core.data.store.schema import Split
from mdaf_core.metrics.values import Undefined
from mdaf_core.reporting.topics.comparison.frames import VERDICT_MARKS
from mdaf_core.runs.metric_values import metric_of
from mdaf_core.runs.tracking import RunRecord

PAIR_MARK = (
    f"{MARKS[AFTERWARDS]} {AFTERWARDS}: single trained models, one word a seed, not adjusted; the study's verdict is "
    "in Results."
)


def pair_tests(
    runs: Sequence[RunRecord], a: str, b: str, split: Split, margin: Margin | None
) -> tuple[pl.DataFrame, list[str]]:
    """Configurations a and b seed by seed on the same rows, and how much data a difference of the margin would take.

    The words are of single trained models, one a seed, and so never those of the planned comparison: each is marked.

    Args:
        margin: what counts as parity in AUC, of b's gain where it is a share; None: parity is not tested.

    Returns:
        One row a shared seed (Seed, AUC of A, AUC of B, Δ bp, Low bp, High bp, p, Verdict), and sentences.

    Raises:
        StudioError: the runs are not of the same rows; the message is the reason.
    """
    from mdaf_core.analysis.pairs import compare_runs
    from mdaf_core.runs.groups import by_configuration

    groups = by_configuration(runs)
    mine, theirs = groups.get(a, {}), groups.get(b, {})
    rows, sentences, estimates = [], [], []
    areas = [area for run in theirs.values() if (area := metric_of(run, split, "auc")) is not None]
    width = margin.half_width(sum(areas) / len(areas) - 0.5) if margin and areas else None
    margin_bp = None if width is None else width * 1e4
    for seed in sorted(mine.keys() & theirs.keys()):
        found = compare_runs(mine[seed], theirs[seed], split, margin_bp)
        test = found.clustered or found.delong
        estimates.append(test.estimate)
        interval = (test.estimate * 1e4, test.low * 1e4, test.high * 1e4)
        word = f"{VERDICT_MARKS.get(found.verdict, found.verdict)} {MARKS[AFTERWARDS]}"
        rows.append((seed, test.auc_a, test.auc_b, *interval, test.p, word))
        if len(rows) == 1:
            sentences += [f"{test.method}. {note}" if i == 0 else note for i, note in enumerate(found.notes)]
            sentences.append(PAIR_MARK)
            if margin_bp is None:
                sentences += margin_notes(margin, "auc", None, None)
                continue
            with suppress(Undefined):
                needed = rows_needed(test, test.rows, margin_bp)
                sentences.append(
                    f"To find a true difference of {bp_words(margin_bp * BP)} bp between such a pair 4 times in 5, "
                    f"about {rounded(needed)} rows are needed; there are {test.rows:,}."
                )
    spread = noise_floor([estimates])
    if spread is not None and margin_bp is not None:
        try:
            needed = seeds_needed(spread, margin_bp)
            sentences.append(
                f"Over seeds the difference has a standard deviation of {spread * 1e4:.1f} bp; to find "
                f"{bp_words(margin_bp * BP)} bp 4 times in 5 takes about {rounded(needed)} seeds."
            )
        except Undefined as reason:
            sentences.append(str(reason))
    columns = ["Seed", "AUC of A", "AUC of B", "Δ, bp", "Low, bp", "High, bp", "p", "Verdict"]
    return pl.DataFrame(rows, schema=columns, orient="row"), sentences
