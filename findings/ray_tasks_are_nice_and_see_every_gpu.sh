#!/usr/bin/env bash
# ray 2.60.0, tasks.
#
# 1. One would guess that a task runs at the priority of the node that runs it. Seen: its process is 15 nicer
#    (RAY_worker_niceness), so that beside other work on the machine it gets a small part of a core it asked for.
# 2. A task that asks for no GPU: one would guess that it sees none (CUDA_VISIBLE_DEVICES empty), as in earlier versions.
#    Seen: the variable stays as the node has it, so the task sees all of the node's GPUs.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check ray==2.60.0
CUDA_VISIBLE_DEVICES=0,1 RAY_USAGE_STATS_ENABLED=0 "$folder/venv/bin/python" - <<'PYTHON'
import logging
import os

import ray

ray.init(address="local", num_cpus=1, num_gpus=2, include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False)


@ray.remote(num_cpus=1, num_gpus=0)
def look() -> tuple[int, str | None]:
    return os.nice(0), os.environ.get("CUDA_VISIBLE_DEVICES")


nice, gpus = ray.get(look.remote())
print("ray", ray.__version__)
print("niceness of the driver and of the task:", os.nice(0), nice)
print("CUDA_VISIBLE_DEVICES of a task with num_gpus=0:", gpus)
assert nice == min(19, os.nice(0) + 15), nice
assert gpus == "0,1", gpus
PYTHON
