"""The launcher: loads torch and MLflow once (some seconds), then forks a worker for each job in milliseconds.

It does no work of its own before a fork (no tensor, no thread pool, no connection), so that a fork copies nothing that
is in use. It reads commands from the supervisor, one JSON object a line, and answers with events. End of file without
`leave` is the supervisor's sudden death: the launcher then starts another one, which will start another launcher, and
leaves. Workers go on without either.

    {"do": "run", "job": 3, "token": "…", "environment": {…}}      {"do": "settle", "job": 3}
    {"do": "leave"}      {"do": "retire"}: start nothing more, leave when all workers have ended
    {"event": "ready", "elsewhere": ["train"]}      {"event": "exited", "job": 3, "token": "…", "status": -9}
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import sys
import time
from collections.abc import Iterable, Mapping
from typing import Any

from mdaf_core.base.imports import collect_rarely
from mdaf_core.queue import api, worker
from mdaf_core.queue.kind import Kind

HEIR_AFTER = 0.3  # seconds after the supervisor's death: by then the kernel has freed its lock


def main(kinds: Mapping[str, Kind[Any]], preload: Iterable[str] = (), node: str = "") -> None:
    """Serve the supervisor on standard input and output.

    Args:
        kinds: what each kind of job does.
        preload: modules loaded before the first fork.
        node: the module that does a task on another machine (`elsewhere.node`).
    """
    commands, events = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)  # what libraries print goes to the log, not between the events
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    collect_rarely()
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    for module in preload:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()  # shared pages stay shared: the collector of a worker does not touch what was loaded here
    _send(events, {"event": "ready", "elsewhere": [name for name, kind in kinds.items() if kind.elsewhere and node]})

    workers: dict[int, dict[str, Any]] = {}
    buffer, retired = b"", False
    while workers or not retired:
        readable, _, _ = select.select([commands], [], [], 0.1 if workers else 1.0)
        if readable:
            chunk = os.read(commands, 65536)
            if not chunk:
                if retired:
                    return
                time.sleep(HEIR_AFTER)
                api.wake()
                return
            *lines, buffer = (buffer + chunk).split(b"\n")
            for line in lines:
                command = json.loads(line)
                if command["do"] == "leave":
                    return
                if command["do"] == "retire":
                    retired = True
                    continue
                pid = os.fork()
                if pid == 0:
                    os.close(commands)
                    os.close(events)
                    _work(command, kinds, node)
                workers[pid] = command
        for pid, status in _reap(workers):
            command = workers.pop(pid)
            _send(events, {"event": "exited", "job": command["job"], "token": command.get("token"), "status": status})


def _work(command: dict[str, Any], kinds: Mapping[str, Kind[Any]], node: str) -> None:
    """The life of a forked worker."""
    code = 1
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.environ.update(command.get("environment", {}))
        if command["do"] == "run":
            code = worker.run(command["job"], command["token"], kinds, node)
        else:
            code = worker.settle(command["job"], kinds)
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(ValueError, OSError):
                stream.flush()
        os._exit(code)  # nothing of the launcher's is torn down twice


def _reap(workers: Iterable[int]) -> list[tuple[int, int]]:
    """Ended workers with their status, negative for a signal. What they left in their process group is killed first."""
    ended = []
    for pid in list(workers):
        found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if found is None:
            continue
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)  # not reaped yet: the number cannot belong to anyone else
        _, status = os.waitpid(pid, 0)
        ended.append((pid, os.waitstatus_to_exitcode(status)))
    return ended


def _send(events: int, event: dict[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError):
        os.write(events, json.dumps(event).encode() + b"\n")
