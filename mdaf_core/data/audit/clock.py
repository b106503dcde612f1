"""Do times tell the label, because positives and negatives were not written by one clock?"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from mdaf_core.data.audit.base import Written
from mdaf_core.data.audit.registry import Answer, check
from mdaf_core.data.audit.report import Status
from mdaf_core.data.audit.scores import auc, auc_error, rates_of
from mdaf_core.data.store.schema import SPLIT_NAMES, SPLITS

_FEWEST = 300
_HOURS_AUC = 0.82
_APART, _CLOSER = 0.05, 0.25
_RHYTHM = 3.0
_DIGITS_AUC, _FEWEST_ROWS = 0.55, 1000
_MOMENTS = 0.25
_ORDER_AUC = 0.65
_GAP_AUC = 0.9


@check("times-by-label", "Times by label", place=190)
def times_by_label(data: Written) -> Answer | None:
    found: list[tuple[float, str]] = []
    details: dict[str, float] = {}
    label = data.sample.label
    if min(int(label.sum()), int((1 - label).sum())) < 20:
        return None
    timed = data.meta.has_time
    questions = (_hours, _digits, _moments) if data.meta.has_calendar else (_moments,) if timed else ()
    for question in (*questions, _order):
        name, number, words = question(data)
        details[name] = number
        if words:
            found.append((number, words))
    status: Status = "warn" if found else "pass"
    passed = "Positives and negatives are mixed in the file."
    if timed and not data.meta.has_calendar:
        passed = "Positives and negatives are mixed, and share moments with other rows alike."
    elif timed:
        passed = (
            "Positives and negatives were written alike, as far as hours, minutes and seconds, moments shared with "
            "other rows of the user, and order show."
        )
    return Answer(
        status,
        found[0][0] if found else details.get("hours", 0.0),
        " ".join(words for _, words in found) if found else passed,
        details,
        todo="Give every row the time at which it was shown, whether it was clicked or not, from one log.",
        examples=lambda: data.examples(data.sample.positions(_both(label))),
        title="" if timed else "Order by label",
    )


def _both(label: np.ndarray) -> np.ndarray:
    chosen = np.zeros(len(label), np.bool_)
    for value in (0, 1):
        chosen[np.flatnonzero(label == value)[:10]] = True
    return chosen


@lru_cache(maxsize=1)
def _halves(size: int) -> tuple[np.ndarray, np.ndarray]:
    order = np.random.default_rng(0).permutation(size)
    return order[: size // 2], order[size // 2 :]


def _by_rates(codes: np.ndarray, label: np.ndarray) -> tuple[float, float]:
    """AUC on one half of the rows of the rates of the other half, and its error."""
    learn, judge = _halves(len(codes))
    if len(np.unique(label[judge])) < 2 or len(np.unique(label[learn])) < 2:
        return 0.5, 1.0
    return auc(label[judge], rates_of(codes[judge], codes[learn], label[learn])), auc_error(label[judge])


def _hours(data: Written) -> tuple[str, float, str]:
    """Hours of positives are those of negatives, moved; or tell the label as habits do not."""
    label = data.sample.label
    hour = data.local(data.sample.column("timestamp")).dt.hour().to_numpy().astype(np.int64)
    reached, error = _by_rates(hour, label)
    up, down = (np.bincount(hour[label == value], minlength=24).astype(np.float64) for value in (1, 0))
    if min(up.sum(), down.sum()) >= _FEWEST:
        apart = [_distance(np.roll(down, k), up) for k in range(24)]
        shift = int(np.argmin(apart))
        rhythm = np.sort(down)[-6:].sum() > _RHYTHM * max(np.sort(down)[:6].sum(), 1)
        noise = 12 * (1 / up.sum() + 1 / down.sum())
        if rhythm and shift and apart[0] > max(_APART, 6 * noise) and apart[shift] < _CLOSER * apart[0]:
            moved = (shift + 12) % 24 - 12
            return "hours", reached, (
                f"The hours of positives are those of negatives moved by {moved:+d}: their times were taken in another "
                "timezone, or at another moment (a conversion instead of the impression)."
            )  # fmt: skip
    if reached > _HOURS_AUC and reached - 0.5 > 5 * error:
        return "hours", reached, (
            f"The hour of the day alone reaches AUC {reached:.4f}, more than habits explain: positives and negatives "
            "were not written at the same times."
        )  # fmt: skip
    return "hours", reached, ""


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    """Squared distance of two distributions in counts, less what chance adds."""
    p, q = one / one.sum(), other / other.sum()
    total = p + q
    there = total > 0
    apart = float(((p - q)[there] ** 2 / total[there]).sum())
    return max(0.0, apart - 11.5 * (1 / one.sum() + 1 / other.sum()))


def _digits(data: Written) -> tuple[str, float, str]:
    """Seconds and minutes, which nobody's habits depend on."""
    label, ticks = data.sample.label, data.sample.column("timestamp")
    time = data.meta.seconds(ticks)
    worst, which = 0.5, ""
    if len(label) < _FEWEST_ROWS:
        return "seconds", worst, ""
    for name, codes in (
        ("second", time % 60),
        ("minute", time // 60 % 60),
        ("fraction of the second", ticks % data.meta.ticks != 0),
    ):
        reached, error = _by_rates(codes.astype(np.int64), label)
        if reached > worst:
            worst, which = reached, name if reached > _DIGITS_AUC and reached - 0.5 > 5 * error else ""
    words = (
        f"The {which} of the time alone reaches AUC {worst:.4f}: times of positives and of negatives were written or "
        "rounded differently."
    )
    return "seconds", worst, words if which else ""


def _moments(data: Written) -> tuple[str, float, str]:
    """Rows that share user and time with another, as rows of one page do; and the time since the user's last row."""
    if not data.meta.has_user:
        return "shared moments", 0.0, ""
    same, later = data.steps
    label = data.whole("label")[data.by_user]
    twin = same & (later == 0)
    shared = np.append(twin, False) | np.append(False, twin)
    positive = label == 1
    if not 0 < positive.sum() < len(label):
        return "shared moments", 0.0, ""
    rates = float(shared[positive].mean()), float(shared[~positive].mean())
    pooled = float(shared.mean())
    error = (pooled * (1 - pooled) * (1 / positive.sum() + 1 / (~positive).sum())) ** 0.5
    if abs(rates[0] - rates[1]) > max(_MOMENTS, 5 * error):
        return "shared moments", rates[0] - rates[1], (
            f"{rates[0]:.1%} of the positives and {rates[1]:.1%} of the negatives share user and time with another "
            "row: clicks carry the time of the click, the rest that of the page."
        )  # fmt: skip
    alone = same & ~shared[1:]  # rows of one moment are in no order
    gap, later_label = later[alone], label[1:][alone]
    if 20 <= later_label.sum() <= len(later_label) - 20:
        reached = auc(later_label, gap)
        if max(reached, 1 - reached) - 0.5 > max(_GAP_AUC - 0.5, 5 * auc_error(later_label)):
            return "shared moments", max(reached, 1 - reached), (
                f"The time since the user's row before alone reaches AUC {max(reached, 1 - reached):.4f}: positives "
                "and negatives were written at different moments."
            )  # fmt: skip
    return "shared moments", rates[0] - rates[1], ""


def _order(data: Written) -> tuple[str, float, str]:
    """Within a part, whether positives lie at one end of it."""
    worst, where = 0.5, ""
    place = data.sample.column("timestamp")
    if data.meta.has_calendar:  # by days: within one, hours differ
        place = data.local(place).dt.date().to_physical().to_numpy()
    for i, split in enumerate(SPLITS):
        own = data.sample.part == i
        label = data.sample.label[own]
        if min(int(label.sum()), int((1 - label).sum())) < 20:
            continue
        reached = auc(label, place[own])
        reached = max(reached, 1 - reached)
        if reached > worst:
            worst, where = reached, split if reached > _ORDER_AUC and reached - 0.5 > 5 * auc_error(label) else ""
    what = "the day" if data.meta.has_calendar else "the order" if data.meta.has_time else "the place in the file"
    words = f"Within {SPLIT_NAMES.get(where, '')} rows, {what} alone reaches AUC {worst:.4f}: positives lie at one end."
    return "order", worst, words if where else ""
