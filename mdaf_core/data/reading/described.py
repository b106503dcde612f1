"""Rows that name users or items which another file describes."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from mdaf_core.base.errors import BadInputError
from mdaf_core.base.words import plural


def positions(wanted: pl.Series, known: pl.Series, path: Path, first_line: int | None = None) -> pl.Series:
    """(N,) where each wanted id stands among the known ones, null where it does not.

    Args:
        known: the ids that a file describes, in its order.
        path: of that file; first_line: of its first id, where its lines are numbered as these ids.

    Raises:
        BadInputError: it describes an id twice.
    """
    if known.n_unique() < len(known):
        at = int((~known.is_first_distinct()).arg_max() or 0)
        raise BadInputError(
            f"The {known.name} {known[at]} is described twice: remove one of the lines.",
            path,
            None if first_line is None else at + first_line,
        )
    table = known.alias("id").to_frame().with_row_index("position")
    return wanted.alias("id").to_frame().join(table, on="id", how="left", maintain_order="left")["position"]


def undescribed(name: str, what: str, wanted: pl.Series, position: pl.Series, rows: str = "rows") -> list[str]:
    """A note where the file `name` does not describe every wanted id; `what` those are, and the `rows`, for people."""
    if not position.null_count():
        return []
    strangers = wanted.filter(position.is_null())
    count = strangers.n_unique()
    return [
        f"{name} does not describe {plural(count, what)} of {len(strangers):,} {rows} (for instance "
        f"{what} {strangers[0]}): what it would say of them is 'missing'."
    ]
