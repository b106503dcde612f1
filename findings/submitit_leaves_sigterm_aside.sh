#!/usr/bin/env bash
# submitit 1.5.4.
#
# 1. What ends a process, and so a job, is SIGTERM: `scancel`, a container or a shell that stops. One would guess that a
#    function that was submitted ends with it, as Python does. Seen: the process notes "Bypassing signal SIGTERM" and goes
#    on; after `scancel` SLURM's KillWait (30 s) passes before the job is gone.
# 2. Without a time limit one would guess the partition's. Seen: the batch script asks for 5 minutes (`#SBATCH --time=5`).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check submitit==1.5.4
mkdir "$folder/bin"
printf '#!/bin/sh\necho "Submitted batch job 7"\n' >"$folder/bin/sbatch" # stands for SLURM's: the script is what counts
cp "$folder/bin/sbatch" "$folder/bin/srun"
chmod +x "$folder/bin/sbatch" "$folder/bin/srun"
cd "$folder"
PATH="$folder/bin:$PATH" "$folder/venv/bin/python" - <<'PYTHON'
import os
import signal
import time
from pathlib import Path

import submitit

print("submitit", submitit.__version__)


def sleeps(path: str) -> str:
    Path(path).write_text(str(os.getpid()))
    time.sleep(5)
    return "went on to its end"


executor = submitit.LocalExecutor(folder="local")
executor.update_parameters(timeout_min=1)
job = executor.submit(sleeps, str(Path("pid").resolve()))
while not (Path("pid").exists() and Path("pid").read_text()):
    time.sleep(0.1)
os.kill(int(Path("pid").read_text()), signal.SIGTERM)
print("after SIGTERM:", job.result())
assert job.result() == "went on to its end"

slurm = submitit.SlurmExecutor(folder="slurm")
script = slurm.submit(sleeps, "x").paths.submission_file.read_text()
limits = [line for line in script.splitlines() if "--time" in line]
print("no time limit given:", limits)
assert limits == ["#SBATCH --time=5"], limits
PYTHON
