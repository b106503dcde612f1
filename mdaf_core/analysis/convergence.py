"""Whether trainings came to their end, and whether one went astray: what a verdict cannot show by itself."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydantic import BaseModel

from mdaf_core.base.words import some
from mdaf_core.data.store.schema import Split
from mdaf_core.runs.config import TrainingConfig
from mdaf_core.runs.results import SplitMetrics
from mdaf_core.runs.schedule import epochs_without_better
from mdaf_core.runs.tracking import RunRecord

LOST = 1 / 3
"""A seed that gains less than this share of what its best sibling gains over chance went astray."""
STANDARD_ERRORS = 5.0
"""… where that sibling is so far above chance."""
ENTROPY = 0.02
"""… or whose log loss is above the base rate's, and so far (in its entropy) from a sibling's that is below."""


def still_improving(run: RunRecord) -> bool:
    """Whether a finished run was best in the last epoch it was allowed: more epochs might have made it better.

    Training ends by patience or because its epochs (of LightGBM: its trees) ran out; what did not end by patience ran
    out. False where no epochs are kept.
    """
    result = run.result
    if result is None or not result.epochs:
        return False
    usual = TrainingConfig()
    patience = int(run.config.get("training.patience", usual.patience))
    min_delta = float(run.config.get("training.min_delta", usual.min_delta))
    ran_out = epochs_without_better(result.epochs, min_delta) < patience
    return ran_out and result.best_epoch == result.epochs[-1].epoch


class Unfinished(BaseModel):
    """Of some finished runs, how many were still improving when their epochs ran out, by configuration."""

    runs: int
    improving: dict[str, int] = {}

    @property
    def sentence(self) -> str:
        """Empty where all trainings came to their end."""
        count = sum(self.improving.values())
        if not count:
            return ""
        which = some(list(self.improving))
        were, their = ("was", "its") if count == 1 else ("were", "their")
        return f"{count} of {self.runs} runs {were} still improving when {their} epochs ran out ({which})."


def unfinished(runs: Sequence[RunRecord]) -> Unfinished:
    """`still_improving` of the finished ones among some runs."""
    finished = [run for run in runs if run.state == "finished" and not run.imported]  # of those nothing is known
    out = Unfinished(runs=len(finished))
    for run in finished:
        if still_improving(run):
            out.improving[run.configuration] = out.improving.get(run.configuration, 0) + 1
    return out


class Diverged(BaseModel):
    """A run that went astray while other seeds of its configuration did not."""

    configuration: str
    seed: int
    sentence: str


def diverged(runs: Sequence[RunRecord], split: Split = "test") -> list[Diverged]:
    """Seeds that learned next to nothing, or whose predictions exploded, where another of the configuration did not.

    A finished run counts by its metrics on `split`: an AUC that gains less than a third of what the best sibling gains
    over 0.5 (if that is five standard errors), or a log loss above that of the base rate where a sibling's is below. A
    failed run counts by its reason. A configuration none of whose seeds learned is no case of this: that is a result.
    """
    out = [
        Diverged(
            configuration=run.configuration,
            seed=run.seed,
            sentence=f"{run.configuration}, seed {run.seed}, failed: {run.reason.partition('. ')[0].rstrip('.')}.",
        )
        for run in runs
        if run.state == "failed" and re.search(r"diverge|not finite|non-finite", run.reason, re.IGNORECASE)
    ]
    for run in runs:
        found = run.metrics(split)
        siblings = [
            one
            for other in runs
            if other.configuration == run.configuration and other.seed != run.seed
            if (one := other.metrics(split)) is not None
        ]
        if found is None or not siblings:
            continue
        how = _by_auc(found, siblings) or _by_log_loss(found, siblings)
        if how:
            sentence = f"{run.configuration}, seed {run.seed}, went astray: {how}."
            out.append(Diverged(configuration=run.configuration, seed=run.seed, sentence=sentence))
    return out


def _by_auc(found: SplitMetrics, siblings: Sequence[SplitMetrics]) -> str:
    others = [(one.auc, one.auc_se or 0.0) for one in siblings if one.auc is not None]
    if found.auc is None or not others:
        return ""
    best, error = max(others)
    if best - 0.5 <= STANDARD_ERRORS * error or found.auc - 0.5 >= LOST * (best - 0.5):
        return ""
    return f"AUC {found.auc:.4f}, where {_where([value for value, _ in others], '.4f', len(siblings))}"


def _by_log_loss(found: SplitMetrics, siblings: Sequence[SplitMetrics]) -> str:
    others = [(one.normalised_entropy, one.logloss) for one in siblings]
    sound = [(entropy, loss) for entropy, loss in others if entropy is not None and loss is not None and entropy < 1]
    entropy, loss = found.normalised_entropy, found.logloss
    if entropy is None or loss is None or entropy <= 1 or not sound:
        return ""
    best = min(sound)[0]
    if entropy - best <= max(ENTROPY, 2 * (1 - best)):
        return ""
    where = _where([value for _, value in sound], ".4f", len(siblings))
    return f"log loss {loss:,.4g}, above the base rate's {loss / entropy:.4f}, where {where}"


def _where(values: Sequence[float], form: str, siblings: int) -> str:
    """What those of the `siblings` have that are held against the run."""
    low, high = (format(edge, form) for edge in (min(values), max(values)))
    if len(values) == 1:
        return f"{'the other' if siblings == 1 else 'another'} seed has {low}"
    return f"other seeds have {low}" + (f" to {high}" if high != low else "")
