"""Files that came through the browser."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from mdaf_core.settings import get_settings

_CHUNK = 8 << 20


def save_uploads(files: Sequence[tuple[str, BinaryIO]]) -> Path:
    """Store uploaded files and return what a source is to read: the file itself, or the folder of several.

    Args:
        files: name as uploaded (only its last part is used, and only safe characters of it) and content.
    """
    root = get_settings().home / "uploads"
    root.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=root))
    for name, content in files:
        target = folder / _safe(name)
        with target.open("xb") as out:
            content.seek(0, os.SEEK_SET)
            while chunk := content.read(_CHUNK):
                out.write(chunk)
    return folder / _safe(files[0][0]) if len(files) == 1 else folder


def _safe(name: str) -> str:
    last = re.split(r"[\\/]", name)[-1]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", last).lstrip(".-") or "upload"
