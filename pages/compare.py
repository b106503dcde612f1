"""Compare: which is better, and do we know?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from pages import shared

if TYPE_CHECKING:
    import pandas as pd

    from mdaf_core.evaluation.comparison import StudyComparison
    from mdaf_core.studies.store import Study
    from mdaf_core.tracking import RunRecord

VIEWS = ["Results", "ROC and calibration", "Slices", "Cost", "Pair"]
SPLITS = {"test": "Test", "val": "Validation"}
METRICS = {
    "auc": "AUC",
    "gauc": "gAUC",
    "logloss": "Log loss",
    "normalised_entropy": "Normalised entropy",
    "brier": "Brier score",
    "ece": "Calibration error",
    "pr_auc": "PR-AUC",
}
MANY = 6


def main() -> None:
    shared.header("Compare", "Which is better, and do we know?")
    with shared.guard():
        columns = st.columns([4, 2, 2, 3, 2], vertical_alignment="bottom")
        with columns[0]:
            study_id = shared.study_picker()
        if study_id is None:
            return
        from mdaf_core.studies.store import get_study

        study = get_study(study_id)
        split = columns[1].selectbox("Rows", list(SPLITS), format_func=SPLITS.get, key="split", bind="query-params",
            help="Test rows were never looked at in training. Validation rows chose each run's epoch.")  # fmt: skip
        metric = columns[2].selectbox(
            "Metric", list(METRICS), format_func=METRICS.get, key="metric", bind="query-params",
            help="Of the best epoch's weights. gAUC: AUC of each user with both labels, weighted by rows.")  # fmt: skip
        names = study.configuration_names
        reference = columns[3].selectbox(
            "Reference", names, index=names.index(study.reference), key="reference", bind="query-params",
            help="The configuration that all others are compared with.")  # fmt: skip
        margin = columns[4].number_input(
            "Margin, ± bp", 0.5, 1000.0, 20.0, 5.0, format="%.4g", key="margin", bind="query-params",
            help="Parity is shown when the difference is inside ± this margin (two one-sided tests). 1 bp = 0.0001.",
        )  # fmt: skip
        with st.spinner("Comparing: row by row for every seed, the first time", show_time=True):
            comparison = shared.comparison(study_id, reference, split, metric, margin)
        if not comparison.configurations:
            shared.empty("No run of this study has finished yet.", "See what is running", "pages/jobs.py")
            return
        view = st.segmented_control("View", VIEWS, default=VIEWS[0], required=True, key="view", bind="query-params",
                                    label_visibility="collapsed")  # fmt: skip
        runs = shared.finished_runs(study_id)
        if view == "Results":
            _results(comparison, metric)
        elif view == "ROC and calibration":
            _curves(study, runs, split)
        elif view == "Slices":
            _slices(study, runs, split)
        elif view == "Cost":
            _cost(study, runs, comparison, metric)
        else:
            _pair(study, runs, split, margin, comparison)


# ---- results ---------------------------------------------------------------------------------------------------------


def _results(comparison: StudyComparison, metric: str) -> None:
    from mdaf_core.reporting import charts, frames

    unit = frames.difference_unit(metric)
    st.caption(frames.comparison_basis(comparison))
    table = frames.comparison_table(comparison)
    shared.show_table(
        _styled(table.to_pandas(), comparison), "comparison", column_config=_columns(comparison, unit, metric)
    )
    frame = comparison.frame()
    left, right = st.columns(2, gap="medium")
    what = f"{METRICS[metric]}, {SPLITS[comparison.split].lower()} rows"
    with left:
        shared.show_chart(
            charts.leaderboard(frame, frames.comparison_members(comparison), x_title=what),
            "leaderboard", frame, title=what,
            help="Dot: mean over seeds. Line: 95% t interval of the mean over seeds. Ticks: single seeds. "
                 "Diamond: the reference.",
        )  # fmt: skip
    with right:
        if frame["difference_bp"].is_null().all():
            st.info("Nothing to compare with the reference yet.", icon=":material/info:")
        else:
            shared.show_chart(
                charts.differences(frame, margin_bp=comparison.margin_bp,
                                   x_title=f"{METRICS[metric]} minus that of {comparison.reference}, {unit}"),
                "differences", frame, title=f"Difference to {shared.plain(comparison.reference)}",
                help="Mean of the differences paired by seed, with its 95% interval. Band: the margin of parity. "
                     "Faint: smaller than the noise floor, the spread over seeds.",
            )  # fmt: skip
    notes = frames.comparison_notes(comparison)
    if notes:
        st.markdown("**What to know**")
        st.markdown("\n".join(f"- {shared.plain(note)}" for note in notes))


def _styled(table: pd.DataFrame, comparison: StudyComparison) -> Any:
    """The table with rows whose difference is under the noise floor in grey, and p values as they are printed."""
    from mdaf_core.reporting.theme import COLOURS

    grey = f"color: {COLOURS[shared.mode()].muted}"
    below = [c.below_noise_floor is True for c in comparison.configurations]

    def p_value(p: float) -> str:
        return shared.MISSING if p != p else "< 0.0001" if p < 1e-4 else f"{p:.4f}"

    style = table.style.format(p_value, subset=["p", "p of parity"])
    return style.apply(lambda row: [grey if below[row.name] else ""] * len(row), axis=1)


def _columns(comparison: StudyComparison, unit: str, metric: str) -> dict[str, Any]:
    number = st.column_config.NumberColumn
    covers = next((c.difference.covers for c in comparison.configurations if c.difference), "")
    return {
        "Configuration": st.column_config.TextColumn(width="medium"),
        "Seeds": number(help="Finished seeds; a repeated seed counts once.", width="small"),
        "Mean": number(f"{METRICS[metric]}, mean", format="%.4f", help="Over seeds, best epoch's weights."),
        "Sd": number(format="%.4f", help="Standard deviation over seeds; none with one seed."),
        f"Δ, {unit}": number(format="%+.1f", help=f"Minus {comparison.reference}, paired by seed."),
        f"Low, {unit}": number(format="%+.1f", help=f"95% interval, covers {covers}."),
        f"High, {unit}": number(format="%+.1f", help=f"95% interval, covers {covers}."),
        "p": number(help=f"Against no difference; Holm over {comparison.tests} comparisons."),
        "p of parity": number(help=f"Two one-sided tests against ±{comparison.margin_bp:g} bp; Holm-adjusted."),
        "Verdict": st.column_config.TextColumn(
            help="From the adjusted tests alone, at 5%. 'Not shown' is not 'the same': that is parity.", width="medium"
        ),
    }


# ---- curves, slices, cost --------------------------------------------------------------------------------------------


def _choice(study: Study, runs: list[RunRecord]) -> list[str]:
    finished = {run.configuration for run in runs}
    names = [name for name in study.configuration_names if name in finished]
    return st.multiselect(
        "Configurations", names, default=names[:MANY], key="configurations", bind="query-params",
        placeholder="Choose configurations",
    )  # fmt: skip


def _curves(study: Study, runs: list[RunRecord], split: str) -> None:
    left, right = st.columns([4, 1], vertical_alignment="bottom")
    with left:
        chosen = _choice(study, runs)
    seed = right.selectbox("Seed", sorted({run.seed for run in runs}), key="seed", bind="query-params",
                           help="One run of each configuration: curves of seeds are not averaged.")  # fmt: skip
    from mdaf_core.evaluation.curves import curve_points
    from mdaf_core.reporting import charts

    picked = [run for run in runs if run.configuration in chosen and run.seed == seed]
    if not picked:
        st.info("None of these configurations has finished with this seed.", icon=":material/info:")
        return
    where = f"{SPLITS[split].lower()} rows, seed {seed}"
    left, right = st.columns(2, gap="medium")
    with left:
        roc = curve_points(picked, "roc", split)
        shared.show_chart(charts.roc(roc, order=study.configuration_names), "roc", roc, title=f"ROC, {where}")
    with right:
        bins = curve_points(picked, "calibration", split)
        shared.show_chart(
            charts.calibration(bins, order=study.configuration_names), "calibration", bins,
            title=f"Calibration, {where}",
            help="Rows in 15 bins of equal size by predicted probability; observed rate with its 95% Wilson interval. "
                 "On the diagonal, predictions mean what they say. Hover for the rows of a bin.",
        )  # fmt: skip


def _slices(study: Study, runs: list[RunRecord], split: str) -> None:
    from mdaf_core.evaluation.slices import TITLES, slicings
    from mdaf_core.reporting import charts, frames

    left, right = st.columns([3, 2], vertical_alignment="bottom")
    with left:
        chosen = _choice(study, runs)
    dimensions = list(slicings(runs[0], split))
    dimension = right.selectbox("Slice by", dimensions, format_func=TITLES.get, key="slice", bind="query-params")
    if not chosen:
        st.info("Choose at least one configuration.", icon=":material/info:")
        return
    table = frames.slices(runs, chosen, dimension, split)
    shared.show_chart(
        charts.slices(table, order=study.configuration_names, y_title=TITLES[dimension]), f"slices-{dimension}", table,
        title=f"AUC by {TITLES[dimension].lower()}, {SPLITS[split].lower()} rows",
        help="Mean over seeds; the 95% interval covers other users with these trained models, not other seeds.",
    )  # fmt: skip
    shared.show_table(
        table.drop("dimension"), "slices",
        column_config={name: st.column_config.NumberColumn(format="%.4f") for name in ("auc", "low", "high")},
    )  # fmt: skip


def _cost(study: Study, runs: list[RunRecord], comparison: StudyComparison, metric: str) -> None:
    from mdaf_core.reporting import charts, frames

    table = frames.ledger(runs)
    shared.show_table(
        table.rename(frames.LEDGER), "ledger", title="What each configuration cost",
        help="Unequal budgets must be visible: a difference bought with more tuning is another claim.",
        column_config=_ledger_columns(),
    )  # fmt: skip
    frame = frames.quality_and_cost(table, comparison)
    y_title = f"{METRICS[metric]}, {SPLITS[comparison.split].lower()} rows"
    for column, name, title in zip(
        st.columns(2, gap="medium"),
        ("parameters", "rows_per_second"),
        ("Parameters, embedding and dense", "Training speed, rows/s"),
        strict=True,
    ):
        with column:
            chart = charts.cost(frame, x=name, x_title=title, y_title=y_title, order=study.configuration_names)
            shared.show_chart(chart, f"cost-{name.replace('_', '-')}", frame, title=title)


def _ledger_columns() -> dict[str, Any]:
    from mdaf_core.reporting import frames

    number = st.column_config.NumberColumn
    words = frames.LEDGER_WORDS.values()
    whole = {title: number(format="%,.0f") for title in frames.LEDGER.values() if title not in words}
    return whole | {
        frames.LEDGER["epochs"]: number(format="%.1f", help="Trained, mean over seeds."),
        frames.LEDGER["best_epoch"]: number(format="%.1f", help="Kept, mean over seeds."),
        frames.LEDGER["settings_tried"]: number(
            help="Different settings of this kind of model in the store on the same data: what was tuned."
        ),
    }


# ---- pair ------------------------------------------------------------------------------------------------------------


def _pair(study: Study, runs: list[RunRecord], split: str, margin: float, comparison: StudyComparison) -> None:
    from mdaf_core.reporting import frames

    names = study.configuration_names
    a_column, b_column = st.columns(2)
    a = a_column.selectbox("Configuration A", names, index=min(1, len(names) - 1), key="a", bind="query-params")
    b = b_column.selectbox(
        "Configuration B", names, index=names.index(comparison.reference), key="b", bind="query-params"
    )
    left, right = st.columns([2, 3], gap="medium")
    with left:
        differences = frames.settings_differences(study.configuration(a), study.configuration(b))
        if differences.is_empty():
            st.markdown("**Settings that differ**")
            st.caption("None: the same settings.")
        else:
            shared.show_table(differences, "settings", title="Settings that differ")
    with right:
        st.markdown("**The trained models on the same rows**", help=PAIR_HELP)
        if a == b:
            st.caption("Choose two different configurations.")
            return
        with shared.guard(), st.spinner("Testing", show_time=True):
            table, sentences = frames.pair_tests(runs, a, b, split, margin)
            if table.is_empty():
                st.caption("No seed has finished for both.")
                return
            signed = st.column_config.NumberColumn(format="%+.1f")
            shared.show_table(
                table, "pair",
                column_config={name: signed for name in table.columns if name.endswith("bp")}
                | dict.fromkeys(("AUC of A", "AUC of B", "p"), st.column_config.NumberColumn(format="%.4f")),
            )  # fmt: skip
            for sentence in sentences:
                st.caption(shared.plain(sentence))


PAIR_HELP = (
    "One row a seed that both finished. DeLong clustered by user: rows of one user depend on each other. It says "
    "nothing about other seeds; the Results view does."
)

main()
