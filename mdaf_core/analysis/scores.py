"""Scores of any origin, compared as studies compare theirs: a frame of labels and predictions, without a data set.

Two forms are read. Wide: a row an impression, with `label`, and where known `user` and `item`; every other column is a
model's scores, `name`, or `name@seed` for one of several trainings. Long: a row a score, with `model`, `row`, `score`,
`label`, and where known `seed`, `user` and `item`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl

from mdaf_core.analysis.compared import StudyComparison
from mdaf_core.analysis.comparison import compare_study
from mdaf_core.analysis.margins import Margin
from mdaf_core.base.errors import BadInputError, UsageError
from mdaf_core.base.files import reading
from mdaf_core.base.words import some
from mdaf_core.metrics.values import Floats, log_odds
from mdaf_core.runs.predictions import ScoredRun

Kind = Literal["auto", "probabilities", "logits"]
ROW, MODEL, SEED, SCORE = "row", "model", "seed", "score"
NO_MODELS = (ROW, "row_id")  # columns of a wide frame that are never a model's
SHOWN = 6  # names that a sentence lists


def compare_scores(
    frame: Any,
    *,
    reference: str | None = None,
    metric: str = "auc",
    margin: Margin | None = None,
    label: str = "label",
    user: str | None = None,
    item: str | None = None,
    models: Sequence[str] | None = None,
    scores: Kind = "auto",
    over_items: bool = False,
) -> StudyComparison:
    """Every model of a frame against one of them: the statistics, words and refusals of `compare_study`.

    Args:
        frame: wide or long (see above): of Polars or pandas, or a mapping of equally long columns.
        reference: the model that others are compared with; None: the first.
        margin: what counts as parity; None: parity is not tested.
        label, user, item: columns; None: `user` and `item` where there are columns of that name. Without users rows are
            taken as independent of each other.
        models: the columns (wide) or names (long) to compare; None: all.
        scores: what the numbers are; "auto": probabilities where all lie from 0 to 1, else logits (log-odds, or any
            score where only ranks count: log loss, Brier score and ECE mean nothing of one).

    Raises:
        UsageError: an unknown metric, model or column.
        BadInputError: what is wrong with the frame, by column and row (counted from 1).
    """
    table = as_frame(frame)
    facts = {"label": label, "user": user or "user", "item": item or "item"}
    for name, column in (("label", label), ("user", user), ("item", item)):
        if column is not None and column not in table.columns:
            raise UsageError(f"There is no column {column!r} with {name}s. Columns: {some(table.columns, SHOWN)}.")
    if {MODEL, SCORE} <= set(table.columns):
        table, found = _from_long(table, facts, models)
    else:
        found = _wide_columns(table, facts, models)
    names = list(dict.fromkeys(name for name, _ in found))
    if len(names) < 2:
        raise UsageError(
            f"A comparison takes the scores of two models; here are those of {some(names, SHOWN) or 'none'}."
        )
    if reference is not None and reference not in names:
        raise UsageError(f"There is no model {reference!r}. Models: {some(names, SHOWN)}.")
    rows = _facts(table, facts)
    values = {key: _numbers(table, column) for key, column in found.items()}
    logits, edges = _logits(values, found, scores)
    runs = [_run(name, seed, at, rows, logits[name, seed]) for at, (name, seed) in enumerate(found)]
    out = compare_study(runs, reference or names[0], "test", metric, margin, over_items=over_items)
    if edges:
        out.notes.append(
            f"{edges:,} probabilities are exactly 0 or 1: their log-odds are taken as those of the nearest number that "
            "keeps their rank, so that log loss is finite."
        )
    return out


def read_scores(path: Path) -> pl.DataFrame:
    """The frame of a CSV (.csv, .tsv) or Parquet file.

    Raises:
        BadInputError: it is not there, or is none of these.
    """
    if not path.is_file():
        raise BadInputError("There is no such file.", path)
    if path.suffix.lower() == ".parquet":
        with reading(path, "Write the file again."):
            return pl.read_parquet(path)
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    try:
        return pl.read_csv(path, separator=separator, infer_schema_length=None)
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"It cannot be read as a table ({' '.join(str(error).split())[:200]}).", path) from None


def as_frame(frame: Any) -> pl.DataFrame:
    """A frame of Polars from one of Polars or pandas, or from a mapping of columns.

    Raises:
        BadInputError: columns of different lengths, or two of one name.
        UsageError: it is none of these.
    """
    if isinstance(frame, pl.LazyFrame):
        frame = frame.collect()
    if isinstance(frame, pl.DataFrame):
        return frame
    if isinstance(frame, Mapping):
        columns = {str(name): np.asarray(values) for name, values in frame.items()}
        lengths = {name: len(values) if values.ndim else 1 for name, values in columns.items()}
        if len(set(lengths.values())) > 1:
            said = ", ".join(f"{name} has {length:,}" for name, length in list(lengths.items())[:SHOWN])
            raise BadInputError(f"The columns have different lengths: {said} rows.")
        if bad := [name for name, values in columns.items() if values.ndim != 1]:
            raise BadInputError(f"Column {bad[0]!r} has {columns[bad[0]].ndim} dimensions; it takes one number a row.")
        return pl.DataFrame(columns)
    if type(frame).__module__.split(".")[0] == "pandas" and hasattr(frame, "columns"):
        names = [str(name) for name in frame.columns]
        if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
            raise BadInputError(f"There are two columns {twice[0]!r}; a training of its own is named NAME@SEED.")
        try:
            return pl.from_pandas(frame.set_axis(names, axis=1))
        except ValueError as error:  # pyarrow's: a column of several types
            raise BadInputError(f"The frame cannot be read: {error}.") from None
    raise UsageError(f"It takes a frame of Polars or pandas, or a mapping of columns; got {type(frame).__name__}.")


def _wide_columns(
    table: pl.DataFrame, facts: Mapping[str, str], models: Sequence[str] | None
) -> dict[tuple[str, int], str]:
    """(model, seed) → column of a wide frame, in its order."""
    others = {*facts.values(), *NO_MODELS}
    columns = [name for name in table.columns if name not in others]
    if models is not None:
        chosen = [name for name in columns if name in models or name.rpartition("@")[0] in models]
        missing = [name for name in models if name not in {*chosen, *(c.rpartition("@")[0] for c in chosen)}]
        if missing:
            raise UsageError(f"There is no column of a model {missing[0]!r}. Columns: {some(table.columns, SHOWN)}.")
        columns = chosen
    out: dict[tuple[str, int], str] = {}
    for column in columns:
        name, at, seed = column.rpartition("@")
        if at and not re.fullmatch(r"[0-9]+", seed):
            raise BadInputError(
                f"Column {column!r}: after @ stands the training's seed, a whole number, as in name@42."
            )
        key = (name, int(seed)) if at else (column, 0)
        if not key[0]:
            raise BadInputError(f"Column {column!r} has no name before @.")
        if key in out:
            raise BadInputError(f"Columns {out[key]!r} and {column!r} are the same training of the same model.")
        out[key] = column
    unseeded = {name for name, column in ((key[0], column) for key, column in out.items()) if name == column}
    for (name, _), column in out.items():
        if name in unseeded and column != name:
            raise BadInputError(f"Columns {name!r} and {column!r}: name the first's seed as well, as in {name}@42.")
    return out


def _from_long(
    table: pl.DataFrame, facts: Mapping[str, str], models: Sequence[str] | None
) -> tuple[pl.DataFrame, dict[tuple[str, int], str]]:
    """A long frame as a wide one, and (model, seed) → its column there."""
    if ROW not in table.columns:
        raise UsageError(
            f"A frame with a row a score takes the columns model, row, score and label (seed and user where known), "
            f"and `row` is missing. Columns: {some(table.columns, SHOWN)}."
        )
    key = [MODEL, *([SEED] if SEED in table.columns else []), ROW]
    for name in key:
        _refuse_missing(table, name)
    table = table.with_columns(pl.col(MODEL).cast(pl.String))
    if models is not None:
        known = table[MODEL].unique(maintain_order=True).to_list()
        if missing := [name for name in models if name not in known]:
            raise UsageError(f"There is no model {missing[0]!r}. Models: {some(known, SHOWN)}.")
        table = table.filter(pl.col(MODEL).is_in(list(models)))
    seeds: pl.Expr | pl.Series = pl.lit(0, pl.Int64)
    if SEED in table.columns:
        whole = table[SEED].cast(pl.Int64, strict=False)
        if whole.null_count() or (table[SEED].dtype.is_numeric() and (whole != table[SEED]).any()):
            raise BadInputError("Column 'seed' takes whole numbers.")
        seeds = whole.alias(SEED)
    table = table.with_columns(seeds.alias(SEED))
    twice = table.filter(pl.struct(MODEL, SEED, ROW).is_duplicated())
    if len(twice):
        raise BadInputError(f"{_training(twice.row(0, named=True))} scores row {twice[ROW][0]!r} twice.")
    present = [column for column in facts.values() if column in table.columns]
    for column in present:
        several = table.group_by(ROW, maintain_order=True).agg(pl.col(column).n_unique()).filter(pl.col(column) > 1)
        if len(several):
            raise BadInputError(f"Row {several[ROW][0]!r} has different values of {column!r} in its scores.")
    wide = table.select(ROW, *present).unique(ROW, keep="first", maintain_order=True)
    out: dict[tuple[str, int], str] = {}
    for (name, seed), part in table.group_by(MODEL, SEED, maintain_order=True):
        column = f"scores of {name}, seed {seed}"
        joined = wide.select(ROW).join(
            part.select(ROW, pl.col(SCORE).alias(column)), on=ROW, how="left", maintain_order="left"
        )
        if len(part) < len(wide):
            absent = wide[ROW].filter(~wide[ROW].is_in(part[ROW].implode()))
            raise BadInputError(
                f"{name}, seed {seed}, scores {len(part):,} of {len(wide):,} rows; without one are "
                f"{', '.join(repr(row) for row in absent.head(10))}{' …' * (len(absent) > 10)}. Only scores of the "
                "same rows can be compared."
            )
        out[str(name), int(str(seed))] = column
        wide = wide.with_columns(joined[column])
    return wide, out


def _training(row: Mapping[str, Any]) -> str:
    return f"{row[MODEL]}, seed {row[SEED]},"


def _facts(table: pl.DataFrame, facts: Mapping[str, str]) -> dict[str, np.ndarray]:
    """(N,) row_id, label, user and, where known, item of the rows, as `ScoredRun` holds them."""
    if not len(table):
        raise BadInputError("There are no rows.")
    label = table[facts["label"]]
    _refuse_missing(table, facts["label"])
    number = label.cast(pl.Float64, strict=False) if label.dtype != pl.Boolean else label.cast(pl.Float64)
    bad = (~number.is_in([0.0, 1.0])).fill_null(True)
    if bad.any():
        at = int(bad.arg_max() or 0)
        raise BadInputError(f"Row {at + 1} has label {label[at]!r}: labels are 0 or 1.")
    if number.n_unique() == 1:
        raise BadInputError(f"All {len(table):,} rows have label {number[0]:.0f}: it takes both labels to rank them.")
    out: dict[str, np.ndarray] = {"row_id": np.arange(len(table)), "label": number.to_numpy().astype(np.int8)}
    for name in ("user", "item"):
        if facts[name] in table.columns:
            _refuse_missing(table, facts[name])
            out[name] = table[facts[name]].rank("dense").to_numpy().astype(np.int64) - 1
    out.setdefault("user", np.zeros(len(table), np.int64))
    return out


def _refuse_missing(table: pl.DataFrame, column: str) -> None:
    missing = _missing(table[column])
    if missing.any():
        raise BadInputError(
            f"Column {column!r} is empty in {int(missing.sum()):,} of {len(table):,} rows, first in row "
            f"{int(missing.arg_max() or 0) + 1}."
        )


def _missing(values: pl.Series) -> pl.Series:
    return values.is_null() | values.is_nan() if values.dtype.is_float() else values.is_null()


def _numbers(table: pl.DataFrame, column: str) -> Floats:
    values = table[column]
    if not (values.dtype.is_numeric() or values.dtype == pl.Boolean):
        raise BadInputError(
            f"Column {column!r} holds no numbers, and so no scores. `models` names the columns that are models'."
        )
    number = values.cast(pl.Float64).to_numpy()
    bad = ~np.isfinite(number)
    if bad.any():
        raise BadInputError(
            f"Column {column!r}: {int(bad.sum()):,} of {len(number):,} scores are missing or not finite, first in row "
            f"{int(bad.argmax()) + 1}."
        )
    return number


def _logits(
    values: Mapping[tuple[str, int], Floats], columns: Mapping[tuple[str, int], str], kind: Kind
) -> tuple[Mapping[tuple[str, int], Floats], int]:
    """Log-odds of every training, and how many probabilities were exactly 0 or 1."""
    outside = {key: (score < 0) | (score > 1) for key, score in values.items()}
    beyond = [key for key, where in outside.items() if where.any()]
    if kind == "logits" or (kind == "auto" and len(beyond) == len(values)):
        return values, 0
    if not beyond:
        edges = sum(int(((score == 0) | (score == 1)).sum()) for score in values.values())
        return {key: log_odds(score) for key, score in values.items()}, edges
    column, at = columns[beyond[0]], int(outside[beyond[0]].argmax())
    what = f"Column {column!r} has {values[beyond[0]][at]:.6g} in row {at + 1}, which is no probability"
    if kind == "probabilities":
        raise BadInputError(f"{what}.")
    inside = next(columns[key] for key in values if key not in beyond)
    raise BadInputError(
        f"{what}, while all of {inside!r} lies from 0 to 1. `models` names the columns that are models'; `scores` says "
        "whether they are probabilities or logits."
    )


def _run(name: str, seed: int, at: int, rows: Mapping[str, np.ndarray], logit: Floats) -> ScoredRun:
    return ScoredRun(
        run_id=f"{name}@{seed}",
        study="",
        configuration=name,
        preset="",
        model="",
        seed=seed,
        dataset="",
        fingerprint="",
        state="finished",
        reason="",
        started=float(at),
        ended=None,
        scores=pl.DataFrame({**rows, "logit": logit}),
    )
