"""A queue served by the real supervisor with jobs that cost nothing."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mdaf_core.queue import api, store
from mdaf_core.queue.job import ENDED
from mdaf_core.queue.store import NewJob
from tests.waiting import traces, wait_until

FAKE = Path(__file__).with_name("fake_supervisor.py")
LAUNCHER = Path(__file__).with_name("fake_launcher.py")


class Queue:
    """The queue of one artifacts folder, and what tests do to it."""

    def __init__(self, home: Path):
        self.home = home

    @staticmethod
    def new(kind: str = "sleep", seconds: float = 0.3, **fields) -> NewJob:
        return NewJob(kind=kind, title=f"{kind} {seconds}", payload={"seconds": seconds}, **fields)

    def wait_until(self, condition: Callable[[], object]) -> None:
        """Until `condition` is true, as long as anything moves."""
        wait_until(condition, traces(self.home))

    def go(self) -> None:
        """Let jobs of the kind `until_told` end."""
        (self.home / "go").touch()

    @staticmethod
    def state(job_id: int) -> str:
        return store.get_job(job_id).state

    def running(self, job_id: int) -> bool:
        return self.state(job_id) == "running"

    def ended(self, job_id: int) -> bool:
        return self.state(job_id) in ENDED

    def supervisors(self) -> list[int]:
        """Living processes that serve this artifacts folder's queue."""
        found = []
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            with contextlib.suppress(OSError):
                command = (folder / "cmdline").read_bytes()
                zombie = (folder / "stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
                ours = f"MDAF_HOME={self.home}\0".encode() in (folder / "environ").read_bytes()
                if b"supervisor" in command and ours and not zombie:
                    found.append(int(folder.name))
        return found

    @staticmethod
    def kill(pid: int, number: int = signal.SIGKILL) -> None:
        os.kill(pid, number)
        for child in api._children:
            if child.pid == pid:
                child.wait()

    def attempts(self) -> list[list[str]]:
        """What the jobs have noted: `begin` or `end`, job, attempt, pid, and what the launcher had loaded."""
        path = self.home / "attempts.log"
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def queue(processes, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Queue]:
    """An empty queue; submitting starts the supervisor of the tests. Everything started is gone afterwards."""
    monkeypatch.setattr(api, "SUPERVISOR", (sys.executable, str(FAKE)))
    monkeypatch.setattr(api, "_launcher", (sys.executable, str(LAUNCHER)))
    monkeypatch.setenv("MDAF_SLOTS", "1")
    queue = Queue(home)
    yield queue
    for pid in queue.supervisors():
        queue.kill(pid, signal.SIGTERM)
    for job in store.list_jobs(states=["running"]):
        if job.pid:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(job.pid, signal.SIGKILL)
