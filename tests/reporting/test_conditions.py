"""What must be known beside results: gathered once, and carried by every caption, the paragraph, the manifest."""

from __future__ import annotations

import json
import re

import pytest
from typer.testing import CliRunner

from mdaf_core.base.errors import StudioError
from mdaf_core.base.files import write_json, write_text
from mdaf_core.cli.main import app
from mdaf_core.data.audit.report import Audit, Check
from mdaf_core.data.store.sample import Sample
from mdaf_core.reporting import conditions
from mdaf_core.reporting.figures import FIGURES, make_figure
from mdaf_core.reporting.material import Material
from mdaf_core.reporting.paper import bundle
from mdaf_core.reporting.paper.tables import TABLES, make_table
from mdaf_core.studies import results
from mdaf_core.studies.store import get_study
from tests.reporting.example_study import make_study

WARNED = "93.1% of test rows have an item that training does not know"


def audited(dataset, *checks: Check) -> None:
    write_json(dataset.path / "audit.json", Audit(dataset="tiny", created="", checks=list(checks)).model_dump())


def change_meta(dataset, **changes: object) -> None:
    path = dataset.path / "dataset.json"
    write_json(path, json.loads(path.read_text()) | changes)


def acknowledge(home, study, *ids: str):
    path = home / "studies" / f"{study.id}.json"
    write_text(path, study.model_copy(update={"acknowledged": list(ids)}).model_dump_json())
    return get_study(study.id)


@pytest.fixture
def burdened(home, tiny, made_once):
    """A study on synthetic data split at random, with a failed and a warned check, and trainings cut short."""
    study = made_once(
        lambda: make_study(["mdaf-full", "mdaf-static", "lr"], [1, 2], dataset=tiny, gates=True, epochs=3)
    )
    change_meta(tiny, split={"kind": "random"})
    audited(
        tiny,
        Check(id="label-leak", title="Leak", status="fail", sentence="price tells the label."),
        Check(id="unseen-items", title="Unseen", status="warn", sentence=f"{WARNED}.", todo="Say so beside results."),
        Check(id="duplicate-rows", title="Twice", status="warn", sentence="Some rows repeat.", todo="Remove them."),
        Check(id="vocabulary", title="Codes", status="pass", sentence="All is well.", todo=""),
    )
    return acknowledge(home, study, "label-leak")


def test_inputs_that_differ_are_said(home, tiny) -> None:
    study = make_study(["mdaf-full", "mdaf-plus", "lr"], [1], dataset=tiny)
    runs = results.study_runs(study)
    assert not [one for one in conditions.of_study(study, runs) if one.kind == "inputs"]  # nothing is recorded
    change_meta(tiny, outcomes=["viewed", "bought"])
    found = [one for one in conditions.of_study(study, runs) if one.kind == "inputs"]
    said = "Inputs differ: mdaf-plus is told what came of past events (outcomes), and mdaf-full and lr not."
    assert [(one.sentence, one.grave) for one in found] == [(said, True)]


SAID = (
    "The data are synthetic.",
    "Rows were split at random",
    "The audit of the data failed, acknowledged before the runs (label-leak: price tells the label).",
    f"{WARNED}.",
    "2 seeds of each configuration.",
    "6 of 6 runs were still improving when their epochs ran out",
)


def test_every_caption_carries_them(burdened) -> None:
    material = Material(burdened)
    made = []
    for make, names in ((make_figure, FIGURES), (make_table, TABLES)):
        for name in names:
            try:
                made.append((name, make(material, name).caption))
            except StudioError:
                continue
    assert len(made) > 15
    for name, caption in made:
        missing = [sentence for sentence in SAID if sentence not in caption]
        assert not missing, (name, missing)
        assert "Some rows repeat" not in caption


def test_text_manifest_and_files_carry_them(burdened) -> None:
    material = Material(burdened)
    content = dict(bundle.files(material, figures=["runs"], chosen_tables=["results"]))
    manifest = json.loads(content["manifest.json"])
    kinds = ["synthetic", "split", "audit-failed", "audit-warned", "seeds", "users", "unfinished"]
    assert [condition["kind"] for condition in manifest["conditions"]] == kinds
    files = {entry["path"]: entry["what"] for entry in manifest["files"]}
    for path in ("figures/runs-test-1col.pdf", "tables/results-test.tex", "tables/results-test.csv"):
        assert "The data are synthetic." in files[path], path
    for path in (
        "results.md",
        "results.tex",
        "tables/results-test.tex",
        "tables/results-test.md",
        "README.md",
        "paper.tex",
    ):
        assert b"synthetic" in content[path], path
    assert b"The data are synthetic." in content["figures/runs-test-1col.svg"]
    text = " ".join(sentence.text for sentence in bundle.results(material))
    assert all(sentence in text for sentence in SAID if "seeds" not in sentence)
    assert "with 2 seeds each" in text


