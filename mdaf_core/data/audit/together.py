"""Do two inputs give the label away together, or all of them?"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from types import ModuleType
from typing import NamedTuple

import numpy as np
import polars as pl

from mdaf_core.base.imports import lean
from mdaf_core.data.audit.base import Written
from mdaf_core.data.audit.labels import LEAK_AUC, STRONG_AUC
from mdaf_core.data.audit.registry import Answer, check
from mdaf_core.data.audit.report import Status
from mdaf_core.data.audit.sample import Sample, binned
from mdaf_core.data.audit.scores import auc, auc_error, cell_auc
from mdaf_core.data.store.describe import field_word
from mdaf_core.data.store.schema import FIRST_ID, FieldSpec

_ROWS = {"train": 40_000, "val": 10_000, "test": 10_000}
_CELLS = 64
_MOST_INPUTS, _MOST_IN_THREES = 64, 16
_ALMOST = 0.95
_GAIN = 0.05
"""How much more AUC two inputs reach than the sum of what each says, where together they say something else."""
_FEW, _WEAK_AUC, _FLIPPED = 6, 0.75, 0.2
"""Two inputs of few values do not say so much together and nothing alone, unless one was made from the other and the
label (exclusive or), be it with errors."""
_WIDEST_VOCABULARY = 200_000
ALL_WARN, ALL_FAIL = 0.95, 0.99


class Together(NamedTuple):
    """What was found in a sample of the rows: the inputs `alone`, and the `best` of them together."""

    sample: Sample
    alone: dict[str, float]
    best: float
    names: tuple[str, ...]
    gains: dict[str, float]

    @property
    def judged(self) -> np.ndarray:
        """(N,) whether a row is of validation or test."""
        return self.sample.part > 0

    def beyond_chance(self, reached: float) -> bool:
        return reached - 0.5 > 5 * auc_error(self.sample.label[self.judged])


def _together(data: Written) -> Together | None:
    """None where the sample lacks one of the labels."""
    sample = Sample(data.rows, data.missing_codes, _ROWS)
    label, learn = sample.label, sample.part == 0
    if len(np.unique(label[learn])) < 2 or len(np.unique(label[~learn])) < 2:
        return None
    fields = data.meta.fields[:_MOST_INPUTS]
    cells = {field.name: _few(field, sample) for field in fields}
    alone = {name: _judged(codes, _CELLS, label, learn) for name, codes in cells.items()}
    best = 0.0
    pair: tuple[str, ...] = ("",)
    gains: dict[str, float] = {}
    for one, other in combinations(cells, 2):
        reached = _judged(cells[one] * _CELLS + cells[other], _CELLS**2, label, learn)
        if reached - max(alone[one], alone[other]) < _GAIN or reached < _WEAK_AUC:
            continue
        gain = reached - _added(cells[one], cells[other], label, learn)
        gains[f"{one} and {other}"] = reached
        few = max(int(cells[one].max()), int(cells[other].max())) < _FEW
        if gain > _GAIN and reached > best and (reached > STRONG_AUC or (few and gain > _FLIPPED)):
            best, pair = reached, (one, other)
    related = [*_equal_ids(data, fields, sample, ~learn), *_differences(fields, sample, learn)]
    for one, other, reached in related:
        if reached > max(STRONG_AUC, best, alone[one] + _GAIN, alone[other] + _GAIN):
            best, pair = reached, (one, other)
            gains[f"{one} against {other}"] = reached
    if not pair[0]:
        best, pair = _three(cells, label, learn)
    return Together(sample, alone, best, pair, gains)


@check("inputs-together", "Two or three inputs together", place=180)
def inputs_together(data: Written) -> Answer | None:
    found = data.once(_together)
    if found is None:
        return None
    best, names = found.best, found.names
    strong = bool(names[0]) and found.beyond_chance(best)
    return Answer(
        "fail" if strong and best > LEAK_AUC else "warn" if strong else "pass",
        best or None,
        f"The inputs {' and '.join(repr(field_word(name)) for name in names)} together reach AUC {best:.4f} on "
        f"validation and test rows, the best of them alone {max(found.alone[name] for name in names):.4f}: together "
        "they know something of the label."
        if strong
        else f"No two of {len(found.alone)} inputs reach an AUC above {STRONG_AUC} by what they say only together, nor "
        "do three of few values.",
        found.gains,
        todo="Find out how these were made, and leave one of them out unless all are known before the impression.",
        examples=lambda: data.examples(found.sample.positions(found.judged)),
    )


def _few(field: FieldSpec, sample: Sample) -> np.ndarray:
    """An input as one of 64 codes: ids wrap around, numbers are in 16 quantiles."""
    if field.kind == "categorical":
        return sample.coded(field).codes % _CELLS
    values = sample.column(field.name)
    numbers = np.unique(values[~np.isnan(values)])
    if len(numbers) < _CELLS:
        return binned(values).codes
    edges = np.unique(np.nanquantile(values, np.linspace(0, 1, 17)[1:-1]))
    return np.where(np.isnan(values), 0, 1 + np.searchsorted(edges, values, "right"))


def _rates(codes: np.ndarray, size: int, label: np.ndarray) -> np.ndarray:
    count, positives = np.bincount(codes, minlength=size), np.bincount(codes, label, size)
    return (positives + label.mean()) / (count + 1)


def _judged(codes: np.ndarray, size: int, label: np.ndarray, learn: np.ndarray) -> float:
    """AUC on the other rows of the positive rates learned from some."""
    rates = _rates(codes[learn], size, label[learn])
    count = np.bincount(codes[~learn], minlength=size)
    positives = np.bincount(codes[~learn], label[~learn], size)
    there = count > 0
    return cell_auc(rates[there], count[there], positives[there])


def _added(one: np.ndarray, other: np.ndarray, label: np.ndarray, learn: np.ndarray) -> float:
    """AUC of the sum of the log odds that each of two inputs says (naive Bayes)."""
    odds = np.zeros(int((~learn).sum()))
    for codes in (one, other):
        rates = np.clip(_rates(codes[learn], _CELLS, label[learn]), 1e-6, 1 - 1e-6)
        odds += np.log(rates / (1 - rates))[codes[~learn]]
    return auc(label[~learn], odds)


def _equal_ids(
    data: Written, fields: list[FieldSpec], sample: Sample, judge: np.ndarray
) -> Iterator[tuple[str, str, float]]:
    """AUC of whether two inputs have the same id, where they share some."""
    texts: dict[str, pl.DataFrame] = {}
    for field in fields:
        if field.kind == "categorical" and 10 < field.vocabulary_size <= _WIDEST_VOCABULARY:
            texts[field.name] = data.dataset.vocabulary(field.name).select("id", "code")
    if len(texts) < 2 or len(texts) > 20:
        return
    ids = pl.concat([table.select("id") for table in texts.values()]).unique().with_row_index("number")
    numbers = {}
    for name, table in texts.items():
        joined = table.join(ids, on="id", how="left")
        of_code = np.full(max(int(joined["code"].max() or 0), FIRST_ID) + 2, -1, np.int64)  # type: ignore[arg-type]
        inside = joined.filter(pl.col("code") >= FIRST_ID)
        of_code[inside["code"].to_numpy()] = inside["number"].to_numpy()
        codes = sample.column(name)[judge]
        numbers[name] = of_code[np.clip(codes, 0, len(of_code) - 1)]
    label = sample.label[judge]
    for one, other in combinations(numbers, 2):
        same = (numbers[one] == numbers[other]) & (numbers[one] >= 0)
        if same.any():
            reached = cell_auc(np.array([0.0, 1.0]), np.bincount(same, minlength=2), np.bincount(same, label, 2))
            yield one, other, max(reached, 1 - reached)


def _differences(fields: list[FieldSpec], sample: Sample, learn: np.ndarray) -> Iterator[tuple[str, str, float]]:
    """AUC of the differences of numbers that are almost the same (begin and end, price and price paid)."""
    numeric = [field for field in fields if field.kind == "numeric"]
    columns = {field.name: field.numbers(sample.column(field.name)) for field in numeric}
    for one, other in combinations(columns, 2):
        x, y = columns[one], columns[other]
        there = ~(np.isnan(x) | np.isnan(y))
        if there.sum() < 100 or x[there].std() == 0 or y[there].std() == 0:
            continue
        if np.corrcoef(x[there], y[there])[0, 1] < _ALMOST:
            continue
        edges = np.unique(np.quantile((x - y)[there], np.linspace(0, 1, 17)[1:-1]))
        codes = np.where(there, 1 + np.searchsorted(edges, x - y, "right"), 0)
        yield one, other, _judged(codes, _CELLS, sample.label, learn)


def _three(cells: dict[str, np.ndarray], label: np.ndarray, learn: np.ndarray) -> tuple[float, tuple[str, ...]]:
    """The three inputs of few values that reach most together, where that is too much."""
    few = [name for name, codes in cells.items() if int(codes.max()) < _FEW + 2][:_MOST_IN_THREES]
    best = STRONG_AUC
    names: tuple[str, ...] = ("",)
    for three in combinations(few, 3):
        codes = np.zeros(len(label), np.int64)
        for name in three:
            codes = codes * (_FEW + 2) + cells[name]
        reached = _judged(codes, (_FEW + 2) ** 3, label, learn)
        if reached > best:
            best, names = reached, three
    return (best, names) if names[0] else (0.0, ("",))


def forest_library() -> ModuleType:
    """LightGBM without scikit-learn, which it would import if it is there: loaded in a quarter of the time."""
    return lean("lightgbm", "sklearn")


@check("all-inputs", "All inputs together", place=181)
def all_inputs(data: Written) -> Answer | None:
    """A small gradient-boosted forest on all inputs: enough to see what a few of them say together."""
    found = data.once(_together)
    if found is None:
        return None
    lightgbm = forest_library()
    sample, best = found.sample, max(found.best, *found.alone.values())
    label, learn = sample.label, sample.part == 0
    columns = [sample.column(field.name).astype(np.float64) for field in data.meta.fields]
    inputs = np.stack(columns, axis=1)
    settings = {
        "objective": "binary", "num_leaves": 15, "learning_rate": 0.15, "min_data_in_leaf": 20, "feature_fraction": 0.7,
        "num_threads": 1, "seed": 0, "deterministic": True, "verbose": -1, "max_bin": 63, "force_col_wise": True,
    }  # fmt: skip
    forest = lightgbm.train(settings, lightgbm.Dataset(inputs[learn], label[learn]), num_boost_round=60)
    reached = auc(label[~learn], np.asarray(forest.predict(inputs[~learn])))
    beyond = found.beyond_chance(reached)
    strong, leak = beyond and reached > ALL_WARN, beyond and reached > ALL_FAIL
    gains = forest.feature_importance("gain")
    names = [field_word(data.meta.fields[int(i)].name) for i in np.argsort(gains)[::-1][:3]]
    status: Status = "fail" if leak else "warn" if strong else "pass"
    return Answer(
        status,
        reached,
        f"A small forest on all inputs reaches AUC {reached:.4f} on validation and test rows"
        + (
            f", more than clicks allow: some inputs know the label. It leans on {', '.join(map(repr, names))}."
            if strong
            else f"; the best of them, or of their pairs, {best:.4f}."
        ),
        {
            field.name: float(gain) / max(float(gains.sum()), 1e-9)
            for field, gain in zip(data.meta.fields, gains, strict=True)
        },
        todo="Look at how the inputs it leans on were made; leave out what is not known before the impression.",
        examples=lambda: data.examples(sample.positions(~learn)),
    )
