"""One message a study, when the last of its runs has ended, whoever ends it and however often one looks."""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from mdaf_core.base.errors import StudioError, UsageError
from mdaf_core.queue import store, turns, worker
from mdaf_core.queue.job import Job
from mdaf_core.runs import tracking
from mdaf_core.runs.presets import get_preset
from mdaf_core.studies import trainings
from mdaf_core.studies.tuning import begin as begin_search
from mdaf_core.studies.tuning import going
from mdaf_core.studies.tuning.spaces import spaces_of
from mdaf_core.tasks import message
from mdaf_core.tasks.kinds import KINDS
from mdaf_core.training.divergence import Diverged
from tests.reporting.example_study import make_study

SECRET = "json://somebody:s3cret@localhost/"


class Service:
    """Apprise, as far as it is used."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []
        self.reached = True

    def Apprise(self) -> Any:
        return SimpleNamespace(add=lambda address: address == SECRET, notify=self._notify)

    def _notify(self, title: str, body: str) -> bool:
        if self.reached:
            self.sent.append((title, body))
        return self.reached


@pytest.fixture
def service(home, monkeypatch) -> Service:
    found = Service()
    monkeypatch.setitem(sys.modules, "apprise", found)
    monkeypatch.setenv("MDAF_NOTIFY", SECRET)
    return found


@pytest.fixture
def study(service):
    """Two configurations with three seeds, one run of them failed; all their jobs are queued."""
    made = make_study(["mdaf-full", "lr"], rows=400, failed=[("lr", 44)], noises=(1.0, 8.0))
    store.add([trainings.training_job(made.id, made.configuration(n), made.dataset, s) for n, s in made.pairs])
    return made


def begin() -> Job:
    claimed = turns.claim(9)
    assert claimed and claimed.token
    found = turns.confirm(claimed.id, claimed.token, os.getpid())
    assert found
    if place := trainings.place(found):
        runs = {(run.configuration, run.seed): run.run_id for run in tracking.list_runs(place.study)}
        if (place.configuration, place.seed) in runs:
            turns.report(found, "{}", runs[place.configuration, place.seed])
    return found


def messages() -> list[Job]:
    return [job for job in store.list_jobs() if job.kind == message.NAME]


def deliver(job: Job) -> None:
    context: Any = SimpleNamespace(job=job, report=lambda *_: None, stop_if_asked=lambda: None)
    message.run(context, message.Message.model_validate(job.payload))


def test_the_last_two_that_end_at_once_tell_once(study, service):
    jobs = [begin() for _ in study.pairs]
    *others, first, second = jobs
    for job in others:
        message.tell_if_last(job)
        turns.end(job, "finished")
    assert not messages()
    message.tell_if_last(first)  # another one still runs
    turns.end(first, "finished")
    message.tell_if_last(second)
    message.tell_if_last(second)
    turns.end(second, "failed", "It ran out of memory.")
    (job,) = messages()
    assert job.kind in KINDS and job.group == study.id
    deliver(job)
    deliver(job)
    ((title, text),) = service.sent
    assert title == "Example: 1 of 6 runs failed"
    assert "5 finished, 1 failed of 6 runs." in text and "lr, seed 44: It ran out of memory." in text
    assert "without a verdict: lr" in text and "standard deviation" not in text


class PluginBug(Exception):
    """What somebody's model raises."""


