"""Numbers as people type them."""

from __future__ import annotations

LARGEST = 2**63 - 1
"""The largest whole number that files and databases hold."""


def whole_number(text: str) -> int | None:
    """Digits 0 to 9 as a number up to `LARGEST`; None for anything else: signs, other scripts' digits, `²`."""
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text.lstrip("0")) <= len(str(LARGEST))):
        return None
    number = int(text)
    return number if number <= LARGEST else None
