"""Which files are the program, and whether two copies of it are the same."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from mdaf_core.base.settings import PACKAGE

_DASHBOARD = "dashboard"  # of an installed package alone; a clone has it beside the package


def sources(folder: Path = PACKAGE) -> Iterator[Path]:
    """The Python files below a folder, in no order."""
    for parent, _, names in os.walk(folder):
        yield from (Path(parent, name) for name in names if name.endswith(".py"))


def digest(folder: Path = PACKAGE) -> str:
    """SHA-256 of the program's sources: equal for a clone and an installed package of the same version. The dashboard
    is left out, which computes nothing.

    Raises:
        OSError: one of them cannot be read.
    """
    files = {path.relative_to(folder).as_posix(): path for path in sources(folder)}
    found = hashlib.sha256()
    for name in sorted(files):
        if not name.startswith(f"{_DASHBOARD}/"):
            found.update(f"{name}\0".encode() + hashlib.sha256(files[name].read_bytes()).digest())
    return found.hexdigest()
