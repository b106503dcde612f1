"""Compare's view of how long models take to answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages import access, shared

if TYPE_CHECKING:
    from mdaf_core.predicting.measured import Measured
    from mdaf_core.studies.store import Study


def draw(study: Study) -> None:
    """What was measured, and the button that measures (again)."""
    from mdaf_core.predicting.measured import kept

    measured = kept(study.id)
    _measuring(study, measured)
    if measured is None:
        st.info(
            "Not measured yet. One finished run of each configuration is asked in turns: one user's candidates and in "
            "bulk, from the raw history and from a kept state.",
            icon=":material/info:",
        )
        return
    _times(study, measured)


def _measuring(study: Study, measured: Measured | None) -> None:
    """The button, or how far the job is."""
    from mdaf_core.tasks.kinds import standing
    from mdaf_core.tasks.speed import active, last_of, submit_speed

    job = active(study.id)
    with st.container(horizontal=True, vertical_alignment="center"):
        access.change_button(
            "Measure again" if measured else "Measure", icon=":material/timer:", key="measure-speed",
            disabled=job is not None, on_click=shared.act, args=(submit_speed, study),
            help="A job of the queue, for some minutes. Other work on the machine changes what is measured.",
        )  # fmt: skip
        last = job or last_of(study.id)
        if last is not None and last.state != "finished":
            st.caption(shared.plain(f"Job {last.id} is {last.state}. {standing(last)}"))
            st.page_link("pages/jobs.py", label="Jobs", icon=":material/list:")


def _times(study: Study, measured: Measured) -> None:
    from mdaf_core.analysis.speed import compare_speed
    from mdaf_core.reporting.topics import speed

    usual_threads, usual_candidates = speed.usual_choice(measured)
    counts, threads = measured.settings.candidates, measured.machine["threads"]
    left, middle, right = st.columns([2, 2, 3], vertical_alignment="bottom")
    candidates = left.selectbox(
        "Candidates", counts, index=counts.index(usual_candidates), key="speed_candidates", bind="query-params"
    )
    on = middle.selectbox("Threads", threads, index=threads.index(usual_threads), key="speed_threads",
                          bind="query-params")  # fmt: skip
    names = [one.configuration for one in measured.measured]
    reference = right.selectbox("Held against", names, index=names.index(measured.reference)
                                if measured.reference in names else 0, key="speed_reference",
                                bind="query-params")  # fmt: skip
    data = speed.drawn_frame(measured, on, candidates)
    shared.show_chart(
        speed.chart(data, order=study.configuration_names), "speed", data, title="Time of a request",
        help="Median call. Logarithmic axes.",
    )  # fmt: skip
    st.caption(shared.plain(speed.caption(measured, on, candidates)))
    ratios = compare_speed(measured, reference)
    shown = [r for r in ratios if (r.threads, r.rows, r.bulk) == (on, candidates, False)]
    if shown:
        st.markdown("\n".join(f"- {shared.plain(line)}" for line in speed.words(shown)))
    number = st.column_config.NumberColumn
    shared.show_table(
        speed.frame(measured), "speed-times", title="All times",
        column_config=dict.fromkeys(("p50, ms", "p99, ms", "CPU, ms"), number(format="%.3f"))
        | {"Rows/s": number(format="%,.0f"), "Events": number(format="%,d")},
        help="p50 and p99 of all calls on the clock; CPU: the processor's time of the median call. Bulk: all users' "
             "rows in one call from raw histories, user after user from kept states.",
    )  # fmt: skip
    compared = speed.ratio_frame(ratios)
    if compared.is_empty():
        return
    shared.show_table(
        compared.to_pandas().style.format(shared.fmt_p, subset=["p"]), "speed-ratios", title="Ratios of times",
        column_config=dict.fromkeys(("Ratio of times", "Low", "High"), number(format="%.3f")),
        help="Within a round, median over the rounds with its 95% interval, which assumes no distribution; p of the "
             "sign test after Holm's adjustment over all of them. Below 1: faster.",
    )  # fmt: skip
