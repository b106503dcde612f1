"""The documentation's plug-in, outside the package: launched, trained by workers, compared, asked, exported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from typer.testing import CliRunner

from mdaf_core import plugins
from mdaf_core.base.locks import try_lock
from mdaf_core.cli.main import app as commands
from mdaf_core.plugins import kept
from mdaf_core.queue import api, store, turns
from mdaf_core.queue.supervisor import supervisor_lock_path
from mdaf_core.runs import tracking
from mdaf_core.runs.presets import get_preset
from mdaf_core.studies import launch, trainings
from tests.plugins.example import ROOT, SOURCE, name, page

QUICK = {"training.max_epochs": 1, "training.warmup_epochs": 0, "training.batch_size": 256}
FAILING = SOURCE.replace("batch.equal_TH.float()", "batch.equal_TH @ batch.equal_TH")


LAUNCHER = (
    "from mdaf_core.queue import launcher; from mdaf_core.tasks.kinds import KINDS; "
    "launcher.main(KINDS, ['mdaf_core.training.fit', 'mdaf_core.tasks.summaries'])"
)


@pytest.fixture
def workers(few, monkeypatch) -> Iterator[Callable[[], None]]:
    """Does all queued jobs, by workers of a launcher that knows of no plug-in; nobody else serves the queue."""
    monkeypatch.setenv("MDAF_THREADS", "1")
    monkeypatch.delenv(plugins.VARIABLE, raising=False)
    supervisor_lock_path().parent.mkdir(parents=True, exist_ok=True)
    lock = try_lock(supervisor_lock_path())
    assert lock is not None
    launcher = subprocess.Popen(
        [sys.executable, "-c", LAUNCHER], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert launcher.stdin and launcher.stdout
    assert json.loads(launcher.stdout.readline())["event"] == "ready"

    def work() -> None:
        while (job := turns.claim(1)) is not None:
            launcher.stdin.write(json.dumps({"do": "run", "job": job.id, "token": job.token}) + "\n")
            launcher.stdin.flush()
            assert json.loads(launcher.stdout.readline())["job"] == job.id

    yield work
    launcher.stdin.write('{"do": "leave"}\n')
    launcher.stdin.close()
    launcher.wait()
    os.close(lock)


@pytest.mark.slow
def test_a_study_of_a_plugin_from_queue_to_export(workers, tmp_path, monkeypatch):
    file = name(tmp_path / "my_models.py", monkeypatch)

    small = {"model.fusion_dim": 8, "model.gate_hidden": 4, "model.sequential.item_dim": 8}
    gated = get_preset("share-gated").with_overrides(QUICK | small)
    configs = [gated, *(get_preset(n).with_overrides(QUICK) for n in ("share", "lr"))]
    study = launch.run_configurations(
        definition="own", dataset="few", configs=configs, seeds=[1], reference="share-gated"
    )
    workers()
    jobs = trainings.of_study(study.id)
    assert {job.state for job in jobs.values()} == {"finished"}, [job.reason for job in jobs.values()]
    runs = {run.configuration: run for run in tracking.list_runs(study.id)}
    (entry,) = kept.kept_in(runs["share"].directory)
    assert (runs["share"].directory / "plugins" / entry.source).read_text() == SOURCE
    assert runs["share"].result.provenance["plugins"] == [entry.model_dump()]
    assert "plugins" not in runs["lr"].result.provenance and not kept.kept_in(runs["lr"].directory)

    shown = page("gates", study=study.id, run=runs["share-gated"].run_id)
    assert any(m.label == "AUC as learned" for m in shown.metric)
    assert not page("compare", study=study.id).warning

    compared = CliRunner().invoke(commands, ["compare", study.id, "--json"])
    assert {"share", "lr"} <= set(json.dumps(json.loads(compared.stdout)).replace('"', " ").split())
    out = tmp_path / "paper"
    exported = CliRunner().invoke(commands, ["export", study.id, "--out", str(out)])
    assert exported.exit_code == 0, exported.output
    assert any("share-gated" in path.read_text("utf-8", errors="ignore") for path in out.rglob("*.tex"))

    file.write_text(FAILING, "utf-8")  # workers are forked from a process that has seen nothing of it
    broken = trainings.training_job("broken", get_preset("share").with_overrides(QUICK), "few", 1)
    api.submit([broken])
    workers()
    (job,) = store.list_jobs(states=["failed"])
    line = FAILING[: FAILING.index("batch.equal_TH @")].count("\n") + 1
    assert f"{file}, line {line} (in pool): RuntimeError" in job.reason
    assert any("Traceback" in line for line in api.log_tail(job.id))
    assert job.reason in [run.reason for run in tracking.list_runs("broken")]

    monkeypatch.delenv(plugins.VARIABLE)  # results stay readable without it
    assert not page("compare", study=study.id).exception
    again = page("gates", study=study.id, run=runs["share-gated"].run_id)
    assert any(m.label == "AUC as learned" for m in again.metric)
