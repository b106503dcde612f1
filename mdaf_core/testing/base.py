"""What a check is and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

if TYPE_CHECKING:
    from mdaf_core.testing.subject import Subject

Kinds = Literal["networks", "trees", "both"]


class NotApplicable(Exception):
    """The check has nothing to look at in this model; the text says why."""


class Note(str):
    """What deserves a look and is no fault."""


Look = Callable[["Subject"], Iterable[str]]


@dataclass(frozen=True)
class Check:
    """One part of the contract.

    Attributes:
        name: as findings name it; title: what holds where it passes.
        look: the faults of a model, none where it passes, and notes.
        kinds: of what models it is a check: networks, models that are grown as trees, or both.
    """

    name: str
    title: str
    look: Look
    kinds: Kinds = "networks"


CHECKS: list[Check] = []
"""All checks in the order in which they are made."""


def check(name: str, title: str, kinds: Kinds = "networks") -> Callable[[Look], Look]:
    """Add a check to `CHECKS`; what its function finds are sentences."""

    def add(look: Look) -> Look:
        CHECKS.append(Check(name, title, look, kinds))
        return look

    return add


def largest_difference(first: torch.Tensor, second: torch.Tensor) -> float:
    """The largest distance of two answers; infinite where one is no number and the other is."""
    if first.shape != second.shape:
        return float("inf")
    if not len(first):
        return 0.0
    both = torch.stack([first.double(), second.double()])
    gap = (both[0] - both[1]).abs().nan_to_num(nan=float("inf"), posinf=float("inf"))
    gap[(both.isnan().all(0)) | (both[0] == both[1])] = 0.0
    return float(gap.max())


def tolerance(*answers: torch.Tensor) -> float:
    """How far logits may differ that are equal but for the order of sums: 1e-5, relative beyond 1.

    Kernels form sums in other orders for other batch sizes; with float32 logits that moves the last of seven digits.
    """
    finite = [a[a.isfinite()].abs() for a in answers]
    return 1e-5 * max([1.0, *(float(a.max()) for a in finite if len(a))])


def apart(first: torch.Tensor, second: torch.Tensor) -> float:
    """The largest distance of two answers that should be one; 0 where rounding explains it."""
    gap = largest_difference(first, second)
    return gap if gap > tolerance(first, second) else 0.0
