"""From runs and comparisons to the tidy frames that charts and tables show; of learning curves: `curve_frames`.

Nothing is estimated here beyond a mean and a standard deviation.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import polars as pl

from mdaf_core.analysis.compared import mark_legend
from mdaf_core.analysis.margins import AFTERWARDS, NO_MARGIN
from mdaf_core.analysis.plan import MARKS
from mdaf_core.analysis.power import rounded
from mdaf_core.analysis.significance import intervals_as_they_are
from mdaf_core.data.store.sample import sample_words
from mdaf_core.reporting.words import plural, seeds, some
from mdaf_core.runs.metric_values import metric_of

if TYPE_CHECKING:
    from mdaf_core.analysis.adaptivity import Contributions
    from mdaf_core.analysis.compared import ComparedConfiguration, StudyComparison
    from mdaf_core.analysis.effects import EffectName
    from mdaf_core.analysis.margins import Margin
    from mdaf_core.analysis.power import Needed, Power
    from mdaf_core.analysis.reported_results import ReportedTable
    from mdaf_core.data.store.schema import Split
    from mdaf_core.runs.config import RunConfig
    from mdaf_core.runs.tracking import RunRecord
    from mdaf_core.studies.store import Study


VERDICT_MARKS = {
    "better": "▲ better",
    "worse": "▼ worse",
    "parity": "◆ parity",
    "not shown": "● not shown",
    "interim": "○ interim",
    "one seed: no variance known": "✚ one seed: no variance known",
}


def with_symbol(marked: str) -> str:
    """A word, its mark behind it (`better †`), with the word's symbol before it."""
    for word, symbol in VERDICT_MARKS.items():
        if marked.startswith(word):
            return symbol + marked.removeprefix(word)
    return marked


def comparison_table(comparison: StudyComparison) -> pl.DataFrame:
    """What the Compare page and the paper show of a comparison, best first: columns as people read them."""
    columns = {
        "configuration": "Configuration",
        "marked": "Verdict",
        "seeds": "Seeds",
        "mean": "Mean",
        "half_width": "± 95%",
        "sd": "Sd over seeds",
        "difference_bp": "Δ, bp",
        "difference_low_bp": "Low, bp",
        "difference_high_bp": "High, bp",
        "p_adjusted": "p",
        "p_parity_adjusted": "p of parity",
    }
    from mdaf_core.reporting.charts import with_seeds

    table = with_seeds(comparison.frame()).with_columns(
        pl.col("marked").map_elements(with_symbol, return_dtype=pl.String)
    )
    astray = pl.Series([_astray(c) for c in comparison.configurations], dtype=pl.String)
    table = table.with_columns(marked=pl.col("marked") + astray)
    return table.select(*columns).rename(columns)


def _astray(entry: ComparedConfiguration) -> str:
    """What stands behind a word where seeds of it, or of the reference, went astray."""
    which = ", ".join(map(str, entry.diverged))
    return f" (seed{'s' * (len(entry.diverged) > 1)} {which} went astray)" if which else ""


def arranged(
    comparison: StudyComparison, sort: str = "mean", find: str = "", verdicts: Sequence[str] = ()
) -> StudyComparison:
    """The comparison with its configurations sorted, and only some of them; tests stay as they were adjusted.

    Args:
        sort: `mean` (best first), `difference` (largest first), `sd` (smallest first) or `name`.
        find: part of a name, case-insensitive; verdicts: only these. The reference always stays.
    """
    kept = [
        c
        for c in comparison.configurations
        if c.configuration == comparison.reference
        or (find.lower() in c.configuration.lower() and (not verdicts or c.verdict in verdicts))
    ]

    def place(c: ComparedConfiguration) -> tuple[bool, float | str]:
        if sort == "name":
            return False, c.configuration.lower()
        value = c.summary and c.summary.sd if sort == "sd" else c.difference and -c.difference.estimate
        return value is None, value or 0.0

    if sort != "mean":
        kept.sort(key=place)
    return comparison.model_copy(update={"configurations": kept})


