"""`study` and `jobs` from a shell: what they print and how they exit."""

from __future__ import annotations

import pytest

from mdaf_core.queue import api, store

pytestmark = pytest.mark.usefixtures("tiny")


def test_run_list_show(call):
    code, status, _ = call("study", "run", "demo", "--data", "tiny", "--seeds", "1,2", "--title", "Mine", "--json")
    assert code == 0
    assert (status["study"], status["title"], status["states"]) == ("demo-tiny-1", "Mine", {"queued": 10})
    assert {"val", "test", "name"} <= status["configurations"][0].keys()
    assert status["configurations"][0]["val"]["auc"] == {"mean": None, "sd": None, "seeds": 0}
    assert len(status["runs"]) == 10
    assert call("study", "list", "--json")[1][0]["runs"] == {"queued": 10}
    code, text, _ = call("study", "show", "demo-tiny-1")
    assert code == 0 and "mdaf-full" in text and "1 queued" in text
    assert "demo" in call("study", "definitions")[1]


def test_models_and_lengths_of_history_are_named(call, monkeypatch):
    asked = ("study", "run", "history-length", "--data", "tiny", "--models", "mdaf-sequential,bst", "--seeds", "1")
    code, status, _ = call(*asked, "--histories", "5,100", "--windows", "50", "--json")
    assert code == 0 and status["reference"] == "mdaf-sequential-5"
    names = [one["name"] for one in status["configurations"]]
    assert names == ["mdaf-sequential-5", "mdaf-sequential-100", "bst-5"]
    code, _, said = call(*asked, "--histories", "5,none")
    assert code == 2 and "Lengths of histories look like 10,50,200,1000,all" in said
    monkeypatch.setattr("mdaf_core.training.cost.machine_memory", lambda: 10**6)
    code, _, said = call(*asked, "--histories", "100", "--windows", "100")
    assert code != 0 and "and this machine has 1 MB. Set training.batch_size to" in said
    assert len(call("study", "list", "--json")[1]) == 1


def test_studies_are_managed(call):
    study, other = "demo-tiny-1", "demo-tiny-2"
    call("study", "run", "demo", "--data", "tiny", "--seeds", "1", "--only", "lr,dcnv2", "--title", "First")
    code, cloned, _ = call("study", "clone", study, "--set", "training.max_epochs=2", "--title", "Second", "--json")
    assert code == 0 and cloned == {"study": other, "cloned_from": study, "title": "Second", "runs": 2}
    assert "is now: Better words" in call("study", "rename", study, "Better words")[1]
    assert (
        call("study", "note", study, "Try **more**.")[1].strip()
        == "Try **more**."
        == call("study", "note", study)[1].strip()
    )
    assert call("study", "note", study, "x", "--clear")[0] == 2
    assert call("study", "tag", study, "paper", "old", "--json")[1]["tags"] == ["paper", "old"]
    assert call("study", "tag", study, "--remove", "old")[1].strip() == "paper"
    shown = call("study", "show", study)[1]
    assert "Better words" in shown and "Tags: paper." in shown and "Try **more**." in shown
    assert f"Cloned from {study}." in call("study", "show", other)[1]
    assert [one["id"] for one in call("study", "list", "words more", "--tag", "paper", "--json")[1]] == [study]
    assert call("study", "list", "--since", "2999-01-01")[1].strip() == "No study fits."
    assert "takes a day" in call("study", "list", "--since", "soon")[2]
    assert call("study", "archive", study, "nothing")[0] == 2 and call("study", "archive", study)[0] == 0
    assert [one["id"] for one in call("study", "list", "--json")[1]] == [other]
    assert len(call("study", "list", "--all", "--json")[1]) == 2
    code, done, _ = call(
        "study", "extend", study, "--add", "lr", "--name", "lr-2", "--set", "training.max_epochs=2", "--json"
    )
    assert code == 0 and done["configurations"] == ["dcnv2", "lr", "lr-2"]
    assert "Name the seeds to add" in call("study", "extend", study)[2]
    assert call("jobs", "cancel", "1", "--study", study)[0] == 2 and call("jobs", "cancel", "--study", "none")[0] == 2
    assert "cancel them first" in call("study", "delete", study)[2]
    assert [job["state"] for job in call("jobs", "cancel", "--study", study, "--json")[1]] == ["cancelled"] * 3
    assert "No job of study" in call("jobs", "cancel", "--study", study)[1]
    assert call("study", "delete", study)[0] == 0 and study in call("study", "bin")[1]
    assert call("study", "restore", study)[0] == 0 and "empty" in call("study", "bin")[1]
    call("study", "delete", study)
    assert "Add --yes" in call("study", "empty-bin")[2]
    assert call("study", "empty-bin", "--yes", "--json")[1]["studies"] == [study]


def test_jobs_alone_lists_them(call):
    call("study", "run", "demo", "--data", "tiny", "--seeds", "1")
    assert call("jobs", "--json")[1] == call("jobs", "list", "--json")[1]
    jobs = call("jobs", "--json")[1]
    assert [job["state"] for job in jobs] == ["queued"] * 5
    assert all("token" not in job and "payload" in job for job in jobs)
    assert "mdaf-full, seed 1" in call("jobs")[1]


def test_cancel_retry_move_log(call):
    call("study", "run", "demo", "--data", "tiny", "--seeds", "1")
    assert call("jobs", "cancel", "1", "--json")[1]["state"] == "cancelled"
    assert call("jobs", "retry", "1", "--json")[1]["state"] == "queued"
    assert api.queue_position(1) == 5
    assert "number 1" in call("jobs", "move", "1", "first")[1]
    assert call("jobs", "log", "1", "--json")[1] == {"job": 1, "lines": []}
    call("jobs", "cancel", "1")
    assert call("jobs", "resume", "1", "--json")[1]["resume"] is True


@pytest.mark.parametrize(
    "arguments",
    [
        ("study", "run", "nonsense", "--data", "tiny"),
        ("study", "run", "demo", "--data", "nowhere"),
        ("study", "run", "demo"),
        ("study", "run", "demo", "--data", "tiny", "--seeds", "x"),
        ("study", "run", "demo", "--data", "tiny", "--set", "training.max_epochs=zero"),
        ("study", "run", "demo", "--data", "tiny", "--acknowledge", "nothing"),
        ("study", "show", "nothing"),
        ("jobs", "cancel", "99"),
        ("jobs", "cancel", "x"),
        ("jobs", "resume", "1"),
        ("jobs", "move", "1", "sideways"),
        ("jobs", "log", "99"),
        ("jobs", "nonsense"),
    ],
)
def test_wrong_usage_exits_with_two_and_says_why(call, arguments):
    code, out, err = call(*arguments)
    assert code == 2
    assert err.strip() and not out


def test_empty_is_said_not_shown(call):
    assert "No jobs yet" in call("jobs")[1]
    assert "No studies yet" in call("study", "list")[1]
    assert call("jobs", "--json")[1] == []


def test_wait_exits_with_one_if_a_run_did_not_finish(call, monkeypatch):
    def cancel_all(seconds: float) -> None:
        for job in store.list_jobs(states=["queued"]):
            api.cancel(job.id)

    monkeypatch.setattr("time.sleep", cancel_all)
    code, _, err = call("study", "run", "demo", "--data", "tiny", "--seeds", "1", "--wait")
    assert code == 1
    assert "cancelled" in err
