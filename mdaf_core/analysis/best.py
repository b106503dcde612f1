"""Which configurations may be the best of a study: a confidence set, because the leader was picked by its figures.

Subset selection (Gupta 1965; Hsu 1984, multiple comparisons with the best): a configuration stays unless another one is
shown to be better than it, in a test that counts how many others there are. Seeds × users, as everywhere.
docs/statistics.md, "The best of several".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, Field

from mdaf_core.analysis.comparison import mixed
from mdaf_core.analysis.significance import LEVEL
from mdaf_core.base.cache import cached
from mdaf_core.base.errors import UsageError
from mdaf_core.base.words import listed
from mdaf_core.data.store.schema import Split
from mdaf_core.metrics.jackknife import degrees_of_freedom, units_of_rarer_label
from mdaf_core.metrics.registry import definition
from mdaf_core.metrics.registry import metric as known_metric
from mdaf_core.metrics.values import Floats, Undefined, clusters
from mdaf_core.runs.groups import by_configuration
from mdaf_core.runs.metric_values import metric_of
from mdaf_core.runs.predictions import ScoredRun, difference_of_rows, predictions_of, sampling_errors
from mdaf_core.runs.tracking import RunRecord

DRAWS = 20_000
MOST_NUMBERS = 5_000_000  # that are held of pairs of configurations at once
PRIOR_DF = 4  # how many degrees of freedom the variance of all configurations counts for beside one's own


class Candidate(BaseModel):
    """One configuration among those that may be the best."""

    configuration: str
    mean: float
    behind: float = Field(description="Of the best mean, in the metric; 0 for the leader.")
    p: float = Field(description="Against being the best; below `alpha`: another one is shown to be better.")
    may_be_best: bool


class BestSet(BaseModel):
    """The configurations that may be the best, with 95% confidence, best mean first."""

    split: Split
    metric: str
    alpha: float = Field(1 - LEVEL, description="The p below which a configuration is not in the set.")
    seeds: list[int] = Field([], description="That all have; the means are over these.")
    candidates: list[Candidate] = []
    left_out: list[str] = Field(
        [], description="Configurations without two seeds, without predictions of the same rows, or of mixed settings."
    )
    missing: str = Field("", description="Why there is no set.")

    @property
    def members(self) -> list[str]:
        return [one.configuration for one in self.candidates if one.may_be_best]

    @property
    def sentence(self) -> str:
        """What may be said of the leader."""
        if self.missing:
            return f"Which may be the best is not known: {self.missing}."
        names, many = self.members, len(self.candidates)
        among = f"of these {many} by {known_metric(self.metric).words}"
        leader = self.candidates[0].configuration
        if len(names) == 1:
            return f"{leader} is the best {among} (95% confidence, which counts that it was picked by its figures)."
        return (
            f"May be the best {among} (95% confidence): {listed(names)}. {leader} leads by figures that also "
            "picked it, so its difference to the second is a selected comparison; the set counts that."
        )


@dataclass(frozen=True)
class Trained:
    """C configurations on the same rows with the same S ≥ 2 seeds; higher is better.

    Attributes:
        values: (C, S) metrics; errors: (C, S, K) their sampling errors over users (rows).
        units: users (rows) with the label that fewer of them have.
    """

    values: Floats
    errors: Floats
    units: int


def p_of_best(trained: Trained, draws: int = DRAWS) -> Floats:
    """(C,) p value of each configuration against being the best.

    The statistic of configuration i is max over j of T_ij = (mean_j - mean_i) / its standard error over seeds and
    users; p is how often it is as large where all are equally good, with these standard errors. The means are drawn for
    that (with a fixed seed): seeds as normals, whose variances are those of the configurations drawn towards their
    mean, users as normals, whose covariance is the jackknife's that two seeds share; each times df/χ², as far as its
    size is known, of seeds that of all and each one's own.
    """
    x, e = trained.values, trained.errors
    count, seeds = x.shape
    draws = max(500, min(draws, MOST_NUMBERS // count**2))
    gram = _shared(e)
    error = _standard_errors(x, gram)
    observed = _largest_lead(x.mean(1)[None], error)[0]
    rng = np.random.default_rng(0)

    def unknown(df: float) -> Floats:
        return np.sqrt(df / rng.chisquare(df, draws))[:, None]

    of_seeds = rng.normal(size=(draws, count)) * np.sqrt(_seed_variances(x) / seeds)
    if count > 2:  # each one's own
        own = seeds - 1 + PRIOR_DF
        of_seeds *= np.sqrt(own / rng.chisquare(own, (draws, count)))
    values, vectors = np.linalg.eigh(gram)
    of_users = rng.normal(size=(draws, count)) @ (vectors * np.sqrt(np.maximum(values, 0))).T
    spread = (e - e.mean(0)).mean(1)  # users' errors of the mean, without what all configurations share
    df = float(np.median([degrees_of_freedom(row, trained.units) for row in spread if row.any()] or [trained.units]))
    drawn = _largest_lead(of_seeds * unknown((count - 1) * (seeds - 1)) + of_users * unknown(df), error)
    p = (1 + (drawn >= observed).sum(0)) / (1 + draws)
    return np.where(observed <= 0, 1.0, p)  # nobody is ahead of the leader


def _shared(e: Floats) -> Floats:
    """(C, C) covariance over users that two different seeds share, as of `significance.shared_by_seeds`."""
    seeds = e.shape[1]
    total = e.sum(1)
    return (total @ total.T - np.einsum("csk,dsk->cd", e, e)) / (seeds * (seeds - 1))


def _standard_errors(x: Floats, gram: Floats) -> Floats:
    """(C, C) of the differences of two means over seeds and users. `x`: (C, S); `gram`: the users' covariance."""
    seeds = x.shape[1]
    centred = x - x.mean(1, keepdims=True)
    parts = (centred @ centred.T / (seeds - 1) / seeds, gram)
    variances = (np.diag(part)[:, None] + np.diag(part)[None, :] - 2 * part for part in parts)
    return np.sqrt(sum(np.maximum(variance, 0) for variance in variances))


