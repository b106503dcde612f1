"""Compare: which is better, and do we know?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from mdaf_core.analysis.margins import parse_margin
from mdaf_core.analysis.plan import planned_margin
from mdaf_core.metrics import registry
from mdaf_core.studies import results
from pages import (
    compare_best,
    compare_factorial,
    compare_published,
    compare_speed,
    compare_twins,
    conditions,
    shared,
    study_plan,
)
from pages import compare_evidence as evidence
from pages import compare_views as views
from pages.compare_views import SPLITS

if TYPE_CHECKING:
    import pandas as pd

    from mdaf_core.analysis.compared import StudyComparison
    from mdaf_core.data.store.schema import Split
    from mdaf_core.studies.store import Study

LONG_VERDICT = 14  # characters; longer ones need a wide column
VIEWS = {  # and the choices above them that they depend on
    "Results": ("split", "metric", "reference", "margin"),
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
SORTS = {"mean": "Best mean first", "difference": "Difference", "sd": "Spread over seeds", "name": "Name"}


def main() -> None:
    shared.header("Compare", "Which is better, and do we know?")
    with shared.guard():
        columns = st.columns([4, 2, 2, 3, 2], vertical_alignment="bottom")
        study_id = shared.study_picker(columns[0])
        if study_id is None and "study" in st.query_params:  # one that is gone
            return
        from mdaf_core.studies.store import get_study

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
        if view != "Results":
            conditions.show(study_id, split)
        if view == "ROC and calibration":
            views.curves(study, runs, split)
        elif view == "Speed":
            compare_speed.draw(study)
        elif view == "Another split":
            compare_twins.draw(study, split, metric, reference, margin)
        elif view == "Components":
            compare_factorial.draw(study, runs, split, metric, margin)
        elif view == "Slices":
            views.slices(study, runs, split)
        elif view == "Pair":
            views.pair(study, runs, split, parse_margin(margin))
        else:
            over_items = _over_items(view)
            with st.spinner("Comparing: row by row for every seed, the first time", show_time=True):
                comparison = shared.comparison(study_id, reference, split, metric, margin, over_items)
            if view == "Results":
                _results(study_id, comparison, metric)
                compare_best.draw(study, runs, comparison.split, metric)
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
    return view in ("Results", "Power") and st.toggle(
        "Other items too", key="items", bind="query-params",
        help="Intervals and verdicts cover other items as well as other users and seeds, where rows have both. "
             "They only ever become wider.",
    )  # fmt: skip


# ---- results ---------------------------------------------------------------------------------------------------------


def _results(study_id: str, comparison: StudyComparison, metric: str) -> None:
    from mdaf_core.reporting import captions
    from mdaf_core.reporting.topics.comparison import charts, frames

    said = conditions.show(study_id, comparison.split, comparison)
    st.caption(shared.plain(frames.comparison_basis(comparison)))
    whole = comparison
    comparison = _arranged(whole)
    table = frames.comparison_table(comparison)
    seeds = frames.comparison_seeds(comparison) if st.session_state.get("members") else None
    if seeds is not None:
        table = table.hstack(seeds)
    shared.show_table(
        _styled(table.to_pandas(), comparison),
        "comparison",
        column_config=_columns(comparison, metric)
        | {name: st.column_config.NumberColumn(format="%.4f") for name in (seeds.columns if seeds is not None else ())},
    )
    if len(comparison.configurations) < len(whole.configurations):
        hidden = len(whole.configurations) - len(comparison.configurations)
        st.caption(
            f"{hidden} hidden by the filter; p values are adjusted over all {whole.tests} comparisons all the same. "
            "Which are shown was chosen after results were seen."
        )
    frame = comparison.frame()
    left, right = st.columns(2, gap="medium")
    title = registry.metric(metric).title
    what = f"{title}, {SPLITS[comparison.split].lower()} rows"
    with left:
        shared.show_chart(
            charts.leaderboard(frame, frames.comparison_members(comparison), x_title=what),
            "leaderboard", frame, title=what,
            help="Dot: mean over seeds. Line: its 95% interval over other seeds and other users (rows, where there "
                 "are none); none with one seed. Ticks: single seeds. Diamond: the reference.",
        )  # fmt: skip
    with right:
        if frame["difference_bp"].is_null().all():
            st.info("Nothing to compare with the reference yet.", icon=":material/info:")
        else:
            shared.show_chart(
                charts.differences(frame, margin_bp=comparison.margin_bp,
                                   x_title=f"{title} minus that of {comparison.reference}, bp"),
                "differences", frame, title=f"Difference to {shared.plain(comparison.reference)}",
                help=f"Mean of the differences paired by seed. {captions.of_differences(comparison)} "
                     "Band: the margin of parity. Faint: smaller than the noise floor, the spread over seeds.",
            )  # fmt: skip
    _over_seeds(comparison)
    known = (captions.of_differences(comparison), *frames.comparison_notes(comparison))
    notes = [note for note in known if note and note not in said]
    if notes:
        st.markdown("**What to know**")
        st.markdown("\n".join(f"- {shared.plain(note)}" for note in notes))


def _arranged(comparison: StudyComparison) -> StudyComparison:
    """The comparison sorted and filtered as the reader asks; the choices live in the link."""
    from mdaf_core.reporting.topics.comparison import frames

    words = list(dict.fromkeys(c.verdict for c in comparison.configurations if c.verdict != "reference"))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        order = st.selectbox("Sort", list(SORTS), format_func=SORTS.get, key="sort", bind="query-params", width=190)
        find = st.text_input("Name contains", key="find", bind="query-params", width=190, placeholder="any")
        chosen = []
        if len(words) > 1 or st.session_state.get("verdicts"):
            chosen = st.pills(
                "Verdict", words, selection_mode="multi", key="verdicts", bind="query-params", width="content",
                help="Only these; the reference always stays. None chosen: all.",
            )  # fmt: skip
        st.toggle("Each seed", key="members", bind="query-params", help="A column for each seed's value.")
    return frames.arranged(comparison, order, find or "", chosen)


def _over_seeds(comparison: StudyComparison) -> None:
    from mdaf_core.reporting.topics.comparison import frames

    table, sentences = frames.over_seeds(comparison)
    if table.is_empty():
        return
    with st.expander("Tests over seeds alone"):
        st.caption(
            "They take these rows as given: other seeds, not other users. Student's t assumes differences that are "
            "normal over seeds; Wilcoxon's signed-rank test only that they are symmetric. Verdicts are of seeds "
            "and users together."
        )
        p = [column for column in table.columns if column.endswith(", p")]
        signed = st.column_config.NumberColumn(format="%+.1f")
        shared.show_table(
            table.to_pandas().style.format(shared.fmt_p, subset=p),
            "over-seeds",
            column_config=dict.fromkeys((c for c in table.columns[2:] if c not in p), signed),
        )
        for sentence in sentences:
            st.caption(shared.plain(sentence))


def _styled(table: pd.DataFrame, comparison: StudyComparison) -> Any:
    """The table with rows whose difference is under the noise floor in grey, and p values as they are printed."""
    from mdaf_core.reporting.theme import FAINT_TEXT

    grey = f"color: {FAINT_TEXT.get(st.context.theme.type or 'light', FAINT_TEXT['light'])}"
    below = [c.below_noise_floor is True for c in comparison.configurations]

    style = table.style.format(shared.fmt_p, subset=["p", "p of parity"])
    return style.apply(lambda row: [grey if below[row.name] else ""] * len(row), axis=1)


def _columns(comparison: StudyComparison, metric: str) -> dict[str, Any]:
    from mdaf_core.reporting import captions
    from mdaf_core.reporting.topics.comparison import frames

    number = st.column_config.NumberColumn
    interval = captions.of_differences(comparison)
    title = registry.metric(metric).title
    return {
        "Configuration": st.column_config.TextColumn(pinned=bool(st.session_state.get("members"))),
        "Seeds": number(help="Finished seeds; a repeated seed counts once.", width="small"),
        "Mean": number(f"{title}, mean", format="%.4f", help="Over seeds, best epoch's weights."),
        "± 95%": number(
            format="%.4f",
            help="Half the width of the mean's 95% interval over other seeds and other users (rows, where there are "
            "none) at once; a dash where one of both is not known.",
        ),
        "Sd over seeds": number(format="%.4f", help="Standard deviation over seeds alone: it says nothing of users."),
        "Δ, bp": number(format="%+.1f", help=f"Minus {comparison.reference}, paired by seed."),
        "Low, bp": number(format="%+.1f", help=interval),
        "High, bp": number(format="%+.1f", help=interval),
        "p": number(help=f"Against no difference; Holm over {comparison.tests} comparisons."),
        "p of parity": number(help=f"Two one-sided tests against {comparison.margin_words}; Holm-adjusted."),
        "Verdict": st.column_config.TextColumn(
            help="From the adjusted tests alone, at 5%. 'Not shown' is not 'the same': that is parity. 'Interim': "
            "planned seeds are missing.",
            width="medium" if max(map(len, frames.comparison_table(comparison)["Verdict"])) > LONG_VERDICT else None,
        ),
    }


main()
