"""What one trained gate and its branches say of groups of rows, and where the gate leans: a section of Gates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from mdaf_core.reporting.topics.gates import values
from pages import shared

if TYPE_CHECKING:
    from mdaf_core.analysis.gates import GateSummary
    from mdaf_core.analysis.leaning import Lean
    from mdaf_core.data.store.schema import Split
    from mdaf_core.runs.tracking import RunRecord

G_HELP = (
    "g is the weight of the sequential branch's vector; the static branch's has 1 − g. It does not measure how much "
    "the history is used: a branch with twice the vector and half the weight says the same."
)
PART_HELP = (
    "What the branch adds to a row's log-odds beside other rows' vectors: both parts add up to the log-odds minus "
    "their mean. Unlike g, it does not depend on how vectors are scaled. Its size is how far the branch moves the row, "
    "up or down. The sequential branch also reads the target and its context: its part is not the history's."
)
CELLS_HELP = (
    "Mean over the rows of both groups. Pale, without a number: fewer than 30 rows. The 95% interval over other users "
    "is in the tooltip and the CSV; with so many cells some look apart by chance."
)
LEAN_HELP = (
    "Tenths of the rows by g, with 95% intervals (other users); dashed: of all rows. A line that rises: where g gives "
    "the sequential branch more weight, that branch alone more often has the smaller loss. It does not say that "
    "choosing row by row improves the ranking: that is tested above."
)
EPOCH_HELP = "g on validation rows: mean, and shaded from the 5% to the 95% quantile."
PARTS_HELP = (
    "How far each branch moves a row's log-odds: standard deviation of its part over a sample of validation rows."
)


def show(summary: GateSummary, run: RunRecord) -> None:
    """The section; what is chosen re-runs only this."""
    with shared.guard():
        shared.section("Where does g lie?", help=G_HELP)
        overall = summary.overall
        st.caption(
            f"Seed {run.seed} · {summary.rows:,} rows · mean g {overall.mean:.3f} · sd {overall.sd:.3f} · "
            f"5% to 95%: {overall.q05:.3f} to {overall.q95:.3f}"
            + (" · g is the same on every row" if summary.constant else "")
        )
        _over_groups(run, summary.split)
        _leaning(summary)
        _epochs(summary)


def _over_groups(run: RunRecord, split: Split) -> None:
    from mdaf_core.analysis import gate_groups

    titles, reason = gate_groups.dimensions(run, split)
    held = gate_groups.values_of(run, split)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        value = st.selectbox(
            "Value", held, format_func=gate_groups.VALUES.get, key="value", bind="query-params", width=280,
            help=f"**g**: {G_HELP}\n\n**Part**: {PART_HELP}",
        )  # fmt: skip
        by = second = None
        if titles:
            by = st.selectbox("By", list(titles), format_func=titles.get, key="slice", bind="query-params", width=230)
            second = st.selectbox(
                "And by", [name for name in titles if name != by], index=None, format_func=titles.get, key="and",
                bind="query-params", width=230, placeholder="nothing",
            )  # fmt: skip
    if reason:
        st.info(shared.sentence(reason), icon=":material/info:")
    left, right = st.columns(2, gap="medium")
    about = G_HELP if value == "g" else PART_HELP
    with left:
        chart, data = values.by_label(gate_groups.histograms(run, split, value), value)
        shared.show_chart(chart, "gate-distribution", data, title="By label", help=about)
    if by is None:
        return
    with right:
        chart, data = values.groups(gate_groups.groups(run, split, value, by), titles[by], value)
        shared.show_chart(
            chart, "gate-slices", data, title=f"Mean by {_lower(titles[by])}",
            help="Mean with its 95% interval (other users); faint: from the 5% to the 95% quantile of rows.",
        )  # fmt: skip
    left, right = st.columns(2, gap="medium")
    with left:
        chart, data = values.histograms(gate_groups.histograms(run, split, value, by), titles[by], value)
        shared.show_chart(
            chart, "gate-histograms", data, title=f"Histograms by {_lower(titles[by])}",
            help=f"{about} At most {gate_groups.MOST_GROUPS} groups, those with the most rows.",
        )  # fmt: skip
    with right:
        if second is None:
            st.caption("Choose a second variable (And by) to see the mean over both.")
        else:
            chart, data = values.cells(gate_groups.cells(run, split, value, by, second), titles[by], titles[second])
            shared.show_chart(
                chart, "gate-cells", data, title=f"Mean by {_lower(titles[by])} and {_lower(titles[second])}",
                help=CELLS_HELP,
            )  # fmt: skip


def _leaning(summary: GateSummary) -> None:
    lean = summary.lean
    shared.section("Does g lean to the branch that is nearer?", help=LEAN_HELP)
    if not lean.bins:
        st.caption(_lean(lean))
        return
    left, right = st.columns(2, gap="medium")
    with left:
        chart, data = values.reliability(lean)
        shared.show_chart(
            chart, "gate-reliability", data, title="Where the sequential branch is nearer", help=LEAN_HELP
        )
    with right:
        st.markdown(_lean(lean))
        st.caption(LEAN_HELP)


def _lean(lean: Lean) -> str:
    if lean.probability is None:
        return shared.plain(lean.note)
    return (
        f"g is higher where the sequential branch has the smaller loss with probability {lean.probability:.3f} "
        f"[{lean.low:.3f}, {lean.high:.3f}]. At 0.5 it would lean to neither branch."
    )


def _epochs(summary: GateSummary) -> None:
    if len(summary.by_epoch) < 2:
        return
    shared.section("How did it come about?")
    left, right = st.columns(2, gap="medium")
    with left:
        chart, data = values.by_epoch(summary)
        shared.show_chart(chart, "gate-by-epoch", data, title="g by epoch", help=EPOCH_HELP)
    drawn = values.parts_by_epoch(summary)
    with right:
        if drawn is None:
            st.caption("How far each branch moves a row was not recorded by epoch when this run was trained.")
        else:
            shared.show_chart(drawn[0], "parts-by-epoch", drawn[1], title="Branches by epoch", help=PARTS_HELP)


def _lower(title: str) -> str:
    return title[0].lower() + title[1:]
