"""How many jobs run at once, and on which GPU each: found without loading torch."""

from __future__ import annotations

import os
import re
from pathlib import Path

from mdaf_core.base.settings import get_settings


def gpus() -> list[str]:
    """Names of the GPUs as `CUDA_VISIBLE_DEVICES` takes them: those it lists already, else all of this machine."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1")]
    return sorted(
        (p.name.removeprefix("nvidia") for p in Path("/dev").glob("nvidia*") if re.fullmatch(r"nvidia\d+", p.name)),
        key=int,
    )


def slot_count() -> int:
    """`MDAF_SLOTS`, else one a GPU, else one."""
    return get_settings().slots or max(1, len(gpus()))


def slot_environment(slot: int, slots: int) -> dict[str, str]:
    """Environment variables of a worker in this slot: its GPU, its share of the cores."""
    environment = {}
    devices = gpus()
    if devices:
        environment["CUDA_VISIBLE_DEVICES"] = devices[slot % len(devices)]
    if get_settings().threads is None:
        environment["MDAF_THREADS"] = str(max(1, (os.cpu_count() or 1) // slots))
    return environment
