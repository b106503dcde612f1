"""Scores without ids: the i-th is of the i-th row of the split."""

from __future__ import annotations

import numpy as np
import polars as pl

from mdaf_core.base.errors import UsageError
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.data.store.schema import EVALUATED, SPLIT_NAMES, SPLITS, Split
from mdaf_core.runs.importing.refused import FIRST, Problem, Refused
from mdaf_core.runs.importing.table import ScoreTable


def by_position(
    table: ScoreTable,
    dataset: PreparedDataset,
    count: int,
    label: pl.Series | None,
    split: pl.Series | None,
    wanted: Split | None,
) -> tuple[dict[Split, np.ndarray], list[str]]:
    """The i-th score is of the i-th row of the split, as `data export` writes them."""
    sizes = {name: dataset.meta.splits[name].rows for name in SPLITS}
    there: dict[Split, np.ndarray] = {}
    if split is not None:
        for part in EVALUATED:
            found = np.flatnonzero((split == part).to_numpy())
            if len(found) and wanted in (None, part):
                there[part] = found
    else:
        chosen = wanted or _split_by_size(table, dataset, sizes, count)
        there[chosen] = np.arange(count)
    for name, at in there.items():
        if len(at) != sizes[name]:
            raise UsageError(
                f"{table.name} has {len(at):,} scores without ids, {dataset.name!r} has {sizes[name]:,} "
                f"{SPLIT_NAMES[name]} rows: by position there must be one for each. Import them with row ids "
                "(`data export` gives them)."
            )
    notes = []
    if label is None:
        notes.append(
            "Matched by position, without labels in the file: nothing shows that its rows are in the data set's order."
        )
    else:
        for name, at in there.items():
            _refuse_labels(table, dataset, name, at, label.to_numpy())
    if not there:
        raise UsageError(f"{table.name} holds no validation or test rows.")
    return there, notes


def _split_by_size(table: ScoreTable, dataset: PreparedDataset, sizes: dict[Split, int], count: int) -> Split:
    fitting = [name for name in EVALUATED if sizes[name] == count]
    if len(fitting) == 1:
        return fitting[0]
    listed = ", ".join(f"{sizes[name]:,} {SPLIT_NAMES[name]}" for name in EVALUATED)
    if fitting:
        raise UsageError(f"{dataset.name!r} has {listed} rows: say which {table.name} is of (--split val or test).")
    both = (
        " They are as many as both together: give two files, or row ids."
        if count == sum(sizes[s] for s in EVALUATED)
        else ""
    )
    raise UsageError(
        f"{table.name} has {count:,} scores without ids, {dataset.name!r} has {listed} rows: by position there must be "
        f"one for each.{both} Import them with row ids (`data export` gives them)."
    )


def _refuse_labels(
    table: ScoreTable, dataset: PreparedDataset, split: Split, at: np.ndarray, label: np.ndarray
) -> None:
    rows = dataset.rows(split)
    wrong = np.flatnonzero(label[at] != rows.label)
    if not len(wrong):
        return
    first = [
        f"{table.where(int(at[i]))} (row {int(rows.row_id[i])}: {label[at[i]]}, in the data {rows.label[i]})"
        for i in wrong[:FIRST]
    ]
    rate = rows.label.mean()
    shuffled = len(wrong) > len(at) * rate * (1 - rate)  # half of what another order of the same labels would give
    hint = (
        "The rows are in another order than the data set's: import them with row ids"
        if shuffled
        else "Correct the file"
    )
    raise Refused(
        f"{table.name} does not fit the {SPLIT_NAMES[split]} rows of {dataset.name!r}, matched by position:",
        [Problem("label", len(wrong), "has another label", "have another label", first)],
        hint,
    )
