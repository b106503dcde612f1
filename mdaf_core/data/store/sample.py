"""How large a sample of users some rows are: how many, how many alike they are worth, how much the largest has."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, Field

CONCENTRATED = 0.10  # share of the rows of one user that is said aloud
FEW = 10.0  # effective users below which a result is said to hang on them


class Sample(BaseModel):
    """Rows and whose they are. `users` None: the rows have no users, or it is not known."""

    rows: int
    users: int | None = None
    effective_users: float | None = Field(
        None, description="(Σ w)² / Σ w² over the rows w of each user (Kish 1965): as many users of equal size."
    )
    largest_user: float | None = Field(None, description="Share of the rows of the user with most.")


def sample_of(user: ArrayLike) -> Sample:
    """Facts of (N,) rows by their users; rows of one user alone have none, as `metrics.clusters` takes them."""
    return sample_of_counts(np.unique(np.asarray(user), return_counts=True)[1])


def sample_of_counts(count: ArrayLike) -> Sample:
    """The same from how many rows each user has; users without rows do not count."""
    n = np.asarray(count, np.float64)
    n = n[n > 0]
    rows = int(n.sum())
    if len(n) < 2:
        return Sample(rows=rows)
    return Sample(rows=rows, users=len(n), effective_users=float(rows**2 / (n @ n)), largest_user=float(n.max() / rows))


def users_words(sample: Sample) -> str:
    """`6,040 users (effective 1,980; the largest has 0.4% of the rows)`; empty where rows have no users."""
    if not sample.users:
        return ""
    found = f"{sample.users:,} users"
    if sample.effective_users is None or sample.largest_user is None:
        return found
    effective = f"{sample.effective_users:,.0f}" if sample.effective_users >= FEW else f"{sample.effective_users:.1f}"
    return f"{found} (effective {effective}; the largest has {share_words(sample.largest_user)} of the rows)"


def sample_words(sample: Sample, rows: str = "rows") -> str:
    """`225,446 test rows of 6,040 users (effective …)`; `rows`: what to call them."""
    users = users_words(sample)
    return f"{sample.rows:,} {rows}" + (f" of {users}" if users else "")


def share_words(share: float) -> str:
    """A share in per cent, two digits."""
    return f"{share:.0%}" if share >= 0.095 else f"{100 * share:.2g}%"


def sample_note(sample: Sample, rows: str) -> str:
    """What to know about results that hang on few users, as a sentence; empty where there are enough.

    Args:
        rows: which they are, `test rows`: the sentence also stands beside what is shown of other rows.
    """
    if sample.effective_users is None or sample.largest_user is None:
        return ""
    largest = f"One user has {share_words(sample.largest_user)} of the {rows}"
    if sample.effective_users < FEW:
        return (
            f"{largest if sample.largest_user >= CONCENTRATED else f'The {rows} are of few users'}: they are worth "
            f"{sample.effective_users:.1f} users of equal size. Intervals are wide for it, and still speak of users "
            "like these few; a crawler, a shared device or an id for 'unknown' is better left out."
        )
    if sample.largest_user >= CONCENTRATED:
        return f"{largest}; they are worth {sample.effective_users:.0f} users of equal size, and intervals are as wide."
    return ""
