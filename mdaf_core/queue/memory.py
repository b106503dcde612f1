"""Whether the kernel killed a process of ours for want of memory."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

_OUT_OF_MEMORY = re.compile(r"can't allocate memory|cannot allocate memory|bad_alloc|out of memory", re.IGNORECASE)


def oom_kills() -> int | None:
    """Processes of this control group that the kernel has killed for memory so far; None where it does not tell."""
    try:
        groups = Path("/proc/self/cgroup").read_text("utf-8").splitlines()
    except OSError:
        return None
    for line in groups:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            files = [Path("/sys/fs/cgroup") / path.strip("/") / "memory.events", Path("/sys/fs/cgroup/memory.events")]
        elif "memory" in controllers.split(","):
            root = Path("/sys/fs/cgroup/memory")
            files = [root / path.strip("/") / "memory.oom_control", root / "memory.oom_control"]
        else:
            continue
        for file in files:
            with contextlib.suppress(OSError):
                found = re.search(r"^oom_kill (\d+)$", file.read_text("utf-8"), re.MULTILINE)
                if found:
                    return int(found.group(1))
    return None


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether this exception says that memory could not be had (Python's, torch's on CPU or GPU, C++'s)."""
    return isinstance(error, MemoryError) or bool(_OUT_OF_MEMORY.search(str(error)))


def offer_to_oom_killer() -> None:
    """Let the kernel choose this process before the app and the supervisor when memory runs out."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500", "utf-8")
