"""The worker of a job that runs on another machine: asks for a process there, watches over it, speaks for it here.

For the queue it is a worker like any other: it holds the job's lock, and the job is confirmed when the process
elsewhere has begun; until then it is queued. A process that is lost for no fault of its own, or put back into its
cluster's queue, is followed by another *life* in the same attempt, which goes on after what is finished.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import asdict, replace
from typing import Any, NoReturn

from pydantic import BaseModel, ValidationError

from mdaf_core.base import notices
from mdaf_core.base.errors import StudioError
from mdaf_core.base.process import environment
from mdaf_core.base.settings import PACKAGE, UNTOLD, get_settings
from mdaf_core.queue import turns
from mdaf_core.queue.context import Context, Stopped
from mdaf_core.queue.elsewhere.executor import Executor, Gone, Request
from mdaf_core.queue.elsewhere.folder import ALIVE_EVERY, Attempt, attempts_dir, of_job
from mdaf_core.queue.job import Job
from mdaf_core.queue.kind import Kind
from mdaf_core.queue.launching import digest
from mdaf_core.queue.slots import job_threads

POLL = 0.25
LATE = 5.0
"""Seconds for which files of a process that has ended may still appear in a shared folder."""
FUTILE = 3
"""Lives in a row without a finished epoch, or lost before they began, after which a job fails."""
LEFTOVER_PATIENCE = 120.0


class Steward:
    """Of one attempt of one job.

    Args:
        job: claimed, its lock held.
        payload: the job's, of its kind.
        module: does the job there (`node.work`).
    """

    def __init__(
        self, job: Job, kind: Kind[Any], payload: BaseModel, module: str, there: Executor | None = None
    ) -> None:
        assert kind.elsewhere is not None and job.token is not None
        self.job, self.kind, self.payload, self.module = job, kind, payload, module
        self.how = kind.elsewhere
        self._given, self._executor = there, there
        self.attempt = Attempt(attempts_dir() / f"{job.id}-{job.token}")
        self.begun: dict[str, Any] = {}
        self._log_place = 0
        self._lost_unbegun = 0
        self._ended = threading.Event()
        self._apart = get_settings().node_home is not None
        self._program = digest() if self._apart else ""

    @property
    def machine(self) -> str:
        return str(self.begun.get("machine", ""))

    def leave(self) -> None:
        """See to it that no process is left elsewhere, and take the folder away. It can be called again."""
        self._ended.set()
        if self.attempt.path.exists():
            if self._executor is not None and not self._is_over():
                self._executor.end()
            self._copy_log()
            self.attempt.remove()

    def _is_over(self) -> bool:
        """Whether the process, which has said its last word, ends by itself."""
        deadline = time.monotonic() + LATE if self.attempt.read("outcome") is not None else 0.0
        assert self._executor
        while not isinstance(self._executor.look(), Gone):
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL)
        return True

    def place(self) -> bool:
        """Ask for a process and wait until it has begun; False where the job was cancelled, or taken back, meanwhile.

        Raises:
            StudioError: it cannot be asked for, ended before it began for a reason that another one would meet too, or
                is of another version of the program.
        """
        end_leftovers(self.job.id)
        self.attempt.path.mkdir(parents=True, exist_ok=True)
        threading.Thread(target=self._be_alive, daemon=True).start()
        self._ask()
        assert self._executor
        notices.log(f"Job {self.job.id} ({self.job.title}) waits for {self._executor.waits_for}.")
        assert self.job.token
        while not self._new_life():
            if turns.claimed(self.job.id, self.job.token) is None:
                return False
            self._see_that_it_comes()
            time.sleep(POLL)
        return True

    def run(self, context: Context) -> None:
        """Do the confirmed job, in as many lives as it takes.

        Raises:
            Stopped: it was asked to stop, and has.
            StudioError: it failed, for this reason.
        """
        job, finished, futile = context.job, -1, 0
        while True:
            told = self.how.begin(job, self.payload)
            context.report(self.kind.progress(), told.get("run_id"))
            job = replace(job, resume=True, run_id=told.get("run_id"))
            done = self.how.done(told)
            futile = 0 if done > finished else futile + 1
            finished = done
            if futile >= FUTILE:
                raise StudioError(
                    f"It was begun {FUTILE} times elsewhere without finishing an epoch: give it a longer time limit, "
                    "or see what ends it there."
                )
            carried = asdict(self.how.carried(self.payload, told)) if self._apart else None
            plugins = job.payload.get("plugins", [])
            go = {"job": asdict(job), "plugins": plugins, "told": told, "carried": carried}
            self.attempt.write("go", {"life": self.begun["life"], **go})
            notices.log(f"Runs on {self.machine}.")
            outcome = self._watch(context, told)
            if outcome is not None:
                break
            turns.moved(job, self.machine)
        self._copy_log()
        if outcome["state"] == "stopped":
            raise Stopped
        if outcome["state"] == "failed":
            raise StudioError(str(outcome["reason"]))
        self.how.done(told)
        self.how.conclude(job, self.payload, told, outcome["result"])

    def _ask(self) -> None:
        """Ask an executor for a process in this attempt's folder."""
        self._executor = self._given or executor()
        self.attempt.begin_anew()
        own = {name: value for name, value in environment().items() if name.startswith("MDAF_") or name == "PYTHONPATH"}
        cores = job_threads(self.job.threads)
        own |= {"MDAF_EXECUTOR": "local", "MDAF_THREADS": str(cores), "MLFLOW_TRACKING_URI": UNTOLD}
        for name in ("MDAF_SLOTS", "MDAF_NOTIFY"):  # an address holds secrets, and is told from here
            own.pop(name, None)
        gpus = get_settings().job_gpus
        if not gpus:  # Ray leaves them all in sight of a task that asked for none
            own["CUDA_VISIBLE_DEVICES"] = ""
        memory = get_settings().job_memory or self.how.memory(self.payload) * 3 // 2
        request = Request(f"mdaf-{self.job.id}", self.module, str(self.attempt.path), own, cores, gpus, int(memory))
        handle = self._executor.start(request)
        self.attempt.write("handle", {"executor": self._executor.name, "handle": handle})

    def _new_life(self) -> bool:
        """Whether a process has begun that is not the one before.

        Raises:
            StudioError: it is of another version of the program.
        """
        begun = self.attempt.read("begun")
        if begun is None or begun == self.begun:
            return False
        self.begun, self._lost_unbegun = begun, 0
        if self._apart and begun.get("program") != self._program:
            raise StudioError(
                f"The program on {self.machine} ({begun.get('folder', 'an earlier version')}) is not the one here "
                f"({PACKAGE}): the SHA-256 of its sources is {str(begun.get('program'))[:12]} there and "
                f"{self._program[:12]} here. Have the same version on both."
            )
        return True

    def _watch(self, context: Context, told: dict[str, Any]) -> dict[str, Any] | None:
        """Until the process has said how it ended: that, or None where another one has begun in its place."""
        lost = False
        while True:
            outcome = self.attempt.read("outcome")
            if outcome is not None and outcome["life"] == self.begun["life"]:
                return outcome
            if self._new_life():
                return None
            if context.should_stop():
                if lost:
                    raise Stopped
                self.attempt.ask_to_stop()
            if lost:
                self._see_that_it_comes()
            else:
                self._relay(context)
                self.how.done(told)
                lost = self._is_lost(context)
            time.sleep(POLL)

    def _is_lost(self, context: Context) -> bool:
        """Whether the process is gone and another one is to go on in its place: asked for here, or by its cluster.

        Raises:
            StudioError: it is gone for a reason that another one would meet too.
        """
        assert self._executor
        stands = self._executor.look()
        if stands is None or self._said_so():
            return False
        if isinstance(stands, Gone) and not stands.again:
            self._fail(stands)
        why = stands.reason if isinstance(stands, Gone) else "Its machine was wanted back, or its time was up."
        notices.log(f"{why} It goes on after what is finished, and waits for {self._executor.waits_for}.")
        turns.moved(context.job, "")
        if isinstance(stands, Gone):
            self._executor.end()
            self._ask()
        return True

    def _see_that_it_comes(self) -> None:
        """Of a process that has not begun: where its machine is lost, ask for another one.

        Raises:
            StudioError: something else ended it, or it was lost again and again.
        """
        assert self._executor
        stands = self._executor.look()
        if not isinstance(stands, Gone) or self._said_so():
            return
        self._lost_unbegun += 1
        if not stands.again or self._lost_unbegun >= FUTILE:
            self._fail(stands)
        notices.log(f"{stands.reason} It had not begun, and waits again for {self._executor.waits_for}.")
        self._executor.end()
        self._ask()

    def _said_so(self) -> bool:
        """Whether a process that has ended left its last word, or one that begins its first, after all."""
        deadline = time.monotonic() + LATE
        while time.monotonic() < deadline:
            if self.attempt.read("outcome") is not None or self.attempt.read("begun") not in (None, self.begun):
                return True
            time.sleep(POLL)
        return False

    def _fail(self, gone: Gone) -> NoReturn:
        status, where = self.attempt.exit_status(), f" on {self.machine}" if self.machine else ""
        if not status:
            raise StudioError(gone.reason)
        how = f"Killed by signal {-status}" if status < 0 else f"Its process ended with exit code {status}"
        raise StudioError(f"{how}{where} before the job was done; the log may say why.")

    def _relay(self, context: Context) -> None:
        self._copy_log()
        found = self.attempt.read("progress")
        if found is not None:
            try:
                context.report(self.kind.progress.model_validate_json(found["progress"]), found["run_id"])
            except ValidationError:
                return

    def _copy_log(self) -> None:
        """What the process has printed since, into the job's log."""
        try:
            with (self.attempt.path / "log").open("rb") as log:
                log.seek(self._log_place)
                new = log.read()
        except OSError:
            return
        if new:
            self._log_place += len(new)
            os.write(2, new)

    def _be_alive(self) -> None:
        count = 0
        while not self._ended.is_set():
            count += 1
            try:
                self.attempt.write("alive", {"count": count})
            except OSError as error:
                notices.log(f"The job's folder cannot be written: {error}.")
            self._ended.wait(ALIVE_EVERY)


def end_leftovers(job_id: int) -> None:
    """End what stewards that died have left elsewhere of this job.

    Raises:
        StudioError: it goes on all the same.
    """
    for attempt in of_job(job_id):
        handle = attempt.read("handle")
        begun = attempt.read("begun") or {}
        attempt.ask_to_stop()
        if handle is not None:  # it may not have begun yet
            executor(handle["executor"]).end_of(handle["handle"])
        deadline = time.monotonic() + LEFTOVER_PATIENCE
        while not attempt.is_deserted():
            if time.monotonic() > deadline:
                raise StudioError(
                    f"An earlier attempt of job {job_id} goes on on {begun.get('machine', 'another machine')} (process "
                    f"{begun.get('pid', 'unknown')}): end it there, then resume the job."
                )
            time.sleep(POLL)
        attempt.remove()


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
