"""Which configurations may be the best: the frame and the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from mdaf_core.analysis.best import PRIOR_DF
from mdaf_core.base.errors import UsageError
from mdaf_core.metrics.registry import metric
from mdaf_core.reporting.paper.table import PaperTable
from mdaf_core.reporting.words import p_value

if TYPE_CHECKING:
    from mdaf_core.analysis.best import BestSet
    from mdaf_core.reporting.material import Material

MEMBER = {True: "● may be", False: "– is not"}


def best_frame(found: BestSet) -> pl.DataFrame:
    """One row a configuration, best mean first, columns as people read them."""
    return pl.DataFrame(
        {
            "Configuration": [one.configuration for one in found.candidates],
            "The best?": [MEMBER[one.may_be_best] for one in found.candidates],
            "Mean": [one.mean for one in found.candidates],
            "Behind, bp": [one.behind * 1e4 for one in found.candidates],
            "p": [one.p for one in found.candidates],
        },
        schema={"Configuration": pl.String, "The best?": pl.String, "Mean": pl.Float64, "Behind, bp": pl.Float64,
                "p": pl.Float64},
    )  # fmt: skip


def best_note(found: BestSet) -> str:
    """What the table rests on, in one line."""
    if found.missing:
        return ""
    out = f"Means over the {len(found.seeds)} seeds that all have; p counts how many were compared."
    if found.alpha < 0.049:  # of one look among several
        out += f" Seeds are added until decided, so the set takes p below {found.alpha:.2g} instead of 0.05."
    if len(found.seeds) <= PRIOR_DF:
        out += (
            " Spreads of seeds are drawn towards their mean here, so with so few seeds it can exclude one whose "
            "verdict, from its own spread, is still open."
        )
    return out + (f" Left out: {', '.join(found.left_out)}." if found.left_out else "")


def _table(material: Material) -> PaperTable:
    found = material.best
    if found.missing:
        raise UsageError(found.sentence)
    title = metric(found.metric).title
    frame = best_frame(found)
    return PaperTable(
        name="best",
        title="Which may be the best",
        caption=f"{found.sentence} {best_note(found)} Subset selection over seeds and users.",
        cells={
            "Configuration": frame["Configuration"].to_list(),
            "Best?": ["may be" if one.may_be_best else "is not" for one in found.candidates],
            title: [f"{one.mean:.4f}" for one in found.candidates],
            "Behind, bp": [f"{one.behind * 1e4:.1f}" for one in found.candidates],
            "p": [p_value(one.p) for one in found.candidates],
        },
        data=frame,
    )


TABLES = {"best": ("Which may be the best", _table)}
