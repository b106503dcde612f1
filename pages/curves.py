"""Curves: does it overfit?"""

from __future__ import annotations

import polars as pl
import streamlit as st

from mdaf_core.reporting import parts
from mdaf_core.reporting.topics.curves import charts as curve_charts
from mdaf_core.reporting.topics.curves import frames as curve_frames
from mdaf_core.studies.results import study_runs
from mdaf_core.studies.store import Study, get_study
from pages import conditions, curves_options, shared, watch
from pages.curves_options import Options

# Train AUC is measured in two ways; both are shown under their own names.
TRAIN = {
    "eval": ("Evaluation mode", "train_auc_eval", "gap_eval"),
    "online": ("While training", "train_auc_online", "gap_online"),
}
TRAIN_HELP = (
    "**Evaluation mode**: measured after the epoch as validation is (no dropout, final weights), on a fixed sample of "
    "training rows. **While training**: accumulated during the epoch with dropout on and weights still changing, as "
    "the report does; part of its gap is an artefact of that."
)
GAP_WORDS = {
    "eval": "measured after the epoch as validation is (no dropout, final weights), on a fixed sample of training rows",
    "online": "accumulated in the epoch, dropout on and weights still changing: part of the gap is an artefact",
}
OTHERS = {
    "loss": ("Loss", "Binary cross-entropy", {"val_loss": "validation", "train_loss": "train"}),
    "lr": ("Learning rate", "Learning rate", {"lr": "learning rate"}),
    "grad": ("Gradient norm", "Gradient norm", {"grad_norm": "gradient norm"}),
    "gate": ("Gate", "Mean g on validation rows", {"gate_mean": "mean g"}),
}
HELP = {
    "loss": "Mean binary cross-entropy of an epoch. Train loss is against smoothed targets where labels are smoothed.",
    "lr": "Learning rate of the epoch.",
    "grad": "Mean norm of the gradient, before clipping.",
    "gate": "Mean weight of the sequential branch on validation rows, for MDAF.",
}
MANY = 6  # configurations shown at first; more are chosen by hand
POLL_SECONDS = 3


def main() -> None:
    shared.header("Curves", "Does it overfit?")
    with shared.guard():
        left, right = st.columns([2, 3], vertical_alignment="bottom")
        study_id = shared.study_picker(left)
        if study_id is None:
            return
        study = get_study(study_id)
        names = study.configuration_names
        shared.start_over(study_id, configurations=names[:MANY], seeds=study.all_seeds)
        chosen = right.multiselect(
            "Configurations", names, default=names[:MANY], key="configurations", bind="query-params",
            placeholder="Choose configurations", help=f"At first the study's first {MANY}. Each keeps its colour.",
        )  # fmt: skip
        with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
            seeds = st.pills(
                "Seeds",
                study.all_seeds,
                selection_mode="multi",
                default=study.all_seeds,
                key="seeds",
                bind="query-params",
            )
            train = st.segmented_control(
                "Train AUC", list(TRAIN), format_func=lambda k: TRAIN[k][0], default="eval", required=True,
                key="train", bind="query-params", help=TRAIN_HELP,
            )  # fmt: skip
            reported = st.toggle(
                "Reported curves", key="reported", bind="query-params",
                help="The epoch tables printed in the report (v1: 4 epochs, v2: 8). They were not run here.",
            )  # fmt: skip
            options = curves_options.choose(study)
        if not chosen or not seeds:
            st.info("Choose at least one configuration and one seed.", icon=":material/info:")
            return
        conditions.show(study_id, "val")
        live = any(map(shared.is_live, (study_id, *options.beside)))
        body = st.fragment(_body, run_every=POLL_SECONDS if live else None)
        body(study, tuple(chosen), tuple(seeds), train, reported, options, live)


