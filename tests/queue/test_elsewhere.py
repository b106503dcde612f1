"""Jobs on other machines: real supervisor, stewards and processes; the executor's machine is this one."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from mdaf_core.base.errors import StudioError
from mdaf_core.queue import api, slots, store, turns
from mdaf_core.queue.elsewhere import node, ray_cluster, slurm
from mdaf_core.queue.elsewhere.executor import Gone, Waiting
from mdaf_core.queue.elsewhere.folder import Attempt, of_job
from mdaf_core.queue.elsewhere.steward import executor


@pytest.fixture
def away(queue, monkeypatch):
    """The queue, whose jobs of the kind `away` run elsewhere, two at once, when there is a place."""
    monkeypatch.setenv("MDAF_EXECUTOR", "ray")
    monkeypatch.setenv("MDAF_SLOTS", "2")
    monkeypatch.setenv("MDAF_THREADS", "3")
    monkeypatch.setenv("RAY_ADDRESS", "nowhere:1")
    return queue


def give_place(queue) -> None:
    (queue.home / "place").touch()


def pid_elsewhere(job_id: int) -> int:
    (attempt,) = of_job(job_id)
    return int((attempt.read("begun") or {})["pid"])


def begins(queue, job_id: int) -> int:
    return [(a[0], int(a[1])) for a in queue.attempts()].count(("begin", job_id))


@pytest.mark.slow
def test_a_job_elsewhere_is_queued_until_it_begins_and_survives_what_is_not_its_fault(away):
    job_id, cancelled, local = api.submit([away.new("away", resumable=True), away.new("away"), away.new("sleep")])
    away.wait_until(lambda: len(of_job(job_id)) == len(of_job(cancelled)) == 1 and away.ended(local))
    assert (away.state(job_id), away.state(local)) == ("queued", "finished"), "others do not wait for its place"
    assert api.cancel(cancelled).state == "cancelled"
    away.wait_until(lambda: not of_job(cancelled))
    (away.home / "lose").touch()
    away.wait_until(lambda: "waits again for a place" in "\n".join(api.log_tail(job_id)))
    assert away.state(job_id) == "queued", "a machine that is lost before it begins is no fault of the job's"
    give_place(away)
    away.wait_until(lambda: away.running(job_id) and store.get_job(job_id).progress.get("fraction"))
    assert store.get_job(job_id).machine == os.uname().nodename

    (first,) = away.supervisors()
    away.kill(first)  # the head's supervisor: nothing changes
    lost = pid_elsewhere(job_id)
    holder = int(Path(f"/proc/{lost}/stat").read_text().rsplit(")", 1)[1].split()[1])
    away.kill(holder)  # what the cluster holds it by, as where a machine is lost: it goes on in the same attempt
    away.wait_until(lambda: begins(away, job_id) == 2)
    away.wait_until(lambda: not Path(f"/proc/{lost}").exists())
    away.wait_until(lambda: store.get_job(job_id).progress.get("resumed"))
    away.go()
    away.wait_until(lambda: away.ended(job_id))
    job = store.get_job(job_id)
    assert (job.state, job.attempts, job.run_id) == ("finished", 1, "r1"), job.reason
    assert (away.home / "concluded").read_text() == "r1 3"
    log = "\n".join(api.log_tail(job_id))
    assert log.count("I print.") == 2 and "It is lost. It goes on" in log and log.count("Runs on") == 2
    assert not of_job(job_id)


@pytest.mark.slow
def test_the_killed_and_the_cancelled_end_truly_and_none_runs_twice(away):
    give_place(away)
    killed, orphan = api.submit([away.new("away", resumable=True), away.new("away", resumable=True)])
    away.wait_until(lambda: begins(away, killed) and begins(away, orphan))
    os.kill(pid_elsewhere(killed), signal.SIGKILL)
    away.wait_until(lambda: away.ended(killed))
    assert store.get_job(killed).reason.startswith(f"Killed by signal 9 on {os.uname().nodename}")

    pid = pid_elsewhere(orphan)
    away.kill(store.get_job(orphan).pid)  # its steward: what runs elsewhere is ended before it is begun again
    away.wait_until(lambda: away.ended(orphan))
    assert store.get_job(orphan).state == "failed"
    api.resume(orphan)
    away.wait_until(lambda: begins(away, orphan) == 2)
    assert not Path(f"/proc/{pid}").exists()
    api.cancel(orphan)
    away.wait_until(lambda: away.ended(orphan))
    assert store.get_job(orphan).state == "cancelled"
    assert not of_job(orphan)
    away.go()
    (broken,) = api.submit([away.new("away", seconds=-1)])
    away.wait_until(lambda: away.ended(broken))
    assert store.get_job(broken).reason == "ValueError: seven is not eight"
    assert "Traceback" in "\n".join(api.log_tail(broken))


def test_a_process_that_nobody_watches_over_leaves(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(node, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(node, "SILENT_FOR", 0.05)
    monkeypatch.setattr(node.notices, "log", said.append)

    def leave(code: int) -> None:
        raise SystemExit(code)

    monkeypatch.setattr("os._exit", leave)
    for folder, why in ((tmp_path, "has given no sign of life"), (tmp_path / "removed", "has ended")):
        with pytest.raises(SystemExit) as end:
            node._leave_when_alone(Attempt(folder))
        assert end.value.code == node.LEFT_ALONE and why in said.pop()


def test_what_is_missing_is_said(home, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    monkeypatch.setitem(__import__("sys").modules, "submitit", None)
    for name in ("ray", "slurm"):
        with pytest.raises(StudioError, match=rf'MDAF_EXECUTOR={name} needs .*pip install "mdaf-studio\[{name}\]"'):
            executor(name)


def test_how_the_program_shares_with_a_cluster(home, monkeypatch):
    monkeypatch.setenv("MDAF_EXECUTOR", "slurm")
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert (slots.places(), slots.slot_count(), slots.threads_for(10), slots.job_threads(None)) == (16, 4, None, 1)
    monkeypatch.setenv("MDAF_SLOTS", "3")
    monkeypatch.setenv("MDAF_THREADS", "2")
    monkeypatch.setenv("MDAF_JOB_GPUS", "1")
    assert (slots.at_once(None), slots.slot_count(), slots.job_threads(None)) == (3, 4, 2)
    assert slots.sharing_words() == (
        "Trainings run through SLURM, each on 2 threads and 1 GPU; at most 3 at a time run or wait for a machine "
        "there. Other jobs run on this machine."
    )


def test_kinds_have_slots_of_their_own(home):
    api.submit([store.NewJob("away", "a"), store.NewJob("away", "b"), store.NewJob("sleep", "c")], serve=False)
    there = turns.Lane(("away",))
    assert turns.claim(1, False, there).title == "a" and turns.claim(1, False, there) is None
    here = turns.Lane(("away",), others=True)
    assert turns.claim(1, False, here).title == "c" and turns.claim(1, False, here) is None


@pytest.mark.parametrize(
    ("text", "options", "minutes"),
    [
        ("", {}, 60),
        ("partition=gpu time=120", {"partition": "gpu"}, 120),
        ("--mail-user='a b' --time=5", {"mail-user": "a b"}, 5),
    ],
)
def test_options_of_sbatch(text, options, minutes):
    assert slurm.sbatch_options(text) == (options, minutes)


@pytest.mark.parametrize("text", ["gpu", "time=1:00:00", "time=0", "Partition=x", "a;b=c"])
def test_options_of_sbatch_that_are_none(text):
    with pytest.raises(StudioError, match="MDAF_SLURM"):
        slurm.sbatch_options(text)


@pytest.mark.parametrize(
    ("state", "stands"),
    [
        ("PENDING", Waiting()),
        ("RUNNING", None),
        ("COMPLETING", None),
        ("COMPLETED", Gone("It ended in SLURM as COMPLETED, exit code 0:9.")),
        ("TIMEOUT", Gone("Its time limit was reached (TIMEOUT in SLURM).", again=True)),
        ("NODE_FAIL", Gone("Its machine was lost (NODE_FAIL in SLURM).", again=True)),
        ("CANCELLED", Gone("It was cancelled in SLURM.")),
    ],
)
def test_what_slurm_shows(state, stands, monkeypatch):
    text = f"JobId=7 JobName=mdaf-1 UserId=a(1) JobState={state} Reason=None Restarts=0 ExitCode=0:9 NodeList=n1"
    monkeypatch.setattr(slurm, "_ask", lambda *_: text)
    assert slurm._stands(slurm._shown("7")) == stands
    monkeypatch.setattr(slurm, "_ask", lambda *_: "")  # its controller is away
    assert slurm._stands(slurm._shown("7")) is None


def test_ray_sends_the_token_that_is_at_hand(tmp_path, monkeypatch):
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    ray_cluster.send_token()
    assert "RAY_AUTH_MODE" not in os.environ
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("t")
    ray_cluster.send_token()
    assert os.environ["RAY_AUTH_MODE"] == "token"
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # who has decided is left alone
    ray_cluster.send_token()
    assert os.environ["RAY_AUTH_MODE"] == "disabled"
