"""`compare`, `reported`, `criteria`, `overfitting` from a shell: one JSON document, tables for people, exit codes."""

from __future__ import annotations

import pytest

from mdaf_core.runs import tracking
from mdaf_core.studies.store import get_study
from tests.reporting.example_study import make_study


@pytest.fixture
def study(made_once):
    return made_once(lambda: make_study(["mdaf-full", "mdaf-static", "lr"], [42, 43, 44]))


def test_compare(call, study):
    code, found, _ = call("compare", study.id, "--json")
    assert code == 0
    assert (found["reference"], found["split"], found["metric"], found["margin_bp"]) == (
        "mdaf-full",
        "test",
        "auc",
        None,
    )
    words = {c["configuration"]: c["verdict"] for c in found["configurations"]}
    assert words["mdaf-full"] == "reference" and set(words) == {"mdaf-full", "mdaf-static", "lr"}
    assert found["power"] is None and "no margin" in " ".join(found["notes"]).lower()
    assert found["conditions"]["chosen_after"] == [] and not any("†" in word for word in found["marked"].values())
    other = call("compare", study.id, "--reference", "lr", "--split", "val", "--metric", "logloss", "--margin", "5%",
                 "--difference-bp", "40", "--json")[1]  # fmt: skip
    assert (other["reference"], other["split"], other["metric"], other["margin"]["size"]) == ("lr", "val", "logloss", 5)
    assert other["power"]["difference_bp"] == 40
    assert {n["configuration"] for n in other["power"]["configurations"]} == {"mdaf-static", "mdaf-full"}
    assert len(other["conditions"]["chosen_after"]) == 4  # metric, rows, reference, margin
    assert all(word == "reference" or word.endswith("†") for word in other["marked"].values())
    text = call("compare", study.id, "--difference-bp", "20")[1]
    for word in ("Against mdaf-full", "Verdict", "Holm over 2 comparisons", "rows (there are 400)", "3 seeds"):
        assert word in text


def test_best(call, study):
    code, found, _ = call("best", study.id, "--json")
    assert code == 0 and found["members"][0] == found["candidates"][0]["configuration"]
    assert (found["split"], found["metric"], found["seeds"]) == ("test", "auc", [42, 43, 44])
    text = call("best", study.id, "--split", "val", "--metric", "logloss")[1]
    assert "The best?" in text and "of these 3 by log loss" in text and "3 seeds that all have" in text


def test_overfitting(call, study):
    runs = tracking.list_runs(study.id)[:2]
    code, found, _ = call("overfitting", *(r.run_id for r in runs), "--json")
    assert code == 0
    assert [one["run_id"] for one in found] == [r.run_id for r in runs]
    assert {"best_epoch", "online", "eval", "turn_down_epoch", "kept_by_best"} <= found[0].keys()
    text = call("overfitting", runs[0].run_id[:12])[1]
    assert "online gap, best" in text and "evaluation mode" in text


def test_what_one_seed_cannot_show_is_null(call, home):
    one = make_study(["mdaf-full", "lr"], [42], gates=True)
    found = call("compare", one.id, "--json")[1]
    assert found["noise_floor"] is None
    assert {c["verdict"] for c in found["configurations"]} == {"reference", "one seed: no variance known"}
    shown = call("study", "show", one.id, "--json")[1]
    assert shown["configurations"][0]["test"]["auc"]["sd"] is None
    run = next(r for r in tracking.list_runs(one.id) if r.configuration == "mdaf-full")
    gate = call("gates", run.run_id, "--json")[1]
    of_run = gate["gate_of_run"]
    assert of_run["rows"] == 400 and 0 < of_run["overall"]["mean"] < 1 and "no longer here" in of_run["slices_note"]
    assert "verdict" in gate["gate"] and gate["effects"]["seeds"] == [42]
    picture = home / "g.svg"
    grouped = call("gates", run.run_id, "--by", "history_length", "--value", "sequential", "--out", str(picture),
                   "--json")[1]  # fmt: skip
    assert sum(group["rows"] for group in grouped["groups"]) == 400 and b"Sequential branch" in picture.read_bytes()
    listed = call("gates", run.run_id, "--rows", "--label", "1", "--sort", "-g", "--most", "3", "--json")[1]
    assert [row["label"] for row in listed["rows"]] == [1, 1, 1] and listed["rows"][0]["g"] >= listed["rows"][1]["g"]
    for wrong in (["--and-by", "hour"], ["--user", "1"], ["--rows", "--find", "item"], ["--rows", "--by", "hour"]):
        assert call("gates", run.run_id, *wrong)[0] == 2


