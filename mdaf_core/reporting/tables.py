"""The tables that a study gives to a paper: what they hold, and captions that say what it rests on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from mdaf_core.analysis.compared import mark_legend
from mdaf_core.analysis.comparison import mean_of
from mdaf_core.analysis.plan import unplanned_mark
from mdaf_core.base.errors import UsageError
from mdaf_core.data.store.sample import sample_words
from mdaf_core.metrics.registry import in_results, metric
from mdaf_core.reporting import captions, conditions, curve_frames, frames
from mdaf_core.reporting.material import SPLIT_WORDS
from mdaf_core.reporting.paper_table import PaperTable
from mdaf_core.reporting.paragraph import not_comparable
from mdaf_core.reporting.words import MISSING, listed, seeds, signed
from mdaf_core.runs.groups import by_configuration

if TYPE_CHECKING:
    from mdaf_core.analysis.compared import StudyComparison
    from mdaf_core.analysis.effects import EffectName
    from mdaf_core.analysis.margins import Margin
    from mdaf_core.data.store.schema import Split
    from mdaf_core.reporting.material import Material
    from mdaf_core.runs.tracking import RunRecord

MARKS = {"better": "▲", "worse": "▼", "parity": "◆", "interim": "○"}


def _count(value: float | None) -> str:
    """A count in three figures or so: `611`, `32.1k`, `31.19M`."""
    if value is None:
        return MISSING
    return f"{value / 1e6:.2f}M" if value >= 1e6 else f"{value / 1e3:.1f}k" if value >= 1e4 else f"{value:,.0f}"


# ---- the tables ------------------------------------------------------------------------------------------------------


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
    final = frames.final_metrics(runs, comparison.split, list(shown))
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
        best[heading], second[heading] = _ranks(ranked, 4, one.direction)
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
        title=f"Results on {SPLIT_WORDS[comparison.split]} rows",
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
    rows = f"{SPLIT_WORDS[comparison.split]} rows"
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
            + f", at 5% after Holm's correction over {comparison.tests} comparison{'s' * (comparison.tests > 1)}."
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


def cost_table(data: pl.DataFrame) -> PaperTable:
    """Parameters, multiply-adds, speed, epochs, time and memory of each configuration, from `frames.ledger`."""

    def column(name: str, pattern: str) -> list[str]:
        return [MISSING if v is None else format(v, pattern) for v in data[name]]

    return PaperTable(
        name="cost",
        title="What each configuration cost",
        caption="Cost of each configuration: embedding and dense parameters, multiply-adds a row at the mean history "
        "length; training speed, epochs and wall time of a run (means over its seeds); largest peak memory; and how "
        "many settings of this kind of model were tried on the same data. Speed, time and memory as measured where "
        "each run was trained.",
        cells={
            "Configuration": data["configuration"].to_list(),
            "Embedding": [_count(v) for v in data["parameters_embedding"]],
            "Dense": [_count(v) for v in data["parameters_dense"]],
            "Mult-adds": [_count(v) for v in data["multiply_adds"]],
            "Rows/s": column("rows_per_second", ",.0f"),
            "Epochs": column("epochs", ".1f"),
            "Time, s": column("wall_seconds", ",.0f"),
            "Memory, MB": column("peak_memory_mb", ",.0f"),
            "Tried": column("settings_tried", ".0f"),
        },
        data=data,
    )


def overfitting_paper_table(runs: Sequence[RunRecord]) -> PaperTable:
    """Gaps at the best and the last epoch, by both definitions of the train AUC."""
    both = {kind: curve_frames.overfitting(runs, kind, each=False) for kind in ("eval", "online")}
    data = both["eval"]

    def column(kind: str, name: str, text: Callable[[float], str]) -> list[str]:
        return [MISSING if v is None else text(v) for v in both[kind][name]]

    def auc(value: float) -> str:
        return f"{value:.4f}"

    def gap(value: float) -> str:
        return signed(value, 4)

    return PaperTable(
        name="overfitting",
        title="How far training and validation came apart",
        caption=f"{_over_seeds(runs)} Gap: train minus validation AUC, signed, with the train AUC measured in "
        "evaluation mode (eval) or accumulated while training (online), at the best epoch and at the last.",
        cells={
            "Configuration": data["Configuration"].to_list(),
            "Best epoch": column("eval", "Best epoch", lambda v: f"{v:.1f}"),
            "Validation AUC": column("eval", "Val AUC at best", auc),
            "Gap at best, eval": column("eval", "Gap at best", gap),
            "Gap at last, eval": column("eval", "Gap at last", gap),
            "Gap at best, online": column("online", "Gap at best", gap),
            "Gap at last, online": column("online", "Gap at last", gap),
        },
        data=data,
    )


def _over_seeds(runs: Sequence[RunRecord]) -> str:
    counts = captions.seed_counts(runs)
    return "One run of each configuration." if max(counts) == 1 else f"Means over {seeds(counts)}."


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _plus_minus(mean: float | None, half: float | None) -> str:
    if mean is None:
        return MISSING
    return f"{mean:.4f}" + ("" if half is None else f" ± {half:.4f}")


def _ranks(means: Sequence[float | None], digits: int, direction: int) -> tuple[set[int], set[int]]:
    """Rows with the best and the second-best mean as printed (ties share a place)."""
    printed = {i: round(m, digits) for i, m in enumerate(means) if m is not None}
    places = sorted(set(printed.values()), key=lambda v: -direction * v)
    best, second = (
        {i for i, value in printed.items() if len(places) > place and value == places[place]} for place in (0, 1)
    )
    return best, second


def gates_table(runs: Sequence[RunRecord], split: Split, margin: Margin | None = None) -> PaperTable:
    """Of each configuration with a gate, over its seeds: what replacing g costs, and the verdict.

    Raises:
        UsageError: no gate, or none that can be tested on these rows.
    """
    from mdaf_core.analysis.effects import COSTS, TITLES

    data = frames.gate_effects(runs, split, COSTS, margin)
    if data.is_empty():
        raise UsageError("No finished run of this study has a gate that can be tested on these rows.")
    gates = data.partition_by("configuration", maintain_order=True)

    def costs(name: EffectName) -> list[str]:
        found = [gate.filter(effect=TITLES[name]).to_dicts() for gate in gates]
        return [
            f"{signed(r['estimate_bp'])} [{signed(r['low_bp'])}, {signed(r['high_bp'])}]" if r else MISSING
            for r in (rows[0] if rows else None for rows in found)
        ]

    covers = "; ".join(data["covers"].unique(maintain_order=True).to_list())
    return PaperTable(
        name=f"gates-{split}",
        title="Whether the gates are adaptive",
        caption=f"Gates on {SPLIT_WORDS[split]} rows: what is lost in bp of AUC [95% interval: {covers}] where g, the "
        "weight of the sequential branch's vector, is its median for all rows, another row's, or another row's of the "
        "same user (the last two: mean of 20 shuffles). Adaptive: each is above 0 at 5%, and more of it comes from "
        "choosing between the branches than from g as a score; not shown is not shown to be small.",
        cells={
            "Configuration": [gate["configuration"][0] for gate in gates],
            "Seeds": [str(gate["seeds"][0]) for gate in gates],
            "AUC": [MISSING if gate["auc"][0] is None else f"{gate['auc'][0]:.4f}" for gate in gates],
            "One g, bp": costs("g_median"),
            "Another row's, bp": costs("g_shuffled"),
            "Same user's, bp": costs("g_within_user"),
            "Gate": [gate["verdict"][0] for gate in gates],
        },
        data=data,
    )


# ---- what there is ---------------------------------------------------------------------------------------------------

TABLES: dict[str, tuple[str, Callable[[Material], PaperTable]]] = {
    "results": ("Results", lambda material: results_table(material.comparison, material.runs)),
    "overfitting": ("Overfitting", lambda material: overfitting_paper_table(material.runs)),
    "cost": ("Cost", lambda material: cost_table(material.ledger)),
    "gates": ("Gates", lambda material: gates_table(material.gated, material.split, material.auc_margin)),
}


def make_table(material: Material, name: str) -> PaperTable:
    """One of `TABLES`.

    Raises:
        UsageError: unknown name, or the study has nothing finished to make it from.
    """
    if name not in TABLES:
        raise UsageError(f"There is no table {name!r}. Known: {', '.join(TABLES)}.")
    material.require_runs()
    table = TABLES[name][1](material)
    return replace(table, caption=f"{table.caption} {conditions.text(material.conditions)}")
