"""Transitions of the queue, without any process."""

from __future__ import annotations

import threading

import pytest

from mdaf_core.base.errors import StudioError, UsageError
from mdaf_core.queue import store, turns
from mdaf_core.queue.store import NewJob


def new(title: str = "job", **fields) -> NewJob:
    kind = fields.pop("kind", "train")
    return NewJob(kind=kind, title=title, resumable=kind == "train", **fields)


def begin(slots: int = 1) -> store.Job:
    job = turns.claim(slots)
    assert job and job.token
    confirmed = turns.confirm(job.id, job.token, 123)
    assert confirmed
    return confirmed


def test_nothing_is_created_by_looking(home):
    assert store.list_jobs() == [] and store.count_jobs() == {}
    assert store.work() == ([], [])
    assert not store.queue_path().exists()
    with pytest.raises(UsageError, match="no job 3"):
        store.get_job(3)


def test_a_job_goes_from_queued_to_finished(home):
    (job_id,) = store.add([new()])
    assert store.get_job(job_id).state == "queued"
    assert [job.id for job in store.work()[0]] == [job_id]
    job = begin()
    assert (job.state, job.attempts, job.pid) == ("running", 1, 123)
    turns.report(job, '{"epoch": 2}', "abc")
    turns.end(job, "finished")
    job = store.get_job(job_id)
    assert (job.state, job.run_id, job.progress, job.pid) == ("finished", "abc", {"epoch": 2}, None)
    assert job.created <= job.started <= job.ended
    assert store.work() == ([], [])


def test_a_list_may_be_cut_and_is_counted(home):
    ids = store.add([new() for _ in range(5)])
    for _ in range(2):
        turns.end(begin(), "finished")
    assert store.count_jobs() == {"finished": 2, "queued": 3}
    assert [job.id for job in store.list_jobs(["queued"], most=2)] == ids[2:4]
    assert [job.id for job in store.list_jobs(["finished"], most=1)] == [ids[1]]
    assert [job.id for job in store.list_jobs(most=4)] == [*ids[2:], ids[1]]


def test_jobs_start_in_order_and_never_more_than_slots(home):
    ids = store.add([new() for _ in range(4)])
    first, second = begin(2), begin(2)
    assert [first.id, second.id] == ids[:2]
    assert {first.slot, second.slot} == {0, 1}
    assert turns.claim(2) is None
    turns.end(first, "finished")
    third = begin(2)
    assert (third.id, third.slot) == (ids[2], first.slot)


def test_jobs_that_share_the_cores_start_while_their_threads_fit(home):
    ids = store.add([new(threads=n) for n in (1, 2, 2, 1, None, 1)])

    def start() -> store.Job:
        job = turns.claim(4, share_cores=True)
        confirmed = job and turns.confirm(job.id, job.token, 1)
        assert confirmed, "nothing may start"
        return confirmed

    one, two = start(), start()
    assert [one.threads, two.threads] == [1, 2]
    assert turns.claim(4, share_cores=True) is None  # 1 + 2 + 2; the 1 behind it waits for its turn
    turns.end(one, "finished")
    third = start()
    assert third.id == ids[2] and turns.claim(4, share_cores=True) is None
    turns.end(two, "finished")
    fourth = start()
    assert fourth.threads == 1 and turns.claim(4, share_cores=True) is None  # the next is alone
    for job in (third, fourth):
        turns.end(job, "finished")
    alone = start()
    assert alone.id == ids[4] and turns.claim(4, share_cores=True) is None
    turns.end(alone, "finished")
    assert start().id == ids[5]


def test_memory_is_kept_for_jobs_that_run(home):
    a, b = store.add([new(), new()])
    first, second = begin(2), begin(2)
    assert turns.reserve(first, 900, together=800)  # alone it may
    assert not turns.reserve(second, 1, together=800)
    assert turns.reserve(first, 500, together=800)
    assert turns.reserve(second, 300, together=800) and not turns.reserve(second, 301, together=800)
    assert (store.get_job(a).memory, store.get_job(b).memory) == (500, 300)
    turns.end(first, "failed")
    assert turns.reserve(second, 2_000, together=800)
    turns.settled(a)
    assert store.requeue(a, resume=False).memory is None


