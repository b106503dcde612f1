"""Refusals: what does not fit, counted, with the first ten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mdaf_core.base.errors import UsageError

FIRST = 10


@dataclass(frozen=True)
class Problem:
    """One kind of fault.

    Attributes:
        kind: missing, twice, unknown, training, label, ambiguous, outside, …; count: rows of it.
        one, many: what is said of one row, and of several.
        first: up to ten of them: where they stand, and their ids.
    """

    kind: str
    count: int
    one: str
    many: str
    first: list[str] = field(default_factory=list)

    @property
    def sentence(self) -> str:
        more = ", …" if self.count > len(self.first) else ""
        rows = f"{self.count:,} row {self.one}" if self.count == 1 else f"{self.count:,} rows {self.many}"
        return f"{rows}: {', '.join(self.first)}{more}."


class Refused(UsageError):
    """Predictions that do not fit the data; `problems` has each kind by itself."""

    def __init__(self, head: str, problems: Sequence[Problem], hint: str):
        self.problems = list(problems)
        super().__init__(" ".join([head, *(problem.sentence for problem in problems), f"{hint}."]))
