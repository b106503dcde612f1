"""Tuning: which settings won, at what budget? Reached by links: it is not in the list of pages."""

from __future__ import annotations

import streamlit as st

from mdaf_core.reporting.topics import tuning as topic
from mdaf_core.studies.tuning import going, search
from mdaf_core.studies.tuning.summary import OfConfiguration, Summary, summary
from pages import access, shared

POLL_SECONDS = 2.0
LEDGER_HELP = (
    "Figures are of validation, which chose the winners: they flatter. As it was: the first trial, which is the "
    "configuration before tuning. Of half the trials: the best one expected of half as many, drawn from these."
)
EXPECTED_HELP = (
    "What the best of so many trials would be expected to reach, were these trials drawn in a random order, with one "
    "standard deviation to each side (Dodge et al. 2019). Lines that cross say that the order of models hangs on the "
    "budget; lines that still rise, that more trials would pay."
)
IMPORTANCE_HELP = (
    "Share of each setting in what tells the best trials from the others (PED-ANOVA). Of few trials it says little."
)
COORDINATES_HELP = "A line a trial, through what it had of each setting; the thick one won."


def main() -> None:
    shared.header("Tuning", "Which settings won, at what budget?")
    with shared.guard():
        found = {one.id: one.title for one in search.list_searches()}
        if not found:
            shared.empty(
                'There is no search here. On Launch, "Tuned first" gives each configuration as many trials.',
                "Launch a study",
                "pages/launch.py",
            )
            return
        chosen = shared.linked_select("Search", "search", list(found), found.__getitem__, None)
        if chosen is None:
            return
        live = shared.is_live(chosen)
        st.fragment(_body, run_every=POLL_SECONDS if live else None)(chosen, live)


def _body(search_id: str, live: bool) -> None:
    with shared.guard():
        if live and not shared.is_live(search_id):
            st.rerun()
        one = search.get(search_id)
        told = summary(one)
        _standing(told)
        _ledger(told)
        _expected(told)
        names = [part.name for part in told.configurations]
        name = st.selectbox("Configuration", names, key="tuned_configuration", bind="query-params")
        part = next((part for part in told.configurations if part.name == name), told.configurations[0])
        _settings(part, told.score)


def _standing(told: Summary) -> None:
    one = told.search
    st.markdown(f":gray[Data set] {shared.plain(one.dataset)} · :gray[search] {shared.plain(one.id)}")
    st.markdown(shared.plain(told.sentence))
    if one.trials:
        ended = sum(min(part.ended, one.trials) for part in told.configurations)
        total = one.trials * len(told.configurations)
        st.progress(ended / total, f"{ended} of {total} trials have ended")
    for warning in told.warnings:
        st.warning(shared.plain(warning), icon=":material/warning:")
    with st.container(horizontal=True, vertical_alignment="center"):
        if any(part.broken for part in told.configurations):
            access.change_button("Resume them", key="resume", on_click=shared.act, args=(going.resume, one.id))
            access.change_button("Give them up", key="give-up", on_click=shared.act, args=(going.give_up, one.id))
        if one.study:
            seeds = ", ".join(map(str, one.confirm.seeds))
            st.markdown(f"**Confirmed on fresh seeds** {seeds}:", width="content")
            st.page_link(
                "pages/overview.py", label="The winners' study", icon=":material/arrow_forward:",
                query_params={"study": one.study},
            )  # fmt: skip
            st.page_link(
                "pages/compare.py",
                label="Compare them",
                icon=":material/arrow_forward:",
                query_params={"study": one.study},
            )
        elif told.done:
            st.markdown("All budgets are spent, and the winners are not queued yet.", width="content")
            access.change_button("Queue them", key="confirm", on_click=shared.act, args=(going.go_on, one.id))
        else:
            st.page_link("pages/jobs.py", label="Watch the trials", icon=":material/arrow_forward:")


def _ledger(told: Summary) -> None:
    number = st.column_config.NumberColumn
    auc = number(format="%.4f")
    shared.show_table(
        topic.ledger(told),
        "tuning-ledger",
        title="Trials and compute",
        help=LEDGER_HELP,
        column_config={
            "Minutes": number(format="%.1f", help="Of training, all trials."),
            "As it was": auc,
            "Best": auc,
            "Of half the trials": auc,
            "Pruned": number(help="Stopped below the median; they count."),
            "Without a figure": number(help="Diverged, or given up; they count."),
        },
    )


def _expected(told: Summary) -> None:
    frame = topic.expected(told)
    if not frame.is_empty() and frame["trials"].max() != 1:
        names = [part.name for part in told.configurations]
        shared.show_chart(
            topic.expected_chart(frame, names, told.score),
            "expected-best",
            frame,
            title="Expected best of k trials",
            help=EXPECTED_HELP,
        )


def _settings(part: OfConfiguration, score: str) -> None:
    st.caption(f"Tried: {shared.plain(part.tried_words)}.")
    left, right = st.columns([3, 2], gap="large")
    frame = topic.coordinates(part)
    with left:
        if frame["trial"].n_unique() > 1:
            shared.show_chart(
                topic.coordinates_chart(frame, part, score), "trials-settings", frame, title="Settings of the trials",
                help=COORDINATES_HELP,
            )  # fmt: skip
    with right:
        shares = topic.importance(part)
        if shares.is_empty():
            st.caption("Which settings matter is said from eight trials on, where not all came to the same.")
        else:
            shared.show_chart(
                topic.importance_chart(shares),
                "importance",
                shares,
                title="Importance of settings",
                help=IMPORTANCE_HELP,
            )
    number = st.column_config.NumberColumn
    shared.show_table(
        topic.trials(part, score), "trials", title="Trials", names_as_they_are=True,
        column_config={score: number(format="%.4f"), "Seconds": number(format="%.0f")},
    )  # fmt: skip


main()
