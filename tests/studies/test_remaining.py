"""How long a study still takes: what ended tells it, else what runs."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from mdaf_core.studies import status
from mdaf_core.studies.status import Cell

STUDY = SimpleNamespace(threads=None, undecided=[])


def cell(name, seed, state, started=None, ended=None, left=None):
    told = {} if left is None else {"seconds_left": left}
    return Cell(name, seed, state, job=SimpleNamespace(started=started, ended=ended, progress=told))


@pytest.fixture
def left(monkeypatch):
    def of(*cells, places=1, now=1000.0):
        monkeypatch.setattr(status, "cells", lambda study: cells)
        monkeypatch.setattr(status, "at_once", lambda threads: places)
        return status.remaining(STUDY, now)

    return of


def test_queued_runs_take_what_the_finished_ones_of_their_configuration_took(left):
    done = cell("deep", 1, "finished", 100, 160), cell("lr", 1, "finished", 160, 170)
    waiting = cell("deep", 2, "queued"), cell("lr", 2, "queued"), cell("new", 1, "queued")
    found = left(*done, *waiting)
    assert found == (2, 5, pytest.approx(60 + 10 + 35), False)
    assert left(*done, *waiting, places=2).seconds == pytest.approx(60), "never less than the longest run"
    assert left(*done, *waiting[:1], cell("deep", 3, "failed", 1, 2)).done == 3


def test_a_running_one_says_itself_or_what_is_left_of_the_usual_time(left):
    assert left(cell("deep", 1, "running", 990, left=40), cell("deep", 2, "queued")).seconds == 40 + 50
    usual = cell("deep", 1, "finished", 100, 160)
    assert left(usual, cell("deep", 2, "running", 980)).seconds == 40
    assert left(usual, cell("deep", 2, "running", 900)).seconds == 0


def test_nothing_is_known_before_anything_ran_and_nothing_is_left_after(left):
    assert left(cell("deep", 1, "queued")).seconds is None
    assert left(cell("deep", 1, "finished", 1, 2), Cell("lr", 1, "missing")) == (1, 1, 0.0, False)
