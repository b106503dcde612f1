"""What is shown of a search: budgets as they were spent, winners, the expected best of fewer trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import polars as pl

from mdaf_core.analysis.best_of_k import expected_best
from mdaf_core.studies.tuning import found
from mdaf_core.studies.tuning.found import Tried
from mdaf_core.studies.tuning.search import Search, Searched


@dataclass(frozen=True)
class OfConfiguration:
    """One configuration of a search."""

    part: Searched
    trials: Sequence[Tried]
    done: bool

    @property
    def name(self) -> str:
        return self.part.config.name

    @property
    def ended(self) -> int:
        """Trials that count."""
        return sum(one.ended for one in self.trials)

    @property
    def pruned(self) -> int:
        return sum(one.state == "pruned" for one in self.trials)

    @property
    def gone(self) -> int:
        return sum(one.state == "gone" for one in self.trials)

    @property
    def broken(self) -> int:
        """Trials that neither count nor go on."""
        return sum(one.state in ("failed", "cancelled") for one in self.trials)

    @property
    def seconds(self) -> float:
        return sum(one.seconds for one in self.trials)

    @property
    def values(self) -> list[float]:
        """Figures on validation, in the order of drawing; pruned trials have the best they reached."""
        return [one.value for one in self.trials if one.ended and one.value is not None]

    @property
    def untuned(self) -> float | None:
        """Of the configuration as it was."""
        return self.trials[0].value if self.trials else None

    @property
    def winner(self) -> Tried | None:
        return found.winner(self.trials)

    @property
    def winner_words(self) -> str:
        """The winner's settings."""
        return "–" if self.winner is None else self.settings_words(self.winner)

    def settings_words(self, one: Tried) -> str:
        """A trial's settings, without what all paths begin with."""
        if one.trial.number == 1:
            return "as it was"
        shown = (f"{path.partition('.')[2]} {_short(value)}" for path, value in one.trial.settings.items())
        return ", ".join(shown) or "–"

    @property
    def tried_words(self) -> str:
        """What was tried: each setting with its range or values."""
        return "; ".join(f"{path} {values.words}" for path, values in sorted(self.part.space.items()))

    @cached_property
    def expected(self) -> pl.DataFrame:
        """`best_of_k.expected_best` of its figures."""
        return expected_best(self.values)

    def expected_of(self, k: int) -> float | None:
        """Expected best figure of k trials; None where there are not as many."""
        return float(self.expected["expected"][k - 1]) if 0 < k <= self.expected.height else None

    @cached_property
    def importance(self) -> dict[str, float] | None:
        """As of `suggest.importance`."""
        from mdaf_core.studies.tuning.suggest import importance

        return importance(self.part.space, found.history(self.trials))

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        best = self.winner
        return {
            "name": self.name,
            "done": self.done,
            "trials": [one.to_dict() for one in self.trials],
            "ended": self.ended,
            "pruned": self.pruned,
            "gone": self.gone,
            "seconds": self.seconds,
            "space": {path: values.words for path, values in self.part.space.items()},
            "winner": None if best is None else best.to_dict(),
            "expected_best": self.expected.to_dicts(),
        }


@dataclass(frozen=True)
class Summary:
    """A search as it stands."""

    search: Search
    configurations: Sequence[OfConfiguration]

    @property
    def done(self) -> bool:
        return all(one.done for one in self.configurations)

    @property
    def score(self) -> str:
        """What trials are judged by: title of their figures."""
        by_loss = any(trial.by_loss for one in self.configurations for trial in one.trials)
        return "Minus validation log loss" if by_loss else "Validation AUC"

    @property
    def sentence(self) -> str:
        """Budget and how far it is."""
        ended = sum(one.ended for one in self.configurations)
        spent = duration(sum(one.seconds for one in self.configurations))
        each = f"Each configuration gets {self.search.budget_words}, every trial with seed {self.search.seed}."
        state = "all budgets are spent" if self.done else "the search goes on"
        return f"{each} {ended} trials have ended, after {spent} of training; {state}."

    @property
    def waits(self) -> str:
        """For which trials the search stands still, as a sentence; empty where for none."""
        broken = {one.name: one.broken for one in self.configurations if one.broken}
        named = ", ".join(f"{name} ({count})" for name, count in broken.items())
        said = f"Trials failed or were cancelled, and the search waits for them: {named}. Resume them, or give them up."
        return said if broken else ""

    @property
    def warnings(self) -> list[str]:
        """Of trials that stand still, and of budgets that are not equal."""
        said = [self.waits] if self.waits else []
        if self.done and self.search.budget is None:
            counts = [one.ended for one in self.configurations]
            if max(counts) - min(counts) > 1:
                said.append(f"Budgets are not equal: {min(counts)} to {max(counts)} trials.")
        return said

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        one = self.search
        return {
            "search": one.id,
            "title": one.title,
            "dataset": one.dataset,
            "budget": {"trials": one.trials, "seconds": one.budget},
            "seed": one.seed,
            "sampler": one.sampler,
            "prune": one.prune,
            "done": self.done,
            "warnings": self.warnings,
            "study": one.study,
            "seeds": one.confirm.seeds,
            "configurations": [part.to_dict() for part in self.configurations],
        }


def summary(search: Search) -> Summary:
    """How a search stands now."""
    trials = found.tried(search)
    return Summary(
        search,
        [
            OfConfiguration(part, trials[part.config.name], found.is_done(search, trials[part.config.name]))
            for part in search.configurations
        ],
    )


def duration(seconds: float) -> str:
    """`40 s`, `12 min`, `1.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
