"""Are there two labels, and does an input give them away?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from mdaf_core.data.audit import Check, Status
from mdaf_core.data.checks.base import EXAMPLES, WORDS, Written, check, occurrences
from mdaf_core.data.gather import match_features, match_names
from mdaf_core.data.schema import UNKNOWN, Split

LEAK_AUC = 0.95
_SAMPLE = 500_000


def labels(data: Written) -> Iterator[Check]:
    rates = {split: float(rows.label.mean()) for split, rows in data.rows.items() if len(rows)}
    single = [WORDS[split] for split, rate in rates.items() if rate in (0.0, 1.0)]
    yield check(
        "both-labels",
        "Both labels in every part",
        "fail" if single else "pass",
        len(single),
        f"All {' and '.join(single)} rows have the same label: AUC is undefined there."
        if single
        else "Training, validation and test rows have both labels.",
        rates,
        todo="Take another split, or other cuts; if the input has one label only, look at how labels are read.",
        examples=lambda: _rates(data),
    )
    base = rates.get("train", 0.0)
    drift = max((abs(rate - base) for split, rate in rates.items() if split != "train"), default=0.0)
    shown = ", ".join(f"{WORDS[split]} {rate:.2%}" for split, rate in rates.items())
    rows = data.rows
    # A part of few rows moves by chance: four standard errors of the difference count as a drift.
    beyond_chance = any(
        abs(rate - base) > 4 * math.sqrt(base * (1 - base) * (1 / len(rows[split]) + 1 / len(rows["train"])))
        for split, rate in rates.items()
        if split != "train" and abs(rate - base) > 0.2 * base
    )
    strong = base > 0 and drift / base > 0.2
    yield check(
        "positive-rate-drift",
        "Positive rate",
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


def _rates(data: Written) -> list[dict[str, Any]]:
    """Rows, positives and rate of each part."""
    return [
        {"part": WORDS[split], "rows": len(rows), "positives": int(rows.label.sum()), "rate": float(rows.label.mean())}
        for split, rows in data.rows.items()
        if len(rows)
    ]


def label_leak(data: Written) -> Iterator[Check]:
    """What each input reaches alone: too much is a leak, and the best is what a model has to beat."""
    judged: tuple[Split, ...] = ("val", "test")
    found = {split: _alone(data, split) for split in judged if len(np.unique(data.rows[split].label)) == 2}
    aucs = {(split, name): max(auc, 1 - auc) for split, alone in found.items() for name, auc in alone.items()}
    if not aucs:
        return
    split = next(iter(found))
    name, worst = max(((name, auc) for (s, name), auc in aucs.items() if s == split), key=lambda item: item[1])
    leak = worst > LEAK_AUC
    yield check(
        "label-leak",
        "No input gives the label away",
        "fail" if leak else "pass",
        worst,
        f"The input {name!r} alone reaches AUC {worst:.4f} on {WORDS[split]} rows"
        + (": it probably knows the label." if leak else ", the best of all single inputs."),
        {f"{split} {name}": auc for (split, name), auc in aucs.items()},
        todo=f"Leave {name!r} out, unless it is known before the impression.",
        examples=lambda: data.examples({split: _both_labels(data, split)}),
    )


def _both_labels(data: Written, split: Split) -> np.ndarray:
    """Positions of the first rows of either label, in equal numbers."""
    label = data.rows[split].label
    return np.concatenate([np.flatnonzero(label == value)[: EXAMPLES // 2] for value in (1, 0)])


def _alone(data: Written, split: Split) -> dict[str, float]:
    """AUC of each input as a score: ids by their smoothed positive rate on training rows, the rest as it is."""
    train, rows = data.rows["train"], data.rows[split]
    pick = _sample(len(rows))
    label, base = rows.label[pick], float(train.label.mean())
    found: dict[str, float] = {}
    for field in data.meta.fields:
        values = rows.columns[field.name][pick]
        if field.kind == "categorical":
            codes = train.columns[field.name]
            size = max(int(codes.max(initial=0)), int(values.max(initial=0))) + 1
            count, positives = occurrences(codes, size), occurrences(codes, size, where=train.label)
            found[field.name] = _auc(label, ((positives + base) / (count + 1))[values])
        else:
            found[field.name] = _auc(label, values)
            if np.isnan(values).any():  # being missing may tell the label as well
                found[f"{field.name} is missing"] = _auc(label, np.isnan(values))
    if data.events and data.slices_sound[split].all():
        names = [name.replace("_", " ") for name in match_names(data.meta.history_fields)]
        matches = match_features(data.dataset, split, pick)
        found |= {name: _auc(label, matches[:, i]) for i, name in enumerate(names)}
    return found


def unknown_by_label(data: Written) -> Iterator[Check]:
    differences: dict[str, float] = {}
    found: list[tuple[bool, float, str, Split, str]] = []  # significant, difference, words, part, field
    judged: tuple[Split, ...] = ("val", "test")
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
                f"In {WORDS[split]}, {rates[0]:.1%} of positives and {rates[1]:.1%} of negatives have an unknown "
                f"{field.name}"
            )
            found.append((error > 0 and abs(difference) > 4 * error, abs(difference), words, split, field.name))
    if not found:
        return
    significant, worst, words, part, name = max(found)
    status: Status = "pass"
    if significant and worst > 0.25:
        status, words = "fail", words + ": being unknown alone tells the label, as when negatives are drawn elsewhere"
    elif significant and worst > 0.05:
        status, words = "warn", words + ": being unknown tells something of the label"
    elif not significant:
        words += ", no more apart than chance allows"
    yield check(
        "unknown-by-label",
        "Unknown ids by label",
        status,
        worst,
        words + ".",
        differences,
        todo="Draw negatives from the rows' own period (with alpha=1 unknown ids are level), or leave the input out.",
        examples=lambda: data.examples({part: np.flatnonzero(data.rows[part].columns[name] == UNKNOWN)}),
    )


def _sample(size: int) -> np.ndarray:
    """Positions of at most `_SAMPLE` rows, evenly spread."""
    return np.arange(size) if size <= _SAMPLE else np.linspace(0, size - 1, _SAMPLE).astype(np.int64)


def _auc(label: np.ndarray, score: np.ndarray) -> float:
    """Probability that a positive's score exceeds a negative's, ties half (Mann-Whitney)."""
    score = np.nan_to_num(np.asarray(score, np.float64), nan=-np.inf)  # missing values tie, below all others
    ranks = pl.Series(score).rank("average").to_numpy()
    positives = int((label == 1).sum())
    negatives = len(label) - positives
    return (float(ranks[label == 1].sum()) - positives * (positives + 1) / 2) / (positives * negatives)
