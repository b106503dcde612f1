"""From comparisons to the tidy frames and sentences that charts, tables and pages show. Nothing is estimated here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from mdaf_core.analysis.compared import ComparedConfiguration, StudyComparison, mark_legend
from mdaf_core.analysis.margins import bp_words
from mdaf_core.analysis.signed_rank import few_for_ranks
from mdaf_core.analysis.significance import BP, intervals_as_they_are
from mdaf_core.base.words import plural, some
from mdaf_core.data.store.sample import sample_words
from mdaf_core.data.store.schema import Split
from mdaf_core.reporting.words import seeds, sentence
from mdaf_core.runs.config import RunConfig

if TYPE_CHECKING:
    from mdaf_core.analysis.power import Needed, Power
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
    table = with_seeds(comparison.frame()).with_columns(
        pl.col("marked").map_elements(with_symbol, return_dtype=pl.String)
    )
    astray = pl.Series([_astray(c) for c in comparison.configurations], dtype=pl.String)
    table = table.with_columns(marked=pl.col("marked") + astray)
    return table.select(*columns).rename(columns)


def with_seeds(frame: pl.DataFrame) -> pl.DataFrame:
    """`StudyComparison.frame()` without the intervals that cover users alone: they say nothing of another training."""
    return frame.with_columns(
        *(pl.when(pl.col("seeds") > 1).then(name).alias(name) for name in ("low", "high")),
        *(pl.when("covers_seeds").then(name).alias(name) for name in ("difference_low_bp", "difference_high_bp")),
    )


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
    size = bp_words(power.difference_bp * BP)
    found = f"{needed.configuration}: a true difference of {size} bp takes " + " and ".join(parts)
    if not parts:
        found = f"{needed.configuration}: no number of rows or seeds can be derived"
    elif needed.needs_both:
        found += ", both: each number takes the other source of chance as none"
    if needed.detectable is not None:
        found += f"; the study as it is finds about {needed.detectable * 1e4:.1f} bp {power.power:.0%} of the time"
    return " ".join([f"{found}.", *map(sentence, needed.notes)])


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


def settings_differences(a: RunConfig, b: RunConfig) -> pl.DataFrame:
    """Settings in which two configurations differ: Setting (dotted path), and a column named by each configuration."""
    left, right = (config.flat_settings() for config in (a, b))
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


def run_values(study: Study, split: Split, metric: str) -> pl.DataFrame:
    """Every configuration and seed of a study: configuration, seed, value (null unfinished), text (value or state)."""
    from mdaf_core.studies.status import cells

    rows = []
    for cell in cells(study):
        value = cell.metric("val" if split == "val" else "test", metric)
        rows.append((cell.configuration, cell.seed, value, cell.state if value is None else f"{value:.4f}"))
    schema = {"configuration": pl.String, "seed": pl.Int64, "value": pl.Float64, "text": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")
