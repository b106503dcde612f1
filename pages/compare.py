"""Compare: which is better, and do we know?"""

from __future__ import annotations

from typing import Any

import streamlit as st

from mdaf_core.analysis.margins import parse_margin
from mdaf_core.analysis.plan import planned_margin
from mdaf_core.data.store.schema import Split
from mdaf_core.metrics import registry
from mdaf_core.studies import results
from mdaf_core.studies.store import Study, get_study, list_studies
from pages import compare_across, compare_published, compare_results, compare_speed, conditions, shared, study_plan
from pages import compare_evidence as evidence
from pages import compare_views as views
from pages.compare_views import SPLITS

VIEWS = {  # and the choices above them that they depend on
    "Results": ("split", "metric", "reference", "margin"),
    "Across studies": ("split", "metric", "reference", "margin"),
    "Components": ("split", "metric", "margin"),
    "Power": ("split", "metric", "reference"),
    "ROC and calibration": ("split",),
    "Slices": ("split",),
    "Cost": ("split", "metric"),
    "History length": ("split", "metric"),
    "Speed": (),
    "Pair": ("split", "margin"),
    "Another split": ("split", "metric", "reference", "margin"),
    "Results of others": (),
}
OTHERS = "Results of others"  # the one view that needs no study


def main() -> None:
    shared.header("Compare", "Which is better, and do we know?")
    with shared.guard():
        columns = st.columns([4, 2, 2, 3, 2], vertical_alignment="bottom") if list_studies() else [None]
        study_id = shared.study_picker(columns[0])
        if study_id is None and "study" in st.query_params:  # one that is gone
            return
        study = None if study_id is None else get_study(study_id)
        view = st.segmented_control("View", list(VIEWS) if study else [OTHERS], default="Results" if study else OTHERS,
                                    required=True, key="view", bind="query-params",
                                    label_visibility="collapsed")  # fmt: skip
        if study is not None:
            split, metric, reference, margin = _choices(columns[1:], study, VIEWS[view])
        if view == OTHERS:
            compare_published.draw(study)
            return
        if study is None or study_id is None:
            return
        runs = shared.finished_runs(study_id)
        if not runs:
            shared.empty("No run of this study has finished yet.", "See what is running", "pages/jobs.py")
            return
        if view == "Across studies":
            compare_across.draw(study, split, metric, reference, margin, _over_items(view))
            return
        if view != "Results":
            conditions.show(study_id, split)
        if view == "ROC and calibration":
            views.curves(study, runs, split)
        elif view == "Speed":
            compare_speed.draw(study)
        elif view == "Another split":
            views.another_split(study, split, metric, reference, margin)
        elif view == "Components":
            views.components(study, runs, split, metric, margin)
        elif view == "Slices":
            views.slices(study, runs, split)
        elif view == "Pair":
            views.pair(study, runs, split, parse_margin(margin))
        else:
            over_items = _over_items(view)
            with st.spinner("Comparing: row by row for every seed, the first time", show_time=True):
                comparison = shared.comparison(study_id, reference, split, metric, margin, over_items)
            if view == "Results":
                compare_results.draw(comparison, conditions.show(study_id, comparison.split, comparison))
                compare_results.best(study, runs, comparison.split, metric)
            elif view == "Power":
                evidence.power(comparison)
            elif view == "History length":
                views.history_length(study, runs, comparison)
            else:
                views.cost(study, runs, comparison)


def _choices(columns: list[Any], study: Study, used: tuple[str, ...]) -> tuple[Split, str, str, str]:
    """Rows, metric, reference and margin, at first as they were planned; those without an effect are greyed out."""

    def how(name: str, help: str) -> dict[str, Any]:
        return {
            "key": name, "bind": "query-params", "disabled": name not in used,
            "help": help if name in used else "Has no effect on this view.",
        }  # fmt: skip

    names, metrics = study.configuration_names, registry.metrics()
    reference, split, metric, margin = results.choices(study)
    shared.start_over(
        study.id, split=split, metric=metric, margin=margin.text if margin else "", reference=reference,
        configurations=names[: views.MANY], seed=study.all_seeds[0],
        a=names[min(1, len(names) - 1)], b=study.reference,
    )  # fmt: skip

    def margin_of_metric() -> None:  # a margin of one metric says nothing of another
        planned = planned_margin(study.plan, st.session_state["metric"])
        st.session_state["margin"] = planned.text if planned else ""

    split = columns[0].selectbox(
        "Rows", list(SPLITS), index=list(SPLITS).index(split), format_func=SPLITS.get,
        **how("split", "Test rows were never looked at in training. Validation rows chose each run's epoch."),
    )  # fmt: skip
    metric = columns[1].selectbox(
        "Metric", list(metrics), index=list(metrics).index(metric), format_func=registry.titles().get,
        on_change=margin_of_metric,
        **how("metric", " ".join(["Of the best epoch's weights.", *(m.hint for m in metrics.values() if m.hint)])),
    )  # fmt: skip
    reference = columns[2].selectbox(
        "Reference", names, index=names.index(reference),
        **how("reference", "The configuration that all others are compared with."),
    )  # fmt: skip
    planned = planned_margin(study.plan, metric)
    text = columns[3].text_input(
        "Margin", planned.text if planned else "", placeholder="none",
        **how("margin", f"{study_plan.margin_help()} Parity is shown by two one-sided tests."),
    )  # fmt: skip
    return split, metric, reference, text


def _over_items(view: str) -> bool:
    """Whether intervals cover other items, too; offered where words and intervals are shown."""
    return view in ("Results", "Across studies", "Power") and st.toggle(
        "Other items too", key="items", bind="query-params",
        help="Intervals and verdicts cover other items as well as other users and seeds, where rows have both. "
             "They only ever become wider.",
    )  # fmt: skip


main()
