"""The views of Compare on what the figures can carry: power, and results known only by their figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from mdaf_core.base.errors import StudioError, UsageError
from pages import access, shared

if TYPE_CHECKING:
    from mdaf_core.analysis.compared import StudyComparison
    from mdaf_core.analysis.reported_results import ReportedResult
    from mdaf_core.studies.store import Study

number = st.column_config.NumberColumn


# ---- power -----------------------------------------------------------------------------------------------------------


def power(comparison: StudyComparison) -> None:
    from mdaf_core.analysis.power import power_of
    from mdaf_core.reporting import words
    from mdaf_core.reporting.topics.comparison import frames

    difference = st.number_input(
        "Difference to be found, bp", 0.1, 1000.0, 10.0, 5.0, format="%.4g", key="find_bp", bind="query-params",
        width=220, help="A true difference of this size; found means p < 0.05, before adjusting over comparisons.",
    )  # fmt: skip
    found = power_of(comparison, difference)
    if not found.configurations:
        st.info("Nothing is compared with the reference yet.", icon=":material/info:")
        return
    table = frames.power_table(found)
    shared.show_table(
        table, "power", title=f"Rows and seeds to find {difference:g} bp against {shared.plain(found.reference)}",
        help="With probability 80% at 5%. Rows and seeds are two sources of chance: the study needs enough of both.",
        column_config={
            "Rows": number(format="localized", help="That were compared."),
            "Rows needed": number(format="localized", help="With these trained models, at as many rows a user."),
            "Seeds": number(help="That both have."),
            "Seeds needed": number(format="localized", help="On these rows, by the noncentral t distribution."),
            table.columns[5]: number(format="%.1f", help="Of the differences to the reference, paired by seed."),
            table.columns[6]: number(format="%.1f", help="Found 4 times in 5 with the rows and seeds there are."),
        },
    )  # fmt: skip
    notes = dict.fromkeys(note for needed in found.configurations for note in needed.notes)
    for note in notes:
        st.caption(shared.plain(words.sentence(note)))


# ---- reported results ------------------------------------------------------------------------------------------------

COLUMNS = {
    "name": st.column_config.TextColumn("Name", required=True, max_chars=120, width="medium"),
    "auc": number("AUC", required=True, min_value=0.0, max_value=1.0, format="%.4f"),
    "rows": number("Rows", required=True, min_value=4, step=1, format="localized"),
    "positives": number("Positives", required=True, min_value=2, step=1, format="localized"),
    "seeds": number("Seeds", min_value=1, step=1, default=1, help="Trainings behind the figure."),
    "sd": number("Sd over seeds", min_value=0.0, format="%.4f", help="In AUC, if it was reported."),
    "source": st.column_config.TextColumn("Source", max_chars=300, width="large"),
}


def reported(study: Study | None) -> None:
    """What figures known only by an AUC and its rows can show; stored with the study, where there is one."""
    st.markdown(
        "Results known only by their figures: somebody's table, or your own from before. "
        "They are **reported**, not computed here."
    )
    results = _editor(study)
    if not results:
        return
    from mdaf_core.analysis.reported_results import PRESET_REFERENCES, compare_reported
    from mdaf_core.reporting import words
    from mdaf_core.reporting.topics.comparison import reported

    names = [result.name for result in results]
    usual = next((name for name in PRESET_REFERENCES.values() if name in names), names[0])
    if st.session_state.get("reported_reference") not in names:
        st.session_state.pop("reported_reference", None)
    columns = st.columns([3, 2, 2, 2], vertical_alignment="bottom")
    reference = columns[0].selectbox(
        "Reported reference",
        names,
        index=names.index(usual),
        key="reported_reference",
        help="What the others are compared with.",
    )
    correlation = columns[1].number_input(
        "Assumed correlation", 0.0, 0.99, 0.0, 0.1, format="%.2f", key="correlation", bind="query-params",
        help="Of two models' AUCs over samples of rows. It cannot be known without predictions: the verdict takes 0.",
    )  # fmt: skip
    difference = columns[2].number_input(
        "Difference to be shown, bp", 0.1, 1000.0, 5.0, 5.0, format="%.4g", key="show_bp", bind="query-params"
    )
    text = columns[3].text_input(
        "Margin, bp",
        key="reported_margin",
        placeholder="none",
        help="What counts as parity; without one it is not tested.",
    )
    margin = _bp(text)
    found = compare_reported(results, reference, correlation=correlation, margin_bp=margin, difference_bp=difference)
    bp = number(format="%+.1f")
    shared.show_table(
        reported.reported_table(found), "reported", title="What these figures can show",
        help="Standard error: Hanley and McNeil 1982, from AUC, rows and positives alone. "
             "Intervals of differences are at the assumed correlation.",
        column_config={
            "AUC": number(format="%.4f"), "Standard error": number(format="%.4f"),
            "Δ, bp": bp, "Low, bp": bp, "High, bp": bp, f"Rows for {difference:g} bp": number(format="localized"),
        },
    )  # fmt: skip
    left, right = st.columns([3, 2], gap="medium")
    with left:
        st.markdown("**What to know**")
        notes = dict.fromkeys([*found.notes, *(note for one in found.results for note in one.notes)])
        lines = [f"- {shared.plain(words.sentence(note))}" for note in notes]
        lines.append(f"- {shared.plain(reported.reported_power(found)[1])}")
        st.markdown("\n".join(lines))
    with right:
        shared.show_table(
            reported.reported_rows(found), "reported-rows", title=f"Rows that show {difference:g} bp",
            help="4 times in 5, with two trained models of the reference's AUC, by how alike they rank the rows.",
            column_config={
                "Correlation": number(format="%.2f"),
                "Standard error, bp": number(format="%.1f", help="Of the difference, on the rows there are."),
                "Rows needed": number(format="localized"),
                "Times as many": number(format="%.1f"),
            },
        )  # fmt: skip


def _bp(text: str) -> float | None:
    """A margin of reported results, whose gain over the base rate is not theirs to share: in bp."""
    from mdaf_core.analysis.margins import parse_margin

    margin = parse_margin(text)
    if margin is not None and margin.unit != "bp":
        raise UsageError("Reported results take a margin in bp of AUC, such as 2; without one parity is not tested.")
    return margin.size if margin else None


def _editor(study: Study | None) -> list[ReportedResult] | None:
    """The table as edited, or None where it is empty or a row is not valid (then the reason is shown)."""
    import pandas as pd

    from mdaf_core.analysis.reported_results import preset_results, read_results

    of, stored = (study.id, study.reported) if study else ("", [])
    draft, version = f"reported-rows-{of}", f"reported-version-{of}"
    rows: list[dict[str, Any]] = st.session_state.get(draft, stored)
    st.session_state.setdefault(version, 0)
    table = pd.DataFrame(rows, columns=list(COLUMNS)).astype(
        {"name": "object", "source": "object"} | dict.fromkeys(("auc", "sd"), "Float64")
        | dict.fromkeys(("rows", "positives", "seeds"), "Int64")
    )  # fmt: skip
    edited = st.data_editor(
        table, num_rows="dynamic", hide_index=True, column_config=COLUMNS, height="content", placeholder="",
        key=f"reported-editor-{of}-{st.session_state[version]}",
    )  # fmt: skip
    current = shared.edited_rows(edited)

    def add_preset() -> None:
        known = {row.get("name") for row in current}
        added = [r.model_dump(exclude_none=True) for r in preset_results("report") if r.name not in known]
        st.session_state[draft] = [*current, *added]
        st.session_state[version] += 1

    def save() -> None:
        from mdaf_core.studies.store import update_study

        try:
            update_study(of, reported=[r.model_dump(exclude_none=True) for r in read_results(current)])
        except StudioError as error:
            st.toast(shared.sentence(str(error)), icon=":material/error:")
            return
        st.session_state.pop(draft, None)
        st.session_state[version] += 1

    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("Add the report's table", icon=":material/playlist_add:", key="add-reported", on_click=add_preset)
        changed = study is not None and current != shared.edited_rows(pd.DataFrame(stored, columns=list(COLUMNS)))
        access.change_button(
            "Save with the study", icon=":material/save:", key="save-reported", on_click=save, disabled=not changed
        )
        if changed:
            st.caption("Not saved yet.")
    if not current:
        st.caption("Enter a row (name, AUC, rows and positives), or add the report's table.")
        return None
    return read_results(current)
