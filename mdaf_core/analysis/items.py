"""Which item each row is of, so that intervals can cover other items as well as other users."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, Field

from mdaf_core.base.cache import cached
from mdaf_core.base.errors import StudioError
from mdaf_core.data.store.columns import identities
from mdaf_core.data.store.sample import share_words
from mdaf_core.data.store.schema import Split
from mdaf_core.metrics.values import Codes, dense
from mdaf_core.runs.predictions import ScoredRun, dataset_of
from mdaf_core.runs.tracking import RunRecord

REPEATED = 0.2  # share of rows that share their item, from which intervals over items are proposed


class Items(BaseModel):
    """The items of some rows, or why nothing is known of them. `items` None and no reason: the data have no items."""

    items: int | None = None
    repeated: float | None = Field(None, description="Share of rows whose item other rows are of, too.")
    largest: float | None = Field(None, description="Share of the rows of the item with most.")
    unknown: str = ""


def item_codes(run: RunRecord, split: Split) -> Codes | None:
    """(N,) codes 0… of the rows' target items, items unseen in training told apart; None: the data have none.

    Raises:
        StudioError: the run's data set is gone or has changed.
    """
    if isinstance(run, ScoredRun):
        return run.scores["item"].to_numpy() if "item" in run.scores else None
    dataset = dataset_of(run, split)
    item = dataset.meta.features().item
    return None if item is None else dense(identities(dataset.rows(split).columns, item))


def crossed(user: Codes, item: Codes) -> Codes:
    """(N,) codes 0… of pairs of user and item."""
    return dense(user.astype(np.int64) * (int(item.max(initial=0)) + 1) + item)


def items_of(run: RunRecord, split: Split) -> Items:
    """Facts of a split's items; kept on disk by the data's fingerprint."""

    def count() -> Items:
        code = item_codes(run, split)
        if code is None or not len(code):
            return Items()
        rows = np.bincount(code)
        return Items(items=len(rows), repeated=float(rows[rows > 1].sum() / len(code)), largest=rows.max() / len(code))

    if isinstance(run, ScoredRun):
        return count()
    try:
        return cached("items", [run.dataset, run.fingerprint, split], Items, count)
    except StudioError as error:
        return Items(unknown=str(error))


def given_items(run: RunRecord, split: Split) -> str:
    """To be put behind words of what an interval over users covers: it is on these items, where the rows have some."""
    return ", on these items" if items_of(run, split).items is not None else ""


def remember_items(run: RunRecord, split: Split, found: Items) -> None:
    """Keep what `items_of` would count, where the data set is known not to be."""
    cached("items", [run.dataset, run.fingerprint, split], Items, lambda: found)


def items_note(found: Items, over_items: bool) -> str:
    """What to know of the items as a sentence: proposes intervals over them where they repeat. Empty: nothing."""
    if found.unknown:
        lost = "Intervals cannot cover other items" if over_items else "Whether these rows share items is not known"
        return f"{lost}: {found.unknown}"
    if found.items is None:
        return "These rows have no items that intervals could cover." if over_items else ""
    if over_items or not found.repeated or found.repeated < REPEATED:
        return ""
    return (
        f"{found.repeated:.0%} of these rows share their item with others ({found.items:,} items, the largest has "
        f"{share_words(found.largest or 0)}): intervals are on these items. 'Other items too' on Compare "
        "(--items) covers other items as well."
    )
