"""A launcher whose jobs do nothing but what tests need; each attempt is written to `<home>/attempts.log`."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from pydantic import BaseModel

from mdaf_core.base.errors import StudioError
from mdaf_core.base.settings import get_settings
from mdaf_core.queue import api
from mdaf_core.queue.context import Context
from mdaf_core.queue.kind import Kind, Progress
from mdaf_core.queue.launcher import main


class Task(BaseModel):
    seconds: float = 0.0


class Done(Progress):
    fraction: float = 0.0
    resumed: bool = False


PROGRAM = Path(os.environ.get("TEST_PROGRAM", "."), "program.py")
LOADED = PROGRAM.read_text() if PROGRAM.exists() else ""


def _note(context: Context, what: str) -> None:
    with (get_settings().home / "attempts.log").open("a") as log:
        log.write(f"{what} {context.job.id} {context.job.attempts} {os.getpid()} {LOADED}\n")


def sleep(context: Context, task: Task) -> None:
    _note(context, "begin")
    steps = int(task.seconds / 0.05)
    for step in range(steps):
        context.report(Done(fraction=step / steps, resumed=context.job.resume), run_id="r1")
        context.stop_if_asked()
        time.sleep(0.05)
    _note(context, "end")


def until_told(context: Context, task: Task) -> None:
    """As long as there is no file `go`."""
    _note(context, "begin")
    while not (get_settings().home / "go").exists():
        context.report(Done(fraction=0.5, resumed=context.job.resume), run_id="r1")
        context.stop_if_asked()
        time.sleep(0.05)
    _note(context, "end")


def stubborn(context: Context, task: Task) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _note(context, "begin")
    time.sleep(600)


def with_child(context: Context, task: Task) -> None:
    """Leaves a forked child behind that shares the job's lock."""
    if os.fork() == 0:
        time.sleep(600)
        os._exit(0)
    _note(context, "begin")
    time.sleep(600)


def refuse(context: Context, task: Task) -> None:
    raise StudioError("The data are no good.")


def broken(context: Context, task: Task) -> None:
    raise ValueError("seven is not eight")


def memory(context: Context, task: Task) -> None:
    raise RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried")


def leave(context: Context, task: Task) -> None:
    os._exit(3)


if __name__ == "__main__":
    from mdaf_core.queue.elsewhere import steward
    from mdaf_core.queue.elsewhere.apart import Apart
    from tests.queue.fake_node import APART, AWAY, Here, Near

    steward.LATE = 0.5
    node = get_settings().node_home
    steward.executor = lambda name=None: Apart(Near(), node) if node else Here()  # type: ignore[assignment]
    api.SUPERVISOR = (sys.executable, str(Path(__file__).with_name("fake_supervisor.py")))
    api.serve_by((sys.executable, __file__))
    jobs = (sleep, until_told, stubborn, with_child, refuse, broken, memory, leave)
    kinds = {f.__name__: Kind(f.__name__, Task, Done, f) for f in jobs}
    main({**kinds, "away": AWAY, "apart": APART}, preload=(), node="tests.queue.fake_node")
