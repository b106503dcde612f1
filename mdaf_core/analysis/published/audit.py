"""Tables of other people's runs, audited: which figures are one run's, how they were chosen, and what survives."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mdaf_core.analysis.margins import Margin, parse_margin
from mdaf_core.analysis.published.cells import Cell, cells_of
from mdaf_core.analysis.published.choices import best_of_seeds, chosen_on_test, identical
from mdaf_core.analysis.published.found import Audit, DataSetFound, Kinds
from mdaf_core.analysis.published.ladder import climb, entry
from mdaf_core.base.errors import UsageError
from mdaf_core.runs.published.metric import ReportedMetric, key_of, tokens
from mdaf_core.runs.published.opened import open_runs
from mdaf_core.runs.published.table import Published, Run

PROPOSED = "proposed"


def audit(
    published: Published,
    *,
    metric: str | None = None,
    reference: str | None = None,
    margin: str | None = None,
    repeats: bool = False,
) -> Audit:
    """All that is asked of a table of runs. What it says does not depend on the order of its lines.

    Args:
        metric: that data sets are judged by; None: of each the one that is shown, else the likeliest.
        reference: model that others are compared with, where it has seeds; None: the best mean on each data set.
        margin: of parity: `2`, `2 bp`, `1%`, or `proposed`; None or `none`: parity is not tested.
        repeats: lines that name neither seed nor setting are repeats of one training.

    Raises:
        UsageError: an unknown metric or reference, or a margin that is none.
    """
    wanted: str | Margin | None = PROPOSED if (margin or "").strip() == PROPOSED else parse_margin(margin or "")
    by_set: dict[str, list[Run]] = defaultdict(list)
    for run in published.runs:
        by_set[run.data_set].append(run)
    key = None if metric is None else key_of(tokens(metric))
    if key is not None and key not in published.metrics:
        raise UsageError(f"There is no metric {metric!r} in the table. Metrics: {', '.join(published.metrics)}.")
    if reference is not None and not any(run.model == reference for run in published.runs):
        raise UsageError(f"There is no model {reference!r} in the table.")
    notes = list(published.notes)
    data_sets, every = [], list[Cell]()
    for name in sorted(by_set):
        chosen = _metric(published, by_set[name], key)
        if chosen is None:
            notes.append(f"{name} has no test figure{f' of {metric}' if metric else ''} and is left out.")
            continue
        cells = cells_of(by_set[name], chosen, repeats)
        every += cells
        entries = sorted(map(entry, cells), key=lambda e: (-chosen.direction * e.figure, e.model))
        known = [same for run in by_set[name] if (same := identical(run)) is not None]
        found = DataSetFound(
            name=name, metric=chosen, runs=sum(e.runs for e in entries), entries=entries, identical=sum(known),
            with_both=len(known),
        )  # fmt: skip
        climb(found, cells, reference, wanted)
        data_sets.append(found)
    if not data_sets:
        raise UsageError("No data set has a test figure, so that nothing can be compared.")
    by_test = sorted(f"{cell.model} on {cell.data_set}" for cell in every if cell.chosen_by_test)
    if by_test:
        notes.append(
            f"{len(by_test):,} models have several settings and no validation figures: the setting best on test stands "
            f"for each, which flatters ({', '.join(by_test[:3])}{' …' if len(by_test) > 3 else ''})."
        )
    return Audit(
        source=published.source,
        lines=published.lines,
        runs=len(published.runs),
        metrics=list(published.metrics.values()),
        kinds=_kinds(every),
        best_of_seeds=best_of_seeds(every),
        chosen_on_test=chosen_on_test(every, data_sets),
        data_sets=data_sets,
        margin="none" if wanted is None else wanted if isinstance(wanted, str) else wanted.text,
        notes=notes,
    )


def audit_file(
    path: Path | str,
    *,
    metric: str | None = None,
    reference: str | None = None,
    margin: str | None = None,
    repeats: bool = False,
    lower: Sequence[str] = (),
    higher: Sequence[str] = (),
    **columns: Any,
) -> Audit:
    """`audit` of the runs of a file or folder; nothing is kept. See `open_runs` for `columns`, and for errors."""
    published, read = open_runs(path, lower, higher, **columns)
    found = audit(published, metric=metric, reference=reference, margin=margin, repeats=repeats)
    found.notes = [*read, *found.notes]
    return found


def _metric(published: Published, runs: Sequence[Run], wanted: str | None) -> ReportedMetric | None:
    """Of a data set: the one that is shown, else the likeliest that most of its models have."""
    if wanted is not None:
        return published.metrics[wanted] if any(wanted in run.test for run in runs) else None
    for place in ("shown", "test"):
        counts = Counter(
            metric for run in runs for metric in (run.shown if place == "shown" else run.test) if metric in run.test
        )
        most = max(counts.values(), default=0)
        found = [key for key in published.metrics if 2 * counts[key] > most > 0]
        if found:
            return published.metrics[found[0]]
    return None


def _kinds(cells: Sequence[Cell]) -> Kinds:
    out = Kinds(cells=len(cells))
    seeded = Counter[int]()
    for cell in cells:
        group, basis = cell.chosen
        if any(one.conflict for one in cell.groups):
            out.conflicting.append(f"{cell.model} on {cell.data_set}")
        if basis == "mean over seeds":
            seeded[len(group.values)] += 1
        elif basis == "mean over repeats":
            out.repeated += 1
        elif basis == "one run":
            out.one_run += 1
        elif basis == "a mean, as given":
            out.given_means += 1
        elif any(one.unexplained for one in cell.groups):
            out.unknown += 1
        else:
            out.several_settings += 1
    out.seeded = dict(sorted(seeded.items()))
    return out
