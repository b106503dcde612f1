"""Numbers as they are written."""

from __future__ import annotations

import pytest

from mdaf_core.reporting.words import p_value


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (None, "–"), (float("nan"), "–"), (0.0, "< 0.0001"), (1e-4, "0.0001"), (0.03124, "0.0312"), (1.0, "1.0000"),
        (0.04994, "0.0499"), (0.049951, "< 0.05"), (0.05, "0.0500"), (0.050049, "0.0500"),
    ],
)  # fmt: skip
def test_a_p_value_is_on_the_side_of_its_level_that_its_word_is_on(p, text):
    assert p_value(p) == text
