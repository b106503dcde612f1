"""Telling the queue and the run store how a job stands never ends it; what could not be told is told later."""

from __future__ import annotations

import contextlib
import errno
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from mdaf_core.base import files
from mdaf_core.base.errors import StudioError
from mdaf_core.queue import context as context_module
from mdaf_core.queue import store, turns, worker
from mdaf_core.queue.context import Context
from mdaf_core.queue.database import QueueError, transaction
from mdaf_core.queue.kind import Stage
from mdaf_core.queue.supervisor import SETTLE_FAILURES, Supervisor
from mdaf_core.runs import tracking
from mdaf_core.runs.presets import get_preset
from mdaf_core.runs.tracking import connection
from mdaf_core.tasks.kinds import KINDS
from mdaf_core.training import fit

QUICK = get_preset("lr").with_overrides({"training.max_epochs": 3, "training.patience": 3})


@contextlib.contextmanager
def locked(path: Path) -> Iterator[sqlite3.Connection]:
    """The database as another program holds it that lets nobody in."""
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("PRAGMA locking_mode = EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")
    try:
        yield holder
    finally:
        holder.close()


def pauses_are(monkeypatch: pytest.MonkeyPatch, pause: Callable[[float], object]) -> None:
    """Let patience do this instead of sleeping."""
    monkeypatch.setattr(files, "time", SimpleNamespace(sleep=pause, monotonic=time.monotonic))


def running_job() -> store.Job:
    (job_id,) = store.add([store.NewJob("train", "one", {}, key="s/lr/1", resumable=True)])
    job = turns.claim(1)
    found = turns.confirm(job_id, job.token, 1)
    assert found is not None
    return found


def test_a_locked_queue_costs_progress_and_nothing_else(home: Path, monkeypatch: pytest.MonkeyPatch, capfd) -> None:
    monkeypatch.setattr(context_module, "BUSY_SECONDS", 0.01)
    monkeypatch.setattr(context_module, "LET_BE_SECONDS", 0.0)
    monkeypatch.setattr(context_module, "REPORT_EVERY", 0.0)
    monkeypatch.setattr(context_module, "ASK_EVERY", 0.0)
    job = running_job()
    context = Context(job)
    with locked(store.queue_path()):
        for step in range(3):
            context.report(Stage(fraction=step / 3), run_id="r")
            assert not context.should_stop()
    assert capfd.readouterr().err.count("is locked by another program. The job goes on") == 1
    context.flush()
    assert store.get_job(job.id).progress == {"fraction": 2 / 3, "message": ""}
    assert store.get_job(job.id).run_id == "r"
    store.cancel(job.id)
    assert context.should_stop()


