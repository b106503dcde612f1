"""A training computes on the threads it was given, first and second time in a process and in the queue alike."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TRAIN = """
import json, time
import torch
import mdaf_core.tasks
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.queue import api, store
from mdaf_core.queue.job import ENDED
from mdaf_core.runs import tracking
from mdaf_core.runs.presets import get_preset
from mdaf_core.studies.trainings import training_job
from mdaf_core.training.fit import train

def seen(result):
    timing = {"seconds", "rows_per_second"}
    facts = result.provenance
    return {
        "epochs": [e.model_dump(exclude=timing) for e in result.epochs],
        "metrics": [result.val.model_dump(), result.test.model_dump()],
        "threads": [facts["threads"], facts["threads_of_kernels"], facts["threads_at_end"]],
    }

config = get_preset("mdaf-full").with_overrides(
    {"training.max_epochs": 1, "training.warmup_epochs": 0, "training.batch_size": 64, "training.max_history": 8,
     "model.sequential.blocks": 1}
)
dataset = PreparedDataset.open("few")
out = []
for _ in range(2):
    out.append(seen(train(config, dataset, 7)) | {"torch after": torch.get_num_threads()})
(job,) = api.submit([training_job("queued", config, "few", 7)])
while store.get_job(job).state not in ENDED:
    time.sleep(0.1)
assert store.get_job(job).state == "finished", store.get_job(job).reason
out.append(seen(tracking.list_runs("queued")[0].result))
print(json.dumps(out))
for child in api._children:
    child.terminate()
    child.wait()
"""


def python(code: str, **environment: str) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "MKL_", "NUMBA_"))}
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=clean | environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_the_first_kernel_leaves_torch_its_threads() -> None:
    code = """
import torch
from mdaf_core.ops import kernels
torch.set_num_threads(1)
kernels.use_torch_threads()
first = torch.get_num_threads()
print(first, kernels.threads_in_use(), kernels.set_threads(2), kernels.set_threads(1))
"""
    found = python(code, NUMBA_NUM_THREADS="4").strip()
    two, one = {"torch": 2, "numba": 2}, {"torch": 1, "numba": 1}
    assert found == f"1 {one} {two} {one}"


def test_twice_in_the_foreground_and_in_the_queue(few) -> None:  # type: ignore[no-untyped-def]
    home = str(few.path.parents[1])
    first, second, queued = json.loads(python(TRAIN, MDAF_HOME=home, MDAF_THREADS="1").splitlines()[-1])
    assert first["torch after"] == second["torch after"] == 1
    for run in (first, second, queued):
        assert run["threads"] == [1, 1, {"torch": 1, "numba": 1}]
    for what in ("epochs", "metrics"):
        assert first[what] == second[what] == queued[what]