def test_a_claim_alone_takes_a_slot_and_is_not_running(home):
    store.add([new(), new()])
    job = turns.claim(1)
    assert job and store.get_job(job.id).state == "queued"
    assert turns.claim(1) is None


def test_a_claim_that_was_taken_back_cannot_be_confirmed(home):
    store.add([new()])
    old = turns.claim(1)
    turns.release_claim(old)
    again = turns.claim(1)
    assert again.id == old.id and again.token != old.token
    assert turns.confirm(old.id, old.token, 1) is None
    turns.release_claim(old)  # late and without effect
    assert turns.confirm(again.id, again.token, 2)


def test_an_earlier_attempt_cannot_report_or_end_a_later_one(home):
    (job_id,) = store.add([new(kind="prepare")])
    old = begin()
    turns.bury(old, "died")
    store.requeue(job_id, resume=False)
    now = begin()
    turns.report(old, '{"stale": true}', "stale")
    turns.end(old, "finished")
    turns.bury(old, "died again")
    job = store.get_job(job_id)
    assert (job.state, job.progress, job.run_id, job.token) == ("running", {}, None, now.token)


def test_cancel_of_a_claimed_job_defeats_its_confirmation(home):
    (job_id,) = store.add([new()])
    job = turns.claim(1)
    assert store.cancel(job_id).state == "cancelled"
    assert turns.confirm(job.id, job.token, 1) is None
    assert turns.claim(1) is None


def test_cancel_of_a_running_job_only_asks(home):
    (job_id,) = store.add([new()])
    job = begin()
    first = store.cancel(job_id)
    assert first.state == "running" and first.cancel_requested
    assert store.cancel(job_id).cancel_requested == first.cancel_requested
    turns.bury(job, "killed")
    job = store.get_job(job_id)
    assert (job.state, job.reason) == ("cancelled", turns.CANCELLED_REASON)


def test_cancel_leaves_an_ended_job_as_it_is(home):
    (job_id,) = store.add([new()])
    turns.end(begin(), "finished")
    assert store.cancel(job_id).state == "finished"


@pytest.mark.parametrize("how", ["failed", "cancelled"])
def test_dependents_fail_with_the_reason_and_come_back_with_their_dependency(home, how):
    base = new("prepare", kind="prepare")
    middle = new("middle", after=base)
    ids = store.add([base, middle, new("last", after=middle), new("free")])
    job = begin()
    assert job.id == ids[0]
    if how == "failed":
        turns.end(job, "failed", "no such file.")
    else:
        store.cancel(job.id)
        turns.bury(job, "killed")
    middle_job, last_job = store.get_job(ids[1]), store.get_job(ids[2])
    assert middle_job.state == last_job.state == "failed"
    assert middle_job.blocked and last_job.blocked
    assert "prepare" in middle_job.reason
    assert ("no such file" if how == "failed" else "was cancelled") in middle_job.reason
    assert store.get_job(ids[3]).state == "queued"

    store.requeue(ids[2], resume=False)  # asking for the last brings back all it needs
    assert [store.get_job(i).state for i in ids] == ["queued"] * 4
    assert begin(4).id == ids[3]
    assert begin(4).id == ids[0]
    assert turns.claim(4) is None  # the others wait


def test_retrying_a_dependency_brings_its_dependents_back(home):
    base = new("prepare", kind="prepare")
    ids = store.add([base, new(after=base), new(after=base)])
    turns.end(begin(), "failed", "x")
    store.requeue(ids[0], resume=False)
    assert [store.get_job(i).state for i in ids] == ["queued"] * 3


def test_a_job_queued_behind_a_failed_one_fails_at_once(home):
    (base,) = store.add([new(kind="prepare")])
    store.cancel(base)
    (late,) = store.add([new(after=base)])
    assert store.get_job(late).state == "failed"


