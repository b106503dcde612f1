"""Data: can I trust this data?"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import streamlit as st

from mdaf_core.base import rights
from mdaf_core.data.audit import audit, report
from mdaf_core.data.prepare.twins import BY_TIME
from mdaf_core.data.store import describe, statistics, statistics_frames
from mdaf_core.data.store.dataset import PreparedDataset, list_datasets
from mdaf_core.data.store.schema import SPLIT_NAMES, SPLITS
from mdaf_core.reporting.topics import data as data_charts
from mdaf_core.studies import data_sets, suitable, twins
from mdaf_core.tasks.twins import prepare_twin
from pages import access, predictions_form, prepare_form, prepare_progress, shared

STATUS = {
    "fail": ":red[:material/error: **fail**]",
    "warn": ":orange[:material/warning: **warning**]",
    "pass": ":green[:material/check: pass]",
}
SAMPLE = 12
AUDIT_AT_ONCE = 1_000_000  # rows that are audited again while the reader waits
SPLIT_WORDS = {
    "time": "by time",
    "last-day": "last day test, the day before validation",
    "leave-last-out": "each user's last row test, the one before validation",
    "random": "at random",
    "given": "as the source gives it",
}


def main() -> None:
    shared.header("Data", "Can I trust this data?")
    with shared.guard():
        busy = prepare_progress.draw(prepare_form.edit)
        if not list_datasets():
            if not busy:
                shared.empty(
                    "No data set is prepared yet. Preparing reads raw files (or generates data), splits and codes "
                    "them, and audits the result. `synthetic` needs no files."
                )
            prepare_form.draw(expanded=not busy)
            return
        prepare_form.draw(expanded=False)
        name = shared.dataset_picker()
        if name is not None:
            _dataset(PreparedDataset.open(name))


def _dataset(dataset: PreparedDataset) -> None:
    meta, figures = dataset.meta, statistics.read_statistics(dataset)
    rows = sum(counts.rows for counts in meta.splits.values())
    positives = sum(counts.positives for counts in meta.splits.values())
    st.markdown(f"**{shared.plain(meta.title)}**. A label of 1: {shared.plain(meta.label)}.")
    facts = [
        f"source {meta.source}",
        f"split {SPLIT_WORDS.get(meta.split.get('kind', ''), 'unknown')}"
        + (", validation made of a tenth of training" if "validation" in meta.split else ""),
        f"times in {meta.timezone}"
        if meta.has_calendar
        else "times: an order without a calendar"
        if meta.has_time
        else "no times: file order",
        *([f"what came of events: {describe.outcome_words(meta.outcomes)}"] if meta.history_fields else []),
        f"prepared {meta.created[:16].replace('T', ' ')} UTC",
        f"content {str(meta.fingerprint.get('sha256', ''))[:12]}",
    ]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(shared.plain(" · ".join(facts)), width="stretch")
        predictions_form.rows(dataset)
        _twin(dataset)
        _delete(dataset)
    with st.container(horizontal=True, gap="medium"):
        _metric("Rows", shared.fmt_count(rows))
        _metric("Positive rate", f"{positives / rows:.2%}", "Share of rows with label 1, all parts.")
        if meta.has_user:
            _metric("Users", shared.fmt_count(meta.users))
        items = next((field.vocabulary_size - 2 for field in meta.fields if field.role == "item"), None)
        if items is not None:
            _metric("Items", shared.fmt_count(items), "Items of training rows: those with a code of their own.")
        if meta.history_fields:
            _metric("Events", shared.fmt_count(meta.events), "Entries of the event log that histories are slices of.")
    _audit(dataset, rows)
    _runnable(dataset)
    predictions_form.draw(dataset.name)
    _parts(dataset, figures)
    _charts(dataset, figures)
    shared.show_table(
        statistics_frames.fields_frame(figures),
        "fields",
        title="Inputs",
        help="What a model reads. Unknown: share of rows whose id does not occur in training rows (code 1).",
        column_config=_formats(
            count=("codes",),
            percent=("unknown in val", "unknown in test", "missing in train"),
            plain=("mean", "std", "min", "max"),
        ),
    )
    _alone(dataset)
    _sample(dataset)


def _twin(dataset: PreparedDataset) -> None:
    """A split by time beside another one: the way to it, or the button that prepares it."""
    meta = dataset.meta
    if meta.split.get("kind") in BY_TIME or not meta.has_time:
        return
    there = twins.time_twin(dataset.name)
    (st.button if there else access.change_button)(
        "Split by time", icon=":material/schedule:", type="tertiary", key="twin-go",
        on_click=shared.act, args=(_by_time, dataset.name, there),
        help=f"{'Shows' if there else 'Prepares'} the same input with the same options and shares of rows, split by "
        "time. Compare then says which conclusions survive (view: Another split).",
    )  # fmt: skip


def _by_time(name: str, there: str | None) -> None:
    if there:
        shared.choose("dataset", there)
    else:
        st.session_state[prepare_progress.JOB] = prepare_twin(name)


def _delete(dataset: PreparedDataset) -> None:
    """Delete the data set, once it is known what refers to it."""
    if not rights.may_change():
        return
    with st.popover("Delete", icon=":material/delete:", type="tertiary"):
        found = data_sets.references(dataset.name)
        if found:
            st.markdown(
                f"**{shared.plain(str(found))} refer to this data set.** Their results stay, but what needs its rows "
                "(gates, slices, stories of rows, resuming, further seeds) would be lost."
            )
        else:
            st.markdown("No study and no run refers to this data set.")
        sure = st.checkbox("Delete it all the same", key="delete-sure") if found else True
        if st.button("Delete", type="primary", disabled=not sure, key="delete-go"):
            with shared.guard():
                data_sets.delete_dataset(dataset.name, force=True)
                st.query_params.pop("dataset", None)
                st.rerun()


def _metric(label: str, value: str, help: str | None = None) -> None:
    st.metric(label, value, help=help, width="content")


def _audit(dataset: PreparedDataset, rows: int) -> None:
    found = report.stored_audit(dataset)
    failed, warned, passed = (found.with_status(status) for status in ("fail", "warn", "pass"))
    with st.container(horizontal=True, vertical_alignment="center"):
        shared.section("Audit", "Checks recomputed from the written files. A failed check must be acknowledged by "
                       "name before a launch, and is recorded on every run.")  # fmt: skip
        if rows <= AUDIT_AT_ONCE and access.change_button("Audit again", icon=":material/refresh:", type="tertiary"):
            with st.spinner("Auditing"):
                audit.refresh_audit(dataset)
            st.rerun()
    if failed or warned:
        with st.container(border=True, gap="small"):
            for check in failed + warned:
                _check(check)
    every = "" if failed or warned else "All "
    with st.expander(f"{every}{len(passed)} checks passed", icon=":material/check:"):
        for check in passed:
            _check(check)


def _check(check: report.Check) -> None:
    lines = [f"{STATUS[check.status]} **{check.title}** :gray[`{check.id}`]", shared.sentence(check.sentence)]
    if check.todo:
        lines.append(f":gray[What to do:] {shared.sentence(check.todo)}")
    st.markdown("  \n".join(lines))
    if check.examples:
        with st.expander(f"{len(check.examples)} examples" if len(check.examples) > 1 else "The one example"):
            shared.show_table(report.example_frame(check), f"examples-{check.id}")


def _runnable(dataset: PreparedDataset) -> None:
    shared.section("What can be run on this")
    failed = len(report.failed(dataset))
    if failed:
        st.markdown(
            f":red[:material/error:] The {'failed check' if failed == 1 else f'{failed} failed checks'} must be "
            "acknowledged by name before a launch, and every run records it."
        )
    studies = suitable.runnable(dataset)
    blind = dict.fromkeys(name for study in studies for name in study.left_out)
    if blind:
        st.caption(f"These data have no histories, which these configurations read: {', '.join(blind)}.")
    with st.container(border=True, gap="xsmall"):
        for study in studies:
            with st.container(horizontal=True, vertical_alignment="center"):
                names = ", ".join(study.presets) or "nothing: all of it reads histories"
                st.markdown(f"**{study.study}** :gray[{shared.plain(names)}]", help=study.title)
                if study.presets:
                    st.page_link(
                        "pages/launch.py",
                        label="Launch",
                        icon=":material/arrow_forward:",
                        query_params={"dataset": dataset.name, "definition": study.study},
                    )


def _alone(dataset: PreparedDataset) -> None:
    frame = report.alone_frame(report.stored_audit(dataset))
    if len(frame):
        shared.show_table(
            frame,
            "inputs-alone",
            title="Each input alone",
            help="AUC of one input as the only score: ids by their smoothed positive rate in training rows, all else "
            "as it is, whichever way round is better. A model should beat the best of them.",
            column_config=_formats(auc=("validation AUC", "test AUC")),
        )


def _parts(dataset: PreparedDataset, figures: statistics.Statistics) -> None:
    shared.show_table(
        statistics_frames.parts_frame(dataset, figures),
        "parts",
        title="Parts",
        help="Unseen: share of rows whose user or item does not occur in training rows. Effective users: how many of "
        "equal size they are worth (Kish). Largest user: its share of the rows.",
        column_config=_formats(
            count=("rows", "positives", "users"),
            whole=("effective users",),
            percent=("rate", "largest user", "unseen users", "unseen items"),
            plain=("mean history",),
            time=("first", "last"),
        ),
    )


def _charts(dataset: PreparedDataset, figures: statistics.Statistics) -> None:
    lengths = statistics_frames.history_frame(figures, dataset)
    over_time = statistics_frames.time_frame(figures, dataset.meta.timezone)
    left_out = f" {figures.outside_bins:,} rows far from all others are left out." if figures.outside_bins else ""
    zone = f", in {dataset.meta.timezone}" if dataset.meta.has_calendar else ""
    popularity, cold, clock = (
        frame(figures)
        for frame in (
            statistics_frames.popularity_frame,
            statistics_frames.cold_frame,
            statistics_frames.clock_frame,
        )
    )
    charts: list[tuple[str, Any, pl.DataFrame, str, str]] = [
        ("rate-over-time", data_charts.rate_over_time, over_time, "Rate and rows over time",
         f"By interval and part{zone}.{left_out}"),
        ("by-clock", data_charts.by_clock, clock, "Rows by hour and weekday",
         f"All parts, in {dataset.meta.timezone}. The colour is the positive rate."),
        ("history-lengths", data_charts.history_lengths, lengths, "History lengths",
         "Events of the same user strictly before the row; the last length stands for more."),
        ("popularity", data_charts.popularity, popularity, "Popularity",
         "How many of the training rows the most frequent items and users make up."),
        ("cold-start", data_charts.cold_start, cold, "Cold start",
         "Rows of validation and test by how often training rows have their item and user. New ids share one code."),
    ]  # fmt: skip
    shown = [chart for chart in charts if len(chart[2])]
    for first in range(0, len(shown), 2):
        cells = st.columns(2, gap="medium")
        for cell, (name, draw, frame, title, help) in zip(cells, shown[first : first + 2], strict=False):
            with cell:
                shared.show_chart(draw(frame), f"{dataset.name}-{name}", frame, title=title, help=help)


def _sample(dataset: PreparedDataset) -> None:
    shared.section("Rows as people read them")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        part = st.segmented_control("Part", SPLITS, default="val", required=True, key="sample-part",
                                    format_func=lambda name: SPLIT_NAMES[name].capitalize(),
                                    label_visibility="collapsed")  # fmt: skip
        st.button("Show others", icon=":material/casino:", type="tertiary", on_click=_another)
    size = dataset.meta.splits[part].rows
    seed = st.session_state.get("sample-seed", 0)
    chosen = np.sort(np.random.default_rng(seed).choice(size, min(SAMPLE, size), replace=False))
    shown = describe.describe_rows(dataset, part, chosen)
    event: Any = shared.show_table(
        shown,
        f"rows-{part}",
        column_config={"row": st.column_config.NumberColumn(format="%d", help="Position in the input.")},
        on_select="rerun",
        selection_mode="single-row",
    )
    if dataset.meta.history_fields:
        picked = event.selection.rows
        if not picked:
            st.caption("Select a row to see its whole history.")
            return
        history = describe.describe_history(dataset, part, int(chosen[picked[0]])).reverse()
        if history.is_empty():
            st.caption("This row has no history.")
        else:
            age = st.column_config.NumberColumn("age, s", format="localized")
            shared.show_table(
                history, "history", title="History of the selected row, newest first", column_config={"age": age}
            )


def _another() -> None:
    st.session_state["sample-seed"] = st.session_state.get("sample-seed", 0) + 1


def _formats(**names: tuple[str, ...]) -> dict[str, Any]:
    """Column configurations: `count`, `whole` (rounded), `percent`, `plain` numbers, `auc` and `time`."""
    number, moment = st.column_config.NumberColumn, st.column_config.DatetimeColumn
    made = {
        "count": number(format="localized"),
        "whole": number(format="%,.0f"),
        "percent": number(format="percent"),
        "plain": number(format="%.4g"),
        "auc": number(format="%.4f"),
        "time": moment(format="YYYY-MM-DD HH:mm"),
    }
    return {name: made[kind] for kind, columns in names.items() for name in columns}


main()
