"""A launcher whose jobs do nothing but what tests need; each attempt is written to `<home>/attempts.log`."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from mdaf_core.base.errors import StudioError
from mdaf_core.base.settings import get_settings
from mdaf_core.queue import api
from mdaf_core.queue.launcher import main
from mdaf_core.queue.worker import Context


def _note(context: Context, what: str) -> None:
    with (get_settings().home / "attempts.log").open("a") as log:
        log.write(f"{what} {context.job.id} {context.job.attempts} {os.getpid()}\n")


def sleep(context: Context) -> None:
    _note(context, "begin")
    steps = int(context.job.payload["seconds"] / 0.05)
    for step in range(steps):
        context.report({"fraction": step / steps, "resumed": context.job.resume}, run_id="r1")
        context.stop_if_asked()
        time.sleep(0.05)
    _note(context, "end")


def until_told(context: Context) -> None:
    """As long as there is no file `go`."""
    _note(context, "begin")
    while not (get_settings().home / "go").exists():
        context.report({"fraction": 0.5, "resumed": context.job.resume}, run_id="r1")
        context.stop_if_asked()
        time.sleep(0.05)
    _note(context, "end")


def stubborn(context: Context) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _note(context, "begin")
    time.sleep(600)


def with_child(context: Context) -> None:
    """Leaves a forked child behind that shares the job's lock."""
    if os.fork() == 0:
        time.sleep(600)
        os._exit(0)
    _note(context, "begin")
    time.sleep(600)


def refuse(context: Context) -> None:
    raise StudioError("The data are no good.")


def broken(context: Context) -> None:
    raise ValueError("seven is not eight")


def memory(context: Context) -> None:
    raise RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried")


def leave(context: Context) -> None:
    os._exit(3)


if __name__ == "__main__":
    api.SUPERVISOR = (sys.executable, str(Path(__file__).with_name("fake_supervisor.py")))
    main({f.__name__: f for f in (sleep, until_told, stubborn, with_child, refuse, broken, memory, leave)}, preload=())
