"""Which executor there is: its package is loaded where it is wanted."""

from __future__ import annotations

from mdaf_core.base.settings import get_settings
from mdaf_core.queue.elsewhere.executor import Executor


def executor(name: str | None = None) -> Executor:
    """That of this name; None: the one that `MDAF_EXECUTOR` names.

    Raises:
        StudioError: what it needs is not installed.
    """
    if (name or get_settings().executor) == "slurm":
        from mdaf_core.queue.elsewhere.slurm import Slurm

        return Slurm()
    from mdaf_core.queue.elsewhere.ray_cluster import RayCluster

    return RayCluster()
