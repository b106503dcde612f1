"""Writing that never leaves half a file: write aside, then rename."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mdaf_core.errors import UsageError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


def check_name(name: str, what: str = "name") -> str:
    """Return `name` if it is safe as a file or folder name.

    Raises:
        UsageError: if it is empty, longer than 80 characters, or holds anything but letters, digits, `.`, `_`, `-`
            (so that a name never becomes a path).
    """
    if not _NAME.fullmatch(name) or ".." in name:
        raise UsageError(
            f"The {what} {name[:100]!r} cannot be used: take 1 to 80 letters, digits, '-', '_' or '.', "
            "starting with a letter or digit."
        )
    return name


def write_bytes(path: Path, content: bytes) -> None:
    """Replace `path` by `content` atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(content)
        Path(temporary).chmod(0o644)  # mkstemp's own is for the owner alone
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Replace `path` by `text` atomically."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Replace `path` by the JSON of `value` atomically. NaN and infinity are refused."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path` that becomes `path` when the block ends well, and vanishes otherwise.

    An existing `path` is replaced only at the end.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        yield temporary
        replace_folder(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def replace_folder(new: Path, path: Path) -> None:
    """Let the folder `new` become `path`, in place of what is there. Both are on one disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new.chmod(0o755)
    if path.exists():
        old = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.old."))
        path.replace(old / "old")
        new.replace(path)
        shutil.rmtree(old, ignore_errors=True)
    else:
        new.replace(path)
