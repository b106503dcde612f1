"""How often a trained model is asked again with a part replaced at random (`replaced.py`)."""

from __future__ import annotations

DRAWS = 20
"""Other rows' g that each row is given, and as many of other rows of its user."""
REPRESENTATIVES = 10
"""Rows, evenly spaced by g, over which g and the branches are averaged out."""
BRANCH_DRAWS = (5, 10, 50_000)
"""Other rows' vectors that each row is given: at least, at most, and how many answers are enough in all."""
HISTORY_DRAWS = (1, 2, 20_000)
"""Other rows' histories; each is one more evaluation."""


def draws_of(rows: int, bounds: tuple[int, int, int]) -> int:
    """How often to draw for so many rows: few rows are drawn for more often, as their answers vary more."""
    least, most, enough = bounds
    return min(most, max(least, -(-enough // max(rows, 1))))
