"""A provenance id draws the same again, says what it is, and is refused when it can no longer be true."""

from __future__ import annotations

import io
import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from mdaf_core.analysis.margins import Margin
from mdaf_core.base.errors import StudioError, UsageError
from mdaf_core.cli.main import app
from mdaf_core.reporting import provenance
from mdaf_core.reporting.material import Material
from mdaf_core.reporting.paper import bundle
from mdaf_core.reporting.stamp import Origin, stamped
from mdaf_core.runs import tracking
from tests.reporting.example_study import make_study

ODD = "a+b=c/d@e, ü"


@pytest.fixture
def study(made_once):  # type: ignore[no-untyped-def]
    return made_once(lambda: make_study(["mdaf-full", "lr", ODD], [1, 2]))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"split": "val"},
        {"margin": Margin(size=12.5), "metric": "gauc"},
        {"only": (ODD, "lr")},
        {"split": "val", "margin": Margin(size=0.5, unit="%"), "only": ("lr",), "typeface": "serif"},
    ],
)
def test_an_id_gives_back_what_it_was_made_from(study, settings) -> None:  # type: ignore[no-untyped-def]
    material = Material(study, **settings)
    found = provenance.identify(material, "roc")
    assert found.count("@") == 1
    assert " " not in found
    again, name = provenance.resolve(found)
    assert name == "roc"
    assert (again.study, again.split, again.metric, again.comparison.margin, again.lines) == (
        *(material.study, material.split, material.metric, material.comparison.margin, material.lines),
    )
    assert again.typeface == material.typeface
    assert provenance.identify(again, name) == found


def test_the_usual_choice_is_a_short_id(study) -> None:  # type: ignore[no-untyped-def]
    all_of_them = Material(study, only=tuple(study.configuration_names))
    assert provenance.identify(all_of_them, "roc") == provenance.identify(Material(study), "roc")
    assert provenance.identify(Material(study), "roc").startswith(f"{study.id}/roc@")


def test_the_same_bytes_as_in_the_bundle(study) -> None:  # type: ignore[no-untyped-def]
    content = dict(bundle.files(Material(study, split="val", margin=Margin(size=10)), ["differences"], ["results"]))
    manifest = json.loads(content["manifest.json"])
    ids = {entry["path"]: entry["provenance"] for entry in manifest["files"]}
    made = [path for path in content if path.startswith(("figures/", "tables/"))]
    assert len(made) == 11
    for path in made:
        kind = "vl.json" if path.endswith("vl.json") else path.rpartition(".")[2]
        assert bundle.one_file(ids[path], kind, 2 if "-2col" in path else 1) == content[path], path
    readme = content["README.md"].decode()
    assert all(f"python -m mdaf_core figure {id} --out " in readme for id in {ids[path] for path in made})


def test_every_file_carries_its_id(study) -> None:  # type: ignore[no-untyped-def]
    content = dict(bundle.files(Material(study), ["leaderboard"], ["cost"]))
    figure, table = (provenance.identify(Material(study), name) for name in ("leaderboard", "cost"))
    assert Image.open(io.BytesIO(content["figures/leaderboard-test-1col.png"])).info["Source"] == figure
    svg = ET.fromstring(content["figures/leaderboard-test-1col.svg"])
    assert svg.findtext("{http://www.w3.org/2000/svg}metadata") == f"MDAF Studio: {figure}"
    assert figure.encode("utf-16-be").hex().upper().encode() in content["figures/leaderboard-test-1col.pdf"]
    assert json.loads(content["figures/leaderboard-test.vl.json"])["usermeta"]["provenance"] == figure
    assert content["tables/cost.tex"].decode().startswith(f"% MDAF Studio: {table}\n")
    assert table in content["tables/cost.md"].decode().splitlines()[0]
    for name in ("results.md", "results.tex", "paper.tex"):
        assert f"MDAF Studio: {study.id}/" in content[name].decode()


def test_csv_stays_a_table(study) -> None:  # type: ignore[no-untyped-def]
    import pandas as pd

    content = dict(bundle.files(Material(study), ["leaderboard"], ["cost"]))
    for name, column in (("figures/leaderboard-test.csv", "mean"), ("tables/cost.csv", "parameters_dense")):
        assert column in pd.read_csv(io.BytesIO(content[name])).columns


@given(st.text(max_size=60), st.text(max_size=200))
def test_any_words_can_be_stamped(title: str, caption: str) -> None:
    origin = Origin("study/roc@0123456789ab", title.replace("\0", ""), caption.replace("\0", ""))
    out = io.BytesIO()
    Image.new("RGB", (2, 2)).save(out, "png")
    image = Image.open(io.BytesIO(stamped(out.getvalue(), "png", origin)))
    image.load()
    assert image.info["Source"] == origin.id
    assert image.info.get("Description", "") == origin.caption.encode("utf-8", "replace").decode()


def test_an_id_whose_runs_have_changed_is_refused(study) -> None:  # type: ignore[no-untyped-def]
    from mdaf_core.runs.presets import get_preset

    found = provenance.identify(Material(study), "roc")
    old = next(run for run in tracking.list_runs(study.id) if run.configuration == "lr" and run.seed == 1)
    result = old.result
    assert result is not None
    again = tracking.start_run(get_preset("lr"), 1, "toy", "f" * 64, study=study.id)
    tracking.finish_run(again, result.model_copy(update={"run_id": again}))
    with pytest.raises(StudioError, match="runs were added, repeated or removed") as caught:
        provenance.resolve(found)
    assert f"{study.id}/roc --out" in str(caught.value)
    assert provenance.resolve(f"{study.id}/roc")[1] == "roc"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is no provenance id"),
        ("study", "is no provenance id"),
        ("nothing/roc", "There is no study"),
        ("../../etc/roc", "cannot be used"),
        ("{}/roc/split=train", "There is no setting"),
        ("{}/roc/margin=wide", "a number of bp above 0"),
        ("{}/roc/margin=-1", "a number of bp above 0"),
        ("{}/differences/margin=0", "a number of bp above 0"),
        ("{}/roc/lines=none", "no configuration none"),
        ("{}/unknown", "There is no figure or table"),
    ],
)
def test_what_is_no_id_is_refused(study, text: str, reason: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UsageError, match=reason):
        bundle.one_file(text.format(study.id), "svg")


def test_command_line(study, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    runner = CliRunner()
    out = tmp_path / "new" / "results.tex"
    done = runner.invoke(app, ["figure", f"{study.id}/results", "--out", str(out), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {"id": f"{study.id}/results", "out": str(out), "bytes": out.stat().st_size}
    assert "toprule" in out.read_text()
    refused = runner.invoke(app, ["figure", f"{study.id}/results", "--out", str(tmp_path / "results.docx")])
    assert isinstance(refused.exception, UsageError)
    assert not (tmp_path / "results.docx").exists()
    folder = runner.invoke(app, ["figure", f"{study.id}/results", "--out", str(tmp_path)])
    assert isinstance(folder.exception, UsageError)
