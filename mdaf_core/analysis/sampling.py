"""How a mean over seeds, or a difference of two, would vary over other users, rows and items."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from pydantic import BaseModel, Field

from mdaf_core.analysis.items import crossed, item_codes, items_of
from mdaf_core.analysis.significance import (
    Component,
    Estimate,
    Sampled,
    interval,
    sampling_component,
    seed_component,
    shared_by_seeds,
)
from mdaf_core.base.cache import cached
from mdaf_core.base.errors import UsageError
from mdaf_core.base.words import listed
from mdaf_core.data.store.sample import Sample, sample_of
from mdaf_core.data.store.schema import Split
from mdaf_core.metrics.jackknife import units_of_rarer_label
from mdaf_core.metrics.registry import definition
from mdaf_core.metrics.values import Codes, Floats, Undefined, clusters
from mdaf_core.runs.predictions import ScoredRun, Units, difference_of_rows, predictions_of, sampling_errors
from mdaf_core.runs.tracking import RunRecord


class RowSampling(BaseModel):
    """Sampling variance over rows or users of a mean over seeds, or the reason why there is none."""

    component: Component | None = Field(None, description="Of these trained models.")
    shared: Component | None = Field(None, description="The part that further seeds do not average out.")
    sample: Sample | None = None
    what: Literal["rows", "users", "users and items"] = Field("rows", description="What varies from sample to sample.")
    on_items: bool = Field(False, description="Whether the rows have items, and they are taken as given.")
    refused: str | None = None
    missing: str | None = None

    def covers(self, seeds: int) -> str:
        """What an interval from this part covers, beside other seeds where it is of several of them."""
        parts = [*(["other seeds"] if seeds > 1 else []), *(f"other {part}" for part in self.what.split(" and "))]
        return listed(parts) + (", on these items" if self.on_items else "")


def one_way(error: Floats, what: Sampled, units: int) -> tuple[Component, Component | None]:
    """Variance over users, or rows: of the mean over seeds, and the part that further seeds do not average out.

    Args:
        error: (S, K) sampling errors of S seeds; units: see `sampling_component`.
    """
    of_mean = sampling_component(error.mean(0), what, units)
    if len(error) == 1:
        return of_mean, None
    return of_mean, of_mean.model_copy(update={"variance": shared_by_seeds(error @ error.T)})


def two_way(user: Floats, item: Floats, pair: Floats, units: tuple[int, int]) -> tuple[Component, Component | None]:
    """Variance over users and items at once: V_user + V_item − V_pair (Cameron, Gelbach & Miller 2011).

    The pairs' part is in both of the others. A sum below one of the two alone (it can be below 0) is replaced by that:
    a further source of variance cannot make a result more certain. Degrees of freedom: the fewer of both.

    Args:
        user, item, pair: (S, K) sampling errors of S seeds over users, items and pairs of both.
        units: users and items with the label that fewer of them have.

    Returns:
        Of the mean over seeds, and the part that further seeds do not average out (None for one seed).
    """
    alone = [sampling_component(error.mean(0), "users", n) for error, n in zip((user, item), units, strict=True)]
    df = min(c.df for c in alone if c.df is not None)
    parts = [error @ error.T for error in (user, item, pair)]

    def largest(variance: Callable[[Floats], float]) -> Component:
        both, of_users, of_items = (variance(c) for c in (parts[0] + parts[1] - parts[2], parts[0], parts[1]))
        return Component(name="users and items", variance=max(both, of_users, of_items), df=df)

    return largest(lambda c: float(c.mean())), largest(shared_by_seeds) if len(user) > 1 else None


def _row_sampling(pairs: Sequence[Sequence[RunRecord]], split: Split, metric: str, over_items: bool) -> RowSampling:
    """Sampling over rows of a mean over seeds; slow (reads predictions), hence cached.

    Args:
        pairs: of each seed the run, and where a difference is meant the reference's.
    """
    first = pairs[0][-1]

    def over(by: Units = "users", units: Codes | None = None) -> Floats:
        """(S, K) sampling errors of each seed."""
        errors = [[sampling_errors(run, split, metric, by, units) for run in pair] for pair in pairs]
        return np.stack([of_pair[0] - of_pair[1] if len(of_pair) > 1 else of_pair[0] for of_pair in errors])

    for run in (run for pair in pairs for run in pair):
        refused = difference_of_rows(run, first, split)
        if refused:
            return RowSampling(refused=refused)
    frame = predictions_of(first, split)
    label, user = frame["label"].to_numpy().astype(np.bool_), frame["user"].to_numpy()
    cluster = clusters(user)
    what: Sampled = "rows" if cluster is None else "users"
    out = RowSampling(sample=sample_of(user), what=what)
    try:
        error = over()
        units = units_of_rarer_label(label, cluster)
        item = item_codes(first, split) if over_items else None
        if item is not None and cluster is not None:
            of_items, of_pairs = over("items", item), over("pairs of user and item", crossed(cluster, item))
            out.component, out.shared = two_way(error, of_items, of_pairs, (units, units_of_rarer_label(label, item)))
            out.what = "users and items"
        else:
            out.component, out.shared = one_way(error, what, units)
    except Undefined as reason:
        out.missing = str(reason)
    return out


def row_sampling(
    pairs: Sequence[Sequence[RunRecord]], split: Split, metric: str, over_items: bool = False
) -> RowSampling:
    """`_row_sampling`, kept on disk by the runs it is made from (not of runs in memory).

    Args:
        pairs: of each seed the run, and where a difference is meant the reference's.
        over_items: other items vary, too, where the rows have users and items (else users or rows alone).

    Raises:
        StudioError: the items' data set is gone or has changed.
    """
    first = pairs[0][-1]
    key = [
        split,
        definition(metric),
        over_items,
        [[[r.run_id, r.ended, r.fingerprint] for r in pair] for pair in pairs],
    ]
    try:
        if isinstance(first, ScoredRun):
            found = _row_sampling(pairs, split, metric, over_items)
        else:
            found = cached("comparisons", key, RowSampling, lambda: _row_sampling(pairs, split, metric, over_items))
        found.on_items = found.what == "users" and items_of(first, split).items is not None
        return found
    except UsageError as error:  # predictions are missing: perhaps not for good
        return RowSampling(missing=str(error))


def mean_over_seeds(values: Sequence[float], sampling: RowSampling) -> Estimate | None:
    """The mean of one configuration over its seeds, from the same two sources as a difference.

    Args:
        values: one a seed; sampling: `row_sampling` of their runs.

    Returns:
        With one seed an interval over users (rows) alone, without their sampling error one over seeds alone; `covers`
        says so. None where neither is known.
    """
    mean = float(np.mean(values))
    if len(values) == 1:
        if sampling.component is None:
            return None
        return interval(mean, [sampling.component], f"{sampling.covers(1)}, with this trained model")
    component = seed_component(values)
    if sampling.shared is None:
        return interval(mean, [component], "other seeds, on these rows")
    return interval(mean, [sampling.shared, component], sampling.covers(len(values)))
