"""What a training does on another machine, and what is done of it here, in one process."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from hashlib import sha256

import pytest

from mdaf_core.base.process import environment
from mdaf_core.base.settings import UNTOLD
from mdaf_core.queue import api, store, turns
from mdaf_core.queue.context import Context
from mdaf_core.queue.elsewhere.apart import Apart
from mdaf_core.queue.elsewhere.steward import Steward
from mdaf_core.runs import tracking
from mdaf_core.runs.presets import get_preset
from mdaf_core.studies import estimate, trainings
from mdaf_core.tasks import train
from tests.plugins.example import name
from tests.queue.fake_node import Near

CONFIG = get_preset("lr").with_overrides({"training.max_epochs": 3, "training.patience": 3})


class Interrupted(Exception):
    """Its machine is lost."""


def test_a_training_elsewhere_goes_on_and_equals_one_here_bit_for_bit(tiny, monkeypatch):
    jobs = [trainings.training_job(study, CONFIG, "tiny", 1, {"acknowledged": ["x"]}) for study in ("here", "away")]
    store.add(jobs)
    job = turns.confirm(1, turns.claim(1).token, 7)
    training = trainings.Training.model_validate(job.payload)
    train.KIND.run(Context(job), training)
    here = tracking.list_runs("here")[0].result
    assert store.get_job(1).run_id == here.run_id
    job = store.get_job(2)
    how = train.KIND.elsewhere
    needed = how.memory(training)
    assert needed > estimate.PROCESS_BYTES
    with monkeypatch.context() as counted:  # once: a study's other seeds, and the pages, find it
        counted.setattr(estimate, "count", None)
        assert how.memory(training) == needed
        assert estimate.known_costs([CONFIG], tiny)[0] is not None

    def lose(line: str) -> str:
        raise Interrupted

    told = how.begin(job, training)
    assert [run.state for run in tracking.list_runs("away")] == ["running"] and how.done(told) == 0
    with monkeypatch.context() as node:
        node.setenv("MLFLOW_TRACKING_URI", UNTOLD)
        node.setattr(train, "epoch_line", lose)
        with pytest.raises(Interrupted):  # after its first epoch; a file of the run says failed, nobody was told
            how.work(Context(job), training, told)
        assert not tracking.list_runs("away")
    assert [run.state for run in tracking.list_runs("away")] == ["running"] and how.done(told) == 1

    job = replace(job, resume=True, run_id=told["run_id"])
    again = how.begin(job, training)
    assert again["run_id"] == told["run_id"]
    with monkeypatch.context() as node:
        node.setenv("MLFLOW_TRACKING_URI", UNTOLD)
        ended = how.work(Context(job), training, again)
    how.conclude(job, training, again, ended)
    (run,) = tracking.list_runs("away")
    assert run.state == "finished" and how.done(again) == 3
    timing = {"seconds", "rows_per_second"}
    assert [e.model_dump(exclude=timing) for e in run.result.epochs] == [
        e.model_dump(exclude=timing) for e in here.epochs
    ]
    assert (run.result.val, run.result.test) == (here.val, here.test)
    assert run.result.provenance["job"] == 2 and run.result.provenance["acknowledged"] == ["x"]


@pytest.mark.slow
def test_a_training_that_shares_no_folder_equals_one_here_bit_for_bit(tiny, home, tmp_path, monkeypatch):
    plugin = name(tmp_path / "my.py", monkeypatch)
    config = get_preset("share").with_overrides({"training.max_epochs": 2})
    api.submit([trainings.training_job(study, config, "tiny", 1) for study in ("here", "apart")], serve=False)
    monkeypatch.setenv("MDAF_THREADS", "1")
    job = turns.confirm(1, turns.claim(1).token, 7)
    train.KIND.run(Context(job), trainings.Training.model_validate(job.payload))
    turns.end(job, "finished", "")
    here = tracking.list_runs("here")[0]
    monkeypatch.setenv("MDAF_EXECUTOR", "ray")
    monkeypatch.setenv("MDAF_NODE_HOME", str(tmp_path / "node"))
    job = turns.claim(1)
    training = trainings.Training.model_validate(job.payload)
    carried = train.KIND.elsewhere.carried(training, {"run_id": "r"})
    files = {path.relative_to(home).as_posix(): path for path in tiny.path.rglob("*") if path.is_file()}
    assert carried.read == {one: sha256(path.read_bytes()).hexdigest() for one, path in files.items()}

    steward = Steward(job, train.KIND, training, "mdaf_core.tasks.node", Apart(Near(), tmp_path / "node"))
    assert steward.place()
    steward.run(Context(turns.confirm(2, job.token, 7, steward.machine)))
    steward.leave()
    (run,) = tracking.list_runs("apart")
    assert run.state == "finished"
    assert (run.result.val, run.result.test) == (here.result.val, here.result.test)
    for part in ("weights.safetensors", "predictions/test.parquet", "predictions/val.parquet", "plugins/plugins.json"):
        there, mine = (tracking.run_directory(one.run_id) / part for one in (run, here))
        assert there.read_bytes() == mine.read_bytes()
    assert [one["file"] for one in run.result.provenance["plugins"]] == [str(plugin)]
    names = [sorted(p.name for p in tracking.run_directory(one.run_id).rglob("*")) for one in (run, here)]
    assert names[0] == names[1]
    assert not list((tmp_path / "node" / "attempts").iterdir())


def test_a_process_whose_job_was_taken_back_leaves(home):
    command = [sys.executable, "-P", "-m", "mdaf_core.tasks.node", str(home / "gone")]
    ended = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    assert ended.returncode == 1 and "taken back" in ended.stderr
    assert not (home / "gone").exists()
