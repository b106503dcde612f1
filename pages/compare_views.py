"""The views of Compare beside its results: ROC and calibration, slices, cost, two configurations in detail, components
of a factorial study, and another split."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from pages import access, shared

if TYPE_CHECKING:
    from mdaf_core.analysis.compared import StudyComparison
    from mdaf_core.analysis.margins import Margin
    from mdaf_core.data.store.schema import Split
    from mdaf_core.runs.tracking import RunRecord
    from mdaf_core.studies.store import Study

SPLITS = {"test": "Test", "val": "Validation"}
MANY = 6  # configurations drawn at first in one chart


def _choice(study: Study, runs: list[RunRecord]) -> list[str]:
    finished = {run.configuration for run in runs}
    names = [name for name in study.configuration_names if name in finished]
    return st.multiselect(
        "Configurations", names, default=names[:MANY], key="configurations", bind="query-params",
        placeholder="Choose configurations",
    )  # fmt: skip


def curves(study: Study, runs: list[RunRecord], split: str) -> None:
    left, right = st.columns([4, 1], vertical_alignment="bottom")
    with left:
        chosen = _choice(study, runs)
    seed = right.selectbox("Seed", sorted({run.seed for run in runs}), key="seed", bind="query-params",
                           help="One run of each configuration: curves of seeds are not averaged.")  # fmt: skip
    from mdaf_core.analysis.curves import curve_points
    from mdaf_core.reporting.topics import scores

    picked = [run for run in runs if run.configuration in chosen and run.seed == seed]
    if not picked:
        st.info("None of these configurations has finished with this seed.", icon=":material/info:")
        return
    where = f"{SPLITS[split].lower()} rows, seed {seed}"
    left, right = st.columns(2, gap="medium")
    with left:
        roc = curve_points(picked, "roc", split)
        shared.show_chart(scores.roc(roc, order=study.configuration_names), "roc", roc, title=f"ROC, {where}")
    with right:
        bins = curve_points(picked, "calibration", split)
        shared.show_chart(
            scores.calibration(bins, order=study.configuration_names), "calibration", bins,
            title=f"Calibration, {where}",
            help="Rows in 15 bins of equal size by predicted probability; observed rate with its 95% interval, "
                 "which knows that rows of one user are alike. "
                 "On the diagonal, predictions mean what they say. Hover for the rows of a bin.",
        )  # fmt: skip


def slices(study: Study, runs: list[RunRecord], split: str) -> None:
    from mdaf_core.analysis.slices import TITLES, slices_cover, slicings
    from mdaf_core.reporting.topics import slices

    left, right = st.columns([3, 2], vertical_alignment="bottom")
    with left:
        chosen = _choice(study, runs)
    dimensions, reason = slicings(runs[0], split)
    if reason:
        st.info(shared.sentence(reason), icon=":material/info:")
    if not dimensions:
        return
    dimension = right.selectbox("Slice by", list(dimensions), format_func=TITLES.get, key="slice", bind="query-params")
    if not chosen:
        st.info("Choose at least one configuration.", icon=":material/info:")
        return
    table = slices.frame(runs, chosen, dimension, split)
    shared.show_chart(
        slices.chart(table, order=study.configuration_names, y_title=TITLES[dimension]), f"slices-{dimension}", table,
        title=f"AUC by {TITLES[dimension].partition(',')[0].lower()}, {SPLITS[split].lower()} rows",
        help=shared.plain(f"Mean over seeds. The 95% interval covers {slices_cover(table, runs[0], split)}."),
    )  # fmt: skip
    wide = slices.table(table)
    four = st.column_config.NumberColumn(format="%.4f")
    shared.show_table(
        wide, "slices", title="AUC", column_config=dict.fromkeys(wide.columns[3:], four), names_as_they_are=True
    )


def cost(study: Study, runs: list[RunRecord], comparison: StudyComparison) -> None:
    from mdaf_core.analysis import costs
    from mdaf_core.metrics.registry import metric
    from mdaf_core.reporting.topics import cost

    table = costs.of_runs(runs)
    shared.show_table(
        table.rename(cost.LEDGER), "ledger", title="What each configuration cost",
        help="Unequal budgets must be visible: a difference bought with more tuning is another claim.",
        column_config=_ledger_columns(),
    )  # fmt: skip
    frame = cost.frame(table, comparison)
    by = metric(comparison.metric).title
    y_title = f"{by}, {SPLITS[comparison.split].lower()} rows"
    for column, name, title, x_title in zip(
        st.columns(2, gap="medium"),
        ("parameters", "rows_per_second"),
        ("parameters", "training speed"),
        ("Parameters, embedding and dense", "Training speed, rows/s"),
        strict=True,
    ):
        with column:
            chart = cost.chart(frame, x=name, x_title=x_title, y_title=y_title, order=study.configuration_names)
            title = f"{by} against {title}"
            shared.show_chart(
                chart, f"cost-{name.replace('_', '-')}", frame, title=title,
                help="Mean over seeds; line: its 95% interval over other seeds and other users, none with one seed. "
                     "Logarithmic axis.",
            )  # fmt: skip


def history_length(study: Study, runs: list[RunRecord], comparison: StudyComparison) -> None:
    from mdaf_core.analysis import costs
    from mdaf_core.metrics.registry import metric
    from mdaf_core.reporting.topics import history_length

    if not history_length.of_study(study):
        st.info(
            "No two configurations of this study are one model with histories of several lengths. The study "
            "**history-length** on Launch has them.", icon=":material/info:",
        )  # fmt: skip
        return
    table = history_length.frame(study, costs.of_runs(runs), comparison)
    if table.is_empty():
        st.info("None of these configurations has finished yet.", icon=":material/info:")
        return
    y_title = f"{metric(comparison.metric).title}, {SPLITS[comparison.split].lower()} rows"
    drawn = {"mean": y_title} | {name: title for name, (title, _) in history_length.PANELS.items()}
    for column, (name, title) in zip(st.columns(3, gap="medium"), drawn.items(), strict=True):
        with column:
            shared.show_chart(
                history_length.panel(table, name, title), f"history-length-{name.replace('_', '-')}", table,
                title=title,
                help="Mean over seeds; line: its 95% interval over other seeds and other users, none with one seed."
                if name == "mean" else "As measured where each run was trained.",
            )  # fmt: skip
    st.caption(shared.plain(history_length.sentence(table, comparison.split)))
    number, four = st.column_config.NumberColumn, st.column_config.NumberColumn(format="%.4f")
    words = history_length.COLUMNS
    shared.show_table(
        table.rename(words).drop(words["name"]), "history-lengths", title="Each length",
        column_config=dict.fromkeys((words["mean"], words["low"], words["high"]), four)
        | {words["longer"]: number(format="%.1f", help="Of these rows, those whose user has more events than that.")}
        | dict.fromkeys(
            (words[name] for name in ("events", "rows_per_second", "multiply_adds", "peak_memory_mb")),
            number(format="%,.0f"),
        ),
    )  # fmt: skip


def _ledger_columns() -> dict[str, Any]:
    from mdaf_core.reporting.topics import cost

    number = st.column_config.NumberColumn
    words = cost.LEDGER_WORDS.values()
    whole = {title: number(format="%,.0f") for title in cost.LEDGER.values() if title not in words}
    return whole | {
        cost.LEDGER["parameters_embedding"]: number("Embedding", format="%,.0f", help="Parameters of embeddings."),
        cost.LEDGER["parameters_dense"]: number("Dense", format="%,.0f", help="All other parameters."),
        cost.LEDGER["epochs"]: number(format="%.1f", help="Trained, mean over seeds."),
        cost.LEDGER["best_epoch"]: number(format="%.1f", help="Kept, mean over seeds."),
        cost.LEDGER["settings_tried"]: number(
            help="Different settings of this kind of model in the store on the same data: what was tuned."
        ),
    }


def pair(study: Study, runs: list[RunRecord], split: str, margin: Margin | None) -> None:
    from mdaf_core.reporting import words
    from mdaf_core.reporting.topics.comparison import frames, pairs

    names = study.configuration_names
    a_column, b_column = st.columns(2)
    a = a_column.selectbox("Configuration A", names, index=min(1, len(names) - 1), key="a", bind="query-params")
    b = b_column.selectbox("Configuration B", names, index=names.index(study.reference), key="b", bind="query-params")
    left, right = st.columns([2, 3], gap="medium")
    with left:
        differences = frames.settings_differences(study.configuration(a), study.configuration(b))
        if differences.is_empty():
            st.markdown("**Settings that differ**")
            st.caption("None: the same settings.")
        else:
            shared.show_table(differences, "settings", title="Settings that differ", names_as_they_are=True)
    with right:
        st.markdown("**The trained models on the same rows**", help=PAIR_HELP)
        if a == b:
            st.caption("Choose two different configurations.")
            return
        with shared.guard(), st.spinner("Testing", show_time=True):
            table, sentences = pairs.pair_tests(runs, a, b, split, margin)
            if table.is_empty():
                st.caption("No seed has finished for both.")
                return
            signed = st.column_config.NumberColumn(format="%+.1f")
            shared.show_table(
                table.to_pandas().style.format(shared.fmt_p, subset=["p"]), "pair",
                column_config={name: signed for name in table.columns if name.endswith("bp")}
                | dict.fromkeys(("AUC of A", "AUC of B"), st.column_config.NumberColumn(format="%.4f")),
            )  # fmt: skip
            for sentence in sentences:
                st.caption(shared.sentence(words.sentence(sentence)))


PAIR_HELP = (
    "One row a seed that both finished. Tested by leaving out one user at a time: rows of one user depend on each "
    "other. It says nothing about other seeds; the Results view does."
)


def components(study: Study, runs: list[RunRecord], split: Split, metric: str, margin: str) -> None:
    """Of a factorial study: what each component contributes."""
    from mdaf_core.analysis.margins import parse_margin
    from mdaf_core.reporting.topics.factorial import effects_chart, effects_frame, effects_table, sentences
    from mdaf_core.studies.results import effects_of

    if study.factorial is None:
        st.info(
            "This study is no factorial: its configurations do not switch components on and off in all combinations. "
            "The study **factorial** on Launch does.", icon=":material/info:",
        )  # fmt: skip
        return
    found = effects_of(study, runs, split=split, metric=metric, margin=parse_margin(margin))
    if found.missing:
        st.info(shared.plain(f"No effects yet: {found.missing}."), icon=":material/info:")
        return
    number = st.column_config.NumberColumn
    bp = number(format="%+.1f")
    shared.show_table(
        effects_table(found).to_pandas().style.format(shared.fmt_p, subset=["p", "p of parity"]),
        "effects",
        title="Effects of components",
        column_config={
            "Effect, bp": bp,
            "Low, bp": bp,
            "High, bp": bp,
            "Not told from": st.column_config.TextColumn(help="Effects that these runs cannot tell from it."),
        },
    )
    shared.show_chart(
        effects_chart(found), "effects-chart", effects_frame(found),
        title="Effect of each component, and of two together",
        help="Line: 95% interval over other seeds and other users, not adjusted for the number of effects.",
    )  # fmt: skip
    for one in sentences(found):
        st.caption(shared.plain(one))


def another_split(study: Study, split: Split, metric: str, reference: str, margin: str) -> None:
    """Which conclusions survive: word by word, each study on its own rows; or the button that runs the same study on a
    split by time."""
    from mdaf_core.studies.twins import twin_studies

    found = twin_studies(study)
    if not found:
        st.info(
            "No study on another split of the same input has the reference and another configuration of this one.",
            icon=":material/info:",
        )
        access.change_button(
            "Run the same study on a split by time", icon=":material/play_arrow:", type="primary", key="twin-run",
            on_click=shared.act, args=(_run_twin, study),
            help="Prepares the same input with the same options, split by time, and queues the same configurations and "
            "seeds with the same plan.",
        )  # fmt: skip
        return
    titles = {other.id: f"{other.id} on {other.dataset}" for other in found}
    chosen = st.selectbox("Held against", titles, format_func=titles.__getitem__, key="twin-of", bind="query-params")
    _words_of(study, next(other for other in found if other.id == chosen), split, metric, reference, margin)


def _words_of(study: Study, other: Study, split: Split, metric: str, reference: str, margin: str) -> None:
    from mdaf_core.reporting.topics.comparison.twins import twins_sentences, twins_table
    from mdaf_core.studies.twins import held

    with st.spinner("Comparing: row by row for every seed, the first time", show_time=True):
        first, second = (shared.comparison(one.id, reference, split, metric, margin) for one in (study, other))
    found = held(study, other, first, second)
    deltas = {f"Δ bp, {one.dataset}": st.column_config.NumberColumn(format="%+.1f") for one in (study, other)}
    shared.show_table(
        twins_table(found, study, other), "twins", title="Which words stand",
        help="Same word: the tests say the same on both splits. Changed sign: better on one, worse on the other, both "
        "shown. No word: one of the studies has none yet.",
        column_config=deltas,
    )  # fmt: skip
    st.markdown("\n".join(f"- {shared.plain(sentence)}" for sentence in twins_sentences(found, study, other)))
    with st.container(horizontal=True):
        st.page_link("pages/overview.py", label="The other study", icon=":material/open_in_new:",
                     query_params={"study": other.id})  # fmt: skip


def _run_twin(study: Study) -> None:
    from mdaf_core.tasks.twins import run_twin

    made = run_twin(study)
    st.toast(shared.plain(f"Study {made.id} is queued."), icon=":material/check:")
