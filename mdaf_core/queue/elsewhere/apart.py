"""Processes on machines that share no folder with this one: an executor that starts an outpost there (`outpost.py`) and
has a courier carry the files (`courier.py`)."""

from __future__ import annotations

import threading
import time
import traceback
from pathlib import Path
from typing import Protocol

from mdaf_core.base.errors import StudioError
from mdaf_core.base.settings import get_settings
from mdaf_core.queue.elsewhere.courier import Courier, Ended, Far
from mdaf_core.queue.elsewhere.executor import Gone, Request
from mdaf_core.queue.elsewhere.folder import Attempt

END_WITHIN = 5.0
_OWN = ("MDAF_HOME", "MDAF_NODE_HOME", "MDAF_PLUGINS")
"""Settings that name folders of this machine: those there are other ones."""


class Lost(Exception):
    """What stood for the process there is gone; `gone` says how."""

    def __init__(self, gone: Gone):
        super().__init__(gone.reason)
        self.gone = gone


class Cluster(Protocol):
    """What gives an outpost a machine: a cluster. Calls of the outpost raise `Lost` where it is gone."""

    name: str
    waits_for: str

    def outpost(self, request: Request, root: str, name: str) -> Far:
        """Ask for one with the place that the process needs; its first call waits until there is one.

        Raises:
            StudioError: that cannot be asked for.
        """

    def end(self) -> None:
        """End it, with its process, at once."""


class Apart:
    """See `executor.Executor`."""

    def __init__(self, cluster: Cluster, root: Path):
        self.cluster, self.root = cluster, root
        self.name, self.waits_for = cluster.name, cluster.waits_for
        self._courier: Courier | None = None
        self._thread: threading.Thread | None = None
        self._gone = Gone("Nothing was started.")

    def start(self, request: Request) -> str:
        """See `Executor.start`."""
        attempt = Attempt(Path(request.folder))
        name = f"{attempt.path.name}-{time.time_ns():x}"
        far = self.cluster.outpost(request, str(self.root), name)
        self._courier = Courier(far, attempt, get_settings().home)
        self._thread = threading.Thread(target=self._carry, args=(self._courier, request), daemon=True)
        self._thread.start()
        return ""

    def _carry(self, courier: Courier, request: Request) -> None:
        own = {name: value for name, value in request.environment.items() if name not in _OWN}
        try:
            courier.run(request.module, own)
            self._gone = Gone("Its process has ended.")
        except Ended:
            self._gone = Gone("It was ended.")
        except Lost as lost:
            self._gone = lost.gone
        except Exception as error:
            if not isinstance(error, StudioError):
                traceback.print_exception(error)
            self._gone = Gone(str(error) if isinstance(error, StudioError) else f"{type(error).__name__}: {error}")

    def look(self) -> Gone | None:
        """See `Executor.look`: while something is still to be carried it has not ended."""
        return None if self._thread is not None and self._thread.is_alive() else self._gone

    def end(self) -> None:
        """See `Executor.end`. The outpost is asked to leave nothing behind, then it is ended."""
        if self._courier is None or self._thread is None:
            return
        self._courier.stop()
        self._thread.join(END_WITHIN if self._courier.there else 0.0)
        self.cluster.end()
        self._thread.join(END_WITHIN)

    def end_of(self, handle: str) -> None:
        """The cluster has ended it with the steward."""
