"""The bundle: every file there, valid, and traceable; sentences that follow from the tests and go no further."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shlex
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mdaf_core.analysis.comparison import compare_study
from mdaf_core.analysis.margins import Margin
from mdaf_core.base.errors import UsageError
from mdaf_core.metrics.registry import metrics
from mdaf_core.predicting.measured import keep
from mdaf_core.reporting.figures import FIGURES, make_figure
from mdaf_core.reporting.material import OF_SEARCH, Material
from mdaf_core.reporting.paper import bundle
from mdaf_core.reporting.paper.paragraph import results_paragraph
from mdaf_core.reporting.paper.tables import TABLES, make_table
from mdaf_core.reporting.topics.comparison import frames
from mdaf_core.runs.presets import get_preset
from mdaf_core.studies import results
from tests.reporting.example_study import make_study, measured_speed


def test_export_writes_what_it_promises(home: Path, tmp_path: Path) -> None:
    study = make_study(["mdaf-full", "mdaf-static"], [1, 2])
    material = Material(study)
    content = dict(bundle.files(material, figures=["differences", "slices-activity"], chosen_tables=["results"]))
    assert set(content) == {
        *(f"figures/differences-test-{n}col.{kind}" for n in (1, 2) for kind in ("pdf", "svg", "png")),
        "figures/differences-test.csv",
        "figures/differences-test.vl.json",
        *(f"tables/results-test.{suffix}" for suffix in ("tex", "md", "csv")),
        *("results.md", "results.tex", "paper.tex", "README.md", "manifest.json"),
    }
    manifest = json.loads(content["manifest.json"])
    for entry in manifest["files"]:
        assert hashlib.sha256(content[entry["path"]]).hexdigest() == entry["sha256"]
        assert entry["provenance"].startswith(f"{study.id}/")
    assert "no longer here" in manifest["left_out"]["slices-activity"], "what is missing is named with its reason"
    assert manifest["data"]["fingerprints_of_runs"] == ["f" * 64]
    assert len(manifest["runs"]) == 4


def test_every_figure_and_table_can_be_made(tiny) -> None:
    longer = get_preset("mamba4rec-v2").with_overrides(["training.max_history=200"])
    longer.name = "mamba4rec-v2-200"
    study = make_study(["mdaf-full", "mdaf-static", "mamba4rec-v2", longer], [1, 2], dataset=tiny, gates=True)
    keep(study.id, measured_speed(study.configuration_names))
    material = Material(study)
    assert not FIGURES.keys() & TABLES.keys(), "`figure STUDY/NAME` finds either by its name"
    left_out = set()
    for name in FIGURES:
        try:
            figure = make_figure(material, name)
        except UsageError as reason:
            left_out.add((name, str(reason)))
            continue
        assert figure.caption.endswith(".")
        assert not figure.data.is_empty()
        figure.chart.to_dict()
    assert {name for name, _ in left_out} == {"slices-unseen", "component-effects", "across", "expected-best"}
    assert ("slices-unseen", 'By "Unseen in training", all rows are in one slice.') in left_out
    for name in TABLES:
        if name not in ("effects", "data-sets", *OF_SEARCH):  # of a factorial, of studies on several data sets
            assert make_table(material, name).latex()


@pytest.mark.parametrize("metric", [*metrics()])
def test_words_say_which_way_is_better(home: Path, metric: str) -> None:
    study = make_study(["mdaf-full", "lr"], [1, 2, 3])
    material = Material(study, metric=metric)
    lower = metrics()[metric].direction < 0
    for name in ("leaderboard", "differences", "runs", "quality-speed"):
        figure = make_figure(material, name)
        assert metrics()[metric].title in figure.caption
        assert ("lower is better" in figure.caption or "below 0 is better" in figure.caption) == lower
        assert figure.file.endswith(metric) or metric == "auc", "two bundles do not overwrite one another"
    table = make_table(material, "results")
    heading = metrics()[metric].title
    means = [float(cell.split(" ")[0]) for cell in table.cells[heading]]
    assert table.best[heading] == {means.index(min(means) if lower else max(means))}
    assert ("below 0 is better" in table.caption) == lower
    text = " ".join(sentence.text for sentence in bundle.results(material))
    assert f"The {'lowest' if lower else 'highest'} mean" in text
    for c in material.comparison.configurations:
        if c.verdict in ("better", "worse"):
            assert c.difference and (metrics()[metric].direction * c.difference.estimate > 0) == (c.verdict == "better")


def test_the_command_of_a_run_gives_its_configuration(home: Path) -> None:
    from mdaf_core.cli.train import get_preset as preset_of  # what `train` starts from

    config = get_preset("mdaf-full").with_overrides(
        {"model.sequential.kind": "bst", "training.max_epochs": 3, "training.gradient_clip": None}
    )
    words = [f"{path}={bundle._setting(value)}" for path, value in bundle.changed_settings(config)]
    assert preset_of(config.preset).with_overrides(words) == config
    study = make_study(["lr"], [7])
    run = bundle.describe(Material(study))["runs"][0]
    assert shlex.split(run["command"])[:4] == ["python", "-m", "mdaf_core", "train"]
    assert "--seed 7" in run["command"]


def test_the_command_of_a_run_of_a_plug_in_that_is_not_at_hand(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    material = Material(make_study(["lr"], [7]))
    material.runs[0].result.provenance["plugins"] = [{"file": "/somewhere/my_models.py", "sha256": "0"}]
    monkeypatch.setattr("mdaf_core.runs.presets.preset_names", lambda: [])
    command = shlex.split(bundle.describe(material)["runs"][0]["command"])
    assert command[command.index("--plugin") + 1] == "my_models.py"
    words = [command[i + 1] for i, word in enumerate(command) if word == "--set"]
    config = material.study.configuration("lr")
    assert {word.partition("=")[0] for word in words} == set(config.flat_settings()) - {"model.kind"}
    assert config.with_overrides(words) == config


def test_archive_holds_the_same_files(home: Path) -> None:
    study = make_study(["mdaf-full", "lr"], [1, 2])
    material = Material(study)
    alone = zipfile.ZipFile(io.BytesIO(bundle.archive(material, ["differences"], [], figures_only=True)))
    assert len(alone.namelist()) == 8 and all("/figures/differences-" in name for name in alone.namelist())
    packed = zipfile.ZipFile(io.BytesIO(bundle.archive(material, [], ["results"])))
    assert packed.testzip() is None
    assert sorted(packed.namelist()) == sorted(f"{study.id}/{n}" for n, _ in bundle.files(material, [], ["results"]))


def test_nothing_finished_is_refused(home: Path) -> None:
    study = make_study(["mdaf-full"], [1], failed=[("mdaf-full", 1)])
    with pytest.raises(UsageError, match="nothing to export yet"):
        bundle.export_study(study.id, home / "out")
    assert not (home / "out").exists()


def test_a_bundle_that_cannot_be_made_leaves_the_folder_as_it_was(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = make_study(["mdaf-full", "lr"], [1, 2])
    (home / "out").mkdir()
    (home / "out" / "manifest.json").write_text("of before")
    monkeypatch.setattr(bundle, "describe", lambda material: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        bundle.export_study(study.id, home / "out")
    assert [path.name for path in (home / "out").iterdir()] == ["manifest.json"]
    assert (home / "out" / "manifest.json").read_text() == "of before"


def test_a_failed_run_is_counted_and_left_out(home: Path) -> None:
    study = make_study(seeds=[1, 2], failed=[("lr", 2)])
    text = " ".join(s.text for s in bundle.results(Material(study)))
    assert "1 of 6 planned runs have not finished" in text


def sentences(study, **options):  # type: ignore[no-untyped-def]
    comparison = compare_study(results.study_runs(study), study.reference, **options)
    return comparison, results_paragraph(study, comparison, "split by time")


@pytest.mark.parametrize(("seeds", "margin"), [([1, 2, 3], 20.0), ([1, 2, 3, 4, 5], 2000.0), ([1], 20.0)])
def test_no_sentence_goes_beyond_its_verdict(home: Path, seeds: list[int], margin: float) -> None:
    study = make_study(["mdaf-full", "mdaf-static", "lr"], seeds)
    comparison, found = sentences(study, margin=Margin(size=margin))
    text = " ".join(s.text for s in found)
    claims = {(m[1], m[2]) for m in re.finditer(r"(\S+) was (better|worse) than mdaf-full", text)}
    assert claims == {
        (c.configuration, c.verdict) for c in comparison.configurations if c.verdict in ("better", "worse")
    }
    parity = set(re.findall(r"(\S+) was equivalent to", text))
    assert parity == {c.configuration for c in comparison.configurations if c.verdict == "parity"}
    assert ("nothing is claimed" in text) == (len(seeds) == 1)
    assert ("Holm" in text) == (len(seeds) > 1)
    assert all(s.source for s in found)
    assert "split by time" in text
    assert f"{len(seeds)} seed" in text


def test_a_margin_that_cannot_be_formed_is_not_called_none(home: Path) -> None:
    """A share of what a reference gains, of one that gains nothing over the base rate."""
    material = Material(make_study(["mdaf-full", "lr"], [1, 2]), margin=Margin(size=2, unit="%"))
    told = {}
    for name in ("formed", "unformed", "none"):
        if name == "unformed":
            material.comparison.margin_bp = None
        if name == "none":
            material.comparison.margin = None
        text = " ".join(s.text for s in results_paragraph(material.study, material.comparison, "split by time"))
        told[name] = f"{make_figure(material, 'differences').caption} {text}"
    assert "No margin" not in told["formed"] + told["unformed"]
    said = (
        "The margin of 2% of the reference's gain over the base rate (AUC − 0.5) cannot be formed, since the reference"
    )
    assert told["unformed"].count(said) == 2 and said not in told["formed"] + told["none"]
    assert "No margin is set, so parity is not tested." in told["none"] and "No margin was set" in told["none"]


def test_why_few_seeds_exclude_what_no_verdict_does_is_said(home: Path) -> None:
    for seeds, said in (([1, 2], True), ([1, 2, 3, 4, 5], False)):
        caption = make_table(Material(make_study(["mdaf-full", "lr"], seeds)), "best").caption
        assert ("whose verdict, from its own spread, is still open" in caption) == said


def test_other_data_are_refused_with_the_reason(home: Path) -> None:
    study = make_study(["mdaf-full", "mdaf-static", "lr"], [1, 2], fingerprints={"lr": "e" * 64})
    comparison, found = sentences(study)
    assert {c.configuration: c.verdict for c in comparison.configurations}["lr"] == "not comparable"
    sentence = next(s.text for s in found if s.text.startswith("lr was not compared"))
    assert "different data cannot be compared" in sentence
    table = frames.comparison_table(comparison)
    row = table.filter(table["Configuration"] == "lr").row(0, named=True)
    assert row["Verdict"] == "not comparable"
    assert row["Δ, bp"] is None
    assert any("different data" in note for note in frames.comparison_notes(comparison))


def test_validation_rows_are_called_optimistic(home: Path) -> None:
    _, found = sentences(make_study(), split="val")
    assert any("optimistic" in s.text for s in found)


def test_command_line(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mdaf_core.cli.main import app

    study = make_study(["mdaf-full", "lr"], [1, 2])
    out = tmp_path / "paper"
    monkeypatch.setattr(bundle.files, "__defaults__", (("differences",), ("results",)))
    result = CliRunner().invoke(app, ["export", study.id, "--out", str(out), "--json"])
    assert result.exit_code == 0, result.output
    value = json.loads(result.stdout)
    assert "manifest.json" in value["files"]
    assert all((out / name).stat().st_size for name in value["files"])


def test_command_line_refuses_a_file_as_folder(home: Path, tmp_path: Path) -> None:
    from mdaf_core.cli.export import command

    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="is a file"):
        command("any", tmp_path / "file")


def test_what_is_not_comparable_is_ranked_nowhere(home: Path) -> None:
    """A configuration on other data, and one whose runs have different settings: named, never bold, never drawn."""
    from mdaf_core.runs import tracking

    study = make_study(["mdaf-static", "mdaf-full", "lr", "dcnv2"], [1, 2], fingerprints={"mdaf-full": "e" * 64})
    old = next(r for r in tracking.list_runs(study.id) if (r.configuration, r.seed) == ("lr", 2))
    assert old.result is not None
    changed = get_preset("lr").with_overrides({"training.batch_size": 64})
    new = tracking.start_run(changed, 2, "toy", "f" * 64, study=study.id)
    tracking.finish_run(new, old.result.model_copy(update={"run_id": new}))
    material = Material(study)
    refused = {"mdaf-full", "lr"}
    assert {c.configuration for c in material.comparison.configurations if c.verdict == "not comparable"} == refused
    text = " ".join(s.text for s in bundle.results(material))
    assert "The highest mean AUC was that of mdaf-static" in text
    assert all(f"{name} was not compared" in text for name in refused)
    for name in ("leaderboard", "quality-parameters", "roc", "auc-by-epoch"):
        figure = make_figure(material, name)
        drawn = set(figure.data["configuration"])
        assert "mdaf-full" not in drawn, name
        assert name not in ("leaderboard", "quality-parameters") or drawn == {"mdaf-static", "dcnv2"}
        assert "not drawn" in figure.caption or "is not drawn" in figure.caption
    table = make_table(material, "results")
    names = table.cells["Configuration"]
    assert not {names[row] for rows in (*table.best.values(), *table.second.values()) for row in rows} & refused
    assert table.cells["AUC"][names.index("lr")] == "–"
    assert "lr is not comparable" in table.caption


def test_a_study_whose_reference_has_not_finished_says_so_once(home: Path) -> None:
    study = make_study(["mdaf-full", "lr"], [1, 2], failed=[("mdaf-full", 1), ("mdaf-full", 2)])
    text = " ".join(s.text for s in bundle.results(Material(study)))
    assert text.count("mdaf-full") == 1
    assert "has no finished run" in text
    assert "400 test rows" in text
    assert "diamond" not in make_figure(Material(study), "leaderboard").caption
