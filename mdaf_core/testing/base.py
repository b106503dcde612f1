"""What a check is, what it finds, and how an error in somebody's model becomes a sentence."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch

from mdaf_core.base.errors import StudioError

if TYPE_CHECKING:
    from mdaf_core.testing.subject import Subject

Kinds = Literal["networks", "trees", "both"]


class NotApplicable(Exception):
    """The check has nothing to look at in this model; the text says why."""


class Faults(list[str]):
    """The faults that a check collects, and notes beside them."""

    def __init__(self, faults: Iterable[str] = ()) -> None:
        super().__init__(faults)
        self.notes: list[str] = []


Look = Callable[["Subject"], Faults]


@dataclass(frozen=True)
class Check:
    """One part of the contract.

    Attributes:
        name: as findings name it; title: what holds where it passes.
        look: the faults of a model; none where it passes.
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


def sentence_of(error: BaseException, files: Iterable[Path | str]) -> str:
    """An error as a sentence with file, line and function: the innermost of `files` it passed through, or else the
    innermost at all."""
    if isinstance(error, StudioError):
        return str(error)
    said = " ".join(str(error).split())
    said = f"{type(error).__name__}: {said[:300]}{'…' if len(said) > 300 else ''}" if said else type(error).__name__
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}: {type(error).__name__}: {error.msg}."
    own = {str(Path(file).resolve()) for file in files}
    frames = traceback.extract_tb(error.__traceback__)
    mine = [frame for frame in frames if str(Path(frame.filename).resolve()) in own] or frames[-1:]
    if not mine:
        return f"{said}."
    return f"{mine[-1].filename}, line {mine[-1].lineno}, in {mine[-1].name}: {said.rstrip('.')}."


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
