"""The figures that a study gives to a paper: each a chart, its data, and a caption that says what it rests on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from mdaf_core.analysis import reported
from mdaf_core.base.errors import UsageError
from mdaf_core.data.store.sample import sample_words
from mdaf_core.metrics import registry
from mdaf_core.reporting import captions, charts, conditions, curve_frames, frames, paragraph, provenance, words
from mdaf_core.reporting.material import SPLIT_WORDS, Material
from mdaf_core.reporting.stamp import Origin
from mdaf_core.reporting.theme import Typeface

if TYPE_CHECKING:
    import altair as alt

    from mdaf_core.analysis.compared import StudyComparison
    from mdaf_core.runs.tracking import RunRecord

Drawn = tuple["alt.TopLevelMixin", pl.DataFrame, str]
BY_METRIC = ("Comparison", "Cost")  # groups of figures that show the metric compared by
MOST_ROWS = 48  # of slices × configurations in one chart, to fit a page


@dataclass(frozen=True)
class Figure:
    """A chart for the paper, its caption and the data behind it. `file`: name of its files, without ending."""

    name: str
    title: str
    caption: str
    chart: alt.TopLevelMixin
    data: pl.DataFrame
    file: str
    origin: Origin
    typeface: Typeface = "sans"


@dataclass(frozen=True)
class _Kind:
    title: str
    group: str
    make: Callable[[Material], Drawn]
    of_a_split: bool = True


def make_figure(material: Material, name: str) -> Figure:
    """One of `FIGURES`.

    Raises:
        UsageError: unknown name, or the study has nothing finished to draw it from.
    """
    if name not in FIGURES:
        raise UsageError(f"There is no figure {name!r}. Known: {', '.join(FIGURES)}.")
    material.require_runs()
    kind = FIGURES[name]
    chart, data, caption = kind.make(material)
    caption = f"{caption} {conditions.text(material.conditions)}"
    metric = material.metric if kind.group in BY_METRIC and material.metric != "auc" else ""
    return Figure(
        name=name,
        title=kind.title,
        caption=caption,
        chart=chart,
        data=data,
        file="-".join([name, *([material.split] if kind.of_a_split else []), *([metric] if metric else [])]),
        origin=Origin(provenance.identify(material, name), kind.title, caption),
        typeface=material.typeface,
    )


# ---- words for captions ----------------------------------------------------------------------------------------------


def _metric(material: Material) -> str:
    return registry.metric(material.metric).title


def _lower_is_better(material: Material) -> str:
    """`, lower is better`, where it is."""
    better = paragraph.direction(material.metric)
    return f", {better}" if better else ""


def _rows(material: Material) -> str:
    """`225,446 test rows of 10,000 users`, as far as it is known."""
    sample, rows = material.comparison.sample, f"{SPLIT_WORDS[material.split]} rows"
    return sample_words(sample, rows) if sample else rows


def _seeds(runs: list[RunRecord]) -> str:
    """`5 seeds`, `2 to 5 seeds`, `one seed`: how many each configuration has."""
    return words.seeds(captions.seed_counts(runs))


def _each(runs: list[RunRecord]) -> str:
    """`means over 5 seeds`, or `one run each`."""
    return "one run each" if _seeds(runs) == "one seed" else f"means over {_seeds(runs)}"


def _not_compared(material: Material) -> str:
    """A sentence where a configuration cannot stand beside the reference."""
    names = [c.configuration for c in paragraph.not_comparable(material.comparison)]
    return f" Not comparable with the reference, and not drawn: {', '.join(names)}." if names else ""


def _comparable(material: Material, frame: pl.DataFrame) -> pl.DataFrame:
    refused = [c.configuration for c in paragraph.not_comparable(material.comparison)]
    return frame.filter(~pl.col("configuration").is_in(refused))


def _left_out(material: Material, drawn: list[RunRecord] | None = None) -> str:
    """A sentence where a chart does not hold all configurations."""
    shown = material.drawn if drawn is None else drawn
    missing = len({run.configuration for run in material.runs} - {run.configuration for run in shown})
    if not missing:
        return ""
    return f" {missing} further configurations are not drawn." if missing > 1 else " One configuration is not drawn."


def _lower(title: str) -> str:
    return title[0].lower() + title[1:]


# ---- learning curves -------------------------------------------------------------------------------------------------


def _curves(material: Material, names: dict[str, str], y_title: str, caption: str, **options: Any) -> Drawn:
    return _curves_of(material, material.drawn, names, y_title, caption + _left_out(material), **options)


def _curves_of(
    material: Material,
    runs: list[RunRecord],
    names: dict[str, str],
    y_title: str,
    caption: str,
    overlay: bool = False,
    **options: Any,
) -> Drawn:
    members, bands = curve_frames.curves(curve_frames.epochs(runs), names)
    if members.is_empty():
        raise UsageError(f"No run of study {material.study.id} has recorded these epochs, so there are no curves.")
    beside = curve_frames.reported(names) if overlay else None
    drawn_members, drawn_bands = charts.thinned(members, bands)
    chart = charts.learning_curves(
        drawn_members, drawn_bands, beside, order=material.study.configuration_names, y_title=y_title, **options
    )
    if members["seed"].n_unique() > 1:
        how = (
            f"Thick lines: mean over seeds ({_seeds(runs)}), as far as every seed was trained, with a band of ± one "
            "standard deviation over seeds, which says nothing of other users; thin lines: single seeds; marks: the "
            "epoch whose weights were kept."
        )
    else:
        how = f"One run each (seed {runs[0].seed}); marks: the epoch whose weights were kept."
    return chart, members, f"{caption} {how}"


_EVAL = "train AUC in evaluation mode on a fixed sample of training rows"
_ONLINE = "train AUC accumulated while training, with dropout on and weights still changing"


def _auc_curves(material: Material) -> Drawn:
    names = {"val_auc": "validation", "train_auc_eval": "train, evaluation mode"}
    return _curves(material, names, "AUC", f"AUC by epoch on validation rows, and {_EVAL}.")


def _gap_curves(material: Material) -> Drawn:
    caption = f"Train minus validation AUC by epoch, signed; {_EVAL}."
    return _curves(material, {"gap_eval": "gap, evaluation mode"}, "Train − validation AUC", caption, zero_line=True)


def _online_gap_curves(material: Material) -> Drawn:
    caption = f"Train minus validation AUC by epoch, signed; {_ONLINE}."
    return _curves(material, {"gap_online": "gap, while training"}, "Train − validation AUC", caption, zero_line=True)


def _loss_curves(material: Material) -> Drawn:
    names = {"val_loss": "validation", "train_loss": "train"}
    return _curves(material, names, "Binary cross-entropy", "Mean loss of an epoch on validation and on training rows.")


def _reported_curves(material: Material) -> Drawn:
    mine = [run for run in material.drawn if run.model == reported.MODEL]
    if not mine:
        raise UsageError("Only Mamba4Rec has reported curves, and no run of it has finished in this study.")
    names = {"val_auc": "validation", "train_auc_online": "train, while training"}
    caption = (
        f"AUC by epoch on validation rows, and {_ONLINE}. Dashed grey lines with open marks: the curves of the report, "
        f"on its own data, not run here; in colour: {', '.join(dict.fromkeys(run.configuration for run in mine))}."
    )
    return _curves_of(material, mine, names, "AUC", caption, overlay=True)


def _gate_curves(material: Material) -> Drawn:
    runs = [run for run in _gated(material) if run.configuration in material.lines]
    caption = "Mean g, the weight of the sequential branch's vector, on validation rows by epoch."
    return _curves_of(material, runs, {"gate_mean": "mean g"}, "Mean g", caption)


# ---- comparison ------------------------------------------------------------------------------------------------------


def _leaderboard(material: Material) -> Drawn:
    comparison = material.comparison
    frame = _comparable(material, comparison.frame())
    if frame["mean"].is_null().all():
        raise UsageError(f"{_metric(material)} is undefined for every run of study {material.study.id}.")
    shown = [c for c in comparison.configurations if c.configuration in set(frame["configuration"])]
    members = frames.comparison_members(comparison).filter(
        pl.col("configuration").is_in(frame["configuration"].implode())
    )
    x_title = f"{_metric(material)}, {SPLIT_WORDS[material.split]} rows"
    chart = charts.leaderboard(frame, members, x_title=x_title)
    if comparison.noise_floor is None:
        how = "one seed each, so no variance over seeds is known"
    else:
        how = f"mean over seeds ({_seeds(material.runs)}); ticks are single seeds"
    diamond = "; the diamond is the reference." if paragraph.has_reference(comparison) else "."
    what = f"{_metric(material)} on {_rows(material)}{_lower_is_better(material)}"
    lines = captions.of_means([(c.configuration, c.mean) for c in shown if c.summary], "Lines, 95% intervals,")
    return chart, frame, f"{what}: {how}{diamond} {lines}{_not_compared(material)}"


def comparison_chart(comparison: StudyComparison, kind: Literal["differences", "leaderboard"]) -> alt.TopLevelMixin:
    """The chart of a comparison: its means ("leaderboard"), or its differences to the reference.

    Raises:
        UsageError: the metric is undefined for all, or nothing was compared.
    """
    metric, frame = registry.metric(comparison.metric).title, comparison.frame()
    if kind == "leaderboard":
        if frame["mean"].is_null().all():
            raise UsageError(f"{metric} is undefined for every run.")
        return charts.leaderboard(frame, frames.comparison_members(comparison), x_title=metric)
    if frame["difference_bp"].is_null().all():
        raise UsageError(f"Nothing could be compared with the reference {comparison.reference!r} yet.")
    title = f"{metric} minus that of {comparison.reference}, bp"
    return charts.differences(frame, margin_bp=comparison.margin_bp, x_title=title)


def _differences(material: Material) -> Drawn:
    comparison = material.comparison
    frame, chart = comparison.frame(), comparison_chart(comparison, "differences")
    title = f"{_metric(material)} minus that of {comparison.reference}"
    shared = words.seeds([len(c.shared_seeds) for c in comparison.configurations if c.difference])
    parts = [
        f"{title} in bp (1 bp = 0.0001) on {_rows(material)}, paired by seed "
        f"({shared}){', below 0 is better' if _lower_is_better(material) else ''}.",
        f"Lines: {captions.of_differences(comparison)}",
        "No margin is set, so parity is not tested."
        if comparison.margin_bp is None
        else f"Grey band: the margin of {comparison.margin_words}.",
    ]
    if comparison.tests:
        many = "comparisons" if comparison.tests > 1 else "comparison"
        equivalence = "" if comparison.margin_bp is None else " and of equivalence within the margin (TOST)"
        parts.append(
            f"Marks say what the tests of difference{equivalence} show at 5% after "
            f"Holm's correction over {comparison.tests} {many}."
        )
    else:
        parts.append("With one seed no variance over seeds is known, so nothing is tested.")
    if any(c.below_noise_floor for c in comparison.configurations) and comparison.noise_floor is not None:
        parts.append(f"Faint: smaller than the standard deviation over seeds ({comparison.noise_floor * 1e4:.1f} bp).")
    return chart, frame, " ".join(parts) + _not_compared(material)


def _matrix(material: Material) -> Drawn:
    data = frames.run_values(material.study, material.split, material.metric)
    chart = charts.ablation_matrix(data, order=material.study.configuration_names)
    others = [c.configuration for c in paragraph.not_comparable(material.comparison)]
    note = f" Not comparable with the reference: {', '.join(others)}." if others else ""
    return (
        chart,
        data,
        f"{_metric(material)} of every run on {_rows(material)}{_lower_is_better(material)}; darker is larger.{note}",
    )


def _roc(material: Material) -> Drawn:
    from mdaf_core.analysis.curves import curve_points

    runs = material.of_one_seed
    data = curve_points(runs, "roc", material.split)
    chart = charts.roc(data, order=material.study.configuration_names)
    return chart, data, f"ROC curves on {_rows(material)}, one run each (seed {runs[0].seed}).{_left_out(material)}"


def _precision_recall(material: Material) -> Drawn:
    from mdaf_core.analysis.curves import curve_points

    runs = material.of_one_seed
    data = curve_points(runs, "pr", material.split)
    rate = next(
        (s.positives / s.rows for run in runs if run.result and (s := getattr(run.result, material.split))), 0.0
    )
    chart = charts.precision_recall(data, rate, order=material.study.configuration_names)
    caption = (
        f"Precision-recall curves on {_rows(material)}, one run each (seed {runs[0].seed}); the area under each is its "
        f"average precision (PR-AUC). Thin grey line: the share of positives, {rate:.2%}, which ranking at random "
        f"gives.{_left_out(material)}"
    )
    return chart, data, caption


def _calibration(material: Material) -> Drawn:
    from mdaf_core.analysis.curves import curve_points

    runs = material.of_one_seed
    data = curve_points(runs, "calibration", material.split)
    chart = charts.calibration(data, order=material.study.configuration_names)
    caption = (
        f"Calibration on {_rows(material)}, one run each (seed {runs[0].seed}): observed rate against mean prediction "
        f"in bins of equal size, with 95% Wilson intervals for as many "
        f"independent rows as those of its users are worth.{_left_out(material)}"
    )
    return chart, data, caption


def _slices(dimension: str) -> Callable[[Material], Drawn]:
    def make(material: Material) -> Drawn:
        from mdaf_core.analysis.slices import TITLES, slices_cover

        names = [name for name in material.lines if name in {run.configuration for run in material.drawn}]
        data = frames.slices(material.drawn, names, dimension, material.split)
        if data["slice"].n_unique() < 2:
            raise UsageError(f"All rows are in one slice of: {_lower(TITLES[dimension])}.")
        fitting = max(1, MOST_ROWS // data["slice"].n_unique())
        names, data = names[:fitting], data.filter(pl.col("configuration").is_in(names[:fitting]))
        runs = [run for run in material.drawn if run.configuration in names]
        chart = charts.slices(data, order=material.study.configuration_names, y_title=TITLES[dimension])
        caption = (
            f"AUC by {_lower(TITLES[dimension])}, {_rows(material)}: {_each(runs)} with 95% "
            f"intervals, which cover {slices_cover(data, runs[0], material.split)}.{_left_out(material, runs)}"
        )
        return chart, data, caption

    return make


def _cost(x: str, x_title: str, against: str) -> Callable[[Material], Drawn]:
    def make(material: Material) -> Drawn:
        data = _comparable(material, frames.quality_and_cost(material.ledger, material.comparison))
        title = f"{_metric(material)}, {SPLIT_WORDS[material.split]} rows"
        chart = charts.cost(data, x=x, x_title=x_title, y_title=title, order=material.study.configuration_names)
        caption = f"{_metric(material)} on {_rows(material)}{_lower_is_better(material)}, against {against}; "
        caption += f"{_each(material.runs)}."
        means = [(c.configuration, c.mean) for c in material.comparison.configurations if c.summary]
        caption += f" {captions.of_means(means, 'Lines, 95% intervals,')}"
        caption += _not_compared(material)
        return chart, data, caption

    return make


# ---- gates -----------------------------------------------------------------------------------------------------------


def _gated(material: Material) -> list[RunRecord]:
    if not material.gated:
        raise UsageError(f"No finished run of study {material.study.id} has a gate.")
    return material.gated


def _gate_costs(material: Material) -> Drawn:
    from mdaf_core.analysis.effects import COSTS

    data = frames.gate_effects(_gated(material), material.split, COSTS, material.auc_margin)
    if data.is_empty():
        raise UsageError(f"No gate of study {material.study.id} could be tested on these rows.")
    caption = (
        "What is lost where g, the weight of the sequential branch's vector, is replaced: by its median for all rows, "
        "by another row's, by another row's of the same user (the last two: mean of 20 shuffles), in bp of AUC (1 bp "
        f"= 0.0001), on {_rows(material)}. {_covered(data)}"
    )
    return charts.effects(data), data, caption


def _contributions(material: Material) -> Drawn:
    from mdaf_core.analysis.effects import SHARES

    data = frames.gate_effects(material.runs, material.split, SHARES, material.auc_margin)
    if data.is_empty():
        raise UsageError(
            f"No run of study {material.study.id} holds an answer without its history: none reads histories, or they "
            "were trained by an earlier version (`gates STUDY --recompute` asks them anew)."
        )
    caption = (
        f"What histories and branches contribute, in bp of AUC (1 bp = 0.0001), on {_rows(material)}: AUC of the model "
        "minus its AUC with another user's history, and with an empty one; and the Shapley value of each branch, whose "
        f"vector is replaced by another row's. {_covered(data)}"
    )
    return charts.effects(data), data, caption


def _covered(data: pl.DataFrame) -> str:
    """What the intervals of a frame of effects cover, as a sentence."""
    return f"95% intervals: {'; '.join(data['covers'].unique(maintain_order=True).to_list())}."


def _one_gate(material: Material) -> tuple[RunRecord, Any, str]:
    """The reference's gate, or the first there is, of its smallest seed; its summary; and its name in words."""
    from mdaf_core.analysis.gates import gate_summary

    first = _gated(material)[0].configuration
    run = min((r for r in material.gated if r.configuration == first), key=lambda r: r.seed)
    return run, gate_summary(run, material.split), f"{run.configuration}, seed {run.seed}, {_rows(material)}"


