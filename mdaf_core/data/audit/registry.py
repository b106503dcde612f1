"""The checks of the audit: a function with `@check` in any file of this folder is one."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import numpy as np

from mdaf_core.data.audit.base import EXAMPLES, Written
from mdaf_core.data.audit.report import Check, Status
from mdaf_core.data.store.schema import Split


@dataclass(frozen=True)
class Answer:
    """What a check found.

    Attributes:
        number: what was measured; details: the same by split and field. What is not finite is left out.
        todo, examples: for those that are not a pass; examples are worked out only then.
        title: instead of the check's own, where it asks something else of this data set.
    """

    status: Status
    number: float | None
    sentence: str
    details: Mapping[Any, float] | None = None
    todo: str = ""
    examples: Callable[[], list[dict[str, Any]]] = list
    title: str = ""


def rows_answer(data: Written, found: Mapping[Split, np.ndarray], words: str, passed: str, todo: str) -> Answer:
    """A failure where there are such rows: their number and `words`, or `passed`.

    Args:
        found: split → positions.
    """
    total = sum(map(len, found.values()))
    return Answer(
        "fail" if total else "pass",
        total,
        f"{total:,} {words}" if total else passed,
        {split: float(len(rows)) for split, rows in found.items()},
        todo=todo,
        examples=lambda: data.examples(found),
    )


Question = Callable[[Written], Answer | None]


@dataclass(frozen=True)
class Registered:
    """One question that the audit asks; `place`: where its answer stands, the gravest first."""

    id: str
    title: str
    place: float
    question: Question

    def ask(self, data: Written) -> Check | None:
        """None where the question does not apply to the data."""
        answer = self.question(data)
        if answer is None:
            return None
        number, passed = answer.number, answer.status == "pass"
        return Check(
            id=self.id,
            title=answer.title or self.title,
            status=answer.status,
            number=number if number is None or math.isfinite(number) else None,
            sentence=answer.sentence,
            details={name: value for name, value in (answer.details or {}).items() if math.isfinite(value)},
            todo="" if passed else answer.todo,
            examples=[] if passed else answer.examples()[:EXAMPLES],
        )


_registered: dict[tuple[str, str], Registered] = {}


def check(id: str, title: str, place: float) -> Callable[[Question], Question]:
    """Make a function a check: it reads the written files, trusts nothing, and answers, or None where it has nothing
    to ask.

    Args:
        id: what a launch acknowledges it by; title: for people.
        place: where its answer stands among the others, the gravest questions first.
    """

    def register(question: Question) -> Question:
        _registered[question.__module__, question.__name__] = Registered(id, title, place, question)
        return question

    return register


def all_checks() -> list[Registered]:
    """Every check there is, in the order of their answers."""
    for module in iter_modules([str(Path(__file__).parent)]):
        import_module(f"{__package__}.{module.name}")
    return sorted(_registered.values(), key=lambda one: one.place)
