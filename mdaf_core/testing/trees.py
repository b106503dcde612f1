"""The part of the contract that is one for models grown as trees: what they read, and that they repeat."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from mdaf_core.data.store.dataset import Rows
from mdaf_core.data.store.schema import Split
from mdaf_core.runs.config import RunConfig
from mdaf_core.runs.progress import Monitor
from mdaf_core.testing.base import check
from mdaf_core.testing.data import GeneratedData
from mdaf_core.testing.subject import TRAINING, Subject

Columns = dict[str, NDArray[Any]]
ROUNDS = 24


class Altered(GeneratedData):
    """The generated data with columns of some splits replaced, and events."""

    def __init__(self, columns: dict[Split, Columns] | None = None, events: Columns | None = None):
        super().__init__()
        for split, changed in (columns or {}).items():
            self._rows[split] = Rows({**self._rows[split].columns, **changed})
        self._events |= events or {}


def grown(subject: Subject, data: GeneratedData, seed: int = 3) -> dict[Split, NDArray[np.float64]]:
    """Logits of validation and test rows after growing a few trees on the data."""
    from mdaf_core.training.gbdt import train_gbdt

    settings = {"max_rounds": ROUNDS, "min_data_in_leaf": 5}
    known = {name: value for name, value in settings.items() if name in type(subject.config).model_fields}
    config = RunConfig.model_construct(
        name="examined", preset="", model=subject.config.model_copy(update=known), training=TRAINING
    )
    with tempfile.TemporaryDirectory() as folder:
        columns, _, _ = train_gbdt(
            config, data, seed, Path(folder), threads=1, run_id="examination", epochs=[], monitor=Monitor(),
            on_epoch=lambda _: None,
        )  # fmt: skip
    return {split: found["logit"] for split, found in columns.items()}


@check("label", "No label reaches the input.", kinds="trees")
def label(subject: Subject) -> Iterable[str]:
    """Labels of test rows flipped: predictions must not move; nor a row's own inputs with its own label."""
    plain = Altered()
    flipped = Altered({"test": {"label": 1 - plain.rows("test").label}})
    if _moved(grown(subject, plain)["test"], grown(subject, flipped)["test"]):
        yield "Predictions of test rows move with their labels: they enter the inputs."
    for name, before, after in _own_label(subject, plain):
        if _moved(before, after):
            yield f"The inputs of {name} move with their own labels."


def _own_label(subject: Subject, plain: Altered) -> list[tuple[str, NDArray[Any], NDArray[Any]]]:
    """Inputs of the latest training row before and after it changes labels with a row that shares no id with it (so
    that the share of clicks stays), and of validation rows with all their labels flipped."""
    rows = plain.rows("train")
    last = int(np.argmax(rows.timestamp))
    apart = rows.label != rows.label[last]
    for name in plain.meta.categorical:
        apart &= rows.columns[name] != rows.columns[name][last]
    label = rows.label.copy()
    label[[last, int(np.flatnonzero(apart)[0])]] ^= 1
    train = Altered({"train": {"label": label}})
    val = Altered({"val": {"label": 1 - plain.rows("val").label}})
    return [
        ("a training row", _inputs(subject, plain, "train")[last], _inputs(subject, train, "train")[last]),
        ("validation rows", _inputs(subject, plain, "val"), _inputs(subject, val, "val")),
    ]


def _inputs(subject: Subject, data: GeneratedData, split: Split) -> NDArray[Any]:
    from mdaf_core.training.gbdt import features

    return features(cast(Any, subject.config), data, split, TRAINING.max_history)


@check("later", "Nothing depends on events after the row.", kinds="trees")
def later(subject: Subject) -> Iterable[str]:
    """Inputs of training rows before a moment, with labels, ids and events after it exchanged among themselves (the
    share of clicks in all training rows, which smooths the encodings of rare ids, stays)."""
    plain = Altered()
    rows = plain.rows("train")
    middle = int(np.median(rows.timestamp))
    after = rows.timestamp > middle
    columns = {name: rows.columns[name].copy() for name in ("label", "item", "category")}
    for number, column in enumerate(columns.values()):
        column[after] = np.roll(column[after], 1 + number)
    late = plain.events["timestamp"] >= middle
    events = {n: np.where(late, c[::-1], c) for n, c in plain.events.items() if n != "timestamp"}
    altered = Altered({"train": columns}, events)
    before, now = (_inputs(subject, data, "train")[~after] for data in (plain, altered))
    if _moved(before, now):
        yield "Inputs of a training row move with what happened after it."


@check("answers", "Grown again with the same seed, the same trees.", kinds="trees")
def answers(subject: Subject) -> Iterable[str]:
    first, second, other = grown(subject, Altered()), grown(subject, Altered()), grown(subject, Altered(), seed=4)
    if any(_moved(first[split], second[split]) for split in first):
        yield "Grown twice with the same seed, predictions differ."
    if not any(_moved(first[split], other[split]) for split in first):
        yield "Another seed gives the same trees: the seed does not enter."


@check("batch", "No row depends on other rows when evaluating.", kinds="trees")
def batch(subject: Subject) -> Iterable[str]:
    """Test rows in reverse order, and every second one alone, get the predictions that they had."""
    plain = Altered()
    whole = grown(subject, plain)["test"]
    count = len(whole)
    for words, chosen in (
        ("in another order", np.arange(count)[::-1]),
        ("without half of them", np.arange(0, count, 2)),
    ):
        columns = {name: np.asarray(column)[chosen] for name, column in plain.rows("test").columns.items()}
        if _moved(grown(subject, Altered({"test": columns}))["test"], whole[chosen]):
            yield f"Test rows {words} are predicted otherwise."


def _moved(before: NDArray[Any], after: NDArray[Any]) -> bool:
    return not np.array_equal(before, after, equal_nan=True)
