"""Margins of parity: what may count as no difference, in each metric, and where a margin comes from.

A margin belongs to a metric, which says what it takes: a share of what the reference gains over a model that knows
nothing but the base rate, and one in bp (1e-4 of the metric) too where its size does not depend on the click rate: at a
rate of 0.4% the whole Brier score is 40 bp, and 20 bp of it are more than any model gains.
"""

from __future__ import annotations

import math
import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mdaf_core.analysis.significance import BP
from mdaf_core.base.errors import UsageError
from mdaf_core.metrics.auc import hanley_mcneil_se
from mdaf_core.metrics.metric import Metric
from mdaf_core.metrics.registry import metric as known_metric

WIDE = 0.05  # share of the gain above which a margin is warned of
NARROWEST, WIDEST = 0.0025, 0.02  # share of the gain that is proposed
NO_MARGIN = "no margin is set, so parity is not tested"
AT_LAUNCH = "set at launch"
PROPOSED = "proposed by the program, accepted at launch"
AFTERWARDS = "chosen after results were seen"
BY_HAND = "set by the reader"


class Margin(BaseModel):
    """Half-width of the differences that count as parity: `20 bp`, or `1 %` of the reference's gain."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    size: float = Field(gt=0, le=10_000)
    unit: Literal["bp", "%"] = Field("bp", description="1e-4 of the metric; or % of the reference's gain.")
    origin: str = Field(BY_HAND, description="Where it comes from, as sentences say it.")

    @property
    def text(self) -> str:
        """As `parse_margin` takes it: `20 bp`, `1%`."""
        return f"{self.size:.12g}%" if self.unit == "%" else f"{self.size:.12g} bp"

    def same(self, other: Margin | None) -> bool:
        """Whether both are of one size, wherever they come from."""
        return other is not None and (self.size, self.unit) == (other.size, other.unit)

    def half_width(self, gain: float | None) -> float | None:
        """In the metric; None for a share of a gain that is unknown or not above 0."""
        if self.unit == "bp":
            return self.size * BP
        return self.size / 100 * gain if gain is not None and gain > 0 else None


def parse_margin(text: str, origin: str = BY_HAND) -> Margin | None:
    """`20`, `20 bp` or `1%` (of the reference's gain over the base rate); empty or `none` is no margin.

    Raises:
        UsageError: anything else.
    """
    if text.strip().lower() in ("", "none"):
        return None
    found = re.fullmatch(r"±?\s*([0-9.]+(?:e-?[0-9]+)?)\s*(bp|%)?", text.strip(), re.IGNORECASE)
    try:
        return (
            Margin(size=float(found[1]), unit="%" if found[2] == "%" else "bp", origin=origin) if found else _no(text)
        )
    except (ValueError, ValidationError):
        return _no(text)


def _no(text: str) -> Margin:
    raise UsageError(
        f"A margin is a number of bp above 0 (20 or '20 bp'), or a share of the reference's gain over the base rate "
        f"('1%'); got {text!r}."
    )


def check_margin(margin: Margin | None, metric: str) -> None:
    """Refuse a margin that has no meaning for the metric.

    Raises:
        UsageError: the reason; or there is no such metric.
    """
    known = known_metric(metric)
    if margin is None:
        return
    if known.gain is None:
        raise UsageError(f"{_no_margin(known)} Leave the margin out.")
    if margin.unit == "bp" and not known.in_bp:
        raise UsageError(
            f"A margin of {known.words} is relative, since its size depends on the click rate: give a share of the "
            f"reference's gain over the base rate ({known.gain_words}), such as 1%, not {margin.text}."
        )
    if margin.unit == "%" and margin.size >= 100:
        raise UsageError(
            f"A margin of {margin.text} of the gain would call knowing nothing parity; give less than 100%."
        )


def _no_margin(metric: Metric) -> str:
    """Why no margin of a metric has a meaning, as a sentence."""
    return f"{metric.no_margin[0].upper()}{metric.no_margin[1:].rstrip('.')}."


def margin_words(margin: Margin | None, width: float | None) -> str:
    """The margin with its origin, as every sentence about parity names it: `±7.5 bp (0.5% of …; set at launch)`."""
    if margin is None:
        return "no margin set"
    if width is None:
        return f"{margin.text} of the reference's gain over the base rate ({margin.origin})"
    share = "" if margin.unit == "bp" else f"{margin.text} of the reference's gain over the base rate; "
    return f"±{bp_words(width)} bp ({share}{margin.origin})"


def bp_words(value: float, digits: int = 3) -> str:
    """A difference of 1 for 10,000 bp, as sentences have it: in bp, to so many digits, without an exponent."""
    return f"{float(f'{value / BP:.{digits}g}'):,.10g}"


def margin_notes(margin: Margin | None, metric: str, width: float | None, gain: float | None) -> list[str]:
    """What to know about a margin: none is set, none can be formed, or it is wide beside what the reference gains."""
    known = known_metric(metric)
    if known.gain is None:
        return [_no_margin(known)]
    if margin is None:
        return [f"{NO_MARGIN[0].upper()}{NO_MARGIN[1:]}."]
    if width is None:
        return [
            f"The margin of {margin.text} of the reference's gain over the base rate ({known.gain_words}) cannot be "
            "formed, since the reference gains nothing over it: parity is not tested."
        ]
    if gain is None or gain <= 0:
        return [
            f"The reference gains nothing over the base rate ({known.gain_words}): parity with it within "
            f"±{bp_words(width)} bp says little."
        ]
    if width > WIDE * gain:
        return [
            f"The margin of ±{bp_words(width)} bp is {width / gain:.0%} of what the reference gains over the base "
            f"rate ({known.gain_words}: {bp_words(gain)} bp). More than {WIDE:.0%} of it may hide a difference that "
            "matters."
        ]
    return []


# ---- proposing one -------------------------------------------------------------------------------------------------


class Proposal(BaseModel):
    """A margin for people to accept or not, and the sentence that says how it was derived."""

    margin: Margin | None
    sentence: str


ASSUMED_AUC = 0.65
ASSUMED_CORRELATION = 0.9
EQUIVALENCE_REACH = (
    2.93  # z₀.₉₅ + z₀.₉₀: standard errors of a margin within which equal models show parity 4 times in 5
)


def propose(metric: str, rows: int, positives: int, auc: float | None = None, se: float | None = None) -> Proposal:
    """A margin from the data: as narrow as these rows can resolve, between 0.25% and 2% of the reference's gain.

    Equal models are shown to be within m four times in five where m is 2.93 standard errors of their difference; that
    is taken at a correlation of 0.9 between the two AUCs.

    Args:
        rows, positives: of the split that is compared.
        auc: of the reference, from runs that have finished on these data; None: 0.65 is assumed, and said.
        se: its standard error; None: Hanley and McNeil's from AUC and counts.
    """
    known = known_metric(metric)
    if known.gain is None:
        return Proposal(margin=None, sentence=_no_margin(known))
    if not 0 < positives < rows:
        return Proposal(margin=None, sentence="These rows have one label only, so no margin can be proposed.")
    assumed = auc is None or auc <= 0.5
    area = ASSUMED_AUC if auc is None or auc <= 0.5 else auc
    error = hanley_mcneil_se(area, positives, rows - positives) if se is None else se
    resolved = EQUIVALENCE_REACH * error * math.sqrt(2 * (1 - ASSUMED_CORRELATION))
    share = min(max(resolved / (area - 0.5), NARROWEST), WIDEST)
    margin = Margin(size=float(f"{100 * share:.1g}"), unit="%", origin=PROPOSED)
    about = f"AUC {area:.3f} {'assumed, none is known yet' if assumed else 'in earlier runs on these data'}"
    able = (
        "these rows can show equal models to be within it"
        if resolved <= 1.05 * margin.size / 100 * (area - 0.5)
        else "so few rows will hardly show parity even of equal models"
    )
    return Proposal(
        margin=margin,
        sentence=f"Proposed: {margin.text} of the reference's gain over the base rate, "
        f"about ±{bp_words(margin.size / 100 * (area - 0.5), 2)} bp of AUC ({rows:,} rows, {positives:,} positives, "
        f"{about}; their differences resolve about ±{bp_words(resolved, 2)} bp: {able}).",
    )
