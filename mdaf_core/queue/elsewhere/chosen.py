"""Which executor there is: its package is loaded where it is wanted."""

from __future__ import annotations

from mdaf_core.base.errors import StudioError
from mdaf_core.base.settings import get_settings
from mdaf_core.queue.elsewhere.executor import Executor


def executor(name: str | None = None) -> Executor:
    """That of this name; None: the one that `MDAF_EXECUTOR` names, for processes that share this machine's folders or
    (`MDAF_NODE_HOME`) share none.

    Raises:
        StudioError: what it needs is not installed, or it cannot do without a shared folder.
    """
    settings = get_settings()
    root = settings.node_home if name is None else None
    if (name or settings.executor) == "slurm":
        if root is not None:
            raise StudioError(
                "MDAF_EXECUTOR=slurm needs MDAF_HOME on a folder that all machines share, and goes without "
                "MDAF_NODE_HOME: unset it, or use Ray."
            )
        from mdaf_core.queue.elsewhere.slurm import Slurm

        return Slurm()
    from mdaf_core.queue.elsewhere.ray_cluster import RayCluster

    if root is None:
        return RayCluster()
    if not str(root).startswith(("/", "~")):
        raise StudioError(f"MDAF_NODE_HOME is a whole path on the other machines, such as /scratch/mdaf, not {root}.")
    from mdaf_core.queue.elsewhere.apart import Apart

    return Apart(RayCluster(), root)
