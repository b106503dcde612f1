"""Where a run was best, where it turned, and how far training and validation came apart. Gaps are signed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, Protocol

import polars as pl
from pydantic import BaseModel, Field

from mdaf_core.base.errors import StudioError
from mdaf_core.runs.schedule import trees_by_epoch
from mdaf_core.runs.tracking import RunRecord

AUCKind = Literal["online", "eval"]


class EpochCurve(Protocol):
    """What is needed of an epoch; `EpochMetrics` is one."""

    @property
    def epoch(self) -> int: ...

    @property
    def val_auc(self) -> float | None: ...


class Gap(BaseModel):
    """Train minus validation AUC by one definition of the train AUC."""

    best: float | None = Field(None, description="At the best epoch.")
    last: float | None = Field(None, description="At the last epoch.")
    largest: float | None = Field(None, description="Over all epochs.")
    area_after_best: float | None = Field(
        None, description="Area between both curves from the best to the last epoch (trapezoids), AUC times epochs."
    )


class Overfitting(BaseModel):
    """Reading of one run's learning curves. Epochs are 1-based; None: not known."""

    best_epoch: int
    best_val_auc: float
    last_epoch: int
    last_val_auc: float
    turn_down_epoch: int | None = Field(description="First epoch whose validation AUC is below the one before it.")
    online: Gap = Field(description="Train AUC accumulated while training, in training mode.")
    eval: Gap = Field(description="Train AUC in evaluation mode, on a fixed sample.")
    kept_by_best: float = Field(description="AUC that the last epoch's weights would have lost: best minus last.")
    epochs_after_best: int = Field(description="Epochs trained without improvement.")
    epochs_saved: int | None = Field(None, description="Epochs not trained because training stopped early.")
    seconds_saved: float | None = Field(None, description="The same in time, at the mean epoch's.")


def gap_of(train: float | None, val: float | None) -> float | None:
    """Train minus validation AUC, signed; None where either is unknown."""
    return None if train is None or val is None else train - val


def _gap(epochs: Sequence[EpochCurve], best: int, kind: AUCKind) -> Gap:
    gaps = {e.epoch: gap_of(getattr(e, f"train_auc_{kind}", None), e.val_auc) for e in epochs}
    known = [g for g in gaps.values() if g is not None]
    after = [g for epoch, g in gaps.items() if epoch >= best]
    area = None
    if after and all(g is not None for g in after):
        values = [g for g in after if g is not None]
        area = sum((a + b) / 2 for a, b in pairwise(values))
    return Gap(best=gaps[best], last=gaps[epochs[-1].epoch], largest=max(known, default=None), area_after_best=area)


def analyse(
    epochs: Sequence[EpochCurve], best_epoch: int | None = None, max_epochs: int | None = None
) -> Overfitting | None:
    """Read the curves of one run; None where no epoch has a validation AUC.

    Args:
        epochs: oldest first.
        best_epoch: the epoch whose weights were kept; default: the first with the highest validation AUC.
        max_epochs: how many epochs training was allowed, to tell what stopping early saved.

    Raises:
        StudioError: `best_epoch` is not among the epochs, or has no validation AUC.
    """
    known = [e for e in epochs if e.val_auc is not None]
    if not known:
        return None
    value = {e.epoch: e.val_auc for e in known if e.val_auc is not None}
    best = max(value, key=lambda epoch: value[epoch]) if best_epoch is None else best_epoch
    if best not in value:
        raise StudioError(f"Epoch {best} has no validation AUC; there are epochs {', '.join(map(str, value))}.")
    numbers = list(value)
    turned = [b for a, b in pairwise(numbers) if value[b] < value[a]]
    last = numbers[-1]
    seconds = [s for e in known if (s := getattr(e, "seconds", 0.0))]
    saved = None if max_epochs is None else max(0, max_epochs - last)
    return Overfitting(
        best_epoch=best,
        best_val_auc=value[best],
        last_epoch=last,
        last_val_auc=value[last],
        turn_down_epoch=turned[0] if turned else None,
        online=_gap(known, best, "online"),
        eval=_gap(known, best, "eval"),
        kept_by_best=value[best] - value[last],
        epochs_after_best=last - best,
        epochs_saved=saved,
        seconds_saved=saved * sum(seconds) / len(seconds) if saved is not None and seconds else None,
    )


