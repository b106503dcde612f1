"""Does a single value of an input decide the label, and is a value missing at one label more than at the other?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import polars as pl

from mdaf_core.data.audit.base import Written
from mdaf_core.data.audit.registry import Answer, check
from mdaf_core.data.audit.report import GRADES, Status
from mdaf_core.data.audit.sample import Coded
from mdaf_core.data.audit.scores import auc, auc_error
from mdaf_core.data.store.describe import describe_codes, field_word
from mdaf_core.data.store.schema import EVALUATED, SPLIT_NAMES, UNKNOWN, FieldSpec

PURE = 0.9
CHANCE = 1e-6
"""Probability, over all values of all inputs, of calling a value decisive where none is."""
LEAST_SPREAD = 0.02
"""Share of the labels' variance that lies between an input's values at the least: no two values have one rate."""
_FEWEST, _FEWEST_EXPECTED, _FEWEST_USERS = 8, 30.0, 5
_MISSING_WARN, _MISSING_FAIL = 0.2, 0.5
_EDGE = 0.8
_WORDS_FOR_MISSING = ["-1", "-1.0", "null", "none", "nan", "na", "n/a", "\\n", "unknown", "undefined", "missing"]


class Decisive(NamedTuple):
    """A value of an input whose rows have one label."""

    field: str
    words: str
    rate: float
    usual: float
    chosen: np.ndarray
    grave: bool


@check("deciding-values", "Values that decide the label", place=130)
def deciding_values(data: Written) -> Answer | None:
    found = [value for field in data.meta.fields if field.role != "user" for value in _decisive(data, field)]
    found.sort(key=lambda value: (value.grave, value.rate > 0.5, len(value.chosen)), reverse=True)
    fields = list(dict.fromkeys(value.field for value in found))
    status: Status = "fail" if any(value.grave for value in found) else "warn" if found else "pass"
    sentence = "No value of an input has rows of one label only, beyond what chance and the other values explain."
    if found:
        first = found[0]
        count, label = len(first.chosen), "positives" if first.rate > 0.5 else "negatives"
        share = first.rate if first.rate > 0.5 else 1 - first.rate
        sentence = (
            f"{'All' if share == 1 else f'{share:.1%} of'} {count:,} sampled rows whose {first.words} are {label}; of "
            f"the other rows {first.usual:.1%} are positives: it seems to be known only after the click, or written by "
            "it."
        )
        if len(fields) > 1:
            sentence += f" Such values have {', '.join(map(repr, fields[1:6]))} too."
    return Answer(
        status,
        len(fields),
        sentence,
        {value.words: value.rate for value in found[:20]},
        todo=f"Leave {found[0].field!r} out, unless it is known before the impression." if found else "",
        examples=lambda: data.examples(data.sample.positions(_mask(len(data.sample.label), found[0].chosen))),
    )


def _mask(size: int, positions: np.ndarray) -> np.ndarray:
    mask = np.zeros(size, np.bool_)
    mask[positions] = True
    return mask


def _decisive(data: Written, field: FieldSpec) -> Iterator[Decisive]:
    """Values of one input (missing, the usual one and all others together, and the ends of numbers among them)."""
    sample, tests = data.sample, 6 * len(data.meta.fields)
    coded, label = sample.coded(field), sample.label
    word = field_word(field.name)
    usual = int(np.bincount(coded.codes).argmax())
    views: list[tuple[np.ndarray, dict[int, str]]] = [(coded.codes, {})]
    if field.role == "context":
        views.append(((coded.codes != usual) + 2, {3: f"{word} is not {value_words(data, field, coded, usual)}"}))
        if coded.missing >= 0:
            views.append(((coded.codes != coded.missing) + 2, {3: f"{word} is given", 2: f"{word} is missing"}))
    known = (
        coded.codes != UNKNOWN if field.kind == "categorical" else np.ones(len(label), np.bool_)
    )  # what is unknown is another check's
    later = sample.part > 0
    for rows in (known, known & later):
        for codes, names in views:
            for code, rate, rest in pure_values(codes[rows], label[rows], CHANCE / tests):
                if rate < 0.5 and field.role != "context":
                    continue  # nobody clicks on some things
                if names and code not in names:
                    continue
                at = np.flatnonzero(rows & (codes == code))
                if data.meta.has_user and len(np.unique(sample.column("user_index")[at])) < _FEWEST_USERS:
                    continue
                words = names[code] if names else f"{word} is {value_words(data, field, coded, code)}"
                grave = rate > 0.99 and rest < 0.5 and len(at) >= 50 and field.role == "context"
                yield Decisive(field.name, words, rate, rest, at, grave)
    if field.kind == "numeric":
        yield from _ends(data, field, CHANCE / tests)


def value_words(data: Written, field: FieldSpec, coded: Coded, code: int) -> str:
    if code == coded.missing:
        return "missing"
    if coded.words is not None:
        return coded.words[code]
    return repr(describe_codes(data.dataset, field.name, np.array([code]))[0])


def pure_values(codes: np.ndarray, label: np.ndarray, chance: float) -> list[tuple[int, float, float]]:
    """Values whose rows have one label, while the rates of the other values make that improbable.

    The other values' rates are taken as draws from a beta distribution fitted by moments (Kleinman 1973, weights by
    rows), so that an input whose values differ anyway, as items and users do, has pure values by chance; a value's
    positives are then beta-binomial. Bonferroni over the values.

    Args:
        codes, label: (N,).
        chance: of any find where there is nothing.

    Returns:
        (value, its positive rate, that of the other rows).
    """
    from scipy.special import betainc, betaln

    if not len(codes):
        return []
    count = np.bincount(codes)
    positives = np.bincount(codes, label, len(count))
    there = np.flatnonzero(count >= 1)
    n, k = count[there].astype(np.float64), positives[there]
    base = k.sum() / n.sum()
    high = (n >= _FEWEST) & (k >= PURE * n) & (base < PURE)
    low = (k == 0) & (n * base >= _FEWEST_EXPECTED)
    if not (high | low).any():
        return []
    others = ~(high | low)
    rest = k[others].sum() / n[others].sum() if others.any() else base
    if not 0 < rest < 1:
        rest = base
    a, b = _beta(n[others], k[others], rest)
    tests = max(1, int((n >= _FEWEST).sum()))
    with np.errstate(divide="ignore"):
        whole = betaln(a + n, b) - betaln(a, b)  # all rows positive
        none = betaln(a, b + n) - betaln(a, b)
        size = np.maximum(n / (1 + (n - 1) / (a + b + 1)) - 1, 1e-3)  # a beta of the same mean and variance
        most = np.log(1 - betainc(rest * size, (1 - rest) * size, np.minimum((k - 0.5) / n, 1)))
    odds = np.where(k == n, whole, np.where(high, most, none))
    found = np.flatnonzero((high | low) & (odds < np.log(chance / tests)))
    return [(int(there[i]), float(k[i] / n[i]), float(rest)) for i in found]


def _beta(n: np.ndarray, k: np.ndarray, rate: float) -> tuple[float, float]:
    """Parameters of the distribution of the values' rates."""
    between = 0.0
    if len(n) > 1:
        spread = float((n * (k / n - rate) ** 2).sum()) - (len(n) - 1) * rate * (1 - rate)
        between = spread / float(n.sum() - (n**2).sum() / n.sum())
    share = float(np.clip(between / (rate * (1 - rate)), LEAST_SPREAD, 0.99))
    total = 1 / share - 1
    return rate * total, (1 - rate) * total


