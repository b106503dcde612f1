"""Gates: what do the history, the branches and the gate contribute?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from mdaf_core.data.store.schema import Split
from mdaf_core.reporting.topics.gates import charts as gate_charts
from mdaf_core.reporting.topics.gates import frames as gate_frames
from pages import conditions, gate_rows, gate_values, shared
from pages.compare_views import SPLITS

if TYPE_CHECKING:
    from mdaf_core.analysis.adaptivity import Contributions, Finding
    from mdaf_core.analysis.margins import Margin
    from mdaf_core.runs.tracking import RunRecord

SHOWN = (":material/check:", "green")
NOT_SHOWN = (":material/remove:", "gray")
BADGES = {
    "adaptive": SHOWN,
    "helps": SHOWN,
    "adaptive between users": (":material/group:", "blue"),
    "g acts as a score": (":material/function:", "orange"),
    "harms": (":material/priority_high:", "orange"),
    "below the margin": (":material/compress:", "blue"),
}
MARGIN_HELP = (
    "What is negligible in AUC, such as 20 bp, or 1% (of AUC − 0.5): only with a margin can a cost be shown to be "
    "small, by a one-sided 95% bound below it. Starts as the study planned it."
)


def main() -> None:
    shared.header("Gates", "What do the history and the gate contribute?")
    with shared.guard():
        picked = _pick()
        if picked is None:
            return
        run, split, margin = picked
        from mdaf_core.analysis import gates
        from mdaf_core.analysis.adaptivity import contributions
        from mdaf_core.analysis.effects import runs_of

        conditions.show(run.study, split)
        reason = gates.without_gate(run)
        found = contributions(runs_of(shared.finished_runs(run.study), run.configuration), split, margin)
        _parts(found, reason)
        if not reason:
            _gate(found, run, split, margin)
            st.fragment(gate_values.show)(gates.gate_summary(run, split), run)
        st.fragment(gate_rows.show)(run, split, not reason)


def _pick() -> tuple[RunRecord, Split, Margin | None] | None:
    from mdaf_core.analysis import gates
    from mdaf_core.analysis.margins import check_margin, parse_margin
    from mdaf_core.analysis.plan import planned_margin
    from mdaf_core.studies.store import get_study

    with st.container(horizontal=True, vertical_alignment="bottom"):
        study_id = shared.study_picker()
        if study_id is None:
            return None
        runs = sorted(shared.finished_runs(study_id), key=lambda r: gates.without_gate(r) is not None)
        by_id = {run.run_id: run for run in runs}
        run_id = shared.linked_select(
            "Run", "run", list(by_id), lambda i: f"{by_id[i].configuration}, seed {by_id[i].seed}",
            "Verdicts are on all seeds of its configuration; g and the rows are of this trained model.",
        )  # fmt: skip
        split = st.segmented_control(
            "Rows", list(SPLITS), default="test", required=True, key="split", bind="query-params", width="content",
            format_func=SPLITS.__getitem__,
        )  # fmt: skip
        planned = planned_margin(get_study(study_id).plan, "auc")
        text = st.text_input(
            "Margin", planned.text if planned else "", key=f"gate-margin-{study_id}", placeholder="none", width=120,
            help=MARGIN_HELP,
        )  # fmt: skip
    if not by_id:
        shared.empty("No run of this study has finished yet.", "See what is running", "pages/jobs.py")
    if run_id is None:
        return None
    margin = planned if planned and text.strip() == planned.text else parse_margin(text)
    check_margin(margin, "auc")
    return by_id[run_id], split, margin  # type: ignore[return-value]


# ---- the configuration over its seeds --------------------------------------------------------------------------------


def _badge(finding: Finding) -> None:
    icon, colour = BADGES.get(finding.verdict, NOT_SHOWN)
    st.badge(finding.word, icon=icon, color=colour)
    st.markdown(shared.plain(finding.sentence))
    if finding.notes:
        st.caption(" ".join(shared.plain(note) for note in finding.notes))


def _parts(found: Contributions, reason: str | None) -> None:
    """What the history and the branches contribute."""
    from mdaf_core.analysis.effects import SHARES

    data = gate_frames.effect_rows(found, SHARES)
    if reason and (found.history or found.branches):
        st.caption(shared.sentence(reason))
    elif reason:
        st.info(shared.sentence(reason), icon=":material/info:")
    if data.is_empty():
        return
    left, right = st.columns([3, 2], gap="medium")
    with left:
        shared.section(
            "Does the history help?",
            help="The model is asked again with another user's history, and with none; the target, its context and the "
            "time stay, and all inputs made of the history are computed anew.",
        )
        if found.history:
            _badge(found.history)
        if found.branches:
            st.markdown(shared.plain(found.branches))
        st.caption(" ".join(shared.plain(note) for note in found.notes))
    with right:
        shared.show_chart(
            gate_charts.effects(data), "contributions", data, title="What is lost without a part",
            help="AUC of the model minus AUC with the history replaced. Branches: Shapley values, a missing branch's "
            "vector being another row's; they do not depend on the scale of g.",
        )  # fmt: skip


def _gate(found: Contributions, run: RunRecord, split: Split, margin: Margin | None) -> None:
    from mdaf_core.analysis.adaptivity import contributions
    from mdaf_core.analysis.effects import COSTS

    if found.gate is None:
        return
    effects = found.effects
    left, right = st.columns([3, 2], gap="medium")
    with left:
        shared.section("Is the gate adaptive?", help="Does choosing g row by row rank better than any g that does not?")
        _badge(found.gate)
        if len(effects.seeds) > 1 and (alone := contributions([run], split, margin).gate):
            st.caption(f"This trained model alone (seed {run.seed}): {shared.plain(alone.word)}.")
        extrapolated = " (extrapolated)" if effects.branch_loss is False else ""
        words = {"g_median": "One g for all", "g": "g alone", "static": f"Static alone{extrapolated}",
                 "sequential": f"Sequential alone{extrapolated}"}  # fmt: skip
        with st.container(horizontal=True, gap="medium"):
            st.metric("AUC as learned", shared.fmt_auc(effects.auc), width="content")
            for name, title in words.items():
                if name in effects.aucs:
                    st.metric(title, shared.fmt_auc(effects.aucs[name]), width="content")
    data = gate_frames.effect_rows(found, COSTS)
    if len(data):
        with right:
            shared.show_chart(
                gate_charts.effects(data), "gate-adaptivity", data, title="What replacing g costs",
                help="AUC as learned minus AUC with g replaced, on the same rows; shuffles are the mean of 20.",
            )  # fmt: skip


main()
