"""`import mdaf`: the same as `import mdaf_core as mdaf`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mdaf_core
from mdaf_core import __version__

if TYPE_CHECKING:
    from mdaf_core import *  # noqa: F403

__all__ = ["__version__"]


def __getattr__(name: str) -> Any:
    return getattr(mdaf_core, name)


def __dir__() -> list[str]:
    return dir(mdaf_core)
