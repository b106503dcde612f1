"""What is measured: histories of the stated length, both ways at the same task, every model or the reason."""

from __future__ import annotations

import numpy as np
import pytest

from mdaf_core.base.errors import DamagedFileError, UsageError
from mdaf_core.predicting import measured as files
from mdaf_core.predicting import speed
from mdaf_core.predicting.made import make_users
from mdaf_core.predicting.measured import SpeedSettings
from tests.predicting.trained import make_run

STREAM = {"training.history_encoding": "stream", "training.max_history": 7}
FEW = SpeedSettings(events=[3, 30], candidates=[1, 5], threads=[1], rounds=2, calls=2, users=2, bulk_rows=3)


@pytest.fixture
def runs(tiny, monkeypatch):  # type: ignore[no-untyped-def]
    made = [make_run(tiny, "mdaf-sequential", 1, STREAM, configuration="stream"), make_run(tiny, "bst"),
            make_run(tiny, "lr"), make_run(tiny, "gbdt")]  # fmt: skip
    monkeypatch.setattr(speed, "artifact", lambda run_id, name: files_of(made, run_id) / name)
    monkeypatch.setattr("mdaf_core.predicting.predictor.artifact", lambda run_id, name: files_of(made, run_id) / name)
    return made


def files_of(made, run_id):  # type: ignore[no-untyped-def]
    return next(run.directory for run in made if run.run_id == run_id)


def test_every_model_is_measured_at_every_task(runs, home) -> None:  # type: ignore[no-untyped-def]
    said: list[float] = []
    found = speed.measure(runs, FEW, title="T", reference="bst", progress=lambda share, _: said.append(share))
    tasks = {(e, rows, bulk) for e in (3, 30) for rows, bulk in ((1, False), (5, False), (6, True))}
    for run in runs:
        cells = [cell for cell in found.cells if cell.configuration == run.configuration]
        ways = ("raw", "kept") if run.configuration == "stream" else ("raw",)
        assert {cell.task for cell in cells} == {(1, w, e, rows, bulk) for w in ways for e, rows, bulk in tasks}
        for cell in cells:
            assert 0 < cell.p50 <= cell.p99 and len(cell.rounds) == 2 and 2 <= cell.calls <= 4
    by_name = {one.configuration: one for one in found.subjects}
    assert by_name["stream"].apart is not None and by_name["stream"].apart < 1e-5
    assert by_name["stream"].reads == 7 and by_name["stream"].encoding == "stream"
    assert "puts the target into the sequence" in by_name["bst"].lacks_state
    assert said == sorted(said) and found.machine["threads"] == [1]
    words = " ".join(found.sentences())
    assert "bst has no kept state: it puts the target" in words and "drawn at random" in words and "newest 7" in words
    files.keep("a-study", found)
    assert files.kept("a-study") == found and files.kept("another") is None
    files.path_of("a-study").write_text("{")
    with pytest.raises(DamagedFileError, match="measure again"):
        files.kept("a-study")


def test_what_cannot_be_measured_is_said(runs) -> None:  # type: ignore[no-untyped-def]
    (runs[1].directory / "weights.safetensors").write_bytes(b"no weights")
    found = speed.measure(runs[1:3], FEW, title="", reference="lr")
    assert {cell.configuration for cell in found.cells} == {"lr"}
    assert any(sentence.startswith("bst was not measured: it cannot be opened") for sentence in found.sentences())
    with pytest.raises(UsageError, match="no finished run"):
        speed.measure([], FEW, title="", reference="lr")
    with pytest.raises(UsageError, match="not among"):
        speed.measure(runs, FEW, title="", reference="dcnv2")


def test_made_users_have_their_own_events_first_and_exactly_so_many(tiny) -> None:  # type: ignore[no-untyped-def]
    made = make_users(tiny, 3, 500, 4, seed=5)
    names, again = tiny.meta.history_fields, make_users(tiny, 3, 500, 4, seed=5)
    assert len(made.rows) == 12 and [end - begin for begin, end in made.log] == [500] * 3
    known = {tuple(int(tiny.events[name][t]) for name in names) for t in range(len(tiny.events["timestamp"]))}
    for user, (begin, end) in enumerate(made.log):
        mine = [tuple(int(made.view.events[name][t]) for name in names) for t in range(begin, end)]
        assert set(mine) <= known
        rows = made.of(user, 4)
        assert (made.rows.history_start[rows] == begin).all() and (made.rows.history_end[rows] == end).all()
        times = made.view.events["timestamp"][begin:end]
        assert (np.diff(times) > 0).all() and (times[-1] < made.rows.timestamp[rows]).all()
        for name in names:
            np.testing.assert_array_equal(made.view.events[name][begin:end], again.view.events[name][begin:end])


def test_settings_that_cannot_be_measured() -> None:
    for wrong in ({"events": []}, {"events": [0]}, {"rounds": 0}, {"candidates": [-1]}, {"unknown": 1}):
        with pytest.raises(ValueError):
            SpeedSettings.model_validate(wrong)