@pytest.mark.parametrize("error", [Diverged("The training diverged: the loss is not a finite number."), PluginBug("x")])
def test_trainings_that_really_fail_are_told_of_once(service, monkeypatch, error):
    pairs = [("lr", 43), ("lr", 44)]
    made = make_study(["mdaf-full", "lr"], rows=400, running=pairs, noises=(1.0, 8.0))
    store.add([trainings.training_job(made.id, made.configuration(n), made.dataset, s) for n, s in made.pairs])
    *others, first, second = [begin() for _ in made.pairs]
    for job in others:
        turns.end(job, "finished")

    def fails(*_: object, **__: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr("mdaf_core.training.fit.train", fails)
        patch.setattr("mdaf_core.data.store.dataset.PreparedDataset.open", lambda name: name)
        for job in (first, second):
            worker._to_its_end(job, KINDS, lambda context: worker._do(context, KINDS))
    assert {run.state for run in tracking.list_runs(made.id)} == {"finished", "failed"}
    (job,) = messages()
    deliver(job)
    ((title, text),) = service.sent
    assert title == "Example: 2 of 6 runs failed" and "4 finished, 2 failed of 6 runs." in text
    said = str(error) if isinstance(error, Diverged) else "PluginBug: x"
    assert text.count(said) == 2 and "lr, seed 43: " in text


def test_a_whole_study_is_told_with_its_verdict(service):
    title, text = message.words(make_study(["mdaf-full", "lr"], rows=1500, noises=(1.0, 8.0)))
    assert title == "Example: all runs finished"
    assert text.startswith("6 finished of 6 runs.") and "lr was worse than mdaf-full in AUC" in text


def test_what_is_tried_again_is_told_again_and_only_then(study, service):
    jobs = [begin() for _ in study.pairs]
    for job in jobs[:-1]:
        turns.end(job, "finished")
    message.tell_if_last(jobs[-1])
    turns.end(jobs[-1], "failed", "Killed.")
    deliver(messages()[0])
    turns.settled(jobs[-1].id)
    store.requeue(jobs[-1].id, resume=False)
    for other in messages():
        store.cancel(other.id)
    again = begin()
    message.tell_if_last(again)
    turns.end(again, "finished")
    assert len(messages()) == 2
    deliver(messages()[-1])
    assert len(service.sent) == 2


def test_nothing_is_queued_without_an_address(study, monkeypatch):
    monkeypatch.delenv("MDAF_NOTIFY")
    jobs = [begin() for _ in study.pairs]
    for job in jobs[:-1]:
        turns.end(job, "finished")
    message.tell_if_last(jobs[-1])
    assert not messages()
    with pytest.raises(UsageError, match="MDAF_NOTIFY"):
        message.send("a", "b")


def test_what_is_not_delivered_is_said_without_the_address_and_sent_by_another_try(study, service):
    jobs = [begin() for _ in study.pairs]
    for job in jobs:
        message.tell_if_last(job)
        turns.end(job, "finished")
    service.reached = False
    with pytest.raises(StudioError) as refused:
        deliver(messages()[0])
    assert "s3cret" not in str(refused.value) and not service.sent
    service.reached = True
    deliver(messages()[0])
    assert len(service.sent) == 1


def test_what_apprise_does_not_take_and_that_it_is_missing_are_said(service, monkeypatch):
    monkeypatch.setenv("MDAF_NOTIFY", "nowhere")
    with pytest.raises(UsageError, match="does not take") as refused:
        message.send("a", "b")
    assert "nowhere" not in str(refused.value)
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(UsageError, match=r"requirements-notify\.txt"):
        message.send("a", "b")


def test_a_run_does_not_fail_for_want_of_a_message(study, service, monkeypatch, capsys):
    jobs = [begin() for _ in study.pairs]
    for job in jobs[:-1]:
        turns.end(job, "finished")

    def locked(*_: object, **__: object) -> None:
        raise StudioError("the queue is locked")

    monkeypatch.setattr(message.api, "submit", locked)
    message.tell_if_last(jobs[-1])
    assert "No message about its study was queued: the queue is locked" in capsys.readouterr().err


def test_a_search_that_waits_for_a_trial_says_so_once_and_says_nothing_else(tiny, service, monkeypatch):
    monkeypatch.setattr(message, "PATIENCE", 0.0)
    one = begin_search.begin(
        definition="own", dataset="tiny", configs=[get_preset("lr")], spaces=spaces_of([get_preset("lr")]), trials=2
    )
    first = begin()
    message.tell_if_last(first)  # one that goes on, or that ends well, has nothing to say
    for job in messages():
        deliver(job)
    assert not service.sent
    message.tell_if_last(first)
    turns.end(first, "failed", "Out of memory.")
    for job in messages():
        deliver(job)
        deliver(job)
    ((title, text),) = service.sent
    assert title.endswith("the search stands still")
    assert "waits for them: lr (1). Resume them, or give them up." in text and "trial 1: Out of memory." in text
    going.give_up(one.id)
    assert message._words_of(one.id) is None
