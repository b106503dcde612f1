"""What the fake launcher's jobs are done by on another machine, and an executor for which this machine is that one."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from mdaf_core.base.files import write_text
from mdaf_core.base.settings import get_settings
from mdaf_core.queue.context import Context
from mdaf_core.queue.elsewhere.apart import Lost
from mdaf_core.queue.elsewhere.executor import Gone, Request, Waiting
from mdaf_core.queue.elsewhere.outpost import Outpost
from mdaf_core.queue.job import Job
from mdaf_core.queue.kind import Carried, Elsewhere, Kind
from tests.queue.fake_launcher import Done, Task, _note

EPOCHS = "runs/r1/epochs"
HOLD = "import sys, json; from mdaf_core.queue.elsewhere.hold import hold; hold(*json.loads(sys.argv[1]))"


class Here:
    """An executor that gives a place once there is a file `place`; a file `lose` is of one that is lost before."""

    name, waits_for = "here", "a place"

    def __init__(self) -> None:
        self.request: Request | None = None
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, request: Request) -> str:
        self.request = request
        self._begin()
        return ""

    def _begin(self) -> None:
        if self.process is None and self.request and (get_settings().home / "place").exists():
            import json

            told = json.dumps([self.request.module, self.request.folder, self.request.environment])
            self.process = subprocess.Popen([sys.executable, "-P", "-c", HOLD, told], start_new_session=True)

    def look(self) -> Gone | Waiting | None:
        lose = get_settings().home / "lose"
        if self.process is None and lose.exists():
            lose.unlink()
            return Gone("It is lost.", again=True)
        self._begin()
        if self.process is None:
            return Waiting()
        status = self.process.poll()
        if status is None:
            return None
        return Gone("It is lost.", again=True) if status else Gone("It has ended.")

    def end(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def end_of(self, handle: str) -> None:
        pass


def memory(task: Task) -> int:
    return 10**6


def begin(job: Job, task: Task) -> dict[str, Any]:
    return {"run_id": "r1", "resumed": job.resume}


def carried(task: Task, told: dict[str, Any]) -> Carried:
    return Carried({}, ("runs/r1",))


def epochs() -> Path:
    return get_settings().home / "epochs"


def work(context: Context, task: Task, told: dict[str, Any]) -> dict[str, Any]:
    """An epoch, then as long as there is no file `go`."""
    _note(context, "begin")
    print("I print.", flush=True)
    with epochs().open("a") as file:
        file.write(".")
    while not (get_settings().home / "go").exists():
        context.report(Done(fraction=0.5, resumed=told["resumed"]), run_id="r1")
        context.stop_if_asked()
        time.sleep(0.05)
    if task.seconds < 0:
        raise ValueError("seven is not eight")
    _note(context, "end")
    return {"threads": os.environ["MDAF_THREADS"]}


def done(told: dict[str, Any]) -> int:
    return epochs().stat().st_size if epochs().exists() else 0


def conclude(job: Job, task: Task, told: dict[str, Any], result: dict[str, Any]) -> None:
    (get_settings().home / "concluded").write_text(f"{told['run_id']} {result['threads']}")


class Near:
    """A cluster whose outposts are of this process; a file `lose` is of one that is lost."""

    name, waits_for = "near", "a place"

    def __init__(self) -> None:
        self.lost = False
        self.outpost_: Outpost | None = None

    def outpost(self, request: Request, root: str, name: str) -> Any:
        self.outpost_ = Outpost(root, name)
        return self

    def __getattr__(self, method: str) -> Any:
        lose = get_settings().home / "lose"
        if self.lost or lose.exists():
            lose.unlink(missing_ok=True)
            assert self.outpost_
            self.outpost_.close()
            raise Lost(Gone("It is lost.", again=True))
        return getattr(self.outpost_, method)

    def end(self) -> None:
        assert self.outpost_
        self.outpost_.close()


def begin_apart(job: Job, task: Task) -> dict[str, Any]:
    (get_settings().home / "data").write_text("123")
    return begin(job, task) | {"go": str(get_settings().home / "go")}


def work_apart(context: Context, task: Task, told: dict[str, Any]) -> dict[str, Any]:
    """As `work`; its epochs are in its run's folder, what it is told in a file of its own machine."""
    home = get_settings().home
    print(f"The data: {(home / 'data').read_text()}", flush=True)
    epochs = home / EPOCHS
    write_text(epochs, (epochs.read_text() if epochs.exists() else "") + ".")
    while not Path(told["go"]).exists():
        context.report(Done(fraction=0.5, resumed=told["resumed"]), run_id="r1")
        context.stop_if_asked()
        time.sleep(0.05)
    return {"threads": os.environ["MDAF_THREADS"]}


def done_apart(told: dict[str, Any]) -> int:
    epochs = get_settings().home / EPOCHS
    return epochs.stat().st_size if epochs.exists() else 0


def carried_apart(task: Task, told: dict[str, Any]) -> Carried:
    return Carried({"data": hashlib.sha256(b"123").hexdigest()}, ("runs/r1",))


def here(context: Context, task: Task) -> None:
    raise AssertionError("It is to run elsewhere.")


AWAY: Kind[Task] = Kind("away", Task, Done, here, elsewhere=Elsewhere(memory, begin, work, carried, done, conclude))
APART: Kind[Task] = Kind(
    "apart", Task, Done, here, elsewhere=Elsewhere(memory, begin_apart, work_apart, carried_apart, done_apart, conclude)
)

if __name__ == "__main__":
    from mdaf_core.queue.elsewhere import node

    node.die_with_holder()
    os._exit(node.work(Path(sys.argv[1]), {"away": AWAY, "apart": APART}))
