"""Words for effects: does the history help, what do the branches contribute, is the gate adaptive?

Words come from the tests of `effects.py` and from nothing else, and none of them depends on the scale of g, which is
not identified: a model with scaled branches predicts the same with another g.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, Field

from mdaf_core.analysis.effects import COSTS, Effect, EffectName, Effects, measure_effects
from mdaf_core.analysis.margins import Margin
from mdaf_core.analysis.significance import BP, LEVEL, equivalence
from mdaf_core.data.store.schema import Split
from mdaf_core.runs.tracking import RunRecord

AdaptivityVerdict = Literal[
    "adaptive",
    "adaptive between users",
    "g acts as a score",
    "not shown",
    "below the margin",
    "g is constant",
    "one permutation only",
    "undefined",
]
HistoryVerdict = Literal["helps", "harms", "not shown", "below the margin", "unknown"]
REPLACED = {
    "g_median": "one g for all rows (the median)",
    "g_shuffled": "another row's g",
    "g_within_user": "another row's g of the same user",
}
EXTRAPOLATED = (
    "The AUCs of one branch alone are extrapolations: no loss on the branches was trained, so the head never saw one "
    "branch's vector unmixed."
)


class Finding(BaseModel):
    """A word, what it means here in a sentence, and what to know about it."""

    verdict: AdaptivityVerdict | HistoryVerdict
    word: str = Field(description="The verdict as people read it; names the margin.")
    sentence: str
    notes: list[str] = []


class Contributions(BaseModel):
    """What history, branches and gate contribute to one configuration's AUC. None: the model has no such part."""

    effects: Effects
    margin: Margin | None = None
    margin_bp: float | None = Field(None, description="The margin in bp of AUC.")
    history: Finding | None = None
    branches: str | None = None
    gate: Finding | None = None
    notes: list[str] = []


def contributions(runs: Sequence[RunRecord], split: Split = "test", margin: Margin | None = None) -> Contributions:
    """Effects of one configuration over its runs (see `measure_effects`), in words.

    Args:
        margin: what is negligible in AUC, in bp or as a share of the model's own AUC − 0.5; None: nothing is called
            negligible.
    """
    return describe(measure_effects(runs, split), margin)


def describe(effects: Effects, margin: Margin | None = None) -> Contributions:
    """The words for effects."""
    width = margin and margin.half_width(None if effects.auc is None else effects.auc - 0.5)
    margin_bp = width / BP if width else None
    out = Contributions(effects=effects, margin=margin, margin_bp=margin_bp)
    out.history = _history(effects, margin_bp)
    out.branches = _branches(effects)
    if effects.gated:
        out.gate = gate_finding(effects, margin_bp)
    what = "rows" if effects.users is None else "users"
    if len(effects.seeds) == 1:
        out.notes.append(
            f"One trained model (seed {effects.seeds[0]}): intervals cover other {what}{effects.given}; "
            "another seed may differ."
        )
    else:
        out.notes.append(f"{len(effects.seeds)} seeds; intervals cover other seeds and other {what}{effects.given}.")
    if "static" in effects.aucs and effects.branch_loss is False:
        out.notes.append(EXTRAPOLATED)
    if margin is not None and margin_bp is not None:
        size = margin.text if margin.unit == "bp" else f"{margin.text} of AUC − 0.5, {margin_bp:.1f} bp"
        out.notes.append(f"Margin: {size} ({margin.origin}).")
    return out


def shown(effect: Effect) -> bool:
    """Whether an effect above 0 is shown at 5%."""
    return effect.test.p is not None and effect.test.p < 1 - LEVEL and effect.test.estimate > 0


def below(effect: Effect, margin_bp: float | None) -> bool:
    """Whether an effect is shown to be less than the margin: its one-sided 95% bound lies below."""
    return margin_bp is not None and equivalence(effect.test, margin_bp).high < margin_bp * BP


def in_bp(effect: Effect, unit: str = " bp") -> str:
    """`80.1 bp [60.2, 100.0]`."""
    values = (f"{x / BP:,.1f}" for x in (effect.test.estimate, effect.test.low, effect.test.high))
    estimate, low, high = (value.replace("-0.0", "0.0").replace("-", "−") for value in values)
    return f"{estimate}{unit} [{low}, {high}]"


# --- the gate --------------------------------------------------------------------------------------------------------


def gate_finding(effects: Effects, margin_bp: float | None = None) -> Finding:
    """Is the gate adaptive? The order of the questions is that of docs/statistics.md, "Gates"."""
    if effects.undefined:
        return _finding("undefined", f"Whether the gate is adaptive cannot be told: {effects.undefined}")
    if effects.constant:
        why = "the configuration fixes it at 0.5" if effects.fusion == "fixed" else "nothing of the row enters it"
        return _finding("g is constant", f"g is the same on every row ({why}), so that nothing adapts.")
    if effects.one_permutation or any(name not in effects.effects for name in ("g_median", "g_shuffled", "choice")):
        return _finding(
            "one permutation only",
            "These predictions hold one permutation of g, which decides nothing: train again, or ask the trained model "
            "anew, which the command gates does with --recompute.",
        )
    found = effects.effects
    verdict = _gate_verdict(found, margin_bp)
    costs = [f"{REPLACED[name]} {in_bp(found[name])}" for name in COSTS if name in found]
    words = ", ".join([costs[0].replace("(the median) ", "(the median) costs ", 1), *costs[1:]])
    sentence = f"{words[0].upper()}{words[1:]} of AUC: {_tail(verdict, effects, margin_bp)}"
    finding = _finding(verdict, sentence, margin_bp)
    finding.notes = _gate_notes(effects, verdict, margin_bp)
    return finding


