"""How many users rows are worth, and the words for it."""

from __future__ import annotations

import numpy as np
import pytest

from mdaf_core.data.store.sample import Sample, sample_note, sample_of, sample_words, users_words


def test_kish_and_the_largest():
    found = sample_of(np.r_[np.zeros(6), np.ones(2), 7, 9])
    assert (found.rows, found.users, found.largest_user) == (10, 4, 0.6)
    assert found.effective_users == pytest.approx(100 / (36 + 4 + 1 + 1))
    assert sample_of(np.repeat(np.arange(50), 3)).effective_users == pytest.approx(50)
    assert sample_of(np.zeros(9)) == Sample(rows=9)  # without users
    assert sample_of([]) == Sample(rows=0)


def test_words():
    equal = sample_of(np.repeat(np.arange(2000), 3))
    assert sample_words(equal, "test rows") == (
        "6,000 test rows of 2,000 users (effective 2,000; the largest has 0.05% of the rows)"
    )
    assert sample_note(equal, "test rows") == ""
    large = sample_of(np.r_[np.zeros(500), np.arange(1, 501)])
    assert "One user has 50% of the test rows: they are worth 4.0 users" in sample_note(large, "test rows")
    some = sample_of(np.r_[np.zeros(120), np.arange(1, 881)])
    assert sample_note(some, "rows").startswith("One user has 12% of the rows; they are worth")
    few = sample_of(np.repeat(np.arange(6), 9))
    assert "effective 6.0" in users_words(few)
    assert sample_note(few, "test rows").startswith("One user has 17% of the test rows: they are worth 6.0 users")
    alike = Sample(rows=54, users=40, effective_users=9.0, largest_user=0.09)
    assert sample_note(alike, "test rows").startswith("The test rows are of few users: they are worth 9.0 users")
    assert sample_words(Sample(rows=5, users=2)) == "5 rows of 2 users" and users_words(Sample(rows=5)) == ""
