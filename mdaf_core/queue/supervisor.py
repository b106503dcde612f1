"""The supervisor: one light process for each artifacts folder. It hands queued jobs to workers and notices deaths.

It is born holding the supervisor lock (see `api.ensure_supervisor`) and keeps no state that matters: whatever is true
stands in the queue and in the locks, so that it can be killed at any moment and the next one goes on. Where the
program's files have changed since, it starts no job: the changed program takes its process over, with its lock and with
the launcher of before, which tells of its workers until they end.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from mdaf_core.base import notices
from mdaf_core.base.files import PATIENCE
from mdaf_core.base.locks import locked
from mdaf_core.base.settings import get_settings
from mdaf_core.queue import memory, store, turns
from mdaf_core.queue.database import QueueError
from mdaf_core.queue.job import Job, lock_path
from mdaf_core.queue.launching import PROGRAM, Launcher, Program, Retired
from mdaf_core.queue.slots import elsewhere, places, share_cores, slot_count, slot_environment
from mdaf_core.queue.turns import EVERY, Lane

IDLE_SECONDS = 300.0
TICK = 0.2
TERM_AFTER, KILL_AFTER = 2.0, 4.0  # seconds after the request to stop
CONFIRM_WITHIN = 30.0  # seconds a worker has to confirm its claim
STATUS_WITHIN = 1.0  # seconds to wait for the exit status of a dead worker
SETTLE_FAILURES, SETTLE_PAUSE = 3, 300.0  # tries a queued job waits for, and the longest pause between two, in seconds
START_FAILURES = 3  # failed starts of the launcher after which queued jobs are refused


def supervisor_lock_path() -> Path:
    return get_settings().jobs_dir / "supervisor.lock"


class Supervisor:
    """One pass of `step` looks at everything once; `run` repeats it until there has been nothing to do for a while."""

    def __init__(
        self,
        launcher_command: Sequence[str],
        idle_seconds: float = IDLE_SECONDS,
        retired: Sequence[Retired] = (),
        program: Path = PROGRAM,
    ):
        self.launcher_command, self.idle_seconds = launcher_command, idle_seconds
        self.launcher: Launcher | None = None
        self.retired = list(retired)  # launchers of before the program changed
        self.program = Program(program)
        self.known: set[int] = set()  # queued jobs that have waited before
        self.took_over = bool(retired)
        self.failed_starts = 0
        self.sent: dict[str, float] = {}  # token of each claim given to the present launcher → when
        self.statuses: dict[str, int] = {}  # token → exit status of its worker
        self.dead_since: dict[str, float] = {}
        self.settling: dict[int, float] = {}
        self.failures: dict[int, int] = {}  # job → how often its run could not be closed
        self.waiting: set[int] = set()  # queued jobs whose earlier run is still to be closed
        self.unusable_since: float | None = None
        self.terminated: set[str] = set()
        self.oom_kills = memory.oom_kills()

    def run(self, lock: int) -> None:
        """Serve the queue while the lock file open as `lock` is this artifacts folder's."""
        try:
            active = time.monotonic()
            while self._is_ours(lock):
                if self.program.changing:
                    self.program.look()
                if self.program.changed:
                    self._hand_over(lock)
                try:
                    jobs, unsettled = store.work()
                except QueueError as error:
                    if not self._bear(error):
                        break
                    continue
                if jobs or any(self.failures.get(job_id, 0) < SETTLE_FAILURES for job_id in unsettled):
                    active = time.monotonic()
                elif time.monotonic() - active > self.idle_seconds:
                    # A job may be queued right now by someone who saw the lock held. Let go first, then look again: a
                    # job added before this look is seen here, and whoever adds one after it finds the lock free.
                    fcntl.flock(lock, fcntl.LOCK_UN)
                    if not any(store.work()):
                        break
                    try:
                        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    except BlockingIOError:
                        break
                    active = time.monotonic()
                try:
                    self.step(jobs, unsettled)
                    self.unusable_since = None
                except QueueError as error:
                    if not self._bear(error):
                        break
        finally:
            if self.launcher:
                self.launcher.close()

    def _bear(self, error: QueueError) -> bool:
        """Wait a little for a queue that is locked or whose disk is full; False once that has lasted too long."""
        if self.unusable_since is None:
            self.unusable_since = time.monotonic()
            notices.log(error)
        self.program.look()  # a newer one may have given the queue another form
        time.sleep(1)
        return time.monotonic() - self.unusable_since < PATIENCE

    def step(self, jobs: list[Job], unsettled: list[int]) -> None:
        """Look once at everything.

        Args:
            jobs, unsettled: as `store.work` told just now; whatever is done about them is checked again by the store.
        """
        if self.took_over:  # the workers that are there are the retired launchers'
            self.took_over = False
            self.sent |= {job.token: time.monotonic() for job in jobs if job.token is not None}
        self._keep_launcher()
        self._watch(jobs)
        self._settle(unsettled, {job.id for job in jobs if job.state == "queued"})
        self._dispatch(jobs)
        for event in self._heard():
            if event["event"] == "ready":
                if self.launcher:
                    self.launcher.ready, self.failed_starts = True, 0
                    self.launcher.elsewhere = tuple(event.get("elsewhere", ()))
            elif event["token"]:
                self.statuses[event["token"]] = event["status"]
            elif event["status"] == 0:
                self.settling.pop(event["job"], None)
                self.failures.pop(event["job"], None)
            else:
                self.failures[event["job"]] = self.failures.get(event["job"], 0) + 1

    def _heard(self) -> list[dict[str, Any]]:
        """Events of all launchers, waiting a little for one of the present."""
        told = [event for launcher in self.retired for event in launcher.events() if event["event"] != "ready"]
        self.retired = [launcher for launcher in self.retired if not launcher.over]
        return told + (self.launcher.events(TICK) if self.launcher else [])

    def _hand_over(self, lock: int) -> NoReturn:
        """Become the program as it is on disk now: the same process and lock, which inherits the launchers."""
        if self.launcher:
            self.retired.append(self.launcher.retire())
        for launcher in self.retired:
            launcher.inherit()
        os.set_inheritable(lock, True)
        began = sys.orig_argv[: sys.orig_argv.index("--lock")]
        before = [word for launcher in self.retired for word in ("--retired", str(launcher))]
        print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} The program has changed.", flush=True)
        command = [sys.executable, *began[1:], "--lock", str(lock), *before, "--", *self.launcher_command]
        os.execv(sys.executable, command)

    def _is_ours(self, lock: int) -> bool:
        """False once the artifacts folder was deleted or replaced."""
        try:
            return os.path.samestat(os.fstat(lock), supervisor_lock_path().stat())
        except OSError:
            return False

    def _keep_launcher(self) -> None:
        if self.launcher and self.launcher.process.poll() is not None:
            if not self.launcher.ready and self.launcher.process.returncode > 0:
                self.failed_starts += 1
            self.launcher.close()
            self.launcher = None
            self.sent.clear()
            self.settling.clear()
        if self.launcher is None:
            if self.failed_starts >= START_FAILURES:
                for job in store.list_jobs(states=["queued"]):
                    turns.refuse(
                        job, f"Workers cannot start; the reason is in {get_settings().jobs_dir / 'supervisor.log'}."
                    )
                self.failed_starts = 0
                time.sleep(1)
            self.launcher = Launcher(self.launcher_command)

    def _settle(self, unsettled: list[int], queued: set[int]) -> None:
        """Have the runs of ended jobs closed; less and less often where that fails. A job that was queued again waits
        for it only so long, then it fails with the reason.
        """
        waiting = queued & set(unsettled)
        for job_id in waiting - self.waiting:  # asked for again: at once
            self.failures.pop(job_id, None)
            self.settling.pop(job_id, None)
        self.waiting = waiting
        if not (self.launcher and self.launcher.ready):
            return
        for job_id in unsettled:
            failures = self.failures.get(job_id, 0)
            if failures >= SETTLE_FAILURES and job_id in waiting:
                turns.give_up(job_id)
                continue
            pause = min(2.0 ** (failures - 1), SETTLE_PAUSE) if failures else CONFIRM_WITHIN
            if time.monotonic() - self.settling.get(job_id, -1e9) > pause:
                self.settling[job_id] = time.monotonic()
                self.launcher.send(do="settle", job=job_id)

    def _dispatch(self, jobs: list[Job]) -> None:
        queued = {job.id for job in jobs if job.token is None}
        if not self.launcher or not self.launcher.ready or not queued:
            return
        new, self.known = not queued <= self.known, queued
        self.program.look(again=new)
        if self.program.changing:
            return
        there = self.launcher.elsewhere if elsewhere() else ()
        lanes = [(slot_count(), share_cores(), Lane(there, others=True) if there else EVERY)]
        lanes += [(places(), False, Lane(there))] if there else []
        if sum(job.token is not None for job in jobs) >= sum(slots for slots, _, _ in lanes):
            return
        for lane in lanes:
            while (job := turns.claim(*lane)) is not None:
                assert job.token and job.slot is not None
                self.sent[job.token] = time.monotonic()
                environment = {} if job.kind in there else slot_environment(job.slot, job.threads)
                if not self.launcher.send(do="run", job=job.id, token=job.token, environment=environment):
                    return  # it just died: the claim is taken back when that is noticed

    def _watch(self, jobs: list[Job]) -> None:
        """Take back claims nobody will confirm, bury the dead, press those who were asked to stop."""
        for job in jobs:
            if job.token is None or (job.state == "queued" and self._may_still_confirm(job.token)):
                continue
            with locked(lock_path(job.id)) as free:
                if free and job.state == "queued":
                    turns.release_claim(job)
                elif free and self._cause_is_known(job.token):
                    turns.bury(job, self._cause(job.token))
            if not free and job.cancel_requested and job.pid:
                self._press(job)

    def _may_still_confirm(self, token: str) -> bool:
        return token not in self.statuses and time.monotonic() - self.sent.get(token, -1e9) < CONFIRM_WITHIN

    def _cause_is_known(self, token: str) -> bool:
        """Whether the exit status has come in, or will not: the worker is another launcher's, or it is overdue."""
        if token in self.statuses or token not in self.sent:
            return True
        return time.monotonic() - self.dead_since.setdefault(token, time.monotonic()) > STATUS_WITHIN

    def _cause(self, token: str) -> str:
        before, self.oom_kills = self.oom_kills, memory.oom_kills()
        status = self.statuses.get(token)
        if before is not None and self.oom_kills is not None and self.oom_kills > before and status in (None, -9):
            return "Killed by the system because memory ran out: use smaller batches, fewer slots or a smaller model."
        if status is None:
            return "Its process died; how is not known, for the process that started it had died before."
        if status == -signal.SIGKILL:
            if before is None or self.oom_kills is None:
                return "Killed by signal 9 (SIGKILL). The system's log (`dmesg`) tells whether memory ran out."
            return "Killed by signal 9 (SIGKILL), not for want of memory: the system counted no such death."
        if status < 0:
            with contextlib.suppress(ValueError):
                return f"Killed by signal {-status} ({signal.Signals(-status).name})."
            return f"Killed by signal {-status}."
        return f"Its process ended with exit code {status} before the job was done; the log may say why."

    def _press(self, job: Job) -> None:
        """Stop a worker that does not stop by itself. Its lock is held, so its process group is still its own."""
        assert job.token and job.pid and job.cancel_requested
        waited = time.time() - job.cancel_requested
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if waited > KILL_AFTER:
                os.killpg(job.pid, signal.SIGKILL)
            elif waited > TERM_AFTER and job.token not in self.terminated:
                self.terminated.add(job.token)
                os.killpg(job.pid, signal.SIGTERM)


def main(idle_seconds: float = IDLE_SECONDS, program: Path = PROGRAM) -> None:
    parser = argparse.ArgumentParser(description="Serves the job queue of one artifacts folder.")
    parser.add_argument("--lock", type=int, required=True, help="descriptor of the locked supervisor.lock")
    parser.add_argument("--retired", type=Retired.parse, action="append", help="launchers of before an update")
    parser.add_argument("launcher", nargs="+", help="the program that runs the jobs, with its arguments")
    arguments = parser.parse_args()
    lock = arguments.lock
    os.set_inheritable(lock, False)
    for name in (signal.SIGINT, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} Supervisor {os.getpid()} begins.", flush=True)
    Supervisor(arguments.launcher, idle_seconds, arguments.retired or (), program).run(lock)
    print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} Supervisor {os.getpid()} leaves.", flush=True)


if __name__ == "__main__":
    main()