def _ends(data: Written, field: FieldSpec, chance: float) -> Iterator[Decisive]:
    """Numbers beyond which all rows have one label, while the next ones are as mixed as ever."""
    sample = data.sample
    values, label = sample.column(field.name), sample.label
    order = np.argsort(values, kind="stable")[: int((~np.isnan(values)).sum())]
    for way, side in ((1, "below"), (-1, "above")):
        ordered = order[::way]
        kind = label[ordered[0]] if len(ordered) else 0
        other = np.flatnonzero(label[ordered] != kind)
        if not len(other):
            return
        limit = values[ordered[other[0]]]
        run = int(other[0])
        while run and values[ordered[run - 1]] == limit:  # rows that tie with the first of the other label
            run -= 1
        beside = label[ordered[run : run + max(5 * run, 50)]]
        rate = float((beside == kind).mean())
        base = float((label[ordered] == kind).mean())
        if run < _FEWEST or rate > _EDGE or run * -np.log(max(rate, base)) < -np.log(chance):
            continue
        if kind == 0 and run * (1 - base) < _FEWEST_EXPECTED:
            continue
        at = ordered[:run]
        if data.meta.has_user and len(np.unique(sample.column("user_index")[at])) < _FEWEST_USERS:
            continue
        words = f"{field_word(field.name)} is {side} {field.numbers(limit):.6g}"
        yield Decisive(field.name, words, float(kind), float(label[ordered[run:]].mean()), at, False)


