"""The figures of learning curves, and the table of overfitting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mdaf_core.analysis import reported
from mdaf_core.base.errors import UsageError
from mdaf_core.reporting import captions
from mdaf_core.reporting.figure import Drawn, Kind
from mdaf_core.reporting.material import Material
from mdaf_core.reporting.paper.table import PaperTable
from mdaf_core.reporting.topics.curves import charts, frames
from mdaf_core.reporting.words import MISSING, seeds, signed
from mdaf_core.runs.tracking import RunRecord


def _curves(material: Material, names: dict[str, str], y_title: str, caption: str, **options: Any) -> Drawn:
    return curves_of(material, material.drawn, names, y_title, caption + captions.left_out(material), **options)


def curves_of(
    material: Material,
    runs: list[RunRecord],
    names: dict[str, str],
    y_title: str,
    caption: str,
    overlay: bool = False,
    **options: Any,
) -> Drawn:
    members, bands = frames.curves(frames.epochs(runs), names)
    if members.is_empty():
        raise UsageError(f"No run of study {material.study.id} has recorded these epochs, so there are no curves.")
    beside = frames.reported(names) if overlay else None
    drawn_members, drawn_bands = charts.thinned(members, bands)
    chart = charts.learning_curves(
        drawn_members, drawn_bands, beside, order=material.study.configuration_names, y_title=y_title, **options
    )
    if members["seed"].n_unique() > 1:
        how = (
            f"Thick lines: mean over seeds ({captions.seeds(runs)}), as far as every seed was trained, with a band of "
            "± one standard deviation over seeds, which says nothing of other users; thin lines: single seeds; marks: "
            "the epoch whose weights were kept."
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
    return curves_of(material, mine, names, "AUC", caption, overlay=True)


FIGURES = {
    "auc-by-epoch": Kind("AUC by epoch", "Training", _auc_curves, of_a_split=False),
    "gap-by-epoch": Kind("Gap by epoch", "Training", _gap_curves, of_a_split=False),
    "gap-online-by-epoch": Kind("Gap by epoch, while training", "Training", _online_gap_curves, of_a_split=False),
    "loss-by-epoch": Kind("Loss by epoch", "Training", _loss_curves, of_a_split=False),
    "reported-curves": Kind("Beside the reported curves", "Training", _reported_curves, of_a_split=False),
}


def overfitting_paper_table(runs: Sequence[RunRecord]) -> PaperTable:
    """Gaps at the best and the last epoch, by both definitions of the train AUC."""
    both = {kind: frames.overfitting(runs, kind, each=False) for kind in ("eval", "online")}
    data = both["eval"]

    def column(kind: str, name: str, text: Callable[[float], str]) -> list[str]:
        return [MISSING if v is None else text(v) for v in both[kind][name]]

    def auc(value: float) -> str:
        return f"{value:.4f}"

    def gap(value: float) -> str:
        return signed(value, 4)

    return PaperTable(
        name="overfitting",
        title="How far training and validation came apart",
        caption=f"{_over_seeds(runs)} Gap: train minus validation AUC, signed, with the train AUC measured in "
        "evaluation mode (eval) or accumulated while training (online), at the best epoch and at the last.",
        cells={
            "Configuration": data["Configuration"].to_list(),
            "Best epoch": column("eval", "Best epoch", lambda v: f"{v:.1f}"),
            "Validation AUC": column("eval", "Val AUC at best", auc),
            "Gap at best, eval": column("eval", "Gap at best", gap),
            "Gap at last, eval": column("eval", "Gap at last", gap),
            "Gap at best, online": column("online", "Gap at best", gap),
            "Gap at last, online": column("online", "Gap at last", gap),
        },
        data=data,
    )


def _over_seeds(runs: Sequence[RunRecord]) -> str:
    counts = captions.seed_counts(runs)
    return "One run of each configuration." if max(counts) == 1 else f"Means over {seeds(counts)}."


TABLES = {"overfitting": ("Overfitting", lambda material: overfitting_paper_table(material.runs))}