EpochRule = Literal["best", "last"]


class AtEpoch(BaseModel):
    """Train and validation AUC of some runs by one epoch rule, means over the runs."""

    label: str
    runs: int
    epoch: float
    train_auc: float | None
    val_auc: float
    gap: float | None = Field(description="Train minus validation AUC, signed.")


def at_epoch(
    label: str, curves: Sequence[Sequence[EpochCurve]], rule: EpochRule, kind: AUCKind = "online"
) -> AtEpoch | None:
    """Read curves at their best epoch (the first with the highest validation AUC) or at their last.

    Args:
        curves: one a run, oldest epoch first; those without a validation AUC are left out.
        kind: which train AUC, see `Overfitting`; None in the result where a run does not have it.
    """
    picked = []
    for curve in curves:
        known = [e for e in curve if e.val_auc is not None]
        if known:
            best = max(known, key=lambda e: (e.val_auc or 0.0, -e.epoch))
            picked.append(best if rule == "best" else known[-1])
    if not picked:
        return None
    train = [value for e in picked if (value := getattr(e, f"train_auc_{kind}", None)) is not None]
    mean_val = sum(e.val_auc for e in picked if e.val_auc is not None) / len(picked)
    mean_train = sum(train) / len(train) if len(train) == len(picked) else None
    return AtEpoch(
        label=label,
        runs=len(picked),
        epoch=sum(e.epoch for e in picked) / len(picked),
        train_auc=mean_train,
        val_auc=mean_val,
        gap=gap_of(mean_train, mean_val),
    )


def analyse_run(run: RunRecord) -> Overfitting | None:
    """`analyse` for a run of the store: the epoch whose weights it kept once it has finished, else the best so far."""
    result = run.result
    trees = run.config.get("model.max_rounds")
    allowed = run.config.get("training.max_epochs") if trees is None else trees_by_epoch(int(trees))[1]
    finished = result is not None
    return analyse(
        run.epochs,
        best_epoch=result.best_epoch if result is not None and result.epochs else None,
        max_epochs=int(allowed) if finished and allowed is not None else None,
    )


def overfitting_table(runs: Sequence[RunRecord]) -> pl.DataFrame:
    """One row a run that has epochs.

    Columns: configuration, seed, run_id, best_epoch, best_val_auc, turn_down_epoch, last_epoch, last_val_auc,
    gap_{online,eval}_{best,last}, area_{online,eval}_after_best, kept_by_best, epochs_after_best,
    epochs_saved, seconds_saved.
    """
    records = []
    for run in runs:
        found = analyse_run(run)
        if found is None:
            continue
        records.append(
            {
                "configuration": run.configuration,
                "seed": run.seed,
                "run_id": run.run_id,
                **{f"gap_{kind}_{at}": getattr(getattr(found, kind), at) for kind in KINDS for at in ("best", "last")},
                **{f"area_{kind}_after_best": getattr(found, kind).area_after_best for kind in KINDS},
                **found.model_dump(include=set(_TABLE)),
            }
        )
    return pl.DataFrame(records, schema=_TABLE)


KINDS: tuple[AUCKind, ...] = ("online", "eval")
_INTEGERS = {"seed", "best_epoch", "turn_down_epoch", "last_epoch", "epochs_after_best", "epochs_saved"}
_TABLE = {
    name: pl.String if name in ("configuration", "run_id") else pl.Int64 if name in _INTEGERS else pl.Float64
    for name in (
        *("configuration", "seed", "run_id", "best_epoch", "best_val_auc", "turn_down_epoch", "last_epoch"),
        *("last_val_auc", "gap_online_best", "gap_online_last", "gap_eval_best", "gap_eval_last"),
        *("area_online_after_best", "area_eval_after_best", "kept_by_best", "epochs_after_best", "epochs_saved"),
        "seconds_saved",
    )
}
