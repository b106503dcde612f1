"""Studies: which ones are there?"""

from __future__ import annotations

from datetime import date
from typing import Any

import streamlit as st

from mdaf_core.queue.database import queue_path
from mdaf_core.runs import tracking
from mdaf_core.studies import shelf
from mdaf_core.studies.shelf import Standing
from mdaf_core.studies.store import Study, list_studies
from pages import access, shared, study_manage

SHOWN = {"current": "Current", "archived": "Archived", "bin": "Bin"}
ORDER = {"newest": "Newest first", "best": "Best first"}
MADE = {"any": "Any day", "7": "Last 7 days", "30": "Last 30 days", "90": "Last 90 days"}
FRESH_SECONDS = 10  # of how studies stand, while jobs are at work


def main() -> None:
    shared.header("Studies", "Which studies are there?")
    with shared.guard():
        study_manage.undo_bin()
        studies = list_studies()
        if not studies and not shelf.binned():
            shared.no_study()
            return
        where, wanted = _wanted(studies)
        if where == "bin":
            _bin()
            return
        found = _found(wanted)
        if not found:
            st.info("No study fits." if studies else "All studies are in the bin.", icon=":material/search_off:")
            return
        found = _ordered(found)
        _chosen(found, _table(found))


def _wanted(studies: list[Study]) -> tuple[str, shelf.Wanted]:
    """What is looked for; it stays in the link."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        text = st.text_input(
            "Find", key="find", bind="query-params", placeholder="words of title, note, configuration …", width=240,
            help="All of these words, in title, id, data set, note, tags or names of configurations.",
        )  # fmt: skip
        tags = st.multiselect(
            "Tags", sorted({tag for study in studies for tag in study.tags}), key="tags", bind="query-params",
            placeholder="any", width=170,
        )  # fmt: skip
        dataset = st.selectbox(
            "Data set", sorted({study.dataset for study in studies}), index=None, key="data", bind="query-params",
            placeholder="any", width=160,
        )  # fmt: skip
        state = st.selectbox(
            "State", shelf.STATES, index=None, key="state", bind="query-params", placeholder="any", width=130,
            help="Running, queued: some of its runs are. Failed: a run did. Incomplete: runs are missing or cancelled.",
        )  # fmt: skip
        made = st.selectbox("Made", list(MADE), format_func=MADE.get, key="made", bind="query-params", width=140)
        where = st.segmented_control(
            "Show", list(SHOWN), format_func=SHOWN.get, default="current", required=True, key="where",
            bind="query-params", width="content",
        )  # fmt: skip
    since = None if made == "any" else date.fromordinal(date.today().toordinal() - int(made))
    return where, shelf.Wanted(text or "", tuple(tags), dataset, state, since, archived=where == "archived")


def _found(wanted: shelf.Wanted) -> list[Standing]:
    """`shelf.find`, kept while nothing changes."""
    queue = queue_path()
    changed = queue.stat().st_mtime_ns if queue.exists() else 0
    standing = _standings(tracking.store_version(), changed)
    found = [standing.get(study.id) or shelf.standings([study])[0] for study in shelf.select(wanted)]
    return [one for one in found if wanted.state is None or one.state == wanted.state]


@st.cache_data(show_spinner=False, max_entries=2, ttl=FRESH_SECONDS)
def _standings(store: tuple[Any, ...], queue: int) -> dict[str, Standing]:
    return {one.study.id: one for one in shelf.standings(list_studies())}


def _ordered(found: list[Standing]) -> list[Standing]:
    """How many there are, and which come first."""
    with st.container(horizontal=True, vertical_alignment="center"):
        many = f"{len(found):,} {'study' if len(found) == 1 else 'studies'}."
        st.caption(f"{many} Choose one, or some, to do something with.", width="content")
        order = st.segmented_control(
            "Order", list(ORDER), format_func=ORDER.get, default="newest", required=True, key="order",
            bind="query-params", width="content", label_visibility="collapsed",
        )  # fmt: skip
    if order != "best":
        return found
    if len({one.study.dataset for one in found}) > 1:
        st.caption("By each study's best mean, which says nothing across data sets: choose one above.")
    return shelf.best_first(found)


def _table(found: list[Standing]) -> list[int]:
    """The studies; which of them are chosen."""
    import pandas as pd

    studies = [one.study for one in found]
    event = shared.show_table(
        pd.DataFrame(
            {
                "Study": [study.title for study in studies],
                "State": [one.state for one in found],
                "Runs": [_runs(one) for one in found],
                "Data set": [study.dataset for study in studies],
                "Tags": [list(study.tags) for study in studies],
                "Made": pd.to_datetime([study.created for study in studies], utc=True, format="ISO8601"),
                "Best mean": [one.best for one in found],
                "Validation AUC": [one.best_auc for one in found],
                "Id": [study.id for study in studies],
            }
        ),
        "studies",
        on_select="rerun",
        selection_mode="multi-row",
        column_config={
            "Study": st.column_config.TextColumn(width="medium"),
            "Tags": st.column_config.ListColumn(),
            "Made": st.column_config.DatetimeColumn(format="D MMM YYYY, HH:mm"),
            "Best mean": st.column_config.TextColumn(
                help="The configuration with the largest mean validation AUC over its finished seeds. It was found by "
                "looking: whether it is better than others is what Compare says."
            ),
            "Validation AUC": st.column_config.NumberColumn(format="%.4f", help="That mean."),
        },
    )
    return [row for row in event.selection.rows if row < len(found)]


def _runs(one: Standing) -> str:
    return ", ".join(f"{number} {shared.STATES[state][1]}" for state, number in one.counts.items())


def _chosen(found: list[Standing], rows: list[int]) -> None:
    """What can be done with the chosen studies."""
    studies = [found[row].study for row in rows]
    if not studies:
        return
    with st.container(border=True):
        if len(studies) == 1:
            _one(found[rows[0]])
            return
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{len(studies)} studies**", width="content")
            study_manage.archive_button(studies)
            study_manage.bin_button(studies)
        with st.container(horizontal=True, vertical_alignment="bottom"):
            st.text_input("Tag to add", key="tag-all", width=200, max_chars=shelf.LONGEST_TAG)
            access.change_button("Add it to all", key="tag-all-do", on_click=shared.act, args=(_tag_all, studies),
                      disabled=not st.session_state.get("tag-all", "").strip())  # fmt: skip


def _tag_all(studies: list[Study]) -> None:
    for study in studies:
        shelf.retag(study.id, [st.session_state["tag-all"]])
    st.session_state["tag-all"] = ""


def _one(one: Standing) -> None:
    study = one.study
    st.markdown(f"**{shared.plain(study.title)}** :gray[{shared.plain(study.id)}]")
    with st.container(horizontal=True, vertical_alignment="center"):
        for page, icon in (("overview", "dashboard"), ("curves", "show_chart"), ("compare", "balance")):
            st.page_link(
                f"pages/{page}.py", label=page.capitalize(), icon=f":material/{icon}:", query_params={"study": study.id}
            )
        if one.best_run:
            st.page_link(
                "pages/run.py", label="Its best run", icon=":material/trophy:", query_params={"run": one.best_run},
                help=f"Of {shared.plain(str(one.best))} the run with the largest validation AUC.",
            )  # fmt: skip
        study_manage.menu(study)
    study_manage.about(study)


def _bin() -> None:
    """What was deleted, and the way back."""
    gone = shelf.binned()
    if not gone:
        st.caption("The bin is empty.")
        return
    st.caption(
        "Runs and files of these studies are still there. `python -m mdaf_core study empty-bin` deletes them for good."
    )
    with st.container(border=True, gap=None):
        for study in gone:
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(
                    f"**{shared.plain(study.title)}** :gray[{shared.plain(study.id)}, {shared.plain(study.dataset)}]",
                    width="stretch",
                )
                access.change_button("Put back", key=f"restore-{study.id}", icon=":material/undo:", on_click=shared.act,
                          args=(shelf.restore, study.id), type="tertiary")  # fmt: skip


main()
