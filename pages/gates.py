"""Gates: when does it use the history?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages import conditions, gate_rows, shared

if TYPE_CHECKING:
    from mdaf_core.data.schema import Split
    from mdaf_core.evaluation.gates import GateSummary
    from mdaf_core.tracking import RunRecord

VERDICTS = {
    "adaptive": (":material/check:", "green"),
    "not adaptive on this data": (":material/remove:", "orange"),
    "undefined": (":material/help:", "gray"),
}
G_HELP = "g is the weight of the sequential branch (the history); the static branch has 1 − g."


def main() -> None:
    shared.header("Gates", "When does it use the history?")
    with shared.guard():
        picked = _pick()
        if picked is None:
            return
        run, split = picked
        from mdaf_core.evaluation import gates

        conditions.show(run.study, split)
        reason = gates.without_gate(run)
        if reason:
            st.info(shared.plain(reason), icon=":material/info:")
        else:
            summary = gates.gate_summary(run, split)
            _verdict(summary)
            _distribution(summary)
        st.fragment(gate_rows.show)(run, split, not reason)


def _pick() -> tuple[RunRecord, Split] | None:
    from mdaf_core.evaluation import gates

    with st.container(horizontal=True, vertical_alignment="bottom"):
        study_id = shared.study_picker()
        if study_id is None:
            return None
        runs = sorted(shared.finished_runs(study_id), key=lambda r: gates.without_gate(r) is not None)
        by_id = {run.run_id: run for run in runs}
        run_id = shared.linked_select(
            "Run", "run", list(by_id), lambda i: f"{by_id[i].configuration}, seed {by_id[i].seed}",
            "Runs with a gate come first. Each is one trained model.",
        )  # fmt: skip
        split = st.segmented_control(
            "Rows", ["test", "val"], default="test", required=True, key="split", bind="query-params", width="content",
            format_func=lambda s: {"test": "Test", "val": "Validation"}[s],
        )  # fmt: skip
    if not by_id:
        shared.empty("No run of this study has finished yet.", "See what is running", "pages/jobs.py")
    if run_id is None:
        return None
    return by_id[run_id], split


# ---- the gate as a whole ---------------------------------------------------------------------------------------------


def _verdict(summary: GateSummary) -> None:
    from mdaf_core.evaluation import gates
    from mdaf_core.reporting import gate_charts

    found = summary.adaptivity
    icon, colour = VERDICTS[found.verdict]
    left, right = st.columns([3, 2], gap="medium")
    with left:
        shared.section("Is the gate adaptive?", help="Does choosing g row by row rank better than one g for all rows?")
        st.badge(found.verdict, icon=icon, color=colour)
        st.markdown(shared.plain(found.sentence))
        with st.container(horizontal=True, gap="medium"):
            values = {"AUC as learned": found.auc} | {
                gates.REPLACEMENTS[r.name]: r.test.auc_b for r in found.replacements
            } | {"Static alone": found.auc_static, "Sequential alone": found.auc_sequential}  # fmt: skip
            for label, value in values.items():
                st.metric(label, shared.fmt_auc(value), width="content")
        st.caption(" ".join(shared.plain(note) for note in found.notes))
    if found.replacements:
        with right:
            chart, data = gate_charts.replacements(found)
            shared.show_chart(
                chart, "gate-adaptivity", data, title="What replacing g costs",
                help="AUC as learned minus AUC with g replaced, on the same rows; 95% intervals over users.",
            )  # fmt: skip


def _distribution(summary: GateSummary) -> None:
    from mdaf_core.evaluation.gates import slice_title
    from mdaf_core.reporting import gate_charts

    overall = summary.overall
    shared.section("Where does g lie?", help=G_HELP)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.caption(
            f"{summary.rows:,} rows · mean g {overall.mean:.3f} · sd {overall.sd:.3f} · "
            f"5% to 95%: {overall.q05:.3f} to {overall.q95:.3f}"
            + (" · g is the same on every row" if summary.constant else "")
        )
        if summary.slices:
            dimension = st.selectbox(
                "Slices", list(summary.slices), format_func=slice_title, key="slice", bind="query-params", width=260
            )
    left, right = st.columns(2, gap="medium")
    with left:
        chart, data = gate_charts.distribution(summary)
        shared.show_chart(chart, "gate-distribution", data, title="By label", help=G_HELP)
        if len(summary.by_epoch) > 1:
            chart, data = gate_charts.by_epoch(summary)
            shared.show_chart(chart, "gate-by-epoch", data, title="By epoch", help="Mean g on validation rows.")
    with right:
        if summary.slices_note:
            st.info(shared.plain(summary.slices_note), icon=":material/info:")
        if summary.slices:
            chart, data = gate_charts.groups(summary.slices[dimension], slice_title(dimension))
            shared.show_chart(
                chart, "gate-slices", data, title="By slice",
                help="Mean g with its 95% interval (other users); faint: from the 5% to the 95% quantile of rows.",
            )  # fmt: skip


main()
