"""Numbers as every page, table and sentence writes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

MISSING = "–"


def signed(value: float | None, digits: int = 1) -> str:
    """`+1.2`, `−0.3` with a minus sign; what is printed as 0 has no sign; a dash for None."""
    if value is None or value != value:
        return MISSING
    text = f"{value:+.{digits}f}"
    return text.lstrip("+-") if float(text) == 0 else text.replace("-", "−")


def p_value(p: float | None) -> str:
    """Four decimals, `< 0.0001` below them, a dash where undefined: a p value is never printed as 0, nor as the 0.05
    that it is below."""
    if p is None or p != p:
        return MISSING
    if p < 1e-4:
        return "< 0.0001"
    return "< 0.05" if p < 0.05 <= float(f"{p:.4f}") else f"{p:.4f}"


def cells(values: Iterable[float | None], pattern: str) -> list[str]:
    """A column of a table, numbers formatted by the pattern, a dash where there is none."""
    return [MISSING if value is None else format(value, pattern) for value in values]


def seeds(counts: Sequence[int]) -> str:
    """How many seeds configurations have: `one seed`, `5 seeds`, `2 to 5 seeds`."""
    low, high = min(counts, default=0), max(counts, default=0)
    if low == high:
        return "one seed" if low == 1 else f"{low} seeds"
    return f"{low} to {high} seeds"


def sentence(note: str) -> str:
    """A note with a capital and a full stop."""
    return f"{note[0].upper()}{note[1:].rstrip('.')}."
