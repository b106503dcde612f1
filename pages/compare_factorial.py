"""The view of Compare on factorial studies: what each component contributes."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from mdaf_core.analysis.margins import parse_margin
from mdaf_core.data.store.schema import Split
from mdaf_core.runs.tracking import RunRecord
from mdaf_core.studies.results import effects_of
from mdaf_core.studies.store import Study
from pages import shared


def draw(study: Study, runs: Sequence[RunRecord], split: Split, metric_key: str, margin: str) -> None:
    from mdaf_core.reporting.topics.factorial import effects_chart, effects_frame, effects_table, sentences

    if study.factorial is None:
        st.info(
            "This study is no factorial: its configurations do not switch components on and off in all combinations. "
            "The study **factorial** on Launch does.", icon=":material/info:",
        )  # fmt: skip
        return
    found = effects_of(study, runs, split=split, metric=metric_key, margin=parse_margin(margin))
    if found.missing:
        st.info(shared.plain(f"No effects yet: {found.missing}."), icon=":material/info:")
        return
    number = st.column_config.NumberColumn
    bp = number(format="%+.1f")
    shared.show_table(
        effects_table(found).to_pandas().style.format(shared.fmt_p, subset=["p", "p of parity"]),
        "effects",
        title="Effects of components",
        column_config={
            "Effect, bp": bp,
            "Low, bp": bp,
            "High, bp": bp,
            "Not told from": st.column_config.TextColumn(help="Effects that these runs cannot tell from it."),
        },
    )
    shared.show_chart(
        effects_chart(found), "effects-chart", effects_frame(found),
        title="Effect of each component, and of two together",
        help="Line: 95% interval over other seeds and other users, not adjusted for the number of effects.",
    )  # fmt: skip
    for one in sentences(found):
        st.caption(shared.plain(one))
