"""How this process keeps and counts its memory."""

from __future__ import annotations

import contextlib
import ctypes
import resource
import sys
from pathlib import Path

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4  # from glibc's malloc.h


def keep_freed_memory() -> None:
    """Let glibc keep large freed blocks instead of giving each back to the system at once.

    A training step frees and allocates the same few hundred megabytes again and again; without this every step pays
    for fresh, zeroed pages. Does nothing where the C library is not glibc.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(_M_TOP_PAD, 64 * 2**20)


def peak_memory_mb() -> float:
    """Largest resident size of this process so far.

    Linux's own figure where there is one: getrusage's counts what the process was before it became this program, so a
    small one started by a large one would seem large.
    """
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text("utf-8").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
