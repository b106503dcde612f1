"""Are there two labels, and does an input give them away?"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mdaf_core.data.audit.base import EXAMPLES, Written
from mdaf_core.data.audit.registry import Answer, check
from mdaf_core.data.audit.report import GRADES
from mdaf_core.data.audit.sample import drawn
from mdaf_core.data.audit.scores import Rates, auc, auc_error, rates_of
from mdaf_core.data.batches.gather import match_features, match_names
from mdaf_core.data.store.schema import EVALUATED, SPLIT_NAMES, UNKNOWN, Split

LEAK_AUC, STRONG_AUC = 0.95, 0.9
ONE_SIDED = 10.0
"""How many times more frequent unknown ids are at one label where something other than their novelty must tell."""
FEW_ERROR = 0.05
"""Standard error of an AUC of which it is said that differences of models are lost in it."""
_SAMPLE = 200_000
_FEW_VALUES = 50


def _positive_rates(data: Written) -> dict[Split, float]:
    return {split: float(rows.label.mean()) for split, rows in data.rows.items() if len(rows)}


@check("both-labels", "Both labels in every part", place=90)
def both_labels(data: Written) -> Answer:
    rates = _positive_rates(data)
    single = [SPLIT_NAMES[split] for split, rate in rates.items() if rate in (0.0, 1.0)]
    return Answer(
        "fail" if single else "pass",
        len(single),
        f"All {' and '.join(single)} rows have the same label: AUC is undefined there."
        if single
        else "Training, validation and test rows have both labels.",
        rates,
        todo="Take another split, or other cuts; if the input has one label only, look at how labels are read.",
        examples=lambda: _rates(data),
    )


@check("few-labels", "Rows enough to compare by", place=90.5)
def few_labels(data: Written) -> Answer | None:
    """Are there positives and negatives enough for an AUC that says something?"""
    judged = {split: rows.label for split, rows in data.rows.items() if split in EVALUATED}
    errors = {split: auc_error(label) for split, label in judged.items() if 0 < label.sum() < len(label)}
    if not errors:
        return None
    split = max(errors, key=lambda split: errors[split])
    positives, rows = int(judged[split].sum()), len(judged[split])
    few = errors[split] > FEW_ERROR
    fewer = "positives" if 2 * positives <= rows else "negatives"
    return Answer(
        "warn" if few else "pass",
        errors[split],
        f"{SPLIT_NAMES[split].capitalize()} rows hold {min(positives, rows - positives):,} {fewer} among {rows:,}: by "
        f"chance alone the AUC of a score that says nothing is {errors[split]:.3f} from 0.5 (standard error)"
        + ("; differences of models are lost in that, unless they are large." if few else "."),
        errors,
        todo="Take more data, or larger shares for validation and test; more seeds do not make up for few rows.",
        examples=lambda: _rates(data),
    )


@check("positive-rate-drift", "Positive rate", place=91)
def positive_rate_drift(data: Written) -> Answer:
    rates = _positive_rates(data)
    base = rates.get("train", 0.0)
    drift = max((abs(rate - base) for split, rate in rates.items() if split != "train"), default=0.0)
    shown = ", ".join(f"{SPLIT_NAMES[split]} {rate:.2%}" for split, rate in rates.items())
    beyond_chance = any(
        abs(rate - base) > max(0.2 * base, 4 * _rate_error(data.rows["train"].label, data.rows[split].label))
        for split, rate in rates.items()
        if split != "train"
    )
    strong = base > 0 and drift / base > 0.2
    return Answer(
        "warn" if beyond_chance else "pass",
        drift,
        f"The positive rate is {shown}"
        + (
            ": it drifts by more than a fifth of its value."
            if beyond_chance
            else ", no more apart than chance allows."
            if strong
            else "."
        ),
        rates,
        todo="See on the chart of the rate over time when it changes, and why; losses and calibration suffer, AUC may "
        "not.",
        examples=lambda: _rates(data),
    )


def _rate_error(one: np.ndarray, other: np.ndarray) -> float:
    """Standard error of the difference of two parts' rates, if they were the same: parts of few rows move by chance."""
    rate = (int(one.sum()) + int(other.sum())) / (len(one) + len(other))
    return math.sqrt(rate * (1 - rate) * (1 / len(one) + 1 / len(other)))


def _rates(data: Written) -> list[dict[str, Any]]:
    """Rows, positives and rate of each part."""
    return [
        {
            "part": SPLIT_NAMES[split],
            "rows": len(rows),
            "positives": int(rows.label.sum()),
            "rate": float(rows.label.mean()),
        }
        for split, rows in data.rows.items()
        if len(rows)
    ]


