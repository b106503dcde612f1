"""What a run was trained with: also the part of it that was trained before it was resumed, elsewhere or otherwise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mdaf_core.runs.provenance import earlier_words, gone_on, sittings

NOW = {"code": "b", "versions": {"python": "3.11", "torch": "2.13"}, "threads": 2, "cores": 2, "job": 7}


def begun(tmp_path: Path, **facts: Any) -> Path:
    path = tmp_path / "provenance.json"
    path.write_text(json.dumps(facts))
    return path


def test_what_earlier_epochs_were_trained_with_is_kept_and_said(tmp_path: Path) -> None:
    was = {**NOW, "code": "a", "versions": {"python": "3.11", "torch": "2.12"}, "job": 3}
    path = begun(tmp_path, **was)
    found = gone_on(path, NOW, epochs=3)
    assert json.loads(path.read_text()) == found
    assert found["code"] == "b" and found["job"] == 7
    assert earlier_words(found) == ["epochs 1 to 3, before it was resumed: code a, torch 2.12"]
    again = gone_on(path, {**NOW, "threads": 1}, epochs=5)
    assert earlier_words(again) == [
        "epochs 1 to 3, before it was resumed: code a, threads 2, torch 2.12",
        "epochs 4 to 5, before it was resumed: threads 2",
    ]
    assert [(one["code"], one["threads"]) for one in sittings(again)] == [("a", 2), ("b", 2), ("b", 1)]


def test_what_is_the_same_or_trained_nothing_is_no_sitting(tmp_path: Path) -> None:
    assert gone_on(begun(tmp_path, **NOW), {**NOW, "job": 9}, epochs=2) == {**NOW, "job": 9}
    assert gone_on(begun(tmp_path, **{**NOW, "code": "a"}), NOW, epochs=0) == NOW
    path = begun(tmp_path, job=1)  # opened by another machine, which knew nothing of it yet
    assert gone_on(path, NOW, epochs=0) == NOW and json.loads(path.read_text()) == NOW
    assert earlier_words(NOW) == [] and sittings(NOW) == [NOW]
    assert gone_on(tmp_path / "missing" / "provenance.json", NOW, epochs=2) == NOW
