"""Numbers and names as people type them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from mdaf_core.base.errors import UsageError

T = TypeVar("T")

LARGEST = 2**63 - 1
"""The largest whole number that files and databases hold."""


def whole_number(text: str) -> int | None:
    """Digits 0 to 9 as a number up to `LARGEST`; None for anything else: signs, other scripts' digits, `²`."""
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text.lstrip("0")) <= len(str(LARGEST))):
        return None
    number = int(text)
    return number if number <= LARGEST else None


def known_entry(name: str, known: Mapping[str, T], what: str) -> T:
    """What has this name.

    Args:
        what: `is no figure`, `are no criteria`.

    Raises:
        UsageError: there is none; the message lists those there are.
    """
    if name not in known:
        raise UsageError(f"There {what} {name!r}. Known: {', '.join(known)}.")
    return known[name]
