"""What can be done with a study as a whole: title, tags, note, copy, archive, bin. Part of Studies and Overview."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from mdaf_core.base import rights
from mdaf_core.queue import api
from mdaf_core.studies import shelf
from mdaf_core.studies.store import Study
from pages import access, shared
from pages.fields import anew, place

BINNED = "just_binned"  # key of the session's state: ids that an undo brings back


def about(study: Study) -> None:
    """Tags and note, where there are any, what it is a copy of, and what was launched with it."""
    if study.cloned_from:
        st.caption(f"Cloned from {shared.plain(study.cloned_from)}.")
    if study.tuned_in:
        st.page_link(
            "pages/tuning.py", label="Settings won in a search: see its trials", icon=":material/tune:",
            query_params={"search": study.tuned_in},
        )  # fmt: skip
    if study.group is not None:
        _together(study)
    if study.tags:
        st.markdown(" ".join(f":gray-badge[{shared.plain(tag)}]" for tag in study.tags))
    if study.archived:
        st.caption("Archived: lists leave it out.")
    if study.note:
        with st.container(border=True):
            st.markdown(study.note)


def _together(study: Study) -> None:
    """Links to the studies on other data sets that one launch made, and to their comparison."""
    from mdaf_core.studies.across import members

    others = [one for one in members(study) if one.id != study.id]
    if not others:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(":gray[Launched together, on]", width="content")
        for one in others:
            st.page_link("pages/overview.py", label=shared.plain(one.dataset), icon=":material/dashboard:",
                         query_params={"study": one.id})  # fmt: skip
        st.page_link("pages/compare.py", label="Across them", icon=":material/balance:",
                     query_params={"study": study.id, "view": "Across studies"})  # fmt: skip


def menu(study: Study) -> None:
    """One button that opens all of it; filled when it is opened."""
    if not rights.may_change():
        return
    found = st.popover("Manage", icon=":material/edit_note:", type="tertiary", key="manage", on_change="rerun")
    if not found.open:
        return
    with found:
        title, tags, note = (place(f"manage-{what}-{study.id}") for what in ("title", "tags", "note"))
        st.text_input("Title", study.title, key=title, max_chars=shelf.LONGEST_TITLE)
        st.text_input("Tags", ", ".join(study.tags), key=tags, placeholder="paper, week 48",
                      help="Separated by commas.")  # fmt: skip
        st.text_area("Note", study.note, key=note, max_chars=shelf.LONGEST_NOTE,
                     help="Markdown; HTML is shown as it is typed.")  # fmt: skip
        st.button(
            "Save", key="manage-save", type="primary", on_click=shared.act, args=(_save, study, title, tags, note)
        )
        with st.container(horizontal=True, vertical_alignment="center"):
            _cancel_jobs(study)
            clone_link(study)
            archive_button([study])
            bin_button([study])


def _save(study: Study, title: str, tags: str, note: str) -> None:
    given = {key: str(st.session_state[key]) for key in (title, tags, note)}
    wanted = [tag.strip() for tag in given[tags].split(",") if tag.strip()]
    shelf.rename(study.id, given[title])
    shelf.retag(study.id, wanted, [tag for tag in study.tags if tag not in wanted])
    shelf.write_note(study.id, given[note])
    for what in ("title", "tags", "note"):
        anew(f"manage-{what}-{study.id}")


def _cancel_jobs(study: Study) -> None:
    """Cancel what of the study is queued or running, where anything is."""
    live = api.list_jobs(api.ACTIVE, group=study.id)

    def do() -> None:
        api.cancel_all(api.list_jobs(api.ACTIVE, group=study.id))

    if live:
        st.button(
            f"Cancel its {'job' if len(live) == 1 else f'{len(live)} jobs'}", key="manage-cancel", on_click=shared.act,
            args=(do,), icon=":material/stop_circle:", type="tertiary",
            help="Running ones stop within seconds. Finished epochs are kept, and jobs can be resumed.",
        )  # fmt: skip


def clone_link(study: Study) -> None:
    """To the Launch page, which then starts from this study."""
    if study.trained and rights.may_change():
        st.page_link(
            "pages/launch.py", label="Clone with changes", icon=":material/content_copy:",
            query_params={"clone": study.id, "dataset": study.dataset},
        )  # fmt: skip


def archive_button(studies: Sequence[Study]) -> None:
    """Archive these studies, or take them back where all are archived."""
    back = all(study.archived for study in studies)

    def do() -> None:
        for study in studies:
            shelf.archive(study.id, not back)

    access.change_button(
        "Take out of the archive" if back else "Archive", key="manage-archive", on_click=shared.act, args=(do,),
        icon=":material/unarchive:" if back else ":material/archive:", type="tertiary",
        help="Lists leave archived studies out. Links and results stay.",
    )  # fmt: skip


def bin_button(studies: Sequence[Study]) -> None:
    """Put these studies into the bin; the next page offers to undo it."""

    def do() -> None:
        for study in studies:
            shelf.discard(study.id)
            st.session_state[BINNED] = [*st.session_state.get(BINNED, []), study.id]
            if st.query_params.get("study") == study.id:
                del st.query_params["study"]
            if st.session_state.get("last_study") == study.id:
                del st.session_state["last_study"]

    access.change_button(
        "Move to the bin", key="manage-bin", on_click=shared.act, args=(do,), icon=":material/delete:", type="tertiary",
        help="Studies whose jobs are queued or running are refused. The bin is on the page Studies.",
    )  # fmt: skip


def undo_bin() -> None:
    """What was just put into the bin, with the way back."""
    gone = st.session_state.get(BINNED)
    if not gone:
        return

    def undo() -> None:
        for study_id in st.session_state.pop(BINNED):
            shelf.restore(study_id)

    with st.container(horizontal=True, vertical_alignment="center", border=True):
        named = gone[0] if len(gone) == 1 else f"{len(gone)} studies"
        st.markdown(f"{shared.plain(named)} {'is' if len(gone) == 1 else 'are'} in the bin.", width="content")
        st.button("Undo", key="undo-bin", icon=":material/undo:", on_click=shared.act, args=(undo,), type="tertiary")
        st.button("Close", key="close-bin", icon=":material/close:", on_click=st.session_state.pop, args=(BINNED,),
                  type="tertiary")  # fmt: skip
