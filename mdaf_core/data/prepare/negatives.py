"""Sampled negatives that carry no hint of being sampled."""

from __future__ import annotations

import numpy as np
import polars as pl

from mdaf_core.base.errors import UsageError
from mdaf_core.data.formats.base import NegativeSampling
from mdaf_core.data.store.schema import SPLITS


def add_negatives(rows: pl.DataFrame, split: np.ndarray, sampling: NegativeSampling) -> tuple[pl.DataFrame, np.ndarray]:
    """Follow each row (a positive) by `per_positive` negatives: same user and time, another item.

    Items are drawn from the rows of the *same split*. Drawing them from training rows alone, the usual way, makes
    unseen ids a mark of positives: no negative of validation or test could have one.

    Args:
        rows: positives; `sampling.columns` hold the item (first) and what belongs to it.
        split: (N,) part of each row.

    Returns:
        Rows in the order positive, its negatives, next positive, …, with `label`; and their splits.

    Raises:
        UsageError: a split has a single item, so that no other can be drawn.
    """
    item, *_ = columns = list(sampling.columns)
    k = sampling.per_positive
    generator = np.random.default_rng(sampling.seed)
    position = np.repeat(np.arange(len(rows), dtype=np.int64), k)
    drawn_rows = np.empty(len(rows) * k, np.int64)  # an input row that shows the drawn item
    for part, name in enumerate(SPLITS):
        members = np.flatnonzero(split == part)
        pool = (
            rows[members]
            .select(columns)
            .with_columns(row=pl.Series(members))
            .group_by(columns)
            .agg(pl.len().alias("views"), pl.col("row").first())
            .sort(columns)
        )
        of_item = pool[item].rle_id().to_numpy()  # an item seen under two categories is one item
        if len(of_item) == 0 or of_item[-1] == 0:
            raise UsageError(f"All rows of {name} show one item: no negatives can be drawn. Choose another split.")
        views = pool["views"].to_numpy().astype(np.float64)
        item_views = np.bincount(of_item, views)
        # An item weighs views ** alpha; its categories share that in proportion to their views.
        upper = np.cumsum(item_views[of_item] ** sampling.alpha * views / item_views[of_item])
        item_upper = upper[np.append(np.flatnonzero(np.diff(of_item)), len(of_item) - 1)]
        item_lower = np.append(0.0, item_upper[:-1])
        first_of_item = np.append(0, np.flatnonzero(np.diff(of_item)) + 1)

        ids = pool[item].gather(first_of_item)
        index = pl.DataFrame({item: ids, "index": np.arange(len(ids))})
        own = rows[members].select(item).join(index, on=item, how="left", maintain_order="left")["index"].to_numpy()
        own = np.repeat(own, k)
        # Draw from all mass but the positive's own: uniform on the rest, then step over the gap.
        width = item_upper[own] - item_lower[own]
        point = generator.random(len(own)) * (upper[-1] - width)
        point = np.where(point >= item_lower[own], point + width, point)
        chosen = np.minimum(np.searchsorted(upper, point, side="right"), len(upper) - 1)
        touching = of_item[chosen] == own  # rounding at the edge of the gap
        chosen[touching] = np.where(
            own[touching] + 1 < len(first_of_item),
            first_of_item[np.minimum(own[touching] + 1, len(first_of_item) - 1)],
            0,
        )
        at = (members[:, None] * k + np.arange(k)).ravel()
        drawn_rows[at] = pool["row"].to_numpy()[chosen]

    order = np.argsort(np.concatenate([np.arange(len(rows)), position]), kind="stable")
    source = np.concatenate([np.arange(len(rows)), drawn_rows])[order]
    base = np.concatenate([np.arange(len(rows)), position])[order]
    label = np.concatenate([np.ones(len(rows), np.uint8), np.zeros(len(position), np.uint8)])[order]
    out = rows[base].with_columns(*[rows[name].gather(source).alias(name) for name in columns], label=pl.Series(label))
    return out, split[base]
