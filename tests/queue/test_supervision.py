"""Real supervisor, launcher and workers, killed at will."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mdaf_core.base.locks import locked
from mdaf_core.queue import api, store, turns
from mdaf_core.queue.job import lock_path
from tests.waiting import PATIENT


def test_jobs_run_one_after_another_and_their_logs_are_kept(queue):
    ids = api.submit([queue.new(), queue.new(), queue.new()])
    queue.wait_until(lambda: all(queue.ended(i) for i in ids))
    assert [(a[0], int(a[1])) for a in queue.attempts()] == [(w, i) for i in ids for w in ("begin", "end")]
    assert "Finished" in api.log_tail(ids[0])[-1]
    assert api.log_tail(ids[0], 1) == api.log_tail(ids[0])[-1:]


def test_slots_run_at_once(queue, monkeypatch):
    monkeypatch.setenv("MDAF_SLOTS", "3")
    ids = api.submit([queue.new("until_told") for _ in range(3)])
    queue.wait_until(lambda: all(queue.running(i) for i in ids))
    assert sorted(job.slot for job in api.list_jobs()) == [0, 1, 2]


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("refuse", "The data are no good."),
        ("broken", "ValueError: seven is not eight"),
        ("memory", "Ran out of memory"),
        ("leave", "exit code 3"),
        ("unheard", "This program knows no jobs of the kind 'unheard'"),
    ],
)
def test_the_reason_of_a_failure_is_shown(queue, kind, reason):
    (job_id,) = api.submit([queue.new(kind)])
    queue.wait_until(lambda: queue.ended(job_id))
    job = api.get_job(job_id)
    assert job.state == "failed"
    assert reason in job.reason


def test_the_traceback_of_a_failure_is_in_the_log(queue):
    (job_id,) = api.submit([queue.new("broken")])
    queue.wait_until(lambda: queue.ended(job_id))
    log = "\n".join(api.log_tail(job_id))
    assert "Traceback" in log and "in broken" in log


def test_a_killed_worker_is_failed_and_can_be_resumed(queue):
    (job_id, other) = api.submit([queue.new("until_told", resumable=True), queue.new()])
    queue.wait_until(lambda: queue.running(job_id) and store.get_job(job_id).run_id)
    queue.kill(store.get_job(job_id).pid)
    queue.wait_until(lambda: queue.ended(job_id))
    job = api.get_job(job_id)
    assert job.state == "failed"
    assert job.reason.startswith("Killed by signal 9 (SIGKILL)")
    queue.wait_until(lambda: queue.ended(other))
    api.resume(job_id)
    queue.wait_until(lambda: queue.running(job_id) and store.get_job(job_id).progress.get("resumed"))
    queue.go()
    queue.wait_until(lambda: queue.state(job_id) == "finished")
    assert store.get_job(job_id).attempts == 2


def test_children_a_dead_worker_left_do_not_keep_its_job_alive(queue):
    (job_id,) = api.submit([queue.new("with_child")])
    queue.wait_until(queue.attempts)
    queue.kill(store.get_job(job_id).pid)
    queue.wait_until(lambda: queue.ended(job_id))


def test_cancelling_stops_the_polite_and_the_stubborn(queue):
    polite, queued = api.submit([queue.new("until_told"), queue.new()])
    queue.wait_until(lambda: queue.running(polite))
    assert api.cancel(queued).state == "cancelled"
    api.cancel(polite)
    queue.wait_until(lambda: queue.ended(polite))
    assert queue.state(polite) == "cancelled"
    (stubborn,) = api.submit([queue.new("stubborn")])
    queue.wait_until(lambda: len(queue.attempts()) == 2)
    api.cancel(stubborn)
    queue.wait_until(lambda: queue.ended(stubborn))
    assert queue.state(stubborn) == "cancelled"


def test_a_new_supervisor_adopts_living_workers(queue):
    (job_id, later) = api.submit([queue.new("until_told"), queue.new()])
    queue.wait_until(lambda: queue.running(job_id))
    before = store.get_job(job_id)
    (first,) = queue.supervisors()
    queue.kill(first)
    api.list_jobs()  # looking is enough
    queue.wait_until(lambda: queue.supervisors() not in ([], [first]))
    queue.go()
    queue.wait_until(lambda: queue.ended(later))
    job = store.get_job(job_id)
    assert (job.state, job.attempts) == ("finished", 1)
    assert [a[0] for a in queue.attempts() if a[1] == str(job_id)] == ["begin", "end"]
    assert before.pid == int(queue.attempts()[0][3])


def test_a_killed_supervisor_has_an_heir_though_nobody_looks(queue):
    (job_id, later) = api.submit([queue.new("until_told"), queue.new()])
    queue.wait_until(lambda: queue.running(job_id))
    queue.kill(queue.supervisors()[0])
    queue.go()
    queue.wait_until(lambda: queue.state(later) == "finished")
    assert len(queue.supervisors()) == 1
    assert [a[0] for a in queue.attempts()] == ["begin", "end"] * 2


def test_a_supervisor_asked_to_leave_leaves(queue):
    (job_id,) = api.submit([queue.new("until_told")])
    queue.wait_until(lambda: queue.running(job_id))
    queue.kill(queue.supervisors()[0], signal.SIGTERM)
    queue.wait_until(lambda: queue.supervisors() == [])
    assert queue.running(job_id)


def test_an_adopted_worker_that_dies_is_noticed(queue):
    (job_id,) = api.submit([queue.new("until_told")])
    queue.wait_until(lambda: queue.running(job_id))
    queue.kill(queue.supervisors()[0])
    api.list_jobs()
    queue.kill(store.get_job(job_id).pid)
    queue.wait_until(lambda: queue.ended(job_id))
    assert api.get_job(job_id).reason.startswith(("Killed", "Its process died"))


def test_an_adopted_worker_can_be_cancelled(queue):
    (job_id,) = api.submit([queue.new("stubborn")])
    queue.wait_until(queue.attempts)
    queue.kill(queue.supervisors()[0])
    api.cancel(job_id)
    queue.wait_until(lambda: queue.ended(job_id))


def test_worker_and_supervisor_killed_together(queue):
    (job_id, other) = api.submit([queue.new("until_told"), queue.new()])
    queue.wait_until(lambda: queue.running(job_id))
    queue.kill(queue.supervisors()[0])
    queue.kill(store.get_job(job_id).pid)
    api.list_jobs()
    queue.wait_until(lambda: queue.ended(job_id))
    queue.wait_until(lambda: queue.state(other) == "finished")


def test_the_launcher_may_die_too(queue):
    (job_id, later) = api.submit([queue.new("until_told"), queue.new()])
    queue.wait_until(lambda: queue.running(job_id))
    worker = store.get_job(job_id).pid
    launcher = int(Path(f"/proc/{worker}/stat").read_text().rsplit(")", 1)[1].split()[1])
    os.kill(launcher, signal.SIGKILL)
    queue.go()
    queue.wait_until(lambda: queue.state(later) == "finished")
    assert queue.state(job_id) == "finished"
    assert len(queue.attempts()) == 4


def test_after_an_update_the_new_program_takes_over_and_what_runs_goes_on(queue, monkeypatch, tmp_path):
    program = tmp_path / "program.py"
    program.write_text("old")
    monkeypatch.setenv("TEST_PROGRAM", str(tmp_path))
    monkeypatch.setenv("MDAF_SLOTS", "2")
    (before,) = api.submit([queue.new("until_told")])
    queue.wait_until(lambda: queue.running(before))
    supervisors, worker = queue.supervisors(), store.get_job(before).pid
    program.write_text("newer")
    (after,) = api.submit([queue.new(seconds=0.1)])
    queue.wait_until(lambda: queue.state(after) == "finished")
    assert queue.supervisors() == supervisors and queue.running(before)
    assert {(int(a[1]), a[4]) for a in queue.attempts()} == {(before, "old"), (after, "newer")}
    os.kill(worker, signal.SIGKILL)
    queue.wait_until(lambda: queue.ended(before))
    assert "Killed by signal 9" in api.get_job(before).reason  # the launcher of before has told how it ended


def test_a_claim_without_a_worker_goes_back_to_the_queue(queue):
    """A supervisor died right after claiming: the job was neither lost nor begun."""
    (job_id,) = store.add([queue.new()])
    assert turns.claim(1)
    api.ensure_supervisor()
    queue.wait_until(lambda: queue.state(job_id) == "finished")
    assert store.get_job(job_id).attempts == 1


def test_a_running_job_nobody_runs_is_failed_not_stuck(queue):
    """The machine was switched off in the middle of a job."""
    (job_id,) = store.add([queue.new()])
    job = turns.claim(1)
    assert turns.confirm(job_id, job.token, 2**22)
    api.list_jobs()
    queue.wait_until(lambda: queue.state(job_id) == "failed")


def test_a_locked_job_is_never_touched(queue):
    """Reconciliation needs the lock: as long as someone holds it, the job is theirs."""
    (job_id,) = store.add([queue.new()])
    job = turns.claim(1)
    with locked(lock_path(job_id)) as free:
        assert free
        api.ensure_supervisor()
        time.sleep(2)
        assert turns.confirm(job_id, job.token, os.getpid())
        time.sleep(1)
        assert queue.running(job_id)
        turns.end(job, "finished")
    assert queue.state(job_id) == "finished"
    assert queue.attempts() == []


def test_many_callers_start_one_supervisor(queue):
    barrier = threading.Barrier(6)
    ids: list[int] = []

    def submit() -> None:
        barrier.wait()
        ids.extend(api.submit([queue.new(seconds=0.1), queue.new(seconds=0.1)]))

    threads = [threading.Thread(target=submit) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(queue.supervisors()) == 1
    queue.wait_until(lambda: all(queue.ended(i) for i in ids))
    assert len(queue.supervisors()) == 1
    begun = [a[1] for a in queue.attempts() if a[0] == "begin"]
    assert sorted(map(int, begun)) == sorted(ids)


def test_processes_that_ensure_together_start_one_supervisor(queue):
    code = (
        "import sys; from mdaf_core.queue import api; "
        f"api.SUPERVISOR = (sys.executable, {str(api.SUPERVISOR[1])!r}); "
        f"api.serve_by({api._launcher!r}); api.ensure_supervisor()"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(4)]
    assert [p.wait(PATIENT) for p in processes] == [0] * 4
    queue.wait_until(lambda: len(queue.supervisors()) == 1)


def test_an_idle_supervisor_leaves_and_the_next_job_brings_one_back(queue, monkeypatch):
    monkeypatch.setenv("TEST_IDLE_SECONDS", "0.5")
    for n in range(4):  # submissions land around the moment of leaving
        (job_id,) = api.submit([queue.new(seconds=0.05)])
        queue.wait_until(lambda job_id=job_id: queue.ended(job_id))
        time.sleep(0.4 + 0.1 * n)
    queue.wait_until(lambda: not queue.supervisors())
    assert len([a for a in queue.attempts() if a[0] == "begin"]) == 4


def test_a_supervisor_whose_folder_is_gone_leaves(queue):
    (job_id,) = api.submit([queue.new(seconds=0.1)])
    queue.wait_until(lambda: queue.ended(job_id))
    api.supervisor_lock_path().unlink()
    queue.wait_until(lambda: not queue.supervisors())


def test_workers_that_cannot_start_fail_their_jobs_with_a_reason(queue, monkeypatch):
    monkeypatch.setattr(api, "_launcher", (sys.executable, "-c", "raise SystemExit(1)"))
    (job_id,) = api.submit([queue.new()])
    queue.wait_until(lambda: queue.ended(job_id))
    assert "supervisor.log" in api.get_job(job_id).reason
