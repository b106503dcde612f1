"""Run: what exactly was trained, and how did it go? Reached by links: it is not in the list of pages."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import streamlit as st

from mdaf_core.analysis import one_run
from mdaf_core.base import rights
from mdaf_core.base.errors import UsageError
from mdaf_core.data.store.schema import SPLIT_NAMES
from mdaf_core.queue import api
from mdaf_core.queue.job import Job
from mdaf_core.runs import tracking
from mdaf_core.runs.files import SINGLE_RUNS
from mdaf_core.runs.provenance import earlier_words
from mdaf_core.runs.tracking import RunRecord
from pages import conditions, run_beside, shared

SPLITS = {"val": "Validation rows", "test": "Test rows"}
LARGEST_DOWNLOAD = 2_000_000  # rows that pass through the browser
LOG_LINES = 200
POLL_SECONDS = 2.0
CURVES = {
    "auc": ("AUC by epoch", "AUC", {"val_auc": "validation", "train_auc_eval": "train"}),
    "loss": ("Loss by epoch", "Binary cross-entropy", {"val_loss": "validation", "train_loss": "train"}),
}
CURVE_HELP = (
    "The mark is the epoch whose weights were kept. Train AUC: measured after the epoch as validation is, on a fixed "
    "sample. Train loss is against smoothed targets where labels are smoothed."
)
METRICS_HELP = (
    "Of the best epoch's weights. Intervals are 95%, over other users (rows, where there are none), of this one "
    "trained model: another seed is not covered."
)


def main() -> None:
    shared.header("Run", "What exactly was trained, and how did it go?")
    with shared.guard():
        run_id = st.query_params.get("run", "")
        if not run_id:
            _none("No run is chosen.")
            return
        try:
            run = tracking.get_run(run_id)
        except UsageError as error:  # a link to one that is gone
            _none(shared.sentence(str(error)))
            return
        job = _job(run)
        _head(run, job)
        if job is not None and job.state in api.ACTIVE:
            st.fragment(_live, run_every=POLL_SECONDS)(run.run_id)
            return
        _metrics(run)
        run_beside.draw(run)
        _curves(run)
        _settings(run)
        _recorded(run)
        _log(run, job)
        _predictions(run)


def _none(why: str) -> None:
    """No run can be shown, and where there are some."""
    shared.empty(
        f"{why} Each value in the table of a study's runs is a link to its run.",
        "See a study's runs",
        "pages/overview.py",
    )


def _job(run: RunRecord) -> Job | None:
    from mdaf_core.studies import trainings

    job = trainings.of_study(run.study).get((run.configuration, run.seed)) if run.study != SINGLE_RUNS else None
    return job if job is not None and job.run_id == run.run_id else None


def _head(run: RunRecord, job: Job | None) -> None:
    result = run.result
    st.markdown(
        f"{shared.state_label(job.state if job else run.state)}\u2003**{shared.plain(run.configuration)}**, "
        f"seed {run.seed} · :gray[data set] {shared.plain(run.dataset)} · :gray[study] {shared.plain(run.study)} · "
        f":gray[run] {run.run_id[:8]}"
    )
    facts = [f"Began {shared.fmt_when(run.started)}"]
    if (seconds := one_run.took(run)) is not None:
        facts.append(f"took {shared.fmt_time(seconds)}")
    if result and result.best_epoch:
        facts.append(f"best epoch {result.best_epoch} of {len(result.epochs)}")
    if result and result.parameters:
        facts.append(f"{shared.fmt_count(result.parameters)} parameters")
    if result and result.rows_per_second:
        facts.append(f"{shared.fmt_count(result.rows_per_second)} rows/s")
    if result and result.peak_memory_mb:
        facts.append(f"at most {shared.fmt_bytes(result.peak_memory_mb * 1e6)} of memory")
    st.caption(", ".join(facts))
    if result and result.stopped:
        st.caption(shared.plain(result.stopped))
    if run.reason:
        st.warning(shared.plain(run.reason), icon=":material/error:")
    if run.study != SINGLE_RUNS and (others := _other_seeds(run)):
        st.caption(f"Other seeds: {', '.join(f'[{seed}](run?run={id})' for seed, id in others.items())}")
    with st.container(horizontal=True, vertical_alignment="center"):
        if run.study != SINGLE_RUNS:
            query = {"study": run.study}
            st.page_link("pages/overview.py", label="Its study", icon=":material/dashboard:", query_params=query)
            st.page_link("pages/curves.py", label="Curves of the study", icon=":material/show_chart:",
                         query_params=query)  # fmt: skip
            if run.state == "finished":
                st.page_link("pages/gates.py", label="Its gate and history", icon=":material/call_split:",
                             query_params=query | {"run": run.run_id})  # fmt: skip
                st.page_link("pages/export.py", label="Its model", icon=":material/folder_zip:",
                             query_params=query | {"view": "Use", "use-configuration": run.configuration,
                                                   "use-seed": str(run.seed)})  # fmt: skip
            if not run.imported and rights.may_change():
                _again(run)


def _other_seeds(run: RunRecord) -> dict[int, str]:
    """Seed → the run that stands for it, of the same configuration of the study."""
    from mdaf_core.studies.results import study_runs
    from mdaf_core.studies.store import get_study, is_stored

    if not is_stored(run.study):
        return {}
    return {
        one.seed: one.run_id
        for one in study_runs(get_study(run.study))
        if one.configuration == run.configuration and one.seed != run.seed
    }


def _live(run_id: str) -> None:
    """A run that goes on: its curves and log so far."""
    with shared.guard():
        run = tracking.get_run(run_id)
        job = _job(run)
        if job is None or job.state not in api.ACTIVE:
            st.rerun()
        from mdaf_core.tasks.kinds import progress_text, share_done

        words = progress_text(job)
        st.progress(share_done(job) or 0.0, shared.plain(words[:1].upper() + words[1:]))
        _curves(run)
        _log(run, job)


def _metrics(run: RunRecord) -> None:
    with st.spinner("Reading its predictions, the first time"):
        found = one_run.metrics_of(run)
    if not found:
        return
    shared.section("Metrics", help=METRICS_HELP)
    if run.study != SINGLE_RUNS:
        conditions.show(run.study, "test")
    import pandas as pd

    rows: dict[str, dict[str, Any]] = {}
    for one in found:
        row = rows.setdefault(one.key, {"Metric": one.title})
        where = SPLIT_NAMES[one.split]
        row[where.capitalize()] = one.value
        row[f"95% interval, {where}"] = (
            f"{one.low:.4f} to {one.high:.4f}" if one.low is not None and one.high is not None else None
        )
    number = st.column_config.NumberColumn(format="%.4f")
    shared.show_table(pd.DataFrame(list(rows.values())), "run-metrics",
                      column_config={"Validation": number, "Test": number})  # fmt: skip
    words = {one.covers for one in found if one.low is not None}
    said = [f"Intervals cover {'; '.join(sorted(words))}." if words else ""]
    said += [f"{one.title}, {SPLITS[one.split].lower()}: {one.covers}" for one in found if one.low is None]
    for sentence in dict.fromkeys(filter(None, said)):
        st.caption(shared.plain(sentence))
    st.caption("The epoch was chosen by validation AUC, so validation figures flatter; test rows were never looked at.")


def _curves(run: RunRecord) -> None:
    from mdaf_core.reporting.topics.curves import charts, frames

    frame = frames.epochs([run])
    if frame.is_empty():
        st.caption("Imported, so its curves are not known." if run.imported else "No epoch has finished yet.")
        return
    for column, (name, (title, y_title, curves)) in zip(st.columns(2, gap="medium"), CURVES.items(), strict=True):
        members, bands = frames.curves(frame, curves)
        if members.is_empty():
            continue
        chart = charts.learning_curves(members, bands, order=[run.configuration], y_title=y_title, height=220)
        with column:
            shared.show_chart(chart, f"run-{name}", members, title=title, help=CURVE_HELP)


def _settings(run: RunRecord) -> None:
    shared.section("Settings")
    changed = one_run.changes(run)
    left, right = st.columns(2, gap="medium")
    with left:
        if changed is None:
            st.caption(
                "Trained elsewhere: its settings are not known."
                if run.imported
                else f"There is no preset {shared.plain(repr(run.preset))} here to compare them with."
            )
        elif not changed:
            st.markdown(f"All are those of preset {shared.plain(run.preset)}.")
        else:
            rows = {
                "Setting": [one.setting for one in changed],
                "Preset": [_word(one.preset) for one in changed],
                "This run": [_word(one.value) for one in changed],
            }
            shared.show_table(_frame(rows), "run-changes", title=f"Other than preset {shared.plain(run.preset)}")
    with right, st.expander("All settings"):
        found = one_run.settings(run)
        shared.show_table(
            _frame({"Setting": list(found), "Value": [_word(value) for value in found.values()]}), "run-settings"
        )


def _frame(columns: dict[str, list[Any]]) -> Any:
    import pandas as pd

    return pd.DataFrame(columns)


def _word(value: Any) -> str:
    return "none" if value is None else str(value)


def _recorded(run: RunRecord) -> None:
    """Code, data, versions and machine."""
    known = one_run.provenance(run)
    rows = {"data": f"{run.dataset}, fingerprint {run.fingerprint}"}
    for key, title in (
        ("code", "code"), ("platform", "system"), ("processor", "processor"), ("cores", "cores"),
        ("threads", "threads"), ("device", "device"), ("scan", "scan"), ("products", "matrix products"),
    ):  # fmt: skip
        if known.get(key) is not None:
            rows[title] = str(known[key])
    rows |= {name: str(version) for name, version in known.get("versions", {}).items()}
    rows |= {f"earlier, {n}": said for n, said in enumerate(earlier_words(known), 1)}
    with st.expander("Code, data, versions, machine"):
        shared.show_table(_frame({"What": list(rows), "Recorded": list(rows.values())}), "run-recorded")
        if known.get("acknowledged"):
            st.caption(f"Failed checks of the data, accepted: {shared.plain(', '.join(known['acknowledged']))}.")


def _log(run: RunRecord, job: Job | None) -> None:
    epochs = run.epochs
    if epochs:
        shared.section("Log", help="A line an epoch; 'kept': the epoch whose weights were kept.")
        best = run.result.best_epoch if run.result else None
        st.code("\n".join(one_run.epoch_lines(epochs, best)), language=None, wrap_lines=True)
    lines = api.log_tail(job.id, LOG_LINES) if job else []
    if lines:
        with st.expander(f"All that job {job.id if job else ''} wrote"):
            st.code("\n".join(lines), language=None, height=320)


def _predictions(run: RunRecord) -> None:
    files = one_run.files_of(run)
    if not files:
        return
    shared.section(
        "Predictions and files",
        help="Row, user, label, probability, logit, g where the model has one, time, and the fields' values, as the "
        "raw data have them.",
    )
    result = run.result
    with st.container(horizontal=True):
        for split, words in SPLITS.items():
            held = f"predictions/{split}.parquet" in dict(files)
            rows = (result.val if split == "val" else result.test).rows if result else 0
            for ending in one_run.DOWNLOADS if held and rows <= LARGEST_DOWNLOAD else ():
                st.download_button(
                    f"{words}, {ending.removeprefix('.').upper() if ending == '.csv' else 'Parquet'}",
                    lambda split=split, ending=ending: _file(run, split, ending),
                    f"{run.configuration}-{run.seed}-{split}{ending}",
                    "text/csv" if ending == ".csv" else "application/vnd.apache.parquet",
                    key=f"predictions-{split}{ending}", on_click="ignore", icon=":material/download:",
                )  # fmt: skip
    st.code(
        f"python -m mdaf_core run predictions {run.run_id[:8]} --split test --out predictions.parquet",
        language="sh", wrap_lines=True,
    )  # fmt: skip
    with st.expander(f"Files: {len(files)}"):
        shared.show_table(
            _frame({"File": [name for name, _ in files], "Size": [shared.fmt_bytes(size) for _, size in files]}),
            "run-files",
        )
        st.caption(f"In {shared.plain(str(run.directory))}")


def _file(run: RunRecord, split: Any, ending: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"predictions{ending}"
        one_run.write_predicted_rows(run, split, path)
        return path.read_bytes()


# ---- run again with one change ---------------------------------------------------------------------------------------


def _again(run: RunRecord) -> None:
    """One setting to change; what comes of it is a further configuration of the same study."""
    from mdaf_core.studies.settings_form import settings
    from pages.fields import draw

    menu = st.popover("Run again with one change", icon=":material/replay:", type="tertiary", key="again",
                      on_change="rerun")  # fmt: skip
    if not menu.open:
        return
    with menu:
        config = one_run.config_of(run)
        fields = {field.path: field for field in settings(config) if field.kind != "shown"}
        st.caption(
            "The changed settings become a further configuration of this study, with all its seeds, so that both can "
            "be compared. When it was added, and that results had been seen, is said beside its verdict."
        )
        path = st.selectbox("Setting", list(fields), key="again-setting")
        field = fields[path]
        key = f"again-value-{path}"
        entered = field.entered(draw(field, key, value=field.value, title=field.title))
        name = st.text_input("Name", key="again-name", placeholder=f"{run.configuration}-2", max_chars=80)
        st.button(
            "Add and run it", type="primary", key="again-run", icon=":material/play_arrow:",
            disabled=entered == field.value, on_click=shared.act, args=(_run_again, run, path, entered, name.strip()),
        )  # fmt: skip


def _run_again(run: RunRecord, path: str, value: Any, name: str) -> None:
    from mdaf_core.studies import changing

    config = changing.changed_configuration(run.study, run.configuration, {path: value}, name or None)
    study = changing.add_configuration(run.study, config)
    st.toast(f"{config.name} was added to {study.title}: {len(study.seeds)} runs are queued.", icon=":material/check:")


main()
