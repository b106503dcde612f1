"""Which words of a study stand on another split of the same input: the table and the sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from mdaf_core.base.errors import StudioError
from mdaf_core.base.words import plural
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.metrics.registry import metric_words
from mdaf_core.reporting.conditions import split_words
from mdaf_core.reporting.topics.comparison.frames import with_symbol

if TYPE_CHECKING:
    from mdaf_core.analysis.twins import Fate, TwinComparison
    from mdaf_core.studies.store import Study


def twins_table(found: TwinComparison, first: Study, second: Study) -> pl.DataFrame:
    """One row a configuration, in the first study's order: its word and difference on each split, and what became of
    the word."""
    rows = []
    for fate in found.fates:
        row: dict[str, str | float | None] = {"Configuration": fate.configuration}
        for study, word in ((first, fate.first), (second, fate.second)):
            row[f"Verdict, {study.dataset}"] = with_symbol(word.verdict)
            row[f"Δ bp, {study.dataset}"] = word.difference_bp
        rows.append(row | {"Outcome": fate.outcome})
    return pl.DataFrame(rows, infer_schema_length=None)


def twins_sentences(found: TwinComparison, first: Study, second: Study) -> list[str]:
    """What survives, as a paper says it."""
    concluded, kept = found.concluded, [fate for fate in found.concluded if fate.outcome == "same word"]
    where = f"{found.split} rows of {first.dataset} ({_split(first)})"
    there = f"{second.dataset} ({_split(second)}), another split of the same input"
    compared = plural(len(found.fates), "comparison")
    out = []
    if concluded:
        lost = [fate for fate in concluded if fate not in kept]
        fates = f": not {_listed(lost)}" if lost else ""
        out.append(
            f"Of {compared} with {found.reference} by {metric_words(found.metric)} on {where}, {len(concluded)} "
            f"{'has' if len(concluded) == 1 else 'have'} a conclusion; {len(kept)} of {len(concluded)} "
            f"{'stands' if len(kept) == 1 else 'stand'} on {there}{fates}."
        )
    else:
        out.append(
            f"None of {compared} with {found.reference} by {metric_words(found.metric)} on {where} has a conclusion "
            f"that could stand or fall on {there}."
        )
    new = [f for f in found.with_outcome("changed word") if f not in concluded]
    if new:
        out.append(
            f"Shown on {second.dataset} alone: {', '.join(f'{f.configuration} ({f.second.verdict})' for f in new)}."
        )
    if found.rank_correlation is not None:
        rho = f"{found.rank_correlation:.2f}".replace("-", "−")
        out.append(f"The order of the {found.ranked} means has rank correlation {rho} between the splits (Spearman).")
    silent = found.with_outcome("no word")
    if silent:
        out.append(f"No final word on one of the splits: {', '.join(fate.configuration for fate in silent)}.")
    if found.only_one:
        out.append(f"In one study alone: {', '.join(found.only_one)}.")
    return [*out, "Rows and training rows differ between the splits: each word is of its own rows."]


def _listed(fates: list[Fate]) -> str:
    return "; ".join(f"{fate.configuration} ({fate.first.verdict}, there {fate.second.verdict})" for fate in fates)


def _split(study: Study) -> str:
    try:
        return split_words(PreparedDataset.open(study.dataset).meta)
    except StudioError:
        return split_words(None)
