"""A process as a SLURM job, through submitit.

submitit asks `sacct` how a job stands, which clusters without accounting do not have; `scontrol` tells everywhere. What
submitit starts leaves SIGTERM aside, so that `scancel` ends it only after KillWait (30 s): `hold` listens to it. At its
time limit, or where another job takes its machine, SLURM puts the same job back into its queue, and it goes on.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from mdaf_core.base.errors import StudioError
from mdaf_core.base.settings import get_settings
from mdaf_core.queue.elsewhere.executor import Gone, Request, Waiting, missing
from mdaf_core.queue.elsewhere.hold import hold

USUAL_MINUTES = 60
"""Time limit where `MDAF_SLURM` sets none (submitit's own is 5): a job that reaches it goes on after its last epoch."""
NOTICE = 10
"""Seconds before the limit at which it is told to make room, which takes no longer: nothing is computed to its end.
SLURM looks every 30 s and tells it up to a minute earlier: of a limit of few minutes more would leave little."""
LOOK_EVERY, END_WITHIN = 3.0, 5.0
_WAITS = ("PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT")
_AT_WORK = ("CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "RESIZING", "SIGNALING", "STAGE_OUT", "STOPPED")
_AGAIN = {
    "TIMEOUT": "Its time limit was reached",
    "PREEMPTED": "SLURM gave its machine to another job",
    "NODE_FAIL": "Its machine was lost",
    "BOOT_FAIL": "Its machine did not start",
}
_ENDED = {
    "CANCELLED": "It was cancelled in SLURM",
    "OUT_OF_MEMORY": "SLURM ended it, because memory ran out: ask for more with MDAF_JOB_MEMORY",
    "DEADLINE": "SLURM ended it at its deadline",
}


class Held:
    """`hold`, as submitit takes it: it may be put back into SLURM's queue and is called again then."""

    def __init__(self, request: Request):
        self.request = request

    def __call__(self) -> None:
        hold(self.request.module, self.request.folder, self.request.environment)

    def checkpoint(self) -> Any:
        """Called at the time limit: what is finished is on disk, as after any death."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


class Slurm:
    """See `executor.Executor`."""

    name = "slurm"
    waits_for = "a machine of SLURM's"

    def __init__(self) -> None:
        try:
            import submitit
        except ImportError:
            raise missing("submitit", self.name) from None
        if shutil.which("sbatch") is None or shutil.which("srun") is None:
            raise StudioError("MDAF_EXECUTOR=slurm needs SLURM's sbatch and srun on this machine: use a login node.")
        self._submitit = submitit
        self._id, self._looked = "", 0.0
        self._stands: Gone | Waiting | None = None

    def start(self, request: Request) -> str:
        """See `Executor.start`."""
        options, minutes = sbatch_options(get_settings().slurm)
        executor = self._submitit.SlurmExecutor(Path(request.folder) / "submitit", max_num_timeout=1_000_000)
        try:
            executor.update_parameters(
                job_name=request.name,
                time=minutes,
                cpus_per_task=request.cores,
                gpus_per_node=request.gpus or None,
                mem=f"{max(1, request.memory // 2**20)}M",
                signal_delay_s=NOTICE,
                additional_parameters={"requeue": True, **options},
            )
            self._id = str(executor.submit(Held(request)).job_id)
        except Exception as error:  # submitit's own, of sbatch's words
            raise StudioError(f"SLURM did not take the job: {' '.join(str(error).split())[:400]}") from error
        self._stands = None
        return self._id

    def look(self) -> Gone | Waiting | None:
        """See `Executor.look`. SLURM is asked every few seconds."""
        if not self._id:
            return Gone("Nothing was started.")
        if not isinstance(self._stands, Gone) and time.monotonic() - self._looked >= LOOK_EVERY:
            self._looked = time.monotonic()
            self._stands = _stands(_shown(self._id))
        return self._stands

    def end(self) -> None:
        """See `Executor.end`."""
        if self._id:
            self.end_of(self._id)

    def end_of(self, handle: str) -> None:
        """See `Executor.end_of`."""
        _ask("scancel", handle)
        deadline = time.monotonic() + END_WITHIN
        while time.monotonic() < deadline and not isinstance(_stands(_shown(handle)), Gone):
            time.sleep(0.3)


def sbatch_options(text: str) -> tuple[dict[str, str], int]:
    """Options of sbatch as `MDAF_SLURM` holds them, and the minutes of the time limit.

    Raises:
        StudioError: they cannot be read.
    """
    options: dict[str, str] = {}
    for part in shlex.split(text):
        name, sign, value = part.removeprefix("--").partition("=")
        if not sign or not re.fullmatch(r"[a-z][a-z-]*", name):
            raise StudioError(
                f"MDAF_SLURM: {part!r} is no option of sbatch; write `partition=gpu time=120 account=ctr`."
            )
        options[name] = value
    minutes = options.pop("time", str(USUAL_MINUTES))
    if not minutes.isdigit() or int(minutes) < 1:
        raise StudioError(f"MDAF_SLURM: the time limit is a number of minutes, such as time=120; it is {minutes!r}.")
    return options, int(minutes)


def _ask(*command: str) -> str:
    """What a command of SLURM's says; nothing where it fails (its controller may be away for a while)."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _shown(job: str) -> dict[str, str]:
    """A job as `scontrol` shows it; empty where it cannot be asked, or has forgotten it."""
    return dict(re.findall(r"(\w+)=(\S*)", _ask("scontrol", "show", "job", "--oneliner", job)))


def _stands(shown: dict[str, str]) -> Gone | Waiting | None:
    state = shown.get("JobState", "")
    if not state or state in _AT_WORK:
        return None
    if state in _WAITS:
        return Waiting()
    if state in _AGAIN:
        return Gone(f"{_AGAIN[state]} ({state} in SLURM).", again=True)
    if state in _ENDED:
        return Gone(f"{_ENDED[state]}.")
    return Gone(f"It ended in SLURM as {state}, exit code {shown.get('ExitCode', 'unknown')}.")
