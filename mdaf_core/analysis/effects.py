"""What a configuration loses without a part: the history, a branch, g. Over seeds × users, from its runs' predictions.

`training/replaced.py` asked the trained models; the columns of answers lie in the predictions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from mdaf_core.analysis.items import given_items
from mdaf_core.analysis.significance import Difference, difference, sampling_component, seed_component, shared_by_seeds
from mdaf_core.base.cache import cached
from mdaf_core.base.errors import StudioError, UsageError
from mdaf_core.data.store.schema import Split
from mdaf_core.metrics.auc import auc, auc_errors, placement_errors
from mdaf_core.metrics.jackknife import units_of_rarer_label
from mdaf_core.metrics.values import Undefined, clusters
from mdaf_core.runs.predictions import difference_of_rows, load_predictions
from mdaf_core.runs.tracking import RunRecord, artifact

EffectName = Literal[
    "history", "no_history", "static", "sequential", "g_median", "g_shuffled", "g_within_user", "choice", "main_of_g"
]
TITLES: dict[EffectName, str] = {
    "history": "Another user's history",
    "no_history": "Empty history",
    "static": "Static branch",
    "sequential": "Sequential branch",
    "g_median": "One g for all rows",
    "g_shuffled": "Another row's g",
    "g_within_user": "Another row's g, same user",
    "choice": "g by choosing between the branches",
    "main_of_g": "g by itself, as a score",
}
_REPLACED: dict[EffectName, str] = {
    "history": "other_history",
    "no_history": "no_history",
    "g_median": "g_median",
    "g_shuffled": "g_shuffled",
    "g_within_user": "g_within_user",
    "choice": "g_additive",
}
COSTS: tuple[EffectName, ...] = ("g_median", "g_shuffled", "g_within_user")
SHARES: tuple[EffectName, ...] = ("history", "no_history", "static", "sequential")


class Effect(BaseModel):
    """AUC of the model minus AUC without a part (a branch: its Shapley value, see `_parts`)."""

    name: EffectName
    test: Difference
    by_seed: dict[int, float]


class Effects(BaseModel):
    """All effects that the runs' predictions tell of, and AUCs averaged over the runs. Empty: see `missing`."""

    configuration: str
    split: Split
    fusion: str | None = Field(None, description="None: a model without two branches.")
    gated: bool = False
    constant: bool = Field(False, description="g is the same on every row.")
    branch_loss: bool | None = Field(None, description="Whether branch logits were trained; None: not known.")
    seeds: list[int]
    rows: int = 0
    users: int | None = None
    given: str = Field("", description="What intervals take as it is, in words.")
    repeated: float = Field(0.0, description="Share of rows whose user has another row.")
    auc: float | None = None
    aucs: dict[str, float] = Field({}, description="Of g alone, of each branch alone, with g replaced.")
    effects: dict[EffectName, Effect] = {}
    spread: dict[str, float] = Field({}, description="Deviation over rows of the branches' parts in the log-odds.")
    one_permutation: bool = Field(False, description="Trained when a single permutation of g was kept.")
    undefined: str = Field("", description="Why nothing can be said of these rows.")


def fusion_of(run: RunRecord) -> str | None:
    """How a run of two branches fuses them; None for other models."""
    return run.config.get("model.fusion")


def branch_loss_of(run: RunRecord) -> bool | None:
    """Whether the logits of the branches alone were trained; else they are what the head says of vectors it never saw.
    None: not known, or there are none."""
    weight = run.config.get("model.branch_loss_weight")
    try:
        return None if weight is None or not run.model_settings.gated else float(weight) > 0
    except ValueError:
        return None


def measure_effects(runs: Sequence[RunRecord], split: Split = "test") -> Effects:
    """The effects of one configuration over its runs; kept on disk.

    Args:
        runs: finished runs of one configuration, one a seed (`runs.groups.newest_by_seed`), at least one.

    Raises:
        UsageError: a run has no predictions (yet).
        StudioError: the runs are not of the same rows.
    """
    for run in runs[1:]:
        refused = difference_of_rows(run, runs[0], split)
        if refused:
            raise StudioError(refused)
    times = [artifact(run.run_id, f"predictions/{split}.parquet").stat().st_mtime_ns for run in runs]
    key = [split, [[run.run_id, run.ended, run.seed, time] for run, time in zip(runs, times, strict=True)]]
    found = cached("effects", key, Effects, lambda: _measure(runs, split))
    found.given = "" if found.users is None else given_items(runs[0], split)
    for effect in found.effects.values():
        effect.test.covers = effect.test.covers.replace("other users", f"other users{found.given}", 1)
    return found


def _measure(runs: Sequence[RunRecord], split: Split) -> Effects:
    frames = [load_predictions(run.run_id, split) for run in runs]
    return effects_of(frames, [run.seed for run in runs]).model_copy(
        update={
            "configuration": runs[0].configuration,
            "split": split,
            "fusion": fusion_of(runs[0]),
            "gated": runs[0].model_settings.gated,
            "branch_loss": branch_loss_of(runs[0]),
        }
    )


