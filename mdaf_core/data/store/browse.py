"""Folders and files of the machine that runs the program, for those who choose an input by clicking."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mdaf_core.base import rights
from mdaf_core.base.errors import BadInputError
from mdaf_core.base.settings import IN_CLONE, PROJECT_ROOT

MOST = 200


@dataclass(frozen=True)
class Entry:
    """A folder (`size` is None) or a file, with its bytes."""

    path: Path
    size: int | None


def entries(folder: Path, most: int = MOST) -> tuple[list[Entry], int]:
    """What a folder holds, folders first, by name, without hidden ones (of a file: itself); and how many more than
    `most` there are.

    Raises:
        BadInputError: there is nothing, or it may not be looked into.
    """
    rights.check()
    found: list[Entry] = []
    try:
        if folder.is_file():
            return [Entry(folder, folder.stat().st_size)], 0
        with os.scandir(folder) as listed:
            for entry in listed:
                if entry.name.startswith("."):
                    continue
                try:
                    if entry.is_dir():
                        found.append(Entry(Path(entry.path), None))
                    elif entry.is_file():
                        found.append(Entry(Path(entry.path), entry.stat().st_size))
                except OSError:  # a link that leads nowhere or in a circle
                    continue
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        why = getattr(error, "strerror", None) or error
        raise BadInputError(f"There is nothing to read at this path ({why}).", folder) from None
    found.sort(key=lambda entry: (entry.size is not None, entry.path.name.casefold(), entry.path.name))
    return found[:most], max(0, len(found) - most)


def starting_folder(path: Path | None) -> Path:
    """Where to begin: at the folder of `path`, or the nearest one above it that exists; without one at home, or, where
    that is empty, beside the clone or in the working folder."""
    if path is not None and path.is_absolute():
        with suppress(OSError):  # a name that is too long
            return next(folder for folder in (path, *path.parents) if folder.is_dir())
    with suppress(BadInputError, RuntimeError):  # no home
        if entries(Path.home(), 1)[0]:
            return Path.home()
    return PROJECT_ROOT.parent if IN_CLONE else Path.cwd()