def test_a_figure_made_alone_carries_them(burdened, tmp_path) -> None:
    out = tmp_path / "runs.svg"
    assert CliRunner().invoke(app, ["figure", f"{burdened.id}/runs", "--out", str(out)]).exit_code == 0
    assert "The data are synthetic." in out.read_text()
    table = tmp_path / "cost.md"
    assert CliRunner().invoke(app, ["figure", f"{burdened.id}/cost", "--out", str(table)]).exit_code == 0
    assert "The data are synthetic." in table.read_text()


def test_compare_says_them_beside_the_verdicts(burdened) -> None:
    found = json.loads(CliRunner().invoke(app, ["compare", burdened.id, "--json"]).stdout)
    assert {one["kind"] for one in found["beside"]} >= {"synthetic", "unfinished", "audit-failed"}
    text = CliRunner().invoke(app, ["compare", burdened.id]).stdout
    assert all(sentence in text for sentence in SAID)


def test_data_that_are_gone_are_said_to_be_unknown(home) -> None:
    study = make_study(["mdaf-full", "lr"], [1, 2])
    known = Material(study).conditions
    assert [condition.kind for condition in known] == ["data", "seeds"]
    assert "is not known" in known[0].sentence


def test_data_prepared_anew_are_not_taken_for_those_of_the_runs(home, tiny) -> None:
    study = make_study(["lr"], [1], dataset=tiny)
    (run,) = Material(study).runs
    path = run.directory / "result.json"
    result = json.loads(path.read_text())
    write_json(path, result | {"provenance": {"dataset": {"fingerprint": {"sha256": "another"}}}})
    assert [condition.kind for condition in Material(study).conditions] == ["data", "seeds", "users"]


def test_seeds_of_different_sources_of_a_plug_in_are_marked(home) -> None:
    study = make_study(["lr", "dcnv2"], [1, 2, 3])

    def said(*digests: str) -> list[str]:
        runs = [run for run in Material(study).runs if run.configuration == "lr"]
        for run, digest in zip(sorted(runs, key=lambda run: run.seed), digests, strict=True):
            path = run.directory / "result.json"
            write_json(path, json.loads(path.read_text()) | {"provenance": {"plugins": [{"sha256": digest}]}})
        return [one.sentence for one in Material(study).conditions if one.kind == "sources" and one.grave]

    assert not said("a", "a", "a")
    (sentence,) = said("a", "b", "a")
    assert "plug-in of lr was changed between its seeds (1, 3 against 2)" in sentence


def test_rows_that_hang_on_one_user_are_said_in_captions(home) -> None:
    study = make_study(["mdaf-full", "lr"], [1, 2])
    material = Material(study)
    assert material.comparison.sample is not None
    material.comparison.sample = Sample(rows=400, users=50, effective_users=4.2, largest_user=0.47)
    for make, name in ((make_figure, "differences"), (make_table, "results"), (make_table, "overfitting")):
        assert "One user has 47% of the test rows: they are worth 4.2 users" in make(material, name).caption


def test_a_failure_that_nobody_acknowledged_is_said_too(home, tiny) -> None:
    study = make_study(["lr"], [1], dataset=tiny)
    audited(tiny, Check(id="split-times", title="", status="fail", sentence="Parts overlap."))
    (failed,) = [c for c in Material(study).conditions if c.kind == "audit-failed"]
    assert failed.sentence == "The audit of the data fails, which nobody acknowledged (split-times: Parts overlap)."


def test_a_split_by_time_without_a_time_is_one_in_file_order(home, tiny) -> None:
    study = make_study(["lr"], [1], dataset=tiny)
    change_meta(tiny, has_time=False, split={"kind": "time"})
    text = conditions.text(Material(study).conditions)
    assert "in the order of the file" in text and not re.search("split by time", text, re.IGNORECASE)
    assert "in the order of the file" in bundle.results(Material(study))[0].text


def test_before_the_data_are_prepared_nothing_is_said_of_them(home) -> None:
    assert conditions.of_study(make_study(["lr"], [1]), []) == []


def test_the_user_of_many_rows_is_said_once(home, tiny) -> None:
    study = make_study(["mdaf-full", "lr"], [1, 2], dataset=tiny)
    todo = "If it is no person, take its rows out of the input; else say so beside results."
    audited(tiny, Check(id="concentrated-users", title="", status="warn", sentence="User 'a' holds 47%.", todo=todo))
    material = Material(study)
    material.comparison.sample = Sample(rows=400, users=50, effective_users=40.0, largest_user=0.05)
    assert "User 'a' holds 47%." in conditions.text(material.conditions), "of all data, where these rows have none"
    material = Material(study)
    material.comparison.sample = Sample(rows=400, users=50, effective_users=4.2, largest_user=0.47)
    text = conditions.text(material.conditions)
    assert "One user has 47%" in text and "User 'a'" not in text