def effects_of(frames: Sequence[pl.DataFrame], seeds: Sequence[int]) -> Effects:
    """The effects from predictions of the same rows, one frame a seed."""
    label = frames[0]["label"].to_numpy().astype(np.bool_)
    user = frames[0]["user"].to_numpy()
    cluster = clusters(user)
    out = Effects(
        configuration="",
        split="test",
        seeds=list(seeds),
        rows=len(label),
        users=None if cluster is None else int(cluster.max()) + 1,
        repeated=0.0 if cluster is None else float((np.bincount(cluster)[cluster] > 1).mean()),
        constant=all("g" in f.columns and f["g"].max() - f["g"].min() < 1e-9 for f in frames),  # type: ignore[operator]
        one_permutation=any("g" in f.columns and "logit_g_median" not in f.columns for f in frames),
    )
    try:
        found = [_parts(frame, label, cluster) for frame in frames]
        names = [name for name in TITLES if all(name in parts for parts in found)]
        if not out.repeated:  # shuffling within users leaves every row its g
            names = [name for name in names if name != "g_within_user"]
        for name in names:
            values, errors = zip(*(parts[name] for parts in found), strict=True)
            test = over_seeds(label, np.array(values), np.stack(errors), cluster)
            out.effects[name] = Effect(name=name, test=test, by_seed=dict(zip(seeds, values, strict=True)))
        out.auc = _mean_auc(frames, label, "logit")
    except Undefined as reason:
        out.undefined = str(reason)
        return out
    columns = {"g": "g", "g_median": "logit_g_median", "static": "logit_static", "sequential": "logit_sequential"}
    known = {name: _mean_auc(frames, label, column) for name, column in columns.items()}
    out.aucs = {name: value for name, value in known.items() if value is not None}
    for branch in ("static", "sequential"):
        if all(f"contribution_{branch}" in frame.columns for frame in frames):
            out.spread[branch] = float(np.mean([frame[f"contribution_{branch}"].std() for frame in frames]))
    return out


def _mean_auc(frames: Sequence[pl.DataFrame], label: NDArray[np.bool_], column: str) -> float | None:
    if any(column not in frame.columns for frame in frames):
        return None
    return float(np.mean([auc(label, frame[column].to_numpy()) for frame in frames]))


Part = tuple[float, NDArray[np.float64]]
"""An AUC, or a sum of AUCs, and its sampling errors over users (rows): see `jackknife`."""


def _parts(frame: pl.DataFrame, label: NDArray[np.bool_], cluster: NDArray[np.int64] | None) -> dict[EffectName, Part]:
    """Each effect that the columns allow, with its sampling errors.

    A branch's is its Shapley value in AUC, two players, where a missing branch's vector is another row's and with both
    missing nothing ranks the rows (0.5): half of what it adds alone, half of what it adds to the other.
    """

    def answer(name: str) -> Part | None:
        if f"logit_{name}" in frame.columns:
            return auc_errors(label, frame[f"logit_{name}"].to_numpy(), cluster)
        if f"placement_{name}" not in frame.columns:
            return None
        value, wins = frame[f"placement_{name}"].to_numpy().astype(np.float64), None
        if cluster is not None:
            wins = np.zeros(int(cluster.max()) + 1)
            wins[cluster] = frame[f"wins_{name}"].to_numpy()
        area = float(value[label].mean())
        return area, placement_errors(label, area, value, wins, cluster)

    whole: Part = auc_errors(label, frame["logit"].to_numpy(), cluster)

    def sum_of(constant: float, *terms: tuple[float, Part]) -> Part:
        errors = sum((factor * error for factor, (_, error) in terms), np.zeros_like(whole[1]))
        return constant + sum(factor * value for factor, (value, _) in terms), errors

    found: dict[EffectName, Part] = {}
    for name, replaced in _REPLACED.items():
        part = answer(replaced)
        if part is not None:
            found[name] = sum_of(0.0, (1, whole), (-1, part))
    additive, branches = answer("g_additive"), answer("branches")
    if additive is not None and branches is not None:
        found["main_of_g"] = sum_of(0.0, (1, additive), (-1, branches))
    static, sequential = answer("static_only"), answer("sequential_only")
    if static is not None and sequential is not None:
        found["static"] = sum_of(-0.25, (0.5, whole), (-0.5, sequential), (0.5, static))
        found["sequential"] = sum_of(-0.25, (0.5, whole), (-0.5, static), (0.5, sequential))
    return found


def over_seeds(
    label: NDArray[np.bool_],
    value_S: NDArray[np.float64],
    error_SK: NDArray[np.float64],
    cluster: NDArray[np.int64] | None,
) -> Difference:
    """The mean over seeds: interval and test over seeds × users, as between configurations (docs/statistics.md); with
    one seed over users alone."""
    what: Literal["rows", "users"] = "rows" if cluster is None else "users"
    component = sampling_component(error_SK.mean(0), what, units_of_rarer_label(label, cluster))
    estimate = float(value_S.mean())
    if len(value_S) == 1:
        return difference(estimate, [component], f"other {what}, with this trained model", f"jackknife over {what}")
    shared = component.model_copy(update={"variance": shared_by_seeds(error_SK @ error_SK.T)})
    return difference(
        estimate, [shared, seed_component(value_S)], f"other seeds and other {what}", f"seeds × {what}, t interval"
    )


def runs_of(runs: Sequence[RunRecord], configuration: str) -> list[RunRecord]:
    """The finished runs of one configuration of a study, one a seed.

    Raises:
        UsageError: it has none; the message lists the configurations that have.
    """
    from mdaf_core.runs.groups import by_configuration

    groups = by_configuration(runs)
    if configuration not in groups:
        known = ", ".join(groups) or "none yet"
        raise UsageError(f"No run of configuration {configuration!r} has finished. Finished: {known}.")
    return list(groups[configuration].values())
