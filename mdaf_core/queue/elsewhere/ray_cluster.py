"""A process as a task of a Ray cluster: that of `RAY_ADDRESS`, or the one this machine belongs to.

Ray ends a driver's tasks when the driver dies: a steward takes its process with it, however it ends.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from pathlib import Path
from typing import Any, cast

from mdaf_core.base import notices
from mdaf_core.base.errors import StudioError
from mdaf_core.queue.elsewhere import hold, outpost
from mdaf_core.queue.elsewhere.apart import Lost
from mdaf_core.queue.elsewhere.courier import Far
from mdaf_core.queue.elsewhere.executor import Gone, Request, missing

END_WITHIN = 5.0


def send_token() -> None:
    """Have Ray, before it is imported, send the token that is at hand. Where there is one, `ray start --head` (2.60)
    asks everybody for it, and those who join send it only if they are told to; a head that asks for none takes it."""
    at_hand = (
        os.environ.get("RAY_AUTH_TOKEN")
        or Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token").is_file()
    )
    if at_hand:
        os.environ.setdefault("RAY_AUTH_MODE", "token")


class RayCluster:
    """See `executor.Executor`."""

    name = "ray"
    waits_for = "a place in the Ray cluster"

    def __init__(self) -> None:
        send_token()
        try:
            import ray
        except ImportError:
            raise missing("ray", self.name) from None
        self._ray: Any = ray
        self._task: Any = None
        self._actor: Any = None

    def start(self, request: Request) -> str:
        """See `Executor.start`. Unless told, Ray gives a task one core and repeats one that is lost: that is ours."""
        options = self._join(request)
        task = self._ray.remote(max_retries=0, max_calls=1, **options)(hold.hold).options(name=request.name)
        self._task = task.remote(request.module, request.folder, request.environment)
        return ""

    def outpost(self, request: Request, root: str, name: str) -> Far:
        """See `apart.Cluster`. It is an actor: one that ends with its driver, as a task does."""
        options = self._join(request)
        self._actor = self._ray.remote(max_restarts=0, **options)(outpost.Outpost).remote(root, name)
        return cast(Far, _InActor(self._ray, self._actor))

    def _join(self, request: Request) -> dict[str, Any]:
        """Join the cluster; returns what a place for the process is asked for by."""
        ray = self._ray
        address = os.environ.get("RAY_ADDRESS") or "auto"
        try:
            if not ray.is_initialized():
                ray.init(address=address, log_to_driver=False, configure_logging=False, logging_level=logging.ERROR)
        except Exception as error:  # of many kinds: no cluster, another version of Ray or Python, no route
            text = " ".join(str(error).split())[:300]
            raise StudioError(
                f"The Ray cluster {address!r} cannot be joined: {text} Start it (`ray start --head`), or set "
                "RAY_ADDRESS; where it asks for a token, have that of its head node in ~/.ray/auth_token."
            ) from error
        # Ray prints, `log_to_driver` or not, the last log of every node that is lost: it would be in every job's log.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        self._warn_of_too_much(request)
        from ray import cloudpickle

        for module in (hold, outpost):
            cloudpickle.register_pickle_by_value(module)
        return {"num_cpus": request.cores, "num_gpus": request.gpus, "memory": request.memory}

    def _warn_of_too_much(self, request: Request) -> None:
        """Ray waits without a word for a node that is large enough; one may yet join."""
        wanted = {"CPU": request.cores, "GPU": request.gpus, "memory": request.memory}
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        if not any(all(node.get(what, 0) >= amount for what, amount in wanted.items()) for node in nodes):
            notices.log(
                f"No node of the Ray cluster has {request.cores} cores, {request.gpus} GPUs and "
                f"{request.memory / 1e9:.1f} GB: the job waits until one joins."
            )

    def look(self) -> Gone | None:
        """See `Executor.look`."""
        ray = self._ray
        if self._task is None:
            return Gone("Nothing was started.")
        if not ray.wait([self._task], timeout=0)[0]:
            return None
        try:
            ray.get(self._task)
        except Exception as error:
            return _gone(ray, error)
        return Gone("Its process has ended.")

    def end(self) -> None:
        """See `Executor.end`."""
        if self._actor is not None:
            self._ray.kill(self._actor)
        if self._task is None:
            return
        self._ray.cancel(self._task, force=True)
        deadline = time.monotonic() + END_WITHIN
        while time.monotonic() < deadline and not self._ray.wait([self._task], timeout=0.1)[0]:
            pass

    def end_of(self, handle: str) -> None:
        """Ray has ended it with the steward."""


class _InActor:
    """Calls the methods of an `Outpost` in an actor, one after another."""

    def __init__(self, ray: Any, actor: Any):
        self._ray, self._actor = ray, actor

    def __getattr__(self, method: str) -> Any:
        def call(*arguments: Any) -> Any:
            try:
                return self._ray.get(getattr(self._actor, method).remote(*arguments))
            except self._ray.exceptions.RayTaskError as error:  # raised by the method itself
                raise error.cause from None
            except self._ray.exceptions.RayError as error:
                raise Lost(_gone(self._ray, error)) from None

        return call


def _gone(ray: Any, error: Exception) -> Gone:
    """What an error of Ray's says of the process that it was asked for."""
    of = ray.exceptions
    if isinstance(error, of.NodeDiedError | of.WorkerCrashedError | of.RayActorError | of.ObjectLostError):
        return Gone("Its machine, or Ray's process there, was lost.", again=True)
    if isinstance(error, of.OutOfMemoryError):
        return Gone("Ray ended it, because memory ran out on its machine: ask for more with MDAF_JOB_MEMORY.")
    if isinstance(error, of.TaskCancelledError):
        return Gone("It was cancelled in Ray.")
    return Gone(f"It failed in Ray: {' '.join(str(error).split())[:300]}")
