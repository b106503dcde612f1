"""One file a source: whatever file of this folder has a `SOURCE`. This one loads none of them, `registry.py` does."""

from __future__ import annotations

import re
from pathlib import Path

_SOURCE = re.compile(r"^SOURCE\b", re.MULTILINE)


def own_names() -> list[str]:
    """Names of the sources that come with the program, from the names of their files: nothing is loaded."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return [file.stem.replace("_", "-") for file in files if _SOURCE.search(file.read_text("utf-8"))]
