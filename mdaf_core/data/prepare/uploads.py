"""Files that came through the browser: stored until they are prepared, then emptied."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from mdaf_core.base import rights
from mdaf_core.base.errors import StudioError, UsageError
from mdaf_core.base.files import size_below
from mdaf_core.base.settings import get_settings

KEPT_SECONDS = 24 * 3600  # uploads that nobody prepared
_CHUNK = 8 << 20


def save_uploads(files: Sequence[tuple[str, BinaryIO]], in_use: Collection[Path] = ()) -> Path:
    """Store uploaded files and return what a source is to read: the file itself, or the folder of several.

    Uploads of a day ago that nobody has prepared are removed first.

    Args:
        files: name as uploaded (only its last part is used, and only safe characters of it) and content.
        in_use: uploads that jobs still need, as they were returned.

    Raises:
        UsageError: with these, all uploads would take more than `upload_limit`, or more than the disk has left; or two
            files share a name.
        StudioError: the disk refuses them. Nothing is left of them.
    """
    rights.check()
    root = _root()
    root.mkdir(parents=True, exist_ok=True)
    _remove_old(root, in_use)
    names = [_safe(name) for name, _ in files]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"Two of the uploaded files are called {', '.join(twice)}: upload them one by one.")
    _check_room(root, sum(content.seek(0, os.SEEK_END) for _, content in files))
    folder = Path(tempfile.mkdtemp(dir=root))
    try:
        for name, (_, content) in zip(names, files, strict=True):
            with (folder / name).open("xb") as out:
                content.seek(0, os.SEEK_SET)
                shutil.copyfileobj(content, out, _CHUNK)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise StudioError(f"The upload cannot be stored in {root} ({error.strerror or error}).") from None
    return folder / names[0] if len(files) == 1 else folder


def discard(path: Path) -> None:
    """Remove an upload that has been prepared; any other path is left alone."""
    root, path = _root(), path.resolve()
    if path != root and path.is_relative_to(root):
        shutil.rmtree(root / path.relative_to(root).parts[0], ignore_errors=True)


def _root() -> Path:
    return get_settings().home / "uploads"


def _remove_old(root: Path, in_use: Collection[Path]) -> None:
    used = {path.relative_to(root).parts[0] for path in in_use if path != root and path.is_relative_to(root)}
    for folder in root.iterdir():
        with suppress(FileNotFoundError):  # prepared and removed meanwhile
            if folder.name not in used and time.time() - folder.stat().st_mtime > KEPT_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)


def _check_room(root: Path, size: int) -> None:
    stored = size_below(root)
    limit, free = get_settings().upload_limit, shutil.disk_usage(root).free
    if stored + size <= limit and size <= free:
        return
    held = f"{stored / 1e9:.1f} GB of {limit / 1e9:.1f} GB are taken by uploads that wait" if size <= free else ""
    raise UsageError(
        f"{size / 1e9:.1f} GB cannot be stored: {held or f'the disk of {root} has {free / 1e9:.1f} GB left'}. "
        f"Prepare or remove those in {root}, or give the path of the file instead of uploading it."
    )


def _safe(name: str) -> str:
    last = re.split(r"[\\/]", name)[-1]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", last).lstrip(".-") or "upload"
