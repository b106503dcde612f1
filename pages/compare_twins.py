"""Compare's view of another split: which conclusions survive."""

from __future__ import annotations

import streamlit as st

from mdaf_core.data.store.schema import Split
from mdaf_core.studies.store import Study
from pages import access, shared


def draw(study: Study, split: Split, metric: str, reference: str, margin: str) -> None:
    """Word by word, each study on its own rows; or the button that runs the same study on a split by time."""
    from mdaf_core.studies.twins import twin_studies

    found = twin_studies(study)
    if not found:
        st.info(
            "No study on another split of the same input has the reference and another configuration of this one.",
            icon=":material/info:",
        )
        access.change_button(
            "Run the same study on a split by time", icon=":material/play_arrow:", type="primary", key="twin-run",
            on_click=shared.act, args=(_run, study),
            help="Prepares the same input with the same options, split by time, and queues the same configurations and "
            "seeds with the same plan.",
        )  # fmt: skip
        return
    titles = {other.id: f"{other.id} on {other.dataset}" for other in found}
    chosen = st.selectbox("Held against", titles, format_func=titles.__getitem__, key="twin-of", bind="query-params")
    _words(study, next(other for other in found if other.id == chosen), split, metric, reference, margin)


def _words(study: Study, other: Study, split: Split, metric: str, reference: str, margin: str) -> None:
    from mdaf_core.reporting.topics.comparison.twins import twins_sentences, twins_table
    from mdaf_core.studies.twins import held

    with st.spinner("Comparing: row by row for every seed, the first time", show_time=True):
        first, second = (shared.comparison(one.id, reference, split, metric, margin) for one in (study, other))
    found = held(study, other, first, second)
    deltas = {f"Δ bp, {one.dataset}": st.column_config.NumberColumn(format="%+.1f") for one in (study, other)}
    shared.show_table(
        twins_table(found, study, other), "twins", title="Which words stand",
        help="Same word: the tests say the same on both splits. Changed sign: better on one, worse on the other, both "
        "shown. No word: one of the studies has none yet.",
        column_config=deltas,
    )  # fmt: skip
    st.markdown("\n".join(f"- {shared.plain(sentence)}" for sentence in twins_sentences(found, study, other)))
    with st.container(horizontal=True):
        st.page_link("pages/overview.py", label="The other study", icon=":material/open_in_new:",
                     query_params={"study": other.id})  # fmt: skip


def _run(study: Study) -> None:
    from mdaf_core.tasks.twins import run_twin

    made = run_twin(study)
    st.toast(shared.plain(f"Study {made.id} is queued."), icon=":material/check:")
