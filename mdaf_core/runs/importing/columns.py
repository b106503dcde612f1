"""What the columns of a file of scores are: by the names that libraries and people give them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mdaf_core.base.errors import UsageError
from mdaf_core.data.store.schema import DatasetMeta
from mdaf_core.runs.importing.table import SCORE, ScoreTable

Key = Literal["row-id", "ids", "position"]
Scale = Literal["probability", "logit"]

_LOGITS = "logit logits log_odds logodds raw_score raw_scores margin raw_prediction"
_PROBABILITIES = (
    "probability probabilities prob probs proba p pctr ctr pcvr cvr p_click click_prob click_probability "
    "y_prob y_proba pred_prob pred_proba prediction_probability predicted_probability predict_proba"
)
_SCORES = (
    "pred preds y_pred ypred y_preds prediction predictions predict predicted score scores y_score y_hat yhat output "
    "outputs pred_score prediction_score predict_result model_score"
)
_LABELS = "label labels y_true ytrue y target targets click clicks clicked is_click is_clicked ground_truth truth gt"
_ROW_IDS = "row_id rowid row_ids"
_WEAK_ROW_IDS = "id ids row sample_id example_id instance_id impression_id"
_PLACES = ("", "unnamed_0", "index", "level_0")
"""Columns that number rows from 0 on, as pandas writes them."""
_USERS = "user user_id userid uid user_ids"
_ITEMS = "item item_id itemid iid item_ids"
_TIMES = "timestamp time ts datetime date_time unix_time unixtime time_stamp"
_SPLITS = "split splits subset fold part partition"


@dataclass(frozen=True)
class Chosen:
    """What the user says of the columns and scores; None: recognised."""

    score: str | None = None
    label: str | None = None
    row_id: str | None = None
    user: str | None = None
    item: str | None = None
    time: str | None = None
    by: Key | None = None
    scale: Scale | None = None


@dataclass(frozen=True)
class Columns:
    """What is used of a file. None: it has no such column.

    Attributes:
        scale: what the score's name says it is.
        own_numbers: `row_id` is called so that it may as well number the rows of the file.
        place: numbers rows as they were written.
    """

    score: str
    key: Key
    scale: Scale | None = None
    label: str | None = None
    split: str | None = None
    row_id: str | None = None
    own_numbers: bool = False
    user: str | None = None
    item: str | None = None
    time: str | None = None
    place: str | None = None

    @property
    def used(self) -> list[str]:
        """Names of all that is read."""
        ids = {"row-id": (self.row_id,), "ids": (self.user, self.item, self.time), "position": (self.place,)}[self.key]
        return [name for name in dict.fromkeys((self.score, self.label, self.split, *ids)) if name is not None]


def recognise(table: ScoreTable, meta: DatasetMeta, chosen: Chosen = Chosen()) -> Columns:
    """The columns of a file for a data set's rows.

    Raises:
        UsageError: no score, several that it could be, or a named column that is not there.
    """
    named = {
        role: name
        for role in ("score", "label", "row_id", "user", "item", "time")
        if (name := getattr(chosen, role)) is not None and not (role == "label" and name == "none")
    }
    for role, name in named.items():
        if name not in table.columns:
            raise UsageError(
                f"{table.name} has no column {name!r} to take as the {role.replace('_', ' ')}. "
                f"It has: {_listed(table.columns)}."
            )
    free = [name for name in table.columns if name not in named.values()]

    def one(role: str, words: str, also: Sequence[str | None] = ()) -> str | None:
        """The named column of a role, else the one that is called so."""
        if role in named:
            return named[role]
        wanted = {*words.split(), *(_plain(name) for name in also if name)}
        found = [name for name in free if _plain(name) in wanted]
        exact = [name for name in found if name in also]
        return next(iter(exact or found), None)

    options = meta.options
    item_field = meta.features().item
    own = {role: options.get(role) if isinstance(options.get(role), str) else None for role in ("user", "item", "time")}
    user = one("user", _USERS, [own["user"]]) if meta.has_user else None
    item = one("item", _ITEMS, [item_field, own["item"]]) if item_field else None
    when = one("time", _TIMES, [own["time"]]) if meta.has_time else None
    strong = one("row_id", _ROW_IDS)
    weak = one("row_id", _WEAK_ROW_IDS)
    ids = [name for name in (user, item, when) if name]
    key = chosen.by or (
        "row-id" if strong else "ids" if user and item else "row-id" if weak else "position"
    )  # fmt: skip
    if key == "ids" and not ids:
        raise UsageError(f"{table.name} has no column of users, items or times. It has: {_listed(table.columns)}.")
    row_id = strong or weak
    if key == "row-id" and row_id is None:
        raise UsageError(f"{table.name} has no column of row ids. It has: {_listed(table.columns)}.")
    label = None if chosen.label == "none" else one("label", _LABELS)
    split = one("split", _SPLITS)
    taken = {label, split, row_id if key == "row-id" else None, *(ids if key == "ids" else ())}
    score, scale = _score(table, [name for name in table.columns if name not in taken], chosen)
    found = Columns(score, key, scale, label, split)
    if key == "row-id":
        return replace(found, row_id=row_id, own_numbers=strong is None and chosen.by is None)
    if key == "ids":
        return replace(found, user=user, item=item, time=when)
    return replace(found, place=next((name for name in table.columns if _plain(name) in _PLACES), None))


def _score(table: ScoreTable, free: list[str], chosen: Chosen) -> tuple[str, Scale | None]:
    """The column of scores, and what its name says they are."""
    if chosen.score is not None:
        return chosen.score, _scale_of(chosen.score)
    if not table.named and SCORE in free:
        return SCORE, None
    logits, probabilities, scores = (
        [name for name in free if _plain(name) in words.split()] for words in (_LOGITS, _PROBABILITIES, _SCORES)
    )
    if len(logits) == 1 and len(probabilities) <= 1 and not scores:
        return logits[0], "logit"  # a probability beside it says the same with fewer digits
    found = [*logits, *probabilities, *scores]
    if len(found) == 1:
        return found[0], _scale_of(found[0])
    if found:
        raise UsageError(f"{table.name} has several columns of scores: {_listed(found)}. Name one (--score COLUMN).")
    others = [name for name in free if _plain(name) not in _PLACES and not _known(name)]
    if len(others) == 1:
        return others[0], None
    raise UsageError(
        f"Which column of {table.name} holds the scores is not clear. Name it (--score COLUMN). "
        f"It has: {_listed(table.columns)}."
    )


def _scale_of(name: str) -> Scale | None:
    plain = _plain(name)
    return "logit" if plain in _LOGITS.split() else "probability" if plain in _PROBABILITIES.split() else None


def _known(name: str) -> bool:
    """Whether a column's name says that it is something else than a score."""
    words = " ".join((_LABELS, _ROW_IDS, _WEAK_ROW_IDS, _USERS, _ITEMS, _TIMES, _SPLITS)).split()
    return _plain(name) in words


def _plain(name: str) -> str:
    """A name as these lists have it: `Y-Pred ` is y_pred, RecBole's `user_id:token` is user_id."""
    bare = re.sub(r":(token|float)(_seq)?$", "", name.strip())
    return re.sub(r"[^a-z0-9]+", "_", bare.lower()).strip("_")


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name[:60]) for name in names[:20])
    return shown + (", …" if len(names) > 20 else "")