def comparison_seeds(comparison: StudyComparison) -> pl.DataFrame:
    """The metric of each seed beside `comparison_table`: one row a configuration, one column a seed."""
    seeds = sorted({seed for c in comparison.configurations for seed in c.values})
    columns = {f"Seed {s}": [c.values.get(s) for c in comparison.configurations] for s in seeds}
    return pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.Float64))


def over_seeds(comparison: StudyComparison) -> tuple[pl.DataFrame, list[str]]:
    """The tests over seeds alone, which take these rows as given: t and Wilcoxon's signed-rank, Holm-adjusted.

    Returns:
        One row a comparison with two seeds or more, and sentences on what so few seeds cannot show.
    """
    from mdaf_core.analysis.signed_rank import few_for_ranks

    rows, sentences = [], []
    for c in comparison.configurations:
        t, ranks = c.difference_seeds, c.signed_rank
        if t is None or ranks is None:
            continue
        edges = [None if edge is None else edge * 1e4 for edge in (ranks.low, ranks.high)]
        rows.append(
            (
                c.configuration, f"{ranks.above} of {len(c.shared_seeds)}",
                t.estimate * 1e4, t.low * 1e4, t.high * 1e4, c.p_seeds_adjusted,
                ranks.estimate * 1e4, *edges, c.p_signed_rank_adjusted,
            )
        )  # fmt: skip
        sentences += [few_for_ranks(ranks.n, comparison.tests), intervals_as_they_are(comparison.tests)]
    columns = {
        "Configuration": pl.String, "Seeds above": pl.String,
        "Mean Δ, bp": pl.Float64, "t low": pl.Float64, "t high": pl.Float64, "t test, p": pl.Float64,
        "Median Δ, bp": pl.Float64, "Rank low": pl.Float64, "Rank high": pl.Float64, "Signed-rank, p": pl.Float64,
    }  # fmt: skip
    return pl.DataFrame(rows, schema=columns, orient="row"), [sentence(s) for s in dict.fromkeys(sentences) if s]


def power_table(power: Power) -> pl.DataFrame:
    """Rows and seeds there are and needed, and the difference that can be found now: one row a configuration."""
    rows = [
        (
            n.configuration, n.rows, n.rows_needed, n.seeds, n.seeds_needed,
            None if n.sd_seeds is None else n.sd_seeds * 1e4, None if n.detectable is None else n.detectable * 1e4,
        )
        for n in power.configurations
    ]  # fmt: skip
    columns = {
        "Configuration": pl.String, "Rows": pl.Int64, "Rows needed": pl.Int64, "Seeds": pl.Int64,
        "Seeds needed": pl.Int64, "Sd over seeds, bp": pl.Float64, "Can find now, bp": pl.Float64,
    }  # fmt: skip
    return pl.DataFrame(rows, schema=columns, orient="row")


def power_sentence(needed: Needed, power: Power) -> str:
    """One line on one configuration."""
    parts = []
    if needed.rows_needed is not None:
        parts.append(f"about {needed.rows_needed:,} rows (there are {needed.rows:,})")
    if needed.seeds_needed is not None:
        parts.append(f"about {needed.seeds_needed:,} seeds (there are {needed.seeds})")
    found = f"{needed.configuration}: a true difference of {power.difference_bp:g} bp takes " + " and ".join(parts)
    if not parts:
        found = f"{needed.configuration}: no number of rows or seeds can be derived"
    elif needed.needs_both:
        found += ", both: each number takes the other source of chance as none"
    if needed.detectable is not None:
        found += f"; the study as it is finds about {needed.detectable * 1e4:.1f} bp {power.power:.0%} of the time"
    return " ".join([f"{found}.", *map(sentence, needed.notes)])