@check("label-leak", "Each input alone", place=120)
def label_leak(data: Written) -> Answer | None:
    """What each input reaches alone: too much is a leak, and the best is what a model has to beat."""
    judged: tuple[Split, ...] = ("val", "test", "train")
    learned: dict[str, Rates] = {}
    found = {split: _alone(data, split, learned) for split in judged if len(np.unique(data.rows[split].label)) == 2}
    aucs = {(split, name): max(auc, 1 - auc) for split, alone in found.items() for name, auc in alone.items()}
    if not aucs:
        return None
    first = next(iter(found))
    beyond_chance = {key: auc for key, auc in aucs.items() if auc - 0.5 > 4 * auc_error(data.rows[key[0]].label)}
    split, name = max(
        (key for key, auc in beyond_chance.items() if auc > STRONG_AUC),
        key=lambda key: (beyond_chance[key], key[0] == first),
        default=max((key for key in aucs if key[0] == first), key=lambda key: aucs[key]),
    )
    worst = aucs[split, name]
    strong = worst > STRONG_AUC and (split, name) in beyond_chance
    leak = strong and worst > LEAK_AUC
    if leak:
        verdict = ": it probably knows the label."
    elif strong:
        verdict = ", unusually much for a single input: it may know something of the label."
    else:
        verdict = ", the best of all single inputs." if worst <= STRONG_AUC else ", which so few rows allow by chance."
    return Answer(
        "fail" if leak else "warn" if strong else "pass",
        worst,
        f"The input {name!r} alone reaches AUC {worst:.4f} on {SPLIT_NAMES[split]} rows{verdict}",
        {f"{split} {name}": auc for (split, name), auc in aucs.items()},
        todo=f"Leave {name!r} out, unless it is known before the impression.",
        examples=lambda: data.examples({split: _both_labels(data, split)}),
    )


def _both_labels(data: Written, split: Split) -> np.ndarray:
    """Positions of the first rows of either label, in equal numbers."""
    label = data.rows[split].label
    return np.concatenate([np.flatnonzero(label == value)[: EXAMPLES // 2] for value in (1, 0)])


def _alone(data: Written, split: Split, rates: dict[str, Rates]) -> dict[str, float]:
    """AUC of each input as a score: ids, and numbers of few values, by their smoothed positive rate on training rows;
    numbers as they are, too. One half of the training rows is judged by the rates of the other.

    Args:
        rates: of ids over all training rows, added to where they are missing.
    """
    train, rows = data.rows["train"], data.rows[split]
    learned: np.ndarray | slice = slice(None)
    pick = drawn(len(rows), _SAMPLE if split != "train" else _SAMPLE // 2)
    if split == "train":
        halves = np.random.default_rng(0).permutation(pick)
        learned, pick = np.sort(halves[: len(halves) // 2]), np.sort(halves[len(halves) // 2 :])
    label, known = rows.label[pick], train.label[learned]
    if len(np.unique(label)) < 2:
        return {}
    found: dict[str, float] = {}
    for field in data.meta.fields:
        values, past = rows.columns[field.name][pick], train.columns[field.name]
        if field.kind == "categorical":
            if split == "train":
                own = Rates(past[learned], known)
            else:
                own = rates[field.name] = rates.get(field.name) or Rates(past, known)
            found[field.name] = auc(label, own.of(values))
            continue
        found[field.name] = auc(label, values)
        if np.isnan(values).any():  # being missing may tell the label as well
            found[f"{field.name} is missing"] = auc(label, np.isnan(values))
        few = np.unique(values)
        if 2 < len(few) <= _FEW_VALUES:
            codes, past_codes = (np.searchsorted(few, column) for column in (values, past[learned]))
            by_value = auc(label, rates_of(codes, past_codes, known))
            found[field.name] = max(found[field.name], 1 - found[field.name], by_value, 1 - by_value)
    if data.events and data.slices_sound[split].all():
        names = [name.replace("_", " ") for name in match_names(data.meta.history_fields)]
        matches = match_features(data.dataset, split, pick)
        found |= {name: auc(label, matches[:, i]) for i, name in enumerate(names)}
    return found


@check("unknown-by-label", "Unknown ids by label", place=140)
def unknown_by_label(data: Written) -> Answer | None:
    differences: dict[str, float] = {}
    found: list[tuple[int, float, str, Split, str]] = []  # grade, difference, words, part, field
    judged: tuple[Split, ...] = EVALUATED
    for split in judged:
        rows = data.rows[split]
        positive = rows.label == 1
        counts = (int(positive.sum()), int((~positive).sum()))
        if min(counts) == 0:
            continue
        for field in data.categorical:
            unknown = rows.columns[field.name] == UNKNOWN
            rates = (float(unknown[positive].mean()), float(unknown[~positive].mean()))
            difference = rates[0] - rates[1]
            pooled = float(unknown.mean())
            error = math.sqrt(pooled * (1 - pooled) * (1 / counts[0] + 1 / counts[1]))
            differences[f"{split} {field.name}"] = difference
            words = (
                f"In {SPLIT_NAMES[split]}, {rates[0]:.1%} of positives and {rates[1]:.1%} of negatives have an unknown "
                f"{field.name}"
            )
            found.append((_grade(min(rates), max(rates), error), abs(difference), words, split, field.name))
    if not found:
        return None
    grade, worst, words, part, name = max(found)
    words += (
        ", no more apart than chance allows",
        "",
        ": being unknown tells something of the label",
        ": being unknown alone tells the label, as when negatives are drawn elsewhere",
    )[grade]
    return Answer(
        GRADES[max(0, grade - 1)],
        worst,
        words + ".",
        differences,
        todo="Draw negatives from the rows' own period (with alpha=1 unknown ids are level), or leave the input out.",
        examples=lambda: data.examples({part: np.flatnonzero(data.rows[part].columns[name] == UNKNOWN)}),
    )


def _grade(low: float, high: float, error: float) -> int:
    """How grave it is that two rates differ: 0 by chance, 1 little, 2 some, 3 much, or all but none of one label."""
    if not (error > 0 and high - low > 4 * error):
        return 0
    if high - low > 0.25 or high > ONE_SIDED**2 * low:
        return 3
    return 2 if high - low > 0.05 or high > ONE_SIDED * low else 1
