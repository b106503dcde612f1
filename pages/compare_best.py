"""Part of Compare's results: which configurations may be the best."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from mdaf_core.data.store.schema import Split
from mdaf_core.runs.tracking import RunRecord
from mdaf_core.studies.results import best_of
from mdaf_core.studies.store import Study
from pages import shared

HELP = (
    "The configuration with the best mean was picked by its figures. With 95% confidence the best one, for other seeds "
    "and other users, is among those marked; p is against being the best and counts how many were compared. Spreads of "
    "seeds are drawn towards their mean here, so with few seeds it can exclude one whose verdict, from its own spread, "
    "is still open."
)


def draw(study: Study, runs: Sequence[RunRecord], split: Split, metric: str) -> None:
    from mdaf_core.reporting.topics.comparison.best import best_frame, best_note

    with shared.guard():
        found = best_of(study, runs, split=split, metric=metric)
        if not found.candidates:
            return
        number = st.column_config.NumberColumn
        shared.show_table(
            best_frame(found).to_pandas().style.format(shared.fmt_p, subset=["p"]),
            "best",
            title="Which may be the best",
            help=HELP,
            column_config={
                "Mean": number(format="%.4f", help="Over the seeds that all have."),
                "Behind, bp": number(format="%.1f", help="Of the best mean."),
                "p": number(help=f"Below {found.alpha:.2g}: another configuration is shown to be better."),
            },
        )
        st.caption(shared.plain(f"{found.sentence} {best_note(found)}"))
