"""What is being prepared: progress, and what became of it."""

from __future__ import annotations

import time
from collections.abc import Callable

import streamlit as st

from mdaf_core.queue import api
from mdaf_core.queue.job import Job
from mdaf_core.tasks import prepare
from mdaf_core.tasks.kinds import progress_text, share_done
from pages import access, shared

POLL_SECONDS = 1.0
JOB = "prepare-job"
"""Key of the session's state: the preparation that was started here last, until it is finished or dismissed."""


def draw(edit: Callable[[Job], None]) -> bool:
    """A box for each preparation that is queued or running, whoever started it, and for one of this session that did
    not end well; whether there is any.

    Args:
        edit: begins the form with what a preparation was given.
    """
    jobs = _jobs()
    if jobs:
        st.fragment(_live, run_every=POLL_SECONDS)([job.id for job in jobs], edit)
    return bool(jobs)


def _jobs() -> list[Job]:
    jobs = api.list_jobs(states=api.ACTIVE, kind=prepare.NAME)
    own = st.session_state.get(JOB)
    if own is not None and own not in [job.id for job in jobs]:
        jobs.insert(0, api.get_job(own))
    return jobs


def _live(drawn: list[int], edit: Callable[[Job], None]) -> None:
    with shared.guard():
        jobs = _jobs()
        own = next((job for job in jobs if job.id == st.session_state.get(JOB)), None)
        if own is not None and own.state == "finished":
            name = str(own.resource)
            st.session_state[JOB] = None
            shared.choose("dataset", name)
            st.toast(shared.plain(own.progress.get("message") or f"Prepared {name}"), icon=":material/check:")
            st.rerun()
        if [job.id for job in jobs] != drawn:  # one has ended, was dismissed or has come: the page shows that too
            st.rerun()
        for job in jobs:
            with st.container(border=True):
                _active(job) if job.state in api.ACTIVE else _stopped(job, edit)


def _active(job: Job) -> None:
    words = progress_text(job) if job.state == "running" else _waiting(job)
    since = f", {shared.fmt_time(time.time() - job.started)}" if job.started else ""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"{shared.state_label(job.state)} **{shared.plain(job.resource)}**{since}", width="stretch")
        if job.state == "queued" and (api.queue_position(job.id) or 1) > 1:
            access.change_button(
                "To the front", key=f"prepare-first-{job.id}", icon=":material/vertical_align_top:",
                on_click=shared.act, args=(api.move, job.id, "first"), help="Starts as soon as a running job ends.",
            )  # fmt: skip
        access.change_button(
            "Cancel", key=f"prepare-cancel-{job.id}", icon=":material/stop_circle:", on_click=shared.act,
            args=(api.cancel, job.id), disabled=job.cancel_requested is not None,
            help="Finished stages are kept: it can go on from there.",
        )  # fmt: skip
    st.progress(share_done(job) or 0.0, shared.plain(words[:1].upper() + words[1:]))


def _waiting(job: Job) -> str:
    ahead = (api.queue_position(job.id) or 1) - 1
    running = api.list_jobs(states=["running"])
    if not ahead and not running:
        return "starting"
    count = ahead + len(running)
    return f"waiting for {count} {'job' if count == 1 else 'jobs'} before it; see the Jobs page for the queue"


def _stopped(job: Job, edit: Callable[[Job], None]) -> None:
    st.markdown(f"{shared.state_label(job.state)} **{shared.plain(job.resource)}**")
    if job.reason:
        st.markdown(shared.sentence(job.reason))
    with st.container(horizontal=True):
        if job.can_retry:
            access.change_button(
                "Go on" if job.state == "cancelled" else "Try again", key="prepare-retry", on_click=shared.act,
                icon=":material/play_arrow:", args=(api.retry, job.id),
                help="A stopped preparation goes on from its last finished stage; after an error, from the beginning.",
            )  # fmt: skip
        access.change_button(
            "Edit", key="prepare-edit", icon=":material/edit:", on_click=edit, args=(job,),
            help="Opens the form with the values of this preparation, to change and submit them again.",
        )  # fmt: skip
        st.button("Dismiss", key="prepare-dismiss", on_click=_dismiss)


def _dismiss() -> None:
    st.session_state[JOB] = None
