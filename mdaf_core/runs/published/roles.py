"""The columns of a table of runs as a list that people correct: what each is, of which metric, what is better."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import polars as pl

from mdaf_core.base.errors import UsageError
from mdaf_core.runs.published.columns import Columns
from mdaf_core.runs.published.metric import key_of, metric_of, tokens

NOT_USED = "not used"
ONE = {
    "data set": "data_set",
    "model": "model",
    "state": "state",
    "metric's name": "metric",
    "part (val, test)": "part",
    "marks what is shown": "flag",
}
MANY = {"seed": "seed", "setting": "setting", "spread": "spread"}
FIGURES = {"validation figure": "val", "test figure": "test", "shown figure": "shown"}
ROLES = (NOT_USED, *ONE, *MANY, *FIGURES)
BETTER = ("higher", "lower")
MOST_EXAMPLES = 3


def roles(frame: pl.DataFrame, columns: Columns) -> list[dict[str, Any]]:
    """A row a column of the table: column, example, role, metric and better (of figures)."""
    own: dict[str | None, str] = {getattr(columns, field): role for role, field in ONE.items()}
    own |= {name: role for role, field in MANY.items() for name in getattr(columns, field)}
    metric: dict[str, str] = {}
    for role, part in FIGURES.items():
        for key, name in columns.figures(part).items():  # type: ignore[arg-type]
            own[name], metric[name] = role, key
    out = []
    for name in frame.columns:
        examples = frame[name].drop_nulls().unique(maintain_order=True).head(MOST_EXAMPLES).to_list()
        of = metric.get(name)
        out.append(
            {
                "column": name,
                "example": ", ".join(text[:24] for text in examples),
                "role": own.get(name, NOT_USED),
                "metric": of,
                "better": None if of is None else BETTER[metric_of(of, of, []).direction < 0],
            }
        )
    return out


def columns_of(rows: Iterable[dict[str, Any]]) -> tuple[Columns, list[str], list[str]]:
    """The columns that such rows describe, the metrics of which lower is better, and those of which higher is.

    Raises:
        UsageError: two columns are the same, or a figure's column has no metric.
    """
    out = Columns()
    better: dict[str, str] = {}
    for row in rows:
        name, role = row["column"], row.get("role") or NOT_USED
        if role in ONE:
            if getattr(out, ONE[role]) is not None:
                raise UsageError(f"Both {getattr(out, ONE[role])!r} and {name!r} are the {role}: choose one.")
            setattr(out, ONE[role], name)
        elif role in MANY:
            getattr(out, MANY[role]).append(name)
        elif role in FIGURES:
            key = key_of(tokens(row.get("metric") or ""))
            if not key:
                raise UsageError(f"Column {name!r} holds a {role}: say of which metric.")
            figures = out.figures(FIGURES[role])  # type: ignore[arg-type]
            if key in figures:
                raise UsageError(f"Both {figures[key]!r} and {name!r} are the {role} of {key}: choose one.")
            figures[key] = name
            better[key] = row.get("better") or BETTER[0]
        else:
            out.unused.append(name)
    if out.metric:  # then each line names its own
        better = {}
    lower, higher = ([key for key, side in better.items() if side == one] for one in ("lower", "higher"))
    return out, lower, higher