def _body(
    study: Study,
    chosen: tuple[str, ...],
    seeds: tuple[int, ...],
    train: str,
    reported: bool,
    options: Options,
    live: bool,
) -> None:
    """All that changes while runs go on; polls only while something does."""
    with shared.guard():
        if live and not any(map(shared.is_live, (study.id, *options.beside))):
            st.rerun()  # the last run ended: draw once more, without polling
        watch.draw(study, "Curves")
        frame = shared.epochs(study.id).filter(
            pl.col("configuration").is_in(chosen) & pl.col("seed").is_in(list(seeds))
        )
        elsewhere = [name for name in chosen if study.configuration(name).imported]
        if elsewhere:
            st.caption(f"Imported, so their curves are not known: {shared.plain(', '.join(elsewhere))}.")
        if len(elsewhere) == len(chosen):
            return
        if frame.is_empty():
            shared.empty("No epoch has finished yet for this choice.", "See what is running", "pages/jobs.py")
            return
        silent = [name for name in chosen if name not in {*elsewhere, *frame["configuration"]}]
        if silent:
            st.caption(f"No epochs recorded (yet): {shared.plain(', '.join(silent))}.")
        drawn, order = curves_options.whole(frame, study, chosen, options)
        _charts(drawn, order, train, reported, options)
        _overfitting(study, frame, train)
        _side_by_side(study, frame, train)
        _others(drawn, order, options)


def _charts(frame: pl.DataFrame, order: list[str], train: str, reported: bool, options: Options) -> None:
    label, auc, gap = TRAIN[train]
    left, right = st.columns([3, 2], gap="medium")
    for column, name, title, y_title, curves, zero in (
        (left, "auc-by-epoch", f"AUC by {options.by}", "AUC",
         {"val_auc": "validation", auc: f"train, {label.lower()}"}, False),
        (right, "gap-by-epoch", f"Gap by {options.by}", "Train − validation AUC", {gap: f"gap, {label.lower()}"}, True),
    ):  # fmt: skip
        members, bands = curve_frames.curves(frame, curves, options.axis)
        overlay = curve_frames.reported(curves) if reported and options.axis == "epoch" else None
        chart = curve_charts.learning_curves(
            members, bands, overlay, order=order, y_title=y_title, zero_line=zero, height=280, axis=options.axis,
            log=options.log and not zero,
        )  # fmt: skip
        with column:
            shared.show_chart(chart, name, members, title=title, help=CURVE_HELP)


CURVE_HELP = (
    "Thick lines: mean over seeds with a band of ± one standard deviation over seeds (it says nothing of other users), "
    "as far as every seed goes. Thin lines: single seeds. Marks: the epoch whose weights were kept. Gap: train minus "
    "validation AUC, signed."
)


def _overfitting(study: Study, frame: pl.DataFrame, train: str) -> None:
    shown = set(frame["run_id"])
    runs = [run for run in study_runs(study) if run.run_id in shown]
    with st.container(horizontal=True, vertical_alignment="center"):
        shared.section(
            "How far training and validation came apart",
            help=f"Train AUC: {TRAIN[train][0].lower()}. Epochs count from 1. Gaps are signed, and say at which epoch.",
        )
        each = st.toggle("Each run", key="each", bind="query-params", help="One row a run instead of means over seeds.")
    st.caption(f"Gap: train minus validation AUC, signed; the train AUC is {GAP_WORDS[train]}.")
    shared.show_table(
        curve_frames.overfitting(runs, train, each),
        "overfitting",
        column_config={
            "Best epoch": st.column_config.NumberColumn(format="%.1f", help="Epoch whose weights were kept."),
            "Val AUC at best": st.column_config.NumberColumn(format="%.4f"),
            "Turned at": st.column_config.NumberColumn(
                format="%.1f", help="First epoch whose validation AUC is below the one before it."
            ),
            "Gap at best": st.column_config.NumberColumn(format="%+.4f", help="Train − validation AUC, best epoch."),
            "Gap at last": st.column_config.NumberColumn(format="%+.4f", help="Train − validation AUC, last epoch."),
            "Area after best": st.column_config.NumberColumn(
                format="%.4f", help="Area between both curves from the best to the last epoch, AUC × epochs."
            ),
            "Best minus last, bp": st.column_config.NumberColumn(
                format="%.1f",
                help="Validation AUC at the best epoch minus the last: what keeping the best weights saved.",
            ),
            "Epochs after best": st.column_config.NumberColumn(
                format="%.1f", help="Epochs trained after the best one."
            ),
            "Epochs saved": st.column_config.NumberColumn(
                format="%.1f", help="Epochs not trained because training stopped early."
            ),
            "Time saved, s": st.column_config.NumberColumn(format="%.0f", help="The same in time."),
        },
    )