def test_the_end_of_a_job_waits_for_a_locked_queue(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = running_job()
    pauses: list[float] = []
    monkeypatch.setattr(turns, "transaction", lambda **options: transaction(**{**options, "timeout": 0.01}))
    with locked(store.queue_path()) as holder:

        def pause(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 3:
                holder.close()

        pauses_are(monkeypatch, pause)
        files.with_patience(lambda: turns.end(job, "finished"))
    assert pauses == [0.5, 1.0, 2.0]
    assert store.get_job(job.id).state == "finished"


def test_a_training_outlasts_a_locked_run_store_and_tells_it_everything_at_the_end(
    tiny, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "BUSY_SECONDS", 0.01)
    with contextlib.ExitStack() as held:

        def lock(epochs: list) -> None:
            if len(epochs) == 1:
                held.enter_context(locked(home / "mlflow.db"))

        waited: list[float] = []
        pauses_are(monkeypatch, lambda seconds: (waited.append(seconds), held.close()))
        result = fit.train(QUICK, tiny, 1, on_epoch=lock)
    assert waited, "the end did not find the store locked"
    assert len(result.epochs) == 3
    (run,) = tracking.list_runs()
    assert (run.state, run.result) == ("finished", result)
    history = connection.client().get_metric_history(run.run_id, "val_loss")
    assert sorted((m.step, m.value) for m in history) == [(e.epoch, e.val_loss) for e in result.epochs]


def test_a_disk_that_is_full_for_a_while_costs_a_checkpoint_and_nothing_else(
    tiny, home: Path, monkeypatch: pytest.MonkeyPatch, capfd
) -> None:
    expected = fit.train(QUICK, tiny, 1)
    full = True
    write = files.write_bytes

    def writes(path: Path, content: bytes) -> None:
        if full and path.parent.name == "artifacts" and path.name in ("epochs.json", "result.json"):
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write(path, content)

    save = torch.save

    def saves(state: object, path: Path) -> None:
        Path(path).write_bytes(b"half")
        if full:
            raise RuntimeError("[enforce fail at inline_container.cc] . No space left on device")
        save(state, path)

    def freed(_: float) -> None:
        nonlocal full
        full = False

    monkeypatch.setattr(files, "write_bytes", writes)
    monkeypatch.setattr(torch, "save", saves)
    pauses_are(monkeypatch, freed)
    seen: list[list[str]] = []
    result = fit.train(QUICK, tiny, 1, on_epoch=lambda _: seen.append([p.name for p in home.rglob("*checkpoint*")]))
    assert seen == [[], [], []], "no half checkpoint is left"
    assert "is full: result.json could not be written" in capfd.readouterr().err
    timing = {"seconds", "rows_per_second"}
    assert [e.model_dump(exclude=timing) for e in result.epochs] == [
        e.model_dump(exclude=timing) for e in expected.epochs
    ]
    assert {run.state for run in tracking.list_runs()} == {"finished"}


def test_a_full_disk_is_called_that_and_no_want_of_memory(home: Path) -> None:
    error = OSError(errno.ENOSPC, "No space left on device", str(home / "runs" / "x" / "weights.safetensors"))
    assert "is full: weights.safetensors could not be written" in worker.describe(error)
    for other in (RuntimeError("PytorchStreamWriter failed: No space left on device"), sqlite3.OperationalError("x")):
        assert "memory" not in worker.describe(other)
    with pytest.raises(StudioError, match="is full"), files.writing(home / "a"):
        raise RuntimeError("I/O error: No space left on device (os error 28)")


def test_a_job_queued_again_on_a_store_that_cannot_be_used_fails_with_the_sentence(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its earlier run cannot be closed: it is tried a few times, less and less often, then the job says why."""
    job = running_job()
    turns.report(job, "{}", "r" * 32)
    turns.end(job, "failed", "Killed.")
    store.requeue(job.id, resume=True)
    (home / "mlflow.db").write_bytes(b"no database" * 1000)
    connection._cached_client.cache_clear()

    class FakeLauncher:
        ready, sent = True, 0

        def send(self, **command: object) -> bool:
            self.sent += 1
            assert command == {"do": "settle", "job": job.id}
            self.status = worker.settle_locked(job.id, KINDS)
            return True

    supervisor = Supervisor(("true",))
    supervisor.launcher = launcher = FakeLauncher()  # type: ignore[assignment]
    clock = 1000.0
    monkeypatch.setattr("mdaf_core.queue.supervisor.time.monotonic", lambda: clock)
    for _ in range(60):
        before = launcher.sent
        jobs, unsettled = store.work()
        supervisor._settle(unsettled, {j.id for j in jobs})
        if launcher.sent > before:
            assert launcher.status == 1
            supervisor.failures[job.id] = supervisor.failures.get(job.id, 0) + 1
        clock += 1
    found = store.get_job(job.id)
    assert found.state == "failed"
    assert "mlflow.db" in found.reason and "store rebuild" in found.reason
    assert SETTLE_FAILURES <= launcher.sent <= 8, "it is not tried again without end"
    supervisor.launcher = None


def test_what_the_queue_refuses_is_a_sentence(home: Path) -> None:
    path = store.queue_path()
    path.parent.mkdir(parents=True)
    for content in (b"", b"no database" * 500):
        path.write_bytes(content)
        with pytest.raises(QueueError, match=r"queue\.db cannot be used.*a new one is begun"):
            store.list_jobs()
    path.unlink()
    path.mkdir()
    with pytest.raises(QueueError, match="cannot be used"):
        store.list_jobs()
