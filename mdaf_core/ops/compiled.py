"""Where the kernels' compiled code is kept. Loads nothing, so that the app can ask."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path


@cache
def compiled_folder() -> Path:
    """A folder named after the source of all kernels.

    Numba compiles a kernel anew when its own file has changed, but not when a file it takes functions from has.
    """
    here = Path(__file__).resolve().parent
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(here.glob("*.py")))).hexdigest()
    return here / "__pycache__" / f"numba-{digest[:12]}"


def complete() -> Path:
    """The file that says that every kernel of this version has been compiled."""
    return compiled_folder() / "complete"
