"""Which score is of which row: by row id, by user, item and time, or by position."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from mdaf_core.base.words import listed
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.data.store.schema import EVALUATED, SPLIT_NAMES, SPLITS, Split
from mdaf_core.runs.importing.columns import Columns
from mdaf_core.runs.importing.keys import file_keys, keys_of, labels, splits_of
from mdaf_core.runs.importing.positions import by_position
from mdaf_core.runs.importing.refused import FIRST, Problem, Refused
from mdaf_core.runs.importing.table import ScoreTable


@dataclass(frozen=True)
class Matched:
    """Positions in the file of each split's rows, in the data set's order, and what told which is which."""

    at: dict[Split, np.ndarray]
    how: str
    notes: list[str]


def match(
    table: ScoreTable,
    columns: Columns,
    given: pl.DataFrame,
    logit: np.ndarray,
    dataset: PreparedDataset,
    wanted: Split | None,
) -> Matched:
    """Match the rows of a file with those of a data set.

    Args:
        given: the file's columns, `columns.used`; logit: (N,) of its rows, to tell whether rows that
            nothing tells apart have the same score.
        wanted: the split the file is of; None: recognised.

    Raises:
        Refused: rows are missing, there twice, unknown, of another label, or cannot be told apart.
        UsageError: which split the file is of is not clear, or the data do not have what it is matched by.
    """
    label = None if columns.label is None else labels(table, given[columns.label])
    split = None if columns.split is None else splits_of(table, given[columns.split])
    if columns.key == "position":
        at, said = by_position(table, dataset, len(given), label, split, wanted)
        return Matched(at, "position, in the data set's order", said)
    key, read_rows = keys_of(columns, dataset)
    mine = file_keys(table, columns, given, dataset).with_columns(
        pl.Series("at", np.arange(len(given))), pl.Series("logit", logit)
    )
    mine = mine.with_columns(label if label is not None else pl.lit(None, pl.Int8).alias("label"))
    notes: list[str] = []
    if split is not None:
        mine = mine.with_columns(split)
    if wanted is not None and split is not None:
        mine, notes = _only(mine, pl.col("split") == wanted, wanted, notes)
    rows = {name: read_rows(name) for name in ([wanted] if wanted else EVALUATED)}
    if wanted is None:
        rows = _present(rows, mine, key)
    elif split is None and len(mine) > len(rows[wanted]):
        others = pl.concat([read_rows(name) for name in SPLITS if name != wanted])
        there = mine.join(rows[wanted].select(key), on=key, how="semi")["at"]
        elsewhere = mine.join(others.select(key), on=key, how="semi")["at"]
        drop = set(elsewhere.to_list()) - set(there.to_list())
        mine, notes = _only(mine, ~pl.col("at").is_in(list(drop)), wanted, notes)
    told = [*key, "split"] if split is not None else key
    return _by_key(table, columns, dataset, mine, pl.concat(list(rows.values())), told, list(rows), read_rows, notes)


def _only(mine: pl.DataFrame, keep: pl.Expr, wanted: Split, notes: list[str]) -> tuple[pl.DataFrame, list[str]]:
    kept = mine.filter(keep)
    left = len(mine) - len(kept)
    return kept, [
        *notes,
        f"{left:,} rows of other splits are left out: the {SPLIT_NAMES[wanted]} rows were asked for.",
    ] if left else notes


def _present(rows: dict[Split, pl.DataFrame], mine: pl.DataFrame, key: list[str]) -> dict[Split, pl.DataFrame]:
    """The splits that a file has rows of: those it has rows of that are of no other split."""
    if "split" in mine.columns:
        there = set(mine["split"].unique().to_list())
        kept = {name: frame for name, frame in rows.items() if name in there}
        return kept or rows
    own = {}
    for name, frame in rows.items():
        others = pl.concat([other for split, other in rows.items() if split != name])
        alone = frame.select(key).join(others.select(key), on=key, how="anti")
        own[name] = len(mine.join(alone, on=key, how="semi"))
    kept = {name: frame for name, frame in rows.items() if own[name]}
    return kept or {"test": rows["test"]}


def _by_key(
    table: ScoreTable,
    columns: Columns,
    dataset: PreparedDataset,
    mine: pl.DataFrame,
    rows: pl.DataFrame,
    key: list[str],
    splits: list[Split],
    read_rows: Callable[[Split], pl.DataFrame],
    notes: list[str],
) -> Matched:
    """Each row with the file's row of the same key. Rows that share their key are told apart by label, and need the
    same score then: any order of them is the same."""
    by_row = columns.key == "row-id"
    names = [name for name in (columns.user, columns.item, columns.time) if name]
    how = f"row id (column {columns.row_id!r})" if by_row else f"{listed(names)} (raw ids)"
    whose = f"the {listed([SPLIT_NAMES[name] for name in splits])} rows of {dataset.name!r}"
    head = f"{table.name} does not fit {whose}, matched by {how}:"
    in_data, in_file = rows.group_by(key).agg(data=pl.len()), mine.group_by(key).agg(file=pl.len())
    counted = mine.join(in_data, on=key, how="left", maintain_order="left").join(
        in_file, on=key, how="left", maintain_order="left"
    )
    unknown = counted.filter(pl.col("data").is_null())
    problems: list[Problem] = []
    if len(unknown):
        problems += _unknown(table, unknown, read_rows, [k for k in key if k != "split"])
    known = counted.filter(pl.col("data").is_not_null())
    twice = known.filter(pl.col("file") > pl.col("data"))
    if len(twice):
        extra = twice.group_by(key, maintain_order=True).agg(
            pl.col("at"), pl.col("shown").first(), more=(pl.col("file") - pl.col("data")).first()
        )
        first = [
            f"{_word(by_row)}{shown} ({', '.join(table.where(int(i)) for i in at[:3])})"
            for at, shown in extra.select("at", "shown").head(FIRST).iter_rows()
        ]
        count = int(extra["more"].cast(pl.Int64).sum())
        problems.append(Problem("twice", count, "is there twice", "are there more than once", first))
    missing = rows.join(in_file, on=key, how="left", maintain_order="left").join(
        in_data, on=key, how="left", maintain_order="left"
    )
    missing = missing.filter(pl.col("file").fill_null(0) < pl.col("data"))
    if len(missing):
        groups = missing.unique(key, maintain_order=True)
        count = int((groups["data"].cast(pl.Int64) - groups["file"].fill_null(0).cast(pl.Int64)).sum())
        first = [_row_words(dataset, *row) for row in missing.select("split", "position").head(FIRST).iter_rows()]
        problems.append(Problem("missing", count, "is missing", "are missing", first))
    fitting = known.filter(pl.col("file") == pl.col("data"))
    pairs = _paired(fitting, rows, key)
    problems += _ambiguous(table, pairs, key) + _other_labels(table, pairs, by_row)
    if problems:
        hint = "Correct the file; `data export` writes these rows with their row ids"
        raise Refused(head, problems, hint)
    if (fitting["data"] > 1).any():
        many = int((fitting["data"] > 1).sum())
        notes = [*notes, f"{many:,} rows share their {listed(names)} with others, and have one score for all of them."]
    at: dict[Split, np.ndarray] = {}
    for split in splits:
        of_split = pairs.filter(pl.col("split_of") == split).sort("position")
        at[split] = of_split["at"].to_numpy()
    return Matched(at, how, notes)


def _paired(mine: pl.DataFrame, rows: pl.DataFrame, key: list[str]) -> pl.DataFrame:
    """Rows of the file beside rows of the data; of one key in the order of their labels."""
    place = pl.int_range(pl.len()).over(key)
    left = mine.sort("label", "at", nulls_last=True).with_columns(place=place)
    right = rows.with_columns(split_of="split").sort("truth", "position").with_columns(place=place)
    if "split" not in key:
        right = right.drop("split")
        left = left.drop("split", strict=False)
    return left.join(right, on=[*key, "place"], how="inner")


def _ambiguous(table: ScoreTable, pairs: pl.DataFrame, key: list[str]) -> list[Problem]:
    """Rows of one key, and one label, with several scores: which is whose cannot be told."""
    shared = pairs.filter(pl.col("data") > 1)
    if shared.is_empty():
        return []
    group = [*key, *([] if shared["label"].null_count() else ["label"])]
    several = shared.filter(pl.col("logit").n_unique().over(group) > 1)
    # Without labels in the file, or with the same ones, only equal scores leave nothing open.
    if several.is_empty():
        return []
    first = [
        f"{shown} ({table.where(int(at))})"
        for shown, at in several.sort("at").select("shown", "at").head(FIRST).iter_rows()
    ]
    return [
        Problem(
            "ambiguous",
            len(several),
            "shares its ids with others, and has another score",
            "share their ids with others, and have different scores: which is whose, row ids must tell",
            first,
        )
    ]


def _other_labels(table: ScoreTable, pairs: pl.DataFrame, by_row: bool) -> list[Problem]:
    wrong = pairs.filter(pl.col("label").is_not_null() & (pl.col("label") != pl.col("truth"))).sort("at")
    if wrong.is_empty():
        return []
    first = [
        f"{table.where(int(at))} ({_word(by_row)}{shown}: {label}, in the data {truth})"
        for at, shown, label, truth in wrong.select("at", "shown", "label", "truth").head(FIRST).iter_rows()
    ]
    return [Problem("label", len(wrong), "has another label", "have another label", first)]


def _unknown(
    table: ScoreTable, unknown: pl.DataFrame, read_rows: Callable[[Split], pl.DataFrame], key: list[str]
) -> list[Problem]:
    """Rows that are not among the splits': of training rows it is said."""
    seen = pl.concat([read_rows(split) for split in SPLITS]).select(key)
    elsewhere = unknown.join(seen, on=key, how="semi", maintain_order="left")
    strange = unknown.join(seen, on=key, how="anti", maintain_order="left")
    words = (
        (strange, "unknown", "is not in the data set", "are not in the data set"),
        (elsewhere, "training", "is of another split", "are of another split"),
    )
    return [
        Problem(
            kind, len(found), one, many,
            [f"{table.where(int(at))} ({shown})" for at, shown in found.select("at", "shown").head(FIRST).iter_rows()],
        )
        for found, kind, one, many in words
        if len(found)
    ]  # fmt: skip


def _row_words(dataset: PreparedDataset, split: Split, position: int) -> str:
    """A row of the data as people find it: its row id, and its raw ids."""
    rows, meta = dataset.rows(split), dataset.meta
    parts = []
    if meta.has_user:
        parts.append(f"user {dataset.users[int(rows.user[position])]}")
    item = meta.features().item
    if item:
        code = int(rows.columns[item][position])
        known = dataset.vocabulary(item).filter(pl.col("code") == code)["id"]
        parts.append(f"item {known[0] if len(known) else 'unseen in training'}")
    inside = f" ({', '.join(parts)})" if parts else ""
    return f"row {int(rows.row_id[position])}{inside}"


def _word(by_row: bool) -> str:
    return "row " if by_row else ""
