"""Predictions looked at before anything is kept: what was recognised, in sentences, or why they are refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from mdaf_core.base.errors import UsageError
from mdaf_core.data.store.content import check_unaltered
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.data.store.schema import EVALUATED, SPLIT_NAMES, Split
from mdaf_core.metrics.values import sigmoid
from mdaf_core.runs.imported import SplitScores
from mdaf_core.runs.importing.columns import Chosen, Columns, recognise
from mdaf_core.runs.importing.matching import match
from mdaf_core.runs.importing.scores import log_odds
from mdaf_core.runs.importing.table import ScoreTable, open_table
from mdaf_core.runs.results import SplitMetrics
from mdaf_core.runs.split_metrics import split_metrics


@dataclass(frozen=True)
class SplitPredictions:
    """(N,) log-odds of a split's rows, in the data set's order, their metrics, and how they came in."""

    logit: np.ndarray
    metrics: SplitMetrics
    scores: SplitScores

    def sentences(self, split: Split) -> list[str]:
        """What was recognised, for who imports."""
        found, scores = self.metrics, self.scores
        auc = f"AUC {found.auc:.4f}" if found.auc is not None else found.undefined.get("auc", "no AUC")
        rate = found.positives / found.rows if found.rows else 0.0
        said = float(sigmoid(self.logit).mean()) if found.rows else 0.0
        checked = "; the labels in the file are the data set's" if scores.labels_checked else ""
        return [
            f"{SPLIT_NAMES[split].capitalize()}: {found.rows:,} rows of {scores.file}, matched by "
            f"{scores.matched}{checked}.",
            f"Scores: {scores.score}. {scores.scale_because}",
            f"{auc}; the mean probability is {said:.4f}, the share of positives {rate:.4f}.",
            *scores.notes,
        ]


@dataclass(frozen=True)
class Examined:
    """Predictions that fit a data set; `parts` has one entry a split that there are predictions of."""

    dataset: PreparedDataset
    parts: dict[Split, SplitPredictions]

    def sentences(self) -> list[str]:
        """What was recognised, and what is not there."""
        out = [sentence for split, part in self.parts.items() for sentence in part.sentences(split)]
        absent = [SPLIT_NAMES[split] for split in EVALUATED if split not in self.parts]
        if absent:
            out.append(f"There are no predictions of the {absent[0]} rows: nothing is shown of this model there.")
        return out


def examine(
    sources: Mapping[Split | None, Any],
    dataset: PreparedDataset,
    chosen: Chosen = Chosen(),
    names: Mapping[Split | None, str] | None = None,
) -> Examined:
    """Read, recognise and match predictions; nothing is written.

    Args:
        sources: split (None: recognised) → what `open_table` reads.
        names: what files are called that lie under other names (uploads).

    Raises:
        Refused: rows are missing, there twice, unknown or of another label, or scores are none; with counts.
        UsageError: what the file holds is not clear: the message says what to say.
        BadInputError: a file cannot be read.
        StudioError: the data set's files were altered.
    """
    check_unaltered(dataset)
    parts: dict[Split, SplitPredictions] = {}
    for wanted, source in sources.items():
        table = open_table(source, (names or {}).get(wanted))
        for split, part in _examine_one(table, dataset, wanted, chosen).items():
            if split in parts:
                raise UsageError(
                    f"Both files hold predictions of the {SPLIT_NAMES[split]} rows: say which is of which."
                )
            parts[split] = part
    return Examined(dataset, {split: parts[split] for split in EVALUATED if split in parts})


def _examine_one(
    table: ScoreTable, dataset: PreparedDataset, wanted: Split | None, chosen: Chosen
) -> dict[Split, SplitPredictions]:
    columns = recognise(table, dataset.meta, chosen)
    given = table.read(columns.used)
    columns = _numbered(table, columns, given, dataset)
    found = log_odds(table, columns.score, given[columns.score], columns.scale, chosen.scale)
    matched = match(table, columns, given, found.logit, dataset, wanted)
    parts: dict[Split, SplitPredictions] = {}
    for split, at in matched.at.items():
        rows = dataset.rows(split)
        logit = found.logit[at]
        metrics = split_metrics(rows.label, logit, rows.user if dataset.meta.has_user else None, rows.true_probability)
        scores = SplitScores(
            file=table.name,
            sha256=table.sha256,
            rows=len(at),
            score=f"column {columns.score!r}" if table.named else "the file's numbers",
            scale=found.scale,
            scale_because=found.because,
            matched=matched.how,
            labels_checked=columns.label is not None,
            infinite=int(found.infinite[at].sum()),
            distinct=int(pl.Series(logit).n_unique()),
            notes=[*found.notes, *matched.notes],
        )
        parts[split] = SplitPredictions(logit, metrics, scores)
    return parts


def _numbered(table: ScoreTable, columns: Columns, given: pl.DataFrame, dataset: PreparedDataset) -> Columns:
    """By position where what may be row ids numbers the rows of the file from 0 or 1 on.

    Raises:
        UsageError: a column that should do that does not: rows have been moved since they were numbered.
    """
    name = columns.place if columns.key == "position" else columns.row_id if columns.own_numbers else None
    if name is None or name not in given.columns:
        return columns
    numbers = given[name].cast(pl.String).str.strip_suffix(".0").cast(pl.Int64, strict=False)
    counted = any(
        bool((numbers == pl.Series(np.arange(first, first + len(numbers)))).fill_null(False).all()) for first in (0, 1)
    )
    if columns.key == "row-id":
        ids = set(np.concatenate([dataset.rows(split).row_id for split in EVALUATED]).tolist())
        return (
            Columns(columns.score, "position", columns.scale, columns.label, columns.split)
            if (counted and not ids >= set(numbers.to_list()))
            else columns
        )
    if not counted:
        called = f"called {name!r}" if name else "without a name"
        raise UsageError(
            f"{table.name} has a column {called} that does not number its rows 0, 1, 2, …: if it holds row ids, "
            f"name it (--row-id {name or 'NAME'!r}); if the rows were shuffled, sort them by it."
        )
    return columns