@check("missing-by-label", "Missing values by label", place=150)
def missing_by_label(data: Written) -> Answer | None:
    sample = data.sample
    label = sample.label == 1
    found: list[tuple[int, float, str, np.ndarray]] = []
    differences: dict[str, float] = {}
    gaps = np.zeros(len(label), np.int64)
    inputs = 0
    for field in data.meta.fields:
        missing = _missing(data, field)
        if not missing.any():
            continue
        gaps += missing
        inputs += 1
        for words, rows in (("", np.ones(len(label), np.bool_)), (" of validation and test", sample.part > 0)):
            if len(np.unique(label[rows])) < 2:
                continue
            rates = float(missing[rows & label].mean()), float(missing[rows & ~label].mean())
            pooled = float(missing[rows].mean())
            size = int((rows & label).sum()), int((rows & ~label).sum())
            error = (pooled * (1 - pooled) * (1 / size[0] + 1 / size[1])) ** 0.5
            difference = rates[0] - rates[1]
            if not words:
                differences[field.name] = difference
            grade = 0
            if error > 0 and abs(difference) > 5 * error:
                grade = int(abs(difference) > _MISSING_WARN) + int(abs(difference) > _MISSING_FAIL)
            sentence = (
                f"The input {field_word(field.name)!r} is missing in {rates[0]:.1%} of the positives{words} and in "
                f"{rates[1]:.1%} of the negatives"
            )
            found.append((grade, abs(difference), sentence, rows & missing))
    if not found:
        return None
    grade, worst, sentence, rows = max(found, key=lambda one: one[:2])
    if not grade and inputs > 1 and 0 < label.sum() < len(label):
        reached = auc(sample.label, gaps)
        reached = max(reached, 1 - reached)
        if reached > 0.8 and reached - 0.5 > 5 * auc_error(sample.label):
            grade, worst, rows = 1, reached, gaps > 0
            sentence = f"The number of missing inputs of a row alone reaches AUC {reached:.4f}"
    ends = (".", ": being missing tells something of the label.", ": being missing alone tells the label.")
    return Answer(
        GRADES[grade],
        worst,
        sentence + (ends[grade] if grade else ", the widest difference of all inputs."),
        differences,
        todo="See whether positives and negatives come from the same log: fill the gaps from one that does not know "
        "the label, or leave the input out.",
        examples=lambda: data.examples(sample.positions(rows)),
    )


def _missing(data: Written, field: FieldSpec) -> np.ndarray:
    """(N,) whether a value of the sample is missing, or a number or word that stands for it."""
    coded, values = data.sample.coded(field), data.sample.column(field.name)
    missing = coded.codes == coded.missing
    if field.kind == "categorical":
        table = data.dataset.vocabulary(field.name)
        stands = table.filter(pl.col("id").str.to_lowercase().is_in(_WORDS_FOR_MISSING))["code"]
        return missing | np.isin(values, stands.to_numpy())
    numbers = np.unique(values[~np.isnan(values)])
    if len(numbers) > 2:
        first, second, last = field.numbers(numbers[[0, 1, -1]])
        if first < 0 <= second and _stands_for_missing(first, last):
            missing = missing | (values == numbers[0])
    return missing


def _stands_for_missing(number: float, largest: float) -> bool:
    """-1, -9, -99, -999, … among counts and amounts up to `largest`; another number below zero is a number."""
    whole, rounding = round(number), 1e-6 * max(-number, largest)  # of the column's 32 bits
    return abs(number - whole) <= rounding and (whole == -1 or set(str(-whole)) == {"9"})


@check("blank-inputs", "Inputs that say something in every part", place=210)
def blank_inputs(data: Written) -> Answer | None:
    """Inputs that vary in training rows and say nothing in all rows of another part."""
    found: list[tuple[str, str, str]] = []
    shares: dict[str, float] = {}
    at = data.sample.at
    for field in data.meta.fields:
        if field.name in ("hour", "dayofweek"):
            continue  # made of the time: a part that lies within one day has one weekday
        train = data.rows["train"].columns[field.name][at["train"]]
        for split in EVALUATED:
            rows = data.rows[split].columns[field.name][at[split]]
            if len(rows) < 20:
                continue
            unknown, how = _blank(field, train, rows, data.missing_codes.get(field.name, -1))
            if field.kind == "categorical":
                shares[f"{split} {field.name}"] = float((rows == UNKNOWN).mean())
            if unknown:
                found.append((field.name, split, how))
    named = dict.fromkeys(name for name, _, _ in found)
    sentence = "No input that varies in training rows is unknown, missing or the same in all rows of another part."
    if found:
        name, _, how = found[0]
        where = " and ".join(SPLIT_NAMES[split] for other, split, _ in found if other == name)
        sentence = (
            f"The input {field_word(name)!r} is {how} in all {where} rows: what training rows teach about it is of no "
            "use there."
        )
        if len(named) > 1:
            sentence += f" So it is with {', '.join(map(repr, list(named)[1:6]))}."
    return Answer(
        "warn" if found else "pass",
        len(named),
        sentence,
        shares,
        todo="Leave such inputs out (ids of days, sessions and impressions never come again), or find out why their "
        "values end.",
        examples=lambda: data.examples({found[0][1]: np.arange(20)}),  # type: ignore[dict-item]
    )


def _blank(field: FieldSpec, train: np.ndarray, rows: np.ndarray, missing: int) -> tuple[bool, str]:
    """Whether all rows of a part are unknown, missing or the same, where that is no chance; and which of them."""
    if field.kind == "categorical":
        if (rows == UNKNOWN).all():
            return field.role not in ("user", "item"), "unknown"  # new users and items are another check's
        value, share = rows[0], float((train == rows[0]).mean())
        how = "missing" if value == missing else "the same value"
    elif np.isnan(rows).all():
        share, how = float(np.isnan(train).mean()), "missing"
    else:
        value, share, how = rows[0], float((train == rows[0]).mean()), "the same number"
    same = np.isnan(rows).all() if how == "missing" and field.kind == "numeric" else bool((rows == value).all())
    return bool(same and share ** len(rows) < CHANCE), how
