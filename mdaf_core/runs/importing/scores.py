"""Scores of any origin as log-odds."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import polars as pl

from mdaf_core.base.errors import UsageError
from mdaf_core.runs.importing.columns import Scale
from mdaf_core.runs.importing.refused import Problem, Refused
from mdaf_core.runs.importing.table import ScoreTable

_LARGEST_LOGIT = 100.0
"""Scores further from 0 are no log-odds that a model gives, unless it is said."""
_MOST_DECIMALS = 8


@dataclass(frozen=True)
class LogOdds:
    """(N,) float64 log-odds, in the file's order, which of them (N,) stand for a probability of exactly 0 or 1, and how
    they came to be; see `imported.SplitScores`."""

    logit: np.ndarray
    infinite: np.ndarray
    scale: Scale
    because: str
    notes: list[str] = field(default_factory=list)


def log_odds(table: ScoreTable, column: str, given: pl.Series, named: Scale | None, said: Scale | None) -> LogOdds:
    """Log-odds of a column of scores.

    Probabilities of exactly 0 and 1 have none: they are counted as half of what the scores' precision tells from 0 (and
    from 1), so that they rank beyond all others; the log loss depends on it.

    Args:
        named: what the column's name says they are; said: what the user says.

    Raises:
        Refused: scores that are no numbers, not finite, or no probabilities though they are said to be.
        UsageError: the values do not tell what they are.
    """
    values = _numbers(table, given)
    scale, because = _scale(table, column, values, named, said)
    if scale == "logit":
        return LogOdds(values, np.zeros(len(values), np.bool_), scale, because, _ties(values, None))
    outside = np.flatnonzero((values < 0) | (values > 1))
    if len(outside):
        first = [f"{table.where(int(at))} ({values[at]:.9g})" for at in outside[:10]]
        problem = Problem("outside", len(outside), "is outside 0 to 1", "are outside 0 to 1", first)
        hint = "Correct them, or import the scores as log-odds (--scale logit), if that is what they are"
        raise Refused(f"{table.name}: {because[:1].lower()}{because[1:].rstrip('.')}, but", [problem], hint)
    decimals = _decimals(values)
    low, high = _bounds(values, decimals, given.dtype)
    infinite = (values == 0) | (values == 1)
    notes = _ties(values, decimals)
    if infinite.any():
        notes.append(
            f"{infinite.sum():,} of {len(values):,} probabilities are exactly 0 or 1, whose log-odds are infinite: "
            f"they are counted as {low:.2g} and 1 − {high:.2g}, beyond all others. The log loss depends on it, the AUC "
            "does not."
        )
    inside = np.where(values == 0, low, np.where(values == 1, 1 - high, values))
    rest = np.where(values == 1, high, 1 - inside)
    return LogOdds(np.log(inside) - np.log(rest), infinite, scale, because, notes)


def _numbers(table: ScoreTable, given: pl.Series) -> np.ndarray:
    """(N,) float64.

    Raises:
        Refused: some are missing, no numbers, or not finite.
    """
    if given.dtype.is_nested() or given.dtype.is_temporal():
        raise UsageError(f"The column {given.name!r} of {table.name} holds {given.dtype}, not scores. Name another.")
    text = given.str.strip_chars() if given.dtype == pl.String else given
    values = text.cast(pl.Float64, strict=False)
    missing = given.is_null() | ((text == "") if text.dtype == pl.String else False)
    strange = values.is_null() & ~missing
    wild = values.is_not_null() & ~values.is_finite().fill_null(True)
    problems = [
        Problem(kind, int(at.sum()), one, many, [
            table.where(i) + (f" ({str(given[i])[:20]})" if kind != "missing" else "")
            for i in at.arg_true().head(10).to_list()
        ])
        for kind, at, one, many in (
            ("missing", missing, "has no score", "have no score"),
            ("text", strange, "is no number", "are no numbers"),
            ("infinite", wild, "is not finite", "are not finite"),
        )
        if at.any()
    ]  # fmt: skip
    if problems:
        raise Refused(f"{table.name}, column {given.name!r}:", problems, "A score is needed for every row")
    return values.to_numpy()


def _scale(
    table: ScoreTable, column: str, values: np.ndarray, named: Scale | None, said: Scale | None
) -> tuple[Scale, str]:
    if said is not None:
        return said, f"They are said to be {'log-odds' if said == 'logit' else 'probabilities'}."
    within = bool(((values >= 0) & (values <= 1)).all())
    if within and len(values) > 1 and set(np.unique(values)) <= {0.0, 1.0}:
        raise UsageError(
            f"The scores of {table.name} (column {column!r}) are 0 and 1 alone: decisions, not probabilities. Import "
            "what they were decided by; if these are the probabilities, say so (--scale probability)."
        )
    if named == "probability":
        return named, f"The column is called {column!r}, so they are probabilities."
    if named == "logit":
        if within:
            raise UsageError(
                f"The column of {table.name} is called {column!r}, but all of it is between 0 and 1, as probabilities "
                "are. Say what it holds: --scale logit or --scale probability."
            )
        return named, f"The column is called {column!r}, so they are log-odds."
    low, high = float(values.min()), float(values.max())
    if within:
        return "probability", f"All {len(values):,} are between 0 and 1, so they are read as probabilities."
    if low < 0 and max(-low, high) <= _LARGEST_LOGIT:
        return "logit", f"They go from {low:.4g} to {high:.4g}, so they are read as log-odds."
    raise UsageError(
        f"The scores of {table.name} (column {column!r}) go from {low:.4g} to {high:.4g}, which are no probabilities "
        "and need not be log-odds. Say what they are: --scale logit, or divide percentages by 100."
    )


def _decimals(values: np.ndarray) -> int | None:
    """Decimals that all probabilities were rounded to; None: more than eight."""
    for decimals in range(1, _MOST_DECIMALS + 1):
        if np.abs(np.round(values, decimals) - values).max(initial=0) < 1e-12:
            return decimals
    return None


def _bounds(values: np.ndarray, decimals: int | None, dtype: pl.DataType) -> tuple[float, float]:
    """What 0, and what the distance of 1 from 1, are counted as: half of what can be told from it."""
    step = 10.0**-decimals if decimals else float(np.finfo(np.float32 if dtype == pl.Float32 else np.float64).eps)
    return (
        min(step, float(values[values > 0].min(initial=1.0))) / 2,
        min(step, float((1 - values[values < 1]).min(initial=1.0))) / 2,
    )


def _ties(values: np.ndarray, decimals: int | None) -> list[str]:
    distinct = len(np.unique(values))
    if distinct == len(values) or (decimals is None and distinct > 0.9 * len(values)):
        return []
    why = f"The scores have at most {decimals} decimals: " if decimals else ""
    return [
        f"{why}{len(values):,} rows have {distinct:,} distinct scores; equal ones count half in an AUC. Scores saved "
        "with 17 digits (or as float64) tell more rows apart."
    ]
