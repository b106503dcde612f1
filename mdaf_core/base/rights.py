"""Who may change anything: the doors of each change ask here. Where nobody is named to be asked (the command line,
jobs), all may."""

from __future__ import annotations

from collections.abc import Callable

from mdaf_core.base.errors import StudioError

_ask: Callable[[], str | None] = lambda: None  # noqa: E731


class NotAllowedError(StudioError):
    """Who asks may only look."""


def ask(refusal: Callable[[], str | None]) -> None:
    """Name who is asked before a change.

    Args:
        refusal: why whoever asks now may not change anything, as a sentence; None where they may.
    """
    global _ask
    _ask = refusal


def check() -> None:
    """To be called before anything is launched, cancelled, changed, deleted, stored, or read from a path that a user
    names.

    Raises:
        NotAllowedError: who asks may only look.
    """
    if sentence := _ask():
        raise NotAllowedError(sentence)


def may_change() -> bool:
    """Whether `check` lets who asks pass: forms ask before they are drawn."""
    return _ask() is None