def _side_by_side(study: Study, frame: pl.DataFrame, train: str) -> None:
    """Two of the study's configurations, or of the reported curves, by one epoch rule."""
    from mdaf_core.analysis.reported import CURVES

    reported = list(CURVES)
    own = [name for name in study.configuration_names if name in set(frame["configuration"])]
    names = own + reported
    versions = [name for name in ("mamba4rec-v1", "mamba4rec-v2") if name in own]
    usual = versions if len(versions) == 2 else own[:2] if len(own) > 1 else reported
    shared.section("Side by side", help=SIDE_HELP)
    for key in ("left", "right"):  # another study has other configurations
        if st.session_state.get(key, names[0]) not in names:
            del st.session_state[key]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        pair = [
            st.selectbox(title, names, index=names.index(usual[i]), key=key, bind="query-params")
            for i, (title, key) in enumerate((("Left", "left"), ("Right", "right")))
        ]
        rule = st.segmented_control(
            "Epoch rule, both", list(RULES), format_func=RULES.get, default="best", required=True, key="rule",
            bind="query-params", width="content",
        )  # fmt: skip
    kind = "online" if set(pair) & set(reported) else train
    seeds = set(frame["run_id"])
    runs = [run for run in study_runs(study) if run.run_id in seeds]
    table, points = curve_frames.side_by_side(runs, list(dict.fromkeys(pair)), rule, kind)
    if kind != train:
        st.caption("Reported curves give the train AUC while training only, so both sides show that.")
    four = st.column_config.NumberColumn(format="%.4f")
    shared.show_table(
        table, "side-by-side", names_as_they_are=True,
        column_config={
            "Epoch": st.column_config.NumberColumn(format="%.1f", help="Mean over runs."),
            "Train AUC": four, "Val AUC": four,
            "Gap": st.column_config.NumberColumn(format="%+.4f", help="Train − validation AUC at that epoch, signed."),
        },
    )  # fmt: skip
    if points.is_empty():
        return
    values, last = points["value"].to_list(), max(points["epoch"].to_list())
    pad = 0.05 * (max(values) - min(values)) or 0.01
    domain = (min(values) - pad, max(values) + pad)
    short = parts.short_names(list(dict.fromkeys(pair)))
    for i, (column, name) in enumerate(zip(st.columns(2, gap="medium"), pair, strict=True)):
        one = points.filter(points["label"] == name)
        with column:
            shared.show_chart(
                curve_charts.single_curves(one, domain=domain, epochs=last),
                f"side-{i}",
                one,
                title=shared.plain(short[name]),
            )


RULES = {"best": "Best epoch", "last": "Last epoch"}
SIDE_HELP = (
    "Gaps are only comparable at the same place: both at their best epoch, or both at their last. The axes are the "
    "same on both sides; curves are means over seeds as far as every seed goes. Curves named reported were not run "
    "here."
)


def _others(frame: pl.DataFrame, order: list[str], options: Options) -> None:
    wanted = {name: (title, y_title, curves) for name, (title, y_title, curves) in OTHERS.items()}
    for name in options.more:
        title = curve_frames.TITLES[name]
        wanted[name] = (title, title, {name: title.lower()})
    recorded = [(name, curve_frames.curves(frame, curves, options.axis)) for name, (_, _, curves) in wanted.items()]
    recorded = [(name, pair) for name, pair in recorded if len(pair[0])]
    columns = st.columns(2, gap="medium")
    for i, (name, (members, bands)) in enumerate(recorded):
        title, y_title, _ = wanted[name]
        chart = curve_charts.learning_curves(
            members, bands, order=order, y_title=y_title, zero=name in ("lr", "grad") and not options.log, height=160,
            axis=options.axis, log=options.log,
        )  # fmt: skip
        with columns[i % len(columns)]:
            shared.show_chart(chart, f"{name}-by-epoch", members, title=title, help=HELP.get(name))


main()
