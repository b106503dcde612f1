"""Rows of a data set in LIBSVM's format: a sparse line a row, and what each index stands for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from mdaf_core.base.files import new_folder, writing
from mdaf_core.data.store.dataset import PreparedDataset, Rows
from mdaf_core.data.store.export import check_new, history_events, slices
from mdaf_core.data.store.schema import MAX_HISTORY, SPLITS, UNKNOWN

INDEX = "index.csv"


def export_libsvm(
    dataset: PreparedDataset,
    folder: Path,
    *,
    max_history: int = MAX_HISTORY,
    progress: Callable[[float, str], None] | None = None,
) -> int:
    """Write `train.libsvm`, `val.libsvm`, `test.libsvm` and `index.csv` into a new folder.

    A line is `label index:value …`, indices from 1 and ascending, zeros left out; lines are in the data set's order, in
    which scores without row ids are imported. An id is its index with value 1; ids without a code (rare by
    `min_count`, or not in training rows) share one. A number is as models read it; where it is missing, an index of its
    own has value 1. Of a history, each id has an index of its own (not that of the row's id), whose value counts its
    events among the newest `max_history` before the row: their order is lost. `index.csv` says of each index its field,
    whether it is of the row or of the history, what it is (id, unknown, missing, number) and the raw id.

    Returns:
        The number of rows.

    Raises:
        UsageError: the folder is there and not empty.
        StudioError: the disk refuses it.
    """
    from scipy.sparse import coo_array
    from sklearn.datasets import dump_svmlight_file

    check_new(folder)
    meta, index = dataset.meta, _Index(dataset, max_history)
    total, done = sum(counts.rows for counts in meta.splits.values()), 0
    with writing(folder), new_folder(folder) as aside:
        index.table.write_csv(aside / INDEX)
        for split in SPLITS:
            rows = dataset.rows(split)
            with (aside / f"{split}.libsvm").open("wb") as file:
                for at in slices(rows, index.most):
                    row, column, value = index.cells(rows, at)
                    label = np.array(rows.label[at])
                    cells = coo_array((value, (row, column)), shape=(len(label), len(index.table))).tocsr()
                    cells.sum_duplicates()
                    cells.eliminate_zeros()
                    dump_svmlight_file(cells, label, file, zero_based=False)
                    done += len(label)
                    if progress:
                        progress(done / max(total, 1), f"{done:,} of {total:,} rows written")
    return done


class _Index:
    """Which column of the sparse matrix, from 0, is what.

    Attributes:
        table: a row a column: `index` (from 1), `field`, `of` (row, history), `what`, `id`.
    """

    def __init__(self, dataset: PreparedDataset, most: int):
        meta = dataset.meta
        self.dataset, self.most = dataset, most if meta.history_fields else 0
        self.first: dict[tuple[str, str], int] = {}
        tables: list[pl.DataFrame] = []
        blocks = [(field.name, "row") for field in meta.fields]
        blocks += [(name, "history") for name in meta.history_fields] if self.most else []
        for field, of in blocks:
            self.first[field, of] = sum(map(len, tables))
            if field in meta.categorical:
                ids = pl.concat([pl.Series([None], dtype=pl.String), dataset.vocabulary(field)["id"]])
                what = pl.select(pl.when(ids.is_null()).then(pl.lit("unknown")).when(ids == "").then(pl.lit("missing"))
                                 .otherwise(pl.lit("id"))).to_series()  # fmt: skip
            else:
                ids, what = pl.Series([None, None], dtype=pl.String), pl.Series(["number", "missing"])
            tables.append(pl.DataFrame({"field": [field] * len(ids), "of": [of] * len(ids), "what": what, "id": ids}))
        self.table = pl.concat(tables).with_row_index("index", 1)

    def cells(self, rows: Rows, at: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(E,) row, column and value of what is not 0; a cell that is there twice is the sum."""
        every = np.arange(len(rows.label[at]))
        found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        for field in self.dataset.meta.fields:
            first, held = self.first[field.name, "row"], np.array(rows.columns[field.name][at])
            if field.kind == "categorical":
                found.append((every, first + held - UNKNOWN, np.ones(len(every))))
            else:
                missing = np.isnan(held)
                found.append((every, first + missing, np.where(missing, 1.0, held)))
        if self.most:
            row, position = history_events(rows, at, self.most)
            for name in self.dataset.meta.history_fields:
                codes = np.array(self.dataset.events[name][position])
                found.append((row, self.first[name, "history"] + codes - UNKNOWN, np.ones(len(row))))
        row, column, value = (np.concatenate(part) for part in zip(*found, strict=True))
        return row.astype(np.int32), column.astype(np.int32), value  # scikit-learn writes no others
