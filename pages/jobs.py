"""Jobs: what is running?"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from mdaf_core.queue import api
from mdaf_core.queue.job import Job, JobState
from mdaf_core.queue.slots import job_threads, sharing_words, threads_words
from mdaf_core.tasks.kinds import progress_text, share_done
from mdaf_core.tasks.message import told_words
from pages import access, shared

POLL_SECONDS = 1.0
MOST_ROWS = 12  # rows with buttons in each list; the rest is counted
LATEST = 200  # finished jobs that are listed
BROKEN: tuple[JobState, ...] = ("failed", "cancelled")
LOG_LINES = 200
FOLLOW = 0  # in the list of logs: whichever job runs


def main() -> None:
    shared.header("Jobs", "What is running?")
    _live()


@st.fragment(run_every=POLL_SECONDS)
def _live() -> None:
    """Everything on this page: one poller, nothing else re-runs."""
    with shared.guard():
        count = api.count_jobs()
        if not count:
            shared.empty(
                "Nothing has been queued yet. Preparing data and training both run here, in processes of their own: "
                "you may close this tab, or the app, and they go on.",
                "Launch a study",
                "pages/launch.py",
            )
            return
        running = api.list_jobs(["running"])
        queued = api.list_jobs(["queued"], most=MOST_ROWS)
        shared.section("Running")
        st.caption(f"{sharing_words()} {told_words()}")
        if not running:
            st.caption("Starting the next job …" if queued else "Nothing is running.")
        for job in running:
            _running(job)
        if queued:
            number = count.get("queued", 0)
            with st.container(horizontal=True, vertical_alignment="center"):
                shared.section(f"Queue: {number:,}")
                _all("Cancel all", "close", "Running jobs go on.", api.cancel_all, ["queued"], number)
            _queue(queued, number)
        broken = api.list_jobs(BROKEN, most=MOST_ROWS)
        finished = api.list_jobs(["finished"], most=LATEST)
        if broken:
            _broken(broken, sum(count.get(state, 0) for state in BROKEN))
        if finished:
            _finished(finished, count.get("finished", 0))
        shown = [*running, *queued, *sorted(broken + finished, key=lambda job: -(job.ended or 0))]
        if shown:  # a job may be between two states, as one is read after the other
            _log(shown)


def _button(icon: str, help: str, key: str, action: Callable[..., Any], *args: Any, disabled: bool = False) -> None:
    access.change_button(
        help, icon=f":material/{icon}:", help=help, key=key, type="tertiary", on_click=shared.act, args=(action, *args),
        disabled=disabled,
    )  # fmt: skip


def _all(
    label: str, icon: str, help: str, action: Callable[[list[Job]], None], states: Sequence[JobState], number: int
) -> None:
    """One button for all jobs of these states, `number` of them."""
    if number > 1:
        access.change_button(
            label, icon=f":material/{icon}:", help=help, key=f"all-{icon}", type="tertiary", on_click=shared.act,
            args=(lambda: action(api.list_jobs(states)),),
        )  # fmt: skip


def _name(job: Job) -> str:
    """Its number and what it is, a link to its run where it has one."""
    title = f"[{shared.plain(job.title)}](run?run={job.run_id})" if job.run_id else shared.plain(job.title)
    study = f" :gray[{shared.plain(job.group)}]" if job.group else ""
    return f"job {job.id}, **{title}**{study}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _running(job: Job) -> None:
    with st.container(border=True, gap="small"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"{shared.state_label('running')} {_name(job)}", width="stretch")
            access.change_button(
                "Cancel", key=f"cancel-{job.id}", icon=":material/stop_circle:", on_click=shared.act,
                args=(api.cancel, job.id), disabled=job.cancel_requested is not None,
                help="Stops within seconds. Finished epochs are kept, and the job can be resumed.",
            )  # fmt: skip
        st.progress(share_done(job) or 0.0, shared.plain(_sentence(progress_text(job))))
        facts = [f"running for {shared.fmt_time(time.time() - (job.started or time.time()))}"]
        facts.append(f"on {threads_words(job_threads(job.threads))}")
        if job.machine:
            facts.append(f"of {shared.plain(job.machine)}")
        if job.progress.get("seconds_left") is not None:
            facts.append(f"at most {shared.fmt_time(job.progress['seconds_left'])} left")
        if job.progress.get("val_auc") is not None:
            facts.append(f"validation AUC of the last epoch {shared.fmt_auc(job.progress['val_auc'])}")
        if job.attempts > 1:
            facts.append(f"attempt {job.attempts}{', resumed' if job.resume else ''}")
        st.caption(", ".join(facts))


def _queue(queued: list[Job], number: int) -> None:
    with st.container(border=True, gap=None):
        for place, job in enumerate(queued, 1):
            with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"icons-{job.id}"):
                waits = f" :gray[waits for job {job.depends_on}]" if _waits(job) else ""
                st.markdown(f"{place}. {shared.state_label('queued')} {_name(job)}{waits}", width="stretch")
                first, last = place == 1, place == number
                with st.container(horizontal=True, gap="small", width="content"):  # they take another line together
                    _button("vertical_align_top", "To the front", f"first-{job.id}", api.move, job.id, "first",
                            disabled=first)  # fmt: skip
                    _button("arrow_upward", "Earlier", f"up-{job.id}", api.move, job.id, "up", disabled=first)
                    _button("arrow_downward", "Later", f"down-{job.id}", api.move, job.id, "down", disabled=last)
                    _button("close", "Cancel", f"cancel-{job.id}", api.cancel, job.id)
        if number > len(queued):
            st.caption(f"… and {number - len(queued):,} more.")


def _waits(job: Job) -> bool:
    return job.depends_on is not None and api.get_job(job.depends_on).state in api.ACTIVE


def _broken(broken: list[Job], number: int) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        shared.section(f"Failed or cancelled: {number:,}")
        _all("Go on with all", "resume", "Resumes what had begun, retries the rest.", api.go_on, BROKEN, number)
    with st.container(border=True, gap="xsmall"):
        for job in broken:
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                when = f":gray[{shared.fmt_when(job.ended)}]"
                reason = shared.sentence(job.reason)
                st.markdown(f"{shared.state_label(job.state)} {_name(job)} {when}  \n{reason}", width="stretch")
                if job.can_resume:
                    access.change_button(
                        "Resume", key=f"resume-{job.id}", icon=":material/resume:", on_click=shared.act,
                        args=(api.resume, job.id), help="Goes on after the last finished epoch, in the same run.",
                    )  # fmt: skip
                access.change_button(
                    "Retry", key=f"retry-{job.id}", icon=":material/replay:", on_click=shared.act,
                    args=(api.retry, job.id), help="Starts again from scratch, as a new run.",
                )  # fmt: skip
        if number > len(broken):
            st.caption(f"… and {number - len(broken):,} more: `python -m mdaf_core jobs` lists them all.")


def _finished(finished: list[Job], number: int) -> None:
    shared.section(f"Finished: {number:,}")
    st.dataframe(
        {
            "Job": [job.id for job in finished],
            "What": [job.title for job in finished],
            "Study": [job.group or shared.MISSING for job in finished],
            "Ended": [shared.fmt_when(job.ended) for job in finished],
            "Took": [shared.fmt_time((job.ended or 0) - (job.started or 0)) for job in finished],
            "Run": [f"run?run={job.run_id}" if job.run_id else None for job in finished],
        },
        hide_index=True,
        column_config={
            "Job": st.column_config.NumberColumn(width="small"),
            "Run": st.column_config.LinkColumn(display_text="See its run"),
        },
        placeholder=shared.MISSING,
        height=min(38 * len(finished) + 40, 300),
        key="finished",
    )
    if number > len(finished):
        st.caption(f"The latest {len(finished)}: `python -m mdaf_core jobs` lists them all.")


def _log(jobs: list[Job]) -> None:
    shared.section("Log")
    titles = {job.id: f"{job.id}  {job.title}{f', {job.group}' if job.group else ''}" for job in jobs}
    latest = next((job.id for job in jobs if job.started), jobs[0].id)
    running = any(job.state == "running" for job in jobs)
    titles[FOLLOW] = f"The {'running' if running else 'latest'} job: {titles[latest]}"
    ids = [FOLLOW, *sorted(titles.keys() - {FOLLOW}, reverse=True)]
    chosen = st.selectbox("Job", ids, format_func=titles.__getitem__, key="log_of")
    lines = api.log_tail(latest if chosen == FOLLOW else chosen, LOG_LINES)
    if lines:
        st.code("\n".join(lines), language=None, height=320)
    else:
        st.caption("This job has written nothing yet.")


main()