def _gate_verdict(found: dict[EffectName, Effect], margin_bp: float | None) -> AdaptivityVerdict:
    """Both costs must be shown: such a test needs no correction for being two (Berger 1982); nor do further demands."""
    costs = [found["g_median"], found["g_shuffled"]]
    if not all(map(shown, costs)):
        return "below the margin" if all(below(cost, margin_bp) for cost in costs) else "not shown"
    choice, main = found["choice"], found["main_of_g"]
    if not shown(choice) or main.test.estimate > choice.test.estimate:
        score = shown(main) and main.test.estimate > choice.test.estimate
        return "g acts as a score" if score else "not shown"
    if "g_within_user" in found and not shown(found["g_within_user"]):
        return "adaptive between users"
    return "adaptive"


def _tail(verdict: AdaptivityVerdict, effects: Effects, margin_bp: float | None) -> str:
    found = effects.effects
    if verdict == "adaptive":
        small = all(below(found[name], margin_bp) for name in ("g_median", "g_shuffled"))
        less = f", by less than {margin_bp:.4g} bp" if small else ""
        return f"choosing g row by row improves the ranking{less}."
    if verdict == "adaptive between users":
        return "g pays by differing between users; that it pays within a user is not shown."
    if verdict == "g acts as a score":
        return (
            f"the model needs g, but as a score rather than to choose between branches: {in_bp(found['choice'])} come "
            f"from choosing, {in_bp(found['main_of_g'])} from g by itself"
            + (f", which ranks the rows with AUC {effects.aucs['g']:.4f}." if "g" in effects.aucs else ".")
        )
    if verdict == "below the margin":
        return f"both are shown to be less than {margin_bp:.4g} bp, so choosing row by row buys less than that."
    if shown(found["g_median"]) and shown(found["g_shuffled"]):
        return "the model needs g, but whether to choose between the branches or as a score is not shown."
    if shown(found["g_shuffled"]):
        return "the model reacts to g, but a choice row by row is not shown to beat one g for all rows."
    if shown(found["g_median"]):
        return "one g for all rows is worse, but another row's g is not shown to be."
    return "a cost of replacing g is not shown."


def _gate_notes(effects: Effects, verdict: AdaptivityVerdict, margin_bp: float | None) -> list[str]:
    found, notes = effects.effects, []
    if verdict != "g acts as a score":
        alone = f"; g alone has AUC {effects.aucs['g']:.4f}" if "g" in effects.aucs else ""
        notes.append(
            f"With g and the branches each speaking for itself, {in_bp(found['choice'])} would be lost (choosing); "
            f"g by itself, as a score, adds {in_bp(found['main_of_g'])}{alone}."
        )
    if verdict == "not shown" and shown(found["g_median"]) and shown(found["g_shuffled"]):
        pass  # the cost is shown; what it pays for is not
    elif verdict == "not shown" and margin_bp is None:
        notes.append("Not shown is not shown to be small: that takes a margin in bp, and none is set.")
    elif verdict == "not shown":
        notes.append(f"Nor is the cost shown to be less than {margin_bp:.4g} bp.")
    if effects.users is not None and "g_within_user" not in found:
        notes.append("No user has two rows here, so nothing can be said of g within a user.")
    elif "g_within_user" in found and effects.repeated < 0.9:
        notes.append(f"{effects.repeated:.0%} of rows have another row of their user to take g from.")
    if effects.fusion == "gate-vector":
        notes.append("g has a value for each dimension: all are replaced together, and their mean is shown.")
    return notes


def _finding(
    verdict: AdaptivityVerdict | HistoryVerdict, sentence: str, margin_bp: float | None = None, what: str = "cost"
) -> Finding:
    word = f"shown to {what} less than {margin_bp:.4g} bp" if verdict == "below the margin" else verdict
    return Finding(verdict=verdict, word=word, sentence=sentence)


# --- history and branches --------------------------------------------------------------------------------------------


def _history(effects: Effects, margin_bp: float | None) -> Finding | None:
    """Does the history help? None: the predictions hold no answer without it."""
    if effects.undefined or "history" not in effects.effects:
        return None
    other, none = effects.effects["history"], effects.effects["no_history"]
    verdict: HistoryVerdict
    if shown(other):
        verdict = "helps"
    elif below(other, margin_bp):
        verdict = "below the margin"
    elif other.test.p is not None and other.test.p < 1 - LEVEL:
        verdict = "harms"
    else:
        verdict = "not shown"
    sentence = (
        f"With another user's history in the place of its own, the model loses {in_bp(other)} of AUC; with an empty "
        f"one {in_bp(none)}."
    )
    finding = _finding(verdict, sentence, margin_bp, "add")
    if shown(other) and below(other, margin_bp):
        finding.notes.append(f"It is shown to add less than {margin_bp:.4g} bp.")
    return finding


def _branches(effects: Effects) -> str | None:
    if "static" not in effects.effects:
        return None
    static, sequential = effects.effects["static"], effects.effects["sequential"]
    out = (
        f"Of the AUC above 0.5 the static branch contributes {in_bp(static)}, the sequential branch {in_bp(sequential)}"
    )
    if len(effects.spread) == 2:
        out += (
            f"; they move a row's log-odds by {effects.spread['static']:.2f} and {effects.spread['sequential']:.2f} "
            "(standard deviation over rows)"
        )
    return f"{out}. The sequential branch also reads the target and its context: its part is not the history's."
