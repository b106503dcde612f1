"""`study tune`, `tuned` and `searches` from a shell."""

from __future__ import annotations

import pytest

from mdaf_core.queue import store

pytestmark = pytest.mark.usefixtures("tiny")


def test_a_search_is_begun_and_shown(call):
    asked = ("study", "tune", "demo", "--data", "tiny", "--only", "mdaf-static,lr", "--seeds", "7,8")
    code, found, _ = call(*asked, "--trials", "4", "--space", "model.dropout=0.1..0.2",
                          "--space", "lr:training.learning_rate=1e-3,1e-2", "--json")  # fmt: skip
    assert code == 0 and (found["search"], found["budget"]) == ("tune-demo-tiny-1", {"trials": 4, "seconds": None})
    first, second = found["configurations"]
    assert first["space"]["model.dropout"] == "0.1..0.2" and "model.dropout" not in second["space"]
    rates = [one["space"]["training.learning_rate"] for one in (first, second)]
    assert rates == ["0.0003..0.01 log", "0.001,0.01"]
    assert [one["trials"][0]["state"] for one in (first, second)] == ["queued", "queued"]
    assert [job.title for job in store.list_jobs()] == ["mdaf-static.1, seed 1", "lr.1, seed 1"]
    code, text, _ = call("study", "tuned", "tune-demo-tiny-1", "--trials")
    assert (
        code == 0 and "lr.1" in text and "training.learning_rate 0.001,0.01; " in text and "the search goes on" in text
    )
    assert "4 trials" in call("study", "searches")[1]
    for job in store.list_jobs():
        store.cancel(job.id)
    assert "the search waits for them: mdaf-static (1), lr (1)" in call("study", "tuned", "tune-demo-tiny-1")[1]
    assert call("study", "tuned", "tune-demo-tiny-1", "--resume", "--json")[1]["warnings"] == []
    code, _, said = call(*asked, "--tuning-seed", "7")
    assert code == 2 and "no winner can be confirmed on it" in said
    code, _, said = call(*asked, "--space", "model.dropout=0.1")
    assert code == 2 and "search space of model.dropout" in said
    code, _, said = call("study", "tuned", "none")
    assert code == 2 and "There is no search 'none'" in said