def test_resume_keeps_the_run_and_retry_does_not(home):
    (job_id,) = store.add([new()])
    job = begin()
    turns.report(job, "{}", "run1")
    turns.bury(job, "killed")
    assert store.work()[1] == [job_id]
    resumed = store.requeue(job_id, resume=True)
    assert (resumed.resume, resumed.run_id, resumed.reason) == (True, "run1", "")
    assert turns.claim(1) is None, "the old run must be closed first"
    turns.settled(job_id)
    job = begin()
    assert job.attempts == 2
    turns.end(job, "failed", "x")
    turns.settled(job_id)
    retried = store.requeue(job_id, resume=False)
    assert (retried.resume, retried.run_id) == (False, None)


def test_requeue_refuses_what_makes_no_sense(home):
    (job_id, data) = store.add([new(), new(kind="prepare")])
    with pytest.raises(UsageError, match="queued"):
        store.requeue(job_id, resume=True)
    turns.end(begin(), "finished")
    with pytest.raises(UsageError, match="nothing to retry"):
        store.requeue(job_id, resume=False)
    store.cancel(data)
    with pytest.raises(UsageError, match="retry it instead"):
        store.requeue(data, resume=True)


def test_a_run_that_finished_before_its_worker_died_is_finished(home):
    (job_id,) = store.add([new()])
    turns.bury(begin(), "killed")
    turns.settled(job_id, finished=True)
    assert store.get_job(job_id).state == "finished"


def test_ahead_of_a_kind(home):
    a, b = store.add([new("a"), new("b")])
    (c,) = store.add([NewJob("prepare", "c")], ahead_of="train")
    (d,) = store.add([NewJob("prepare", "d")], ahead_of="train")
    e, f = store.add([NewJob("prepare", "e"), NewJob("prepare", "f")], ahead_of="train")
    assert [job.id for job in store.list_jobs(states=["queued"])] == [c, d, e, f, a, b]
    (g,) = store.add([new("g")])
    (h,) = store.add([new("h")], ahead_of="absent")
    assert [job.id for job in store.list_jobs(states=["queued"])][-4:] == [a, b, g, h]


def test_move(home):
    a, b, c = store.add([new("a"), new("b"), new("c")])

    def order() -> list[int]:
        return [job.id for job in store.list_jobs(states=["queued"])]

    store.move(c, "first")
    assert order() == [c, a, b]
    store.move(c, "down")
    assert order() == [a, c, b]
    store.move(b, "up")
    assert order() == [a, b, c]
    store.move(a, "up")
    store.move(c, "down")
    assert order() == [a, b, c]
    begin()
    with pytest.raises(UsageError, match="not queued"):
        store.move(a, "down")


def test_all_jobs_of_a_call_are_added_or_none(home):
    with pytest.raises(ValueError):
        store.add([new(), new(payload={"x": float("nan")})])
    assert store.list_jobs() == []


def test_a_configuration_and_seed_of_a_study_is_queued_once(home):
    def pair(seed: int) -> NewJob:
        return new(key=f"s/lr/{seed}")

    first = store.add([pair(1), pair(2)])
    again = store.add([pair(2), pair(3), pair(2)])
    assert again[0] == again[2] == first[1]
    assert len(store.list_jobs()) == 3
    assert len(store.add([new(kind="prepare"), new(kind="prepare")])) == 2
    assert len(store.list_jobs()) == 5


def test_many_submitters_and_claimers_at_once(home):
    """Eight threads create the queue together, add 80 jobs and claim them all: each exactly once."""
    claimed: list[int] = []
    barrier = threading.Barrier(8)

    def work() -> None:
        barrier.wait()
        for _ in range(10):
            store.add([new()])
        while (job := turns.claim(1000)) is not None:
            claimed.append(job.id)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == list(range(1, 81))
    slots = [job.slot for job in store.list_jobs()]
    assert sorted(slots) == list(range(80))


def test_a_damaged_queue_is_a_sentence(home):
    store.queue_path().parent.mkdir(parents=True)
    store.queue_path().write_text("not a database, but long enough to be taken for one" * 100)
    with pytest.raises(StudioError, match="queue"):
        store.list_jobs()
