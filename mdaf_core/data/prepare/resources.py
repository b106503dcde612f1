"""What a preparation will need of memory and disk, and whether there is so much."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ByteSize, TypeAdapter, ValidationError

from mdaf_core.base.errors import BadInputError, StudioError, UsageError
from mdaf_core.base.settings import get_settings
from mdaf_core.data.formats.base import Size, Source

_SPARE_DISK = 200_000_000
_INTERPRETER = 350_000_000
"""Memory of Python with its libraries and the text that is being read."""
_BESIDE = 120
"""Bytes a row that two checks of the audit and the statistics hold together, and some on top."""


@dataclass(frozen=True)
class Need:
    """An estimate, made before anything is read.

    Attributes:
        rows: of the data set.
        memory: bytes at most at any time, pages of mapped files left out (the system takes those back when it must).
        disk: bytes while it is being prepared; most of them stay.
    """

    rows: int
    memory: int
    disk: int


def estimate(source: Source, path: Path | None, options: Any) -> Need | None:
    """What the preparation will need, from the size of its input; None where the source cannot say (or the input
    cannot be read, which reading it will put in words)."""
    if source.size is None or path is None:
        return None
    try:
        size: Size | None = source.size(path, options)
    except (BadInputError, OSError):
        return None
    if size is None:
        return None
    rows, events = size.rows, size.events
    # Orders of rows and events, slices, times and users, or one field's values and codes: see `write.py`.
    # As benchmarks/prepare.py measures, and a sixth on top.
    memory = _INTERPRETER + 7 / 6 * (size.held * rows + 28 * rows + 12 * events)
    row, event = 33 + 4 * size.fields, 12 + 4 * size.history_fields
    disk = rows * (row + 4 * size.history_fields) + events * (event + 4 * size.history_fields) + size.read * size.lines
    return Need(rows, int(memory), int(disk))


def check(need: Need | None, limit: int) -> None:
    """Refuse what does not fit.

    Args:
        limit: bytes of memory that may be used.

    Raises:
        UsageError: it needs more memory than `limit`.
        StudioError: the disk has too little space.
    """
    if need is None:
        return
    if need.memory > limit:
        raise UsageError(
            f"Preparing these {need.rows:,} rows needs about {gigabytes(need.memory)} of memory, and the limit is "
            f"{gigabytes(limit)}. Raise it (--memory-limit, or MDAF_DATA_MEMORY_LIMIT; this machine has "
            f"{gigabytes(machine_memory())}), take a machine with more memory, or prepare a part of the input."
        )
    home = get_settings().home
    home.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(home).free
    if need.disk + _SPARE_DISK > free:
        raise StudioError(
            f"Preparing these {need.rows:,} rows needs about {gigabytes(need.disk)} of disk space in {home}, and "
            f"{gigabytes(free)} are free: free some space, or set MDAF_HOME to another disk."
        )


def is_ample(rows: int, limit: int) -> bool:
    """Whether two checks of the audit and the statistics of so many rows may be at work at a time."""
    return _INTERPRETER + _BESIDE * rows <= limit


def guard(limit: int) -> None:
    """Stop a preparation that has outgrown the limit, whatever was estimated.

    Raises:
        StudioError: it holds more than `limit`.
    """
    held = own_memory()
    if held is not None and held > limit:
        raise StudioError(
            f"The preparation holds {gigabytes(held)} of memory, more than the limit of {gigabytes(limit)}: raise the "
            "limit (--memory-limit, or MDAF_DATA_MEMORY_LIMIT), or prepare a part of the input."
        )


def own_memory() -> int | None:
    """Bytes this process holds, without mapped files; None where the system does not tell."""
    try:
        lines = Path("/proc/self/status").read_text("ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:")), None)


def machine_memory() -> int:
    """Bytes of memory of this machine, or of the container it is."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            total = min(total, int((Path("/sys/fs/cgroup") / name).read_text("ascii")))
        except (OSError, ValueError):
            continue
    return total


def memory_limit(wanted: int | None = None) -> int:
    """Bytes a preparation may use: as wanted, else as set, else half of the machine's memory."""
    return wanted or get_settings().data_memory_limit or machine_memory() // 2


def parse_size(text: str) -> int:
    """`4GB`, `500 MB` or `8GiB` in bytes.

    Raises:
        UsageError: it is no size.
    """
    try:
        return int(TypeAdapter(ByteSize).validate_python(text))
    except ValidationError:
        raise UsageError(f"A size looks like 4GB or 500MB; got {text!r}.") from None


def gigabytes(size: float) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.0f} MB"
