"""The table of results."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from mdaf_core.analysis.compared import StudyComparison, mark_legend
from mdaf_core.analysis.comparison import mean_of
from mdaf_core.analysis.plan import unplanned_mark
from mdaf_core.base.words import listed, plural
from mdaf_core.data.store.sample import sample_words
from mdaf_core.data.store.schema import SPLIT_NAMES, Split
from mdaf_core.metrics.registry import in_results, metric
from mdaf_core.reporting import captions
from mdaf_core.reporting.paper.paragraph import not_comparable
from mdaf_core.reporting.paper.table import PaperTable
from mdaf_core.reporting.words import MISSING, seeds, signed
from mdaf_core.runs.groups import by_configuration
from mdaf_core.runs.metric_values import metric_of
from mdaf_core.runs.tracking import RunRecord

MARKS = {"better": "▲", "worse": "▼", "parity": "◆", "interim": "○"}


def results_table(comparison: StudyComparison, runs: Sequence[RunRecord]) -> PaperTable:
    """Means of the metrics of every table and of what is compared by, and the difference to the reference.

    ± is half the width of the 95% interval over seeds and users at once, and stands only where both are known; so do
    the brackets of a difference, which need two seeds.
    """
    frame = comparison.frame()
    groups = by_configuration(runs)
    unknown: list[str] = []
    names = frame["configuration"].to_list()
    by = metric(comparison.metric)
    shown = in_results() | {by.key: by}
    final = final_metrics(runs, comparison.split, list(shown))
    by_name = {name: final.filter(pl.col("configuration") == name) for name in names}
    cells: dict[str, list[str]] = {"Configuration": names, "Seeds": [str(n) for n in frame["seeds"]]}
    best: dict[str, set[int]] = {}
    second: dict[str, set[int]] = {}
    columns: dict[str, list[float | None]] = {}
    sound = {c.configuration for c in comparison.configurations if c.summary}  # others mix settings or data
    refused = {c.configuration for c in not_comparable(comparison)}
    for key, one in shown.items():
        heading = one.title
        means = [_number(by_name[name][key].mean()) if name in sound else None for name in names]
        estimates = [mean_of(groups[name], comparison.split, key) if name in sound else None for name in names]
        halves = [(e.high - e.low) / 2 if e is not None and e.of_both_sources else None for e in estimates]
        if any(e is not None and e.covers_seeds and not e.of_both_sources for e in estimates):
            unknown.append(one.words)
        cells[heading] = [_plus_minus(m, half) for m, half in zip(means, halves, strict=True)]
        ranked = [None if name in refused else mean for name, mean in zip(names, means, strict=True)]
        best[heading], second[heading] = ranks(ranked, 4, one.direction)
        spreads = [_number(by_name[name][key].std()) if name in sound else None for name in names]
        columns |= {f"{key}_mean": means, f"{key}_half_width": halves, f"{key}_sd": spreads}
    brackets = " [95% interval]" if frame["covers_seeds"].any() else ""
    cells[f"Δ {by.words}, bp{brackets}"] = [
        f"{signed(d)} [{signed(low)}, {signed(high)}]{MARKS.get(verdict, '')}{unplanned_mark(marked)}"
        if covered
        else signed(d)
        for d, low, high, verdict, marked, covered in frame.select(
            "difference_bp", "difference_low_bp", "difference_high_bp", "verdict", "marked", "covers_seeds"
        ).iter_rows()
    ]
    data = frame.with_columns(pl.Series(name, values, dtype=pl.Float64) for name, values in columns.items())
    return PaperTable(
        name=f"results-{comparison.split}" + ("" if comparison.metric == "auc" else f"-{comparison.metric}"),
        title=f"Results on {SPLIT_NAMES[comparison.split]} rows",
        caption=_results_caption(comparison, unknown),
        cells=cells,
        data=data,
        best=best,
        second=second,
    )


def _results_caption(comparison: StudyComparison, unknown: Sequence[str]) -> str:
    """What the table rests on; `unknown`: metrics whose sampling error over users is not."""
    by = metric(comparison.metric)
    counts = [len(c.values) for c in comparison.configurations]
    rows = f"{SPLIT_NAMES[comparison.split]} rows"
    if comparison.sample:
        rows = sample_words(comparison.sample, rows)
    parts = [
        f"Results on {rows} of the weights of the best epoch on validation; "
        + ("one seed, so no variance is known." if max(counts) == 1 else f"means over {seeds(counts)}."),
        _plus_minus_words(comparison, unknown),
        "Bold: best mean of a column, underlined: second; neither is a claim of significance.",
        f"Δ: {by.words} minus that of {comparison.reference}, paired by seed "
        f"(1 bp = 0.0001)" + ("; below 0 is better." if by.direction < 0 else "."),
        captions.of_differences(comparison),
        captions.shared_seeds(comparison),
    ]
    marks = {MARKS[c.verdict] for c in comparison.configurations if c.verdict in MARKS}
    meanings = {
        "▲": "better than the reference",
        "▼": "worse",
        "◆": f"equivalent within {comparison.margin_words} (TOST)",
        "○": "interim, no verdict while planned seeds are missing",
    }
    if comparison.tests:
        tested = comparison.margin_bp is not None
        shown = [f"{mark} {words}" for mark, words in meanings.items() if mark in marks]
        parts.append(
            (
                f"{'; '.join(shown)}; no mark: {'neither' if tested else 'no difference'} shown"
                if shown
                else f"No difference{' and no equivalence' if tested else ''} is shown"
            )
            + f", at 5% after Holm's correction over {plural(comparison.tests, 'comparison')}."
        )
    if legend := mark_legend(comparison):
        parts.append(f"{legend}.")
    parts += [
        f"{c.configuration} is not comparable with the reference"
        + (f": {'; '.join(c.notes).rstrip('.')}." if c.notes else ".")
        for c in not_comparable(comparison)
    ]
    return " ".join(part for part in parts if part)


def _plus_minus_words(comparison: StudyComparison, unknown: Sequence[str]) -> str:
    both = {c.mean.covers for c in comparison.configurations if c.mean and c.mean.of_both_sources}
    missing = f"No ± for {listed(unknown)}, whose error over users is not known." if unknown else ""
    if not both:
        return missing
    covers = " or ".join(sorted(both))
    return f"±: half the width of the 95% interval of a mean, which covers {covers}. {missing}".rstrip()


def final_metrics(runs: Sequence[RunRecord], split: Split, metrics: Sequence[str]) -> pl.DataFrame:
    """One row a finished run: configuration, and these metrics of the best epoch's weights on `split`."""
    finished = [run for run in runs if run.metrics(split) is not None]
    columns = {key: [metric_of(run, split, key) for run in finished] for key in metrics}
    schema = {"configuration": pl.String} | dict.fromkeys(columns, pl.Float64)
    return pl.DataFrame({"configuration": [run.configuration for run in finished]} | columns, schema=schema)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _plus_minus(mean: float | None, half: float | None) -> str:
    if mean is None:
        return MISSING
    return f"{mean:.4f}" + ("" if half is None else f" ± {half:.4f}")


def ranks(means: Sequence[float | None], digits: int, direction: int) -> tuple[set[int], set[int]]:
    """Rows with the best and the second-best mean as printed (ties share a place)."""
    printed = {i: round(m, digits) for i, m in enumerate(means) if m is not None}
    places = sorted(set(printed.values()), key=lambda v: -direction * v)
    best, second = (
        {i for i, value in printed.items() if len(places) > place and value == places[place]} for place in (0, 1)
    )
    return best, second


TABLES = {"results": ("Results", lambda material: results_table(material.comparison, material.runs))}