def _largest_lead(mean: Floats, error: Floats) -> Floats:
    """(R, C) max over j of (mean_j - mean_i) / its standard error, of R studies; `mean`: (R, C). The leader's is not
    above 0."""
    ahead = mean[:, None, :] - mean[:, :, None]  # of j before i
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(ahead == 0, 0.0, ahead / error)
    t[:, np.arange(len(error)), np.arange(len(error))] = -np.inf
    return t.max(-1)


def _seed_variances(x: Floats) -> Floats:
    """(C,) variance over seeds of each configuration without what a seed does to all of them (Grubbs 1948), drawn
    towards the mean of all as `PRIOR_DF` further degrees of freedom would."""
    count, seeds = x.shape
    residual = x - x.mean(0) - x.mean(1, keepdims=True) + x.mean()
    square = (residual**2).sum(1) / (seeds - 1)
    pooled = square.sum() / (count - 1)
    if count < 3:
        return np.full(count, pooled)
    own = np.maximum((square - pooled / count) * count / (count - 2), 0)
    return ((seeds - 1) * own + PRIOR_DF * pooled) / (seeds - 1 + PRIOR_DF)


def best_set(
    runs: Sequence[RunRecord], split: Split = "test", metric: str = "auc", alpha: float = 1 - LEVEL
) -> BestSet:
    """The configurations that may be the best by a metric, over the seeds that all have.

    Args:
        runs: of one study; unfinished ones are left out.
        alpha: below which p a configuration is not in the set; less than 5% where one looks after every seed.

    Raises:
        UsageError: unknown metric.
    """
    known = known_metric(metric)
    out = BestSet(split=split, metric=known.key, alpha=alpha)
    groups = {}
    for name, group in by_configuration([run for run in runs if run.state == "finished"]).items():
        defined = {seed: run for seed, run in group.items() if metric_of(run, split, metric) is not None}
        if len(defined) > 1:
            groups[name] = defined
        else:
            out.left_out.append(name)
    groups = _on_the_same_rows(groups, split, out)
    if len(groups) < 2:
        out.missing = "it takes two configurations with two seeds each, with predictions of the same rows"
        return out
    seeds = sorted(set.intersection(*(set(group) for group in groups.values())))
    if len(seeds) < 2:
        out.missing = "fewer than two seeds are shared by all configurations"
        return out
    out.seeds = seeds
    key = [split, definition(metric), alpha, seeds, [[n, *(g[s].run_id for s in seeds)] for n, g in groups.items()]]

    def compute() -> BestSet:
        return _found(out, groups, split, metric)

    first = next(iter(groups.values()))[seeds[0]]
    return compute() if isinstance(first, ScoredRun) else cached("best-sets", key, BestSet, compute)


def _on_the_same_rows(
    groups: dict[str, dict[int, RunRecord]], split: Split, out: BestSet
) -> dict[str, dict[int, RunRecord]]:
    """Those whose rows are the first one's; others, and those without predictions, are left out."""
    kept: dict[str, dict[int, RunRecord]] = {}
    for name, group in groups.items():
        first = next(iter(next(iter(kept.values()), group).values()))
        try:
            refused = mixed(group) or any(difference_of_rows(run, first, split) for run in group.values())
        except UsageError:  # predictions are missing
            refused = True
        if refused:
            out.left_out.append(name)
        else:
            kept[name] = group
    return kept


def _found(out: BestSet, groups: dict[str, dict[int, RunRecord]], split: Split, metric: str) -> BestSet:
    direction = known_metric(metric).direction
    one = next(iter(groups.values()))[out.seeds[0]]
    frame = predictions_of(one, split)
    label, user = frame["label"].to_numpy().astype(np.bool_), frame["user"].to_numpy()
    try:
        errors = np.stack(
            [np.stack([sampling_errors(g[s], split, metric) for s in out.seeds]) for g in groups.values()]
        )
        units = units_of_rarer_label(label, clusters(user))
    except Undefined as reason:
        return out.model_copy(update={"missing": str(reason).rstrip(".")})
    values = np.array([[metric_of(group[s], split, metric) for s in out.seeds] for group in groups.values()], float)
    p = p_of_best(Trained(direction * values, direction * errors, units))
    mean = values.mean(1)
    best = (direction * mean).max()
    candidates = [
        Candidate(
            configuration=name, mean=float(mean[i]), behind=float(best - direction * mean[i]), p=float(p[i]),
            may_be_best=bool(p[i] >= out.alpha),
        )
        for i, name in enumerate(groups)
    ]  # fmt: skip
    return out.model_copy(update={"candidates": sorted(candidates, key=lambda c: (c.behind, c.configuration))})
