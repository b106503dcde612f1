"""Settings from the environment: empty is unset, and what cannot be is said with the variable's name."""

from __future__ import annotations

import pytest

from mdaf_core.base.errors import UsageError
from mdaf_core.base.settings import get_settings


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("MDAF_SLOTS", "x", "The environment variable MDAF_SLOTS must be a whole number; it is 'x'."),
        ("MDAF_THREADS", "0", "The environment variable MDAF_THREADS must be at least 1; it is '0'."),
        ("MDAF_SCAN", "fast", "The environment variable MDAF_SCAN must be 'auto', "),
        ("MDAF_UPLOAD_LIMIT", "much", "The environment variable MDAF_UPLOAD_LIMIT "),
    ],
)
def test_a_variable_that_cannot_be(name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(UsageError) as error:
        get_settings()
    assert str(error.value).startswith(said)


def test_an_empty_variable_is_unset(home: object, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MDAF_SLOTS", "MDAF_THREADS", "MDAF_UPLOAD_LIMIT"):
        monkeypatch.setenv(name, "")
    assert (get_settings().slots, get_settings().threads) == (None, None)