def _gate_distribution(material: Material) -> Drawn:
    from mdaf_core.reporting import gate_charts

    _, summary, which = _one_gate(material)
    chart, data = gate_charts.distribution(summary)
    whole = summary.overall
    caption = (
        f"Distribution of g, the weight of the sequential branch's vector, by label ({which}): mean {whole.mean:.3f}, "
        f"standard deviation {whole.sd:.3f}, 5% to 95% quantile {whole.q05:.3f} to {whole.q95:.3f}."
    )
    return chart, data, caption


def _gate_slices(dimension: str) -> Callable[[Material], Drawn]:
    def make(material: Material) -> Drawn:
        from mdaf_core.analysis.slices import TITLES
        from mdaf_core.reporting import gate_charts

        _, summary, which = _one_gate(material)
        if dimension not in summary.slices:
            raise UsageError(summary.slices_note or f"There is nothing to slice by: {TITLES[dimension]}.")
        title = TITLES[dimension]
        chart, data = gate_charts.groups(summary.slices[dimension], title)
        caption = (
            f"g, the weight of the sequential branch's vector, by {_lower(title)} ({which}): mean with its 95% "
            "interval (other users); faint: from the 5% to the 95% quantile of rows."
        )
        return chart, data, caption

    return make


FIGURES: dict[str, _Kind] = {
    "leaderboard": _Kind("Leaderboard", "Comparison", _leaderboard),
    "differences": _Kind("Differences to the reference", "Comparison", _differences),
    "runs": _Kind("Configurations × seeds", "Comparison", _matrix),
    "auc-by-epoch": _Kind("AUC by epoch", "Training", _auc_curves, of_a_split=False),
    "gap-by-epoch": _Kind("Gap by epoch", "Training", _gap_curves, of_a_split=False),
    "gap-online-by-epoch": _Kind("Gap by epoch, while training", "Training", _online_gap_curves, of_a_split=False),
    "loss-by-epoch": _Kind("Loss by epoch", "Training", _loss_curves, of_a_split=False),
    "reported-curves": _Kind("Beside the reported curves", "Training", _reported_curves, of_a_split=False),
    "roc": _Kind("ROC curves", "ROC and calibration", _roc),
    "precision-recall": _Kind("Precision-recall curves", "ROC and calibration", _precision_recall),
    "calibration": _Kind("Calibration", "ROC and calibration", _calibration),
    "slices-history": _Kind("AUC by history length", "Slices", _slices("history_length")),
    "slices-activity": _Kind("AUC by user activity", "Slices", _slices("user_activity")),
    "slices-popularity": _Kind("AUC by item popularity", "Slices", _slices("item_popularity")),
    "slices-unseen": _Kind("AUC by unseen ids", "Slices", _slices("unseen")),
    "slices-hour": _Kind("AUC by hour", "Slices", _slices("hour")),
    "slices-segment": _Kind("AUC by planted segment", "Slices", _slices("segment")),
    "quality-parameters": _Kind(
        "Quality against parameters",
        "Cost",
        _cost("parameters", "Parameters", "the number of parameters, embedding and dense"),
    ),
    "quality-speed": _Kind(
        "Quality against speed", "Cost", _cost("rows_per_second", "Training speed, rows/s", "training speed")
    ),
    "contributions": _Kind("What histories and branches contribute", "Gates", _contributions),
    "gate-adaptivity": _Kind("What replacing the gate costs", "Gates", _gate_costs),
    "gate-distribution": _Kind("Distribution of the gate", "Gates", _gate_distribution),
    "gate-history": _Kind("Gate by history length", "Gates", _gate_slices("history_length")),
    "gate-by-epoch": _Kind("Gate by epoch", "Gates", _gate_curves, of_a_split=False),
}
