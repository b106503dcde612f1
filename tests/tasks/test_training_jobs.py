"""Real trainings through the queue: killed, resumed, cancelled; and what the run store says of them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from mdaf_core.base.errors import BadInputError
from mdaf_core.base.settings import get_settings
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.queue import api, store
from mdaf_core.queue.job import ENDED
from mdaf_core.runs import tracking
from mdaf_core.runs.presets import get_preset
from mdaf_core.studies import trainings
from mdaf_core.tasks import prepare
from tests.waiting import traces, wait_until

# Small steps make epochs long enough to be hit in the middle of.
CONFIG = get_preset("lr").with_overrides({"training.batch_size": 8, "training.max_epochs": 4, "training.patience": 4})


def wait_for(condition: Callable[[], object]) -> None:
    wait_until(condition, traces(get_settings().home))


def in_epoch(job_id: int, epoch: int) -> bool:
    job = store.get_job(job_id)
    assert job.state in store.ACTIVE, job
    return job.progress.get("epoch", 0) >= epoch and job.progress.get("step", 0) > 0


def ended(job_id: int) -> bool:
    return store.get_job(job_id).state in ENDED


def submit(*training: object) -> int:
    return api.submit([trainings.training_job(*training)])[0]  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def supervised(tmp_path_factory):
    """An artifacts folder with `tiny`, served by the program's own supervisor."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MDAF_HOME", str(tmp_path_factory.mktemp("artifacts")))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setenv("MDAF_THREADS", "1")
        (job_id,) = api.submit([prepare.job("synthetic", None, "tiny", {"size": "tiny"})])
        wait_for(lambda: ended(job_id))
        assert store.get_job(job_id).state == "finished", store.get_job(job_id).reason
        yield get_settings().home
        for job in store.list_jobs(states=["running"]):
            if job.pid:
                os.killpg(job.pid, signal.SIGKILL)
        for child in api._children:
            child.terminate()
            child.wait()


@pytest.fixture
def served(supervised, monkeypatch, processes):
    monkeypatch.setenv("MDAF_HOME", str(supervised))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("MDAF_THREADS", "1")


@pytest.mark.slow
def test_killed_resumed_cancelled(served):
    assert PreparedDataset.open("tiny").meta.splits["train"].rows > 0
    whole = submit("whole", CONFIG, "tiny", 1, {"acknowledged": ["x"]})
    broken = submit("broken", CONFIG, "tiny", 1)
    wait_for(lambda: ended(whole))
    assert store.get_job(whole).state == "finished", store.get_job(whole).reason
    expected = tracking.list_runs("whole")[0].result
    assert expected.provenance["job"] == whole and expected.provenance["acknowledged"] == ["x"]

    wait_for(lambda: in_epoch(broken, 2))
    os.kill(store.get_job(broken).pid, signal.SIGKILL)
    wait_for(lambda: ended(broken))
    assert "signal 9" in store.get_job(broken).reason
    wait_for(lambda: not store.work()[1])
    (run,) = tracking.list_runs("broken")
    assert (run.state, run.run_id) == ("failed", store.get_job(broken).run_id)
    assert "signal 9" in run.reason
    assert len(run.epochs) >= 1

    api.resume(broken)
    wait_for(lambda: ended(broken))
    assert store.get_job(broken).state == "finished", store.get_job(broken).reason
    (run,) = tracking.list_runs("broken")
    assert run.state == "finished"
    timing = {"seconds", "rows_per_second"}
    assert [e.model_dump(exclude=timing) for e in run.result.epochs] == [
        e.model_dump(exclude=timing) for e in expected.epochs
    ]
    assert (run.result.val, run.result.test) == (expected.val, expected.test)

    stopped = submit("stopped", CONFIG, "tiny", 1)
    wait_for(lambda: in_epoch(stopped, 2))
    api.cancel(stopped)
    wait_for(lambda: ended(stopped))
    wait_for(lambda: not store.work()[1])
    (run,) = tracking.list_runs("stopped")
    assert (store.get_job(stopped).state, run.state) == ("cancelled", "cancelled")
    assert len(run.epochs) >= 1
    api.retry(stopped)
    wait_for(lambda: ended(stopped))
    states = sorted(run.state for run in tracking.list_runs("stopped"))
    assert states == ["cancelled", "finished"]


@pytest.mark.slow
def test_a_worker_that_dies_after_its_run_finished_has_finished(served):
    """The last words of a run and of its job are two: between them, the run's count."""
    job_id = submit("late", CONFIG.with_overrides({"training.max_epochs": 1}), "tiny", 1)
    wait_for(lambda: any(run.state == "finished" for run in tracking.list_runs("late")) or ended(job_id))
    wait_for(lambda: ended(job_id))
    with store.transaction() as db:  # as if the worker had been killed just before it could say so
        db.execute("UPDATE jobs SET state = 'running', token = 't', slot = 0, ended = NULL WHERE id = ?", (job_id,))
    api.list_jobs()
    wait_for(lambda: ended(job_id) and not store.work()[1])
    assert (store.get_job(job_id).state, store.get_job(job_id).reason) == ("finished", "")


@pytest.mark.slow
def test_a_configuration_that_cannot_be_trained_fails_with_the_sentence(served):
    job_id = submit("absent", CONFIG, "nowhere", 1)
    wait_for(lambda: ended(job_id))
    assert "no prepared data set 'nowhere'" in store.get_job(job_id).reason


def test_a_path_that_is_not_there_is_refused_before_the_queue(home: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="nothing at this path"):
        prepare.submit("movielens", tmp_path / "ml-100k")
    assert api.list_jobs() == []
