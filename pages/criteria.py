"""The scoreboard of success criteria on Overview, and the table in which they are edited."""

from __future__ import annotations

from typing import Any, get_args

import streamlit as st

from mdaf_core.base import rights
from mdaf_core.base.errors import StudioError
from mdaf_core.runs import tracking
from mdaf_core.studies.store import Study, get_study, update_study
from mdaf_core.studies.suitable import source_of
from pages import shared
from serving.whole import whole

PRESETS = {
    "report": "the report's four",
    "mdaf-levels": "MDAF's three levels",
    "report-test": "both on test AUC",
}


def scoreboard(study: Study) -> None:
    shared.section(
        "Success criteria",
        help="Passed or failed by the mean over seeds; the 95% interval stands beside the figure. Sure only where it "
        "covers other seeds and other users at once.",
    )
    if not study.criteria:
        st.caption("This study carries no criteria: 'Edit criteria' below adds them.")
        return
    scores = _scores(study.id, tuple(map(str, study.criteria)), tracking.store_version())
    if not scores:
        st.caption("Criteria are judged as runs finish.")
        return
    names = list(dict.fromkeys(score["configuration"] for score in scores))
    passed = {n: [s["passed"] for s in scores if s["configuration"] == n] for n in names}
    chosen = st.selectbox(
        "Configuration", names, key="scored",
        format_func=lambda n: f"{n}: {sum(p is True for p in passed[n])} of {len(passed[n])} passed",
    )  # fmt: skip
    rows = ["| Criterion | Figure | Verdict |", "|:---|---:|:---|"]
    for score in scores:
        if score["configuration"] != chosen:
            continue
        figure = shared.fmt_auc(score["value"])
        if score["low"] is not None:
            figure += f" :gray[{shared.fmt_auc(score['low'])}\u00a0to\u00a0{shared.fmt_auc(score['high'])}]"
        what = f"**{shared.plain(score['criterion'])}:** {shared.plain(score['requirement'])}"
        rows.append(f"| {what} | {figure} | {_verdict(score)} |")
    st.markdown("\n".join(rows))
    shown = [score for score in scores if score["configuration"] == chosen]
    said = [f"Thresholds: {origin}." for origin in dict.fromkeys(s["origin"] for s in shown if s["origin"])]
    said += [
        f"{note[0].upper()}{note[1:]}."
        for note in dict.fromkeys(s["note"] for s in shown if s["passed"] is not None and s["note"])
    ]
    for text in said:
        st.caption(shared.plain(text))


@st.cache_data(show_spinner=False, max_entries=16)
def _scores(study_id: str, criteria: tuple[str, ...], version: tuple[Any, ...]) -> list[dict[str, Any]]:
    """Every criterion for every configuration; computed anew when the criteria or the run store change."""
    from mdaf_core.analysis.criteria import evaluate_study, read_criteria

    study = get_study(study_id)
    results = evaluate_study(read_criteria(study.criteria), tracking.list_runs(study_id), source_of(study.dataset))
    return [result.model_dump() for result in results]


def _verdict(score: dict[str, Any]) -> str:
    if score["passed"] is None:
        return f":gray[{shared.plain(score['note'])}]"
    word = ":green[:material/check: pass]" if score["passed"] else ":red[:material/close: fail]"
    if score["certain"] is None:
        return f"{word}, not known how sure: {shared.plain(score['unsure'])}"
    return word + (", sure" if score["certain"] else ", but the interval reaches the other side")


def editor(study: Study) -> None:
    """The criteria as a table to edit, behind a switch; outside of what polls, which would forget what is typed."""
    if rights.may_change() and st.toggle("Edit criteria", key="edit-criteria"):
        _editor(study)


def _editor(study: Study) -> None:
    import pandas as pd

    from mdaf_core.analysis.criteria import Criterion, preset_criteria, read_criteria, titles

    draft, version = f"criteria-rows-{study.id}", f"criteria-version-{study.id}"
    st.session_state.setdefault(version, 0)
    st.caption(
        "One row a requirement. 'At least' takes Low; 'at most' and 'drop below best at most' take High; 'between' "
        "both. Epoch: which one the figure is taken from, the best or the last."
    )
    fields = Criterion.model_fields
    table = pd.DataFrame(st.session_state.get(draft, study.criteria), columns=list(fields)).astype(
        {"low": "Float64", "high": "Float64", "origin": "string", "source": "string"}
    )
    words = st.column_config.SelectboxColumn
    edited = st.data_editor(
        table, num_rows="dynamic", hide_index=True, height="content", placeholder="",
        key=f"criteria-editor-{study.id}-{st.session_state[version]}",
        column_config={
            "name": st.column_config.TextColumn("Name", required=True, max_chars=120, width="medium"),
            "metric": words("Metric", options=list(titles()), format_func=titles().get, required=True, width="medium"),
            "rule": words("Rule", options=list(get_args(fields["rule"].annotation)), required=True, width="medium"),
            "low": st.column_config.NumberColumn("Low", format="%.4f"),
            "high": st.column_config.NumberColumn("High", format="%.4f"),
            "epoch": words("Epoch", options=["best", "last"], default="best", required=True),
            "origin": st.column_config.TextColumn("Thresholds from", max_chars=200, default="", width="medium"),
            "source": st.column_config.TextColumn("Only for data of", max_chars=60, default=""),
        },
    )  # fmt: skip
    current = shared.edited_rows(edited)

    def add(preset: str) -> None:
        known = {row.get("name") for row in current}
        added = [c.model_dump(exclude_none=True) for c in preset_criteria(preset) if c.name not in known]
        st.session_state[draft] = [*current, *added]
        st.session_state[version] += 1

    @whole
    def save() -> None:
        update_study(study.id, criteria=[c.model_dump(mode="json") for c in read_criteria(current)])
        st.session_state.pop(draft, None)
        st.session_state[version] += 1

    try:
        read_criteria(current)
        wrong = ""
    except StudioError as error:
        wrong = str(error)
    changed = current != [{k: v for k, v in row.items() if v not in (None, "")} for row in study.criteria]
    with st.container(horizontal=True, vertical_alignment="center"):
        for preset, title in PRESETS.items():
            st.button(f"Add {title}", icon=":material/playlist_add:", key=f"add-{preset}", on_click=add, args=(preset,))
        st.button(
            "Save with the study", icon=":material/save:", key="save-criteria", on_click=save,
            disabled=bool(wrong) or not changed,
        )  # fmt: skip
        if changed:
            st.caption("Not saved yet.")
    if wrong:
        st.error(shared.plain(wrong), icon=":material/error:")