def reported_table(found: ReportedTable) -> pl.DataFrame:
    """Reported results as people read them; differences in bp."""
    rows = [
        (
            r.name, VERDICT_MARKS.get(r.verdict, r.verdict), r.auc, r.se,
            *((r.difference.estimate * 1e4, r.difference.low * 1e4, r.difference.high * 1e4) if r.difference
              else (None,) * 3),
            r.rows_needed,
        )
        for r in found.results
    ]  # fmt: skip
    columns = {
        "Reported": pl.String, "Verdict": pl.String, "AUC": pl.Float64, "Standard error": pl.Float64,
        "Δ, bp": pl.Float64, "Low, bp": pl.Float64, "High, bp": pl.Float64,
        f"Rows for {found.difference_bp:g} bp": pl.Int64,
    }  # fmt: skip
    return pl.DataFrame(rows, schema=columns, orient="row")


def reported_rows(found: ReportedTable) -> pl.DataFrame:
    """Rows that show the difference asked for, by the correlation that is assumed."""
    rows = [(r.correlation, r.se * 1e4, r.rows_needed, r.times) for r in found.rows_by_correlation]
    columns = ["Correlation", "Standard error, bp", "Rows needed", "Times as many"]
    return pl.DataFrame(rows, schema=columns, orient="row")


def reported_power(found: ReportedTable) -> list[str]:
    """How many rows or seeds the difference asked for would take, in sentences."""
    rows = ", ".join(f"{r.rows_needed:,} at a correlation of {r.correlation:g}" for r in found.rows_by_correlation)
    seeds = ", ".join(f"{n or 'more than 1,000'} at {sd} bp" for sd, n in found.seeds_by_sd.items())
    what = f"that show a true difference of {found.difference_bp:g} bp {found.power:.0%} of the time"
    return [
        f"Rows {what}, with these trained models: {rows}.",
        f"Seeds of each model {what}, on given rows, by the standard deviation of their differences: {seeds}.",
    ]


