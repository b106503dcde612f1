"""The contract of a model, as an examination (`mdaf check-model`) and as tests:

    from mdaf_core.testing import assert_contract, check_names

    @pytest.mark.parametrize("check", check_names(MyConfig()))
    def test_contract(check):
        assert_contract(MyConfig(), check)

docs/models.md, "What a model must do", says what each check holds a model to. Torch is loaded when one is made.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mdaf_core.models.base import ModelSettings
    from mdaf_core.testing.report import Examination

__all__ = ["assert_contract", "check_names"]


def check_names(config: ModelSettings) -> list[str]:
    """The checks that are made of a model of this kind, in order."""
    from mdaf_core.testing.examine import checks_of

    return [check.name for check in checks_of(config)]


def assert_contract(config: ModelSettings, checks: str | Iterable[str] | None = None) -> Examination:
    """Examine a model, by all checks or those named.

    Raises:
        AssertionError: some failed; the message has each fault.
    """
    from mdaf_core.testing.examine import examine

    found = examine(config, only=[checks] if isinstance(checks, str) else checks)
    said = [f"{f.check}: {sentence}" for f in found.findings if f.state == "fail" for sentence in f.sentences]
    assert not said, "\n".join(said)
    return found