def test_gates_of_a_study_are_one_verdict_over_its_seeds(call, home):
    study = make_study(["mdaf-full", "lr"], [42, 43, 44], gates=True)
    found = call("gates", study.id, "--configuration", "mdaf-full", "--json")[1]
    assert found["effects"]["seeds"] == [42, 43, 44] and "gate_of_run" not in found
    shuffled = found["effects"]["effects"]["g_shuffled"]
    assert shuffled["test"]["estimate"] == pytest.approx(sum(shuffled["by_seed"].values()) / 3)
    assert shuffled["test"]["covers"] == "other seeds and other users"
    assert call("gates", study.id, "--json")[1] == found  # the configuration with a gate
    text = call("gates", study.id, "--margin", "5000")[1]
    assert "mdaf-full, 3 seeds, test" in text and "g alone" in text and "Another user's history" in text
    assert call("gates", study.id, "--configuration", "nothing")[0] == 2
    assert call("gates", study.id, "--row", "0")[0] == 2


def test_criteria(call, study):
    assert "carries no criteria" in call("criteria", study.id)[1]
    code, found, _ = call("criteria", study.id, "--preset", "report", "--preset", "mdaf-levels", "--json")
    assert code == 0 and len(found["criteria"]) == 7 and len(get_study(study.id).criteria) == 7
    assert {r["passed"] for r in found["results"]} <= {True, False, None}
    assert len(found["results"]) == 21
    text = call("criteria", study.id)[1]
    assert "Validation AUC at the best epoch ≥ 0.573" in text and "%" not in text.replace("95%", "")


def test_reported(call, study, tmp_path):
    code, found, _ = call("reported", "--preset", "report", "--json")
    assert code == 0 and found["reference"] == "BST"
    assert {r["verdict"] for r in found["results"]} == {"not shown", "reference"}
    text = call("reported", "--preset", "report", "--difference-bp", "5")[1]
    assert "not shown" in text and "225" not in text.split("Rows for")[0] and "Seeds of each model that show" in text
    assert "what another training would give is not known" in text
    file = tmp_path / "theirs.csv"
    file.write_text("name,auc,rows,positives\nA,0.7,1000,100\nB,0.71,1000,100\n")
    assert call("reported", str(file), "--json")[1]["reference"] == "A"
    assert call("reported", "--study", study.id)[0] == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("compare", "nothing"),
        ("compare", "STUDY", "--reference", "nothing"),
        ("compare", "STUDY", "--metric", "accuracy"),
        ("compare", "STUDY", "--margin-bp", "0"),
        ("compare", "STUDY", "--difference-bp", "0"),
        ("compare", "STUDY", "--split", "train"),
        ("criteria", "STUDY", "--preset", "nothing"),
        ("overfitting",),
        ("overfitting", "nothing"),
        ("reported",),
        ("reported", "nowhere.csv"),
        ("reported", "--preset", "nothing"),
        ("reported", "--preset", "report", "--correlation", "1"),
        ("reported", "--preset", "report", "--reference", "nothing"),
    ],
)
def test_wrong_usage_exits_with_two_and_says_why(call, study, arguments):
    code, out, err = call(*(study.id if a == "STUDY" else a for a in arguments))
    assert code == 2
    assert err.strip() and not out