def comparison_members(comparison: StudyComparison) -> pl.DataFrame:
    """The metric of each seed: configuration, seed, value."""
    rows = [(c.configuration, seed, value) for c in comparison.configurations for seed, value in c.values.items()]
    schema = {"configuration": pl.String, "seed": pl.Int64, "value": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def comparison_notes(comparison: StudyComparison) -> list[str]:
    """What to know about a comparison: its notes; those of configurations once, with the names they are true of."""
    by_note: dict[str, list[str]] = {}
    for entry in comparison.configurations:
        for note in entry.notes:
            general = re.sub(r"\b([Rr])un [0-9a-f]{8}\b", r"\1un", note).rstrip(".")
            by_note.setdefault(general, []).append(entry.configuration)
    everyone = len(comparison.configurations) - 1
    grouped = []
    for note, names in by_note.items():
        grouped.append(f"{some(names)}: {note}." if len(names) < max(2, everyone) else sentence(note))
    return [*comparison.notes, *grouped]


def condition_notes(comparison: StudyComparison) -> list[str]:
    """What stands above a comparison: what the marks behind words mean and why they are there, who is at chance."""
    said = comparison.conditions.sentences() if comparison.conditions else []
    if legend := mark_legend(comparison):
        mark, _, reason = legend.partition(" ")
        of_mark = [text for text in said if text.lower().startswith(reason)]
        first = [f"{mark} {text}" for text in of_mark] or [f"{legend}."]
        said = [*first, *(text for text in said if text not in of_mark)]
    return [*said, *comparison.chance]


def sentence(note: str) -> str:
    """A note with a capital and a full stop."""
    return f"{note[0].upper()}{note[1:].rstrip('.')}."


def settings_differences(a: RunConfig, b: RunConfig) -> pl.DataFrame:
    """Settings in which two configurations differ: Setting (dotted path), and a column named by each configuration."""
    from mdaf_core.runs.tracking import flatten

    left, right = (flatten(config.settings()) for config in (a, b))
    names = ["Setting", a.name, b.name if b.name != a.name else f"{b.name} (2)"]
    rows = [
        (
            path,
            *("–" if path not in side else "none" if side[path] is None else str(side[path]) for side in (left, right)),
        )
        for path in sorted(left.keys() | right.keys())
        if left.get(path, ...) != right.get(path, ...)
    ]
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row")


def comparison_basis(comparison: StudyComparison) -> str:
    """What the figures of a comparison rest on, in one line."""
    counts = [len(c.values) for c in comparison.configurations]
    parts = [
        plural(len(counts), "configuration"),
        f"{seeds(counts)} each" + (": no variance known" if max(counts, default=0) == 1 else ""),
    ]
    if comparison.sample:
        parts.append(sample_words(comparison.sample, "test rows" if comparison.split == "test" else "validation rows"))
    if comparison.noise_floor is not None:
        floor = comparison.noise_floor * 1e4
        parts.append(f"noise floor {floor:.1f} bp (sd over seeds)")
    if comparison.tests:
        parts.append(f"Holm over {plural(comparison.tests, 'comparison')}")
    return " · ".join(parts)


def slices(runs: Sequence[RunRecord], configurations: Sequence[str], dimension: str, split: Split) -> pl.DataFrame:
    """`slice_metrics` of some configurations, all their seeds together; `slice` says how many rows it has."""
    from mdaf_core.analysis.slices import slice_metrics
    from mdaf_core.runs.groups import by_configuration

    groups = by_configuration([run for run in runs if run.configuration in configurations])
    ordered: dict[str, Sequence[RunRecord]] = {
        name: list(groups[name].values()) for name in configurations if name in groups
    }
    frame = slice_metrics(ordered, dimension, split)
    rows = pl.col("rows").map_elements("{:,}".format, return_dtype=pl.String)
    return frame.with_columns(slice=pl.format("{}  ({} rows)", "slice", rows))


def slices_table(frame: pl.DataFrame) -> pl.DataFrame:
    """`slices` with one row a slice: Slice, Rows, Positives, and the AUC of each configuration."""
    wide = frame.pivot(on="configuration", index=["slice", "rows", "positives"], values="auc")
    names = {"slice": "Slice", "rows": "Rows", "positives": "Positives"}
    return wide.with_columns(pl.col("slice").str.replace(r"  \(.*\)$", "")).rename(names)


def run_values(study: Study, split: Split, metric: str) -> pl.DataFrame:
    """Every configuration and seed of a study: configuration, seed, value (null unfinished), text (value or state)."""
    from mdaf_core.studies.status import cells

    rows = []
    for cell in cells(study):
        value = cell.metric("val" if split == "val" else "test", metric)
        rows.append((cell.configuration, cell.seed, value, cell.state if value is None else f"{value:.4f}"))
    schema = {"configuration": pl.String, "seed": pl.Int64, "value": pl.Float64, "text": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


LEDGER_WORDS = {"configuration": "Configuration", "model": "Model"}
LEDGER = LEDGER_WORDS | {
    "seeds": "Seeds",
    "parameters_embedding": "Embedding parameters",
    "parameters_dense": "Dense parameters",
    "multiply_adds": "Multiply-adds a row",
    "rows_per_second": "Rows/s",
    "epochs": "Epochs",
    "best_epoch": "Best epoch",
    "wall_seconds": "Seconds a run",
    "total_seconds": "Seconds, all runs",
    "peak_memory_mb": "Peak memory, MB",
    "settings_tried": "Settings tried",
}


def ledger(runs: Sequence[RunRecord]) -> pl.DataFrame:
    """What each configuration cost, with columns as `LEDGER` names them; other studies count towards settings tried."""
    from mdaf_core.analysis import costs
    from mdaf_core.runs import tracking

    mine = {run.run_id for run in runs}
    return costs.ledger(runs, [run for run in tracking.list_runs() if run.run_id not in mine])


def quality_and_cost(cost: pl.DataFrame, comparison: StudyComparison) -> pl.DataFrame:
    """The ledger with the mean of the metric, its interval and all parameters: configuration, mean, low, high, …"""
    from mdaf_core.reporting.charts import with_seeds

    means = with_seeds(comparison.frame()).select("configuration", "mean", "sd", "low", "high")
    total = pl.col("parameters_embedding") + pl.col("parameters_dense")
    return cost.with_columns(parameters=total).join(means, on="configuration").drop_nulls("mean")


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
    from mdaf_core.analysis.power import rows_needed, seeds_needed
    from mdaf_core.analysis.significance import noise_floor
    from mdaf_core.metrics.values import Undefined
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
                sentences.append(f"{NO_MARGIN[0].upper()}{NO_MARGIN[1:]}.")
                continue
            with suppress(Undefined):
                needed = rows_needed(test, test.rows, margin_bp)
                sentences.append(
                    f"To find a true difference of {margin_bp:g} bp between such a pair 4 times in 5, about "
                    f"{rounded(needed)} rows are needed; there are {test.rows:,}."
                )
    spread = noise_floor([estimates])
    if spread is not None and margin_bp is not None:
        try:
            needed = seeds_needed(spread, margin_bp)
            sentences.append(
                f"Over seeds the difference has a standard deviation of {spread * 1e4:.1f} bp; to find {margin_bp:g} "
                f"bp 4 times in 5 takes about {rounded(needed)} seeds."
            )
        except Undefined as reason:
            sentences.append(str(reason))
    columns = ["Seed", "AUC of A", "AUC of B", "Δ, bp", "Low, bp", "High, bp", "p", "Verdict"]
    return pl.DataFrame(rows, schema=columns, orient="row"), sentences


def gate_effects(
    runs: Sequence[RunRecord], split: Split, names: Sequence[EffectName], margin: Margin | None = None
) -> pl.DataFrame:
    """What configurations lose without a part, one row a configuration and effect; those without it have none.

    Columns: configuration, seeds, effect (a title), auc, estimate_bp, low_bp, high_bp, p, covers, verdict (of the gate;
    null without one).
    """
    from mdaf_core.analysis.adaptivity import contributions
    from mdaf_core.runs.groups import by_configuration

    found = [contributions(list(g.values()), split, margin) for g in by_configuration(runs).values()]
    return pl.concat([effect_rows(one, names) for one in found]) if found else effect_rows(None, names)


def effect_rows(found: Contributions | None, names: Sequence[EffectName]) -> pl.DataFrame:
    """`gate_effects` of one configuration."""
    from mdaf_core.analysis.effects import TITLES

    rows = []
    for effect in (found.effects.effects[name] for name in names if name in found.effects.effects) if found else ():
        assert found is not None
        test, about = effect.test, (found.effects.configuration, len(found.effects.seeds))
        bp = (found.effects.auc, test.estimate * 1e4, test.low * 1e4, test.high * 1e4, test.p)
        rows.append((*about, TITLES[effect.name], *bp, test.covers, found.gate and found.gate.word))
    schema: dict[str, type[pl.DataType]] = {"configuration": pl.String, "seeds": pl.Int64, "effect": pl.String}
    schema |= dict.fromkeys(("auc", "estimate_bp", "low_bp", "high_bp", "p"), pl.Float64)
    return pl.DataFrame(rows, schema=schema | {"covers": pl.String, "verdict": pl.String}, orient="row")


def final_metrics(runs: Sequence[RunRecord], split: Split, metrics: Sequence[str]) -> pl.DataFrame:
    """One row a finished run: configuration, and these metrics of the best epoch's weights on `split`."""
    finished = [run for run in runs if run.metrics(split) is not None]
    columns = {key: [metric_of(run, split, key) for run in finished] for key in metrics}
    schema = {"configuration": pl.String} | dict.fromkeys(columns, pl.Float64)
    return pl.DataFrame({"configuration": [run.configuration for run in finished]} | columns, schema=schema)
