"""Several studies as one table: joined on the same rows, beside each other on several data sets."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from mdaf_core.analysis.plan import Extension
from mdaf_core.base.errors import StudioError, UsageError
from mdaf_core.cli.main import app
from mdaf_core.queue import api
from mdaf_core.reporting.figures import make_figure
from mdaf_core.reporting.material import Material
from mdaf_core.reporting.paper import bundle
from mdaf_core.reporting.paper.tables import make_table
from mdaf_core.reporting.topics.across import ELSEWHERE, HERE
from mdaf_core.runs.imported import ImportedScores, SplitScores
from mdaf_core.runs.presets import get_preset
from mdaf_core.runs.results import RunResult
from mdaf_core.runs.tracking import RunRecord
from mdaf_core.studies import across, results
from mdaf_core.studies.store import Group, get_study, list_studies, update_study
from tests.conftest import ROOT
from tests.reporting.example_study import add_runs, make_study

NAMES = ["mdaf-full", "lr"]


def on(name, seeds=(1, 2, 3), names=NAMES, print_="", rows=200, **more):
    """A study of two configurations on made-up data, whose content `print_` stands for."""
    called = [one if isinstance(one, str) else one.name for one in names]
    prints = dict.fromkeys(called, (print_ or {"a": "f"}.get(name, name))[-1] * 64)
    return make_study(names, seeds, dataset_name=name, fingerprints=prints, rows=rows, **more)


@pytest.fixture
def studies(made_once):
    """Studies on a, b_2 and c of one launch; then two on a that share the second of three seeds."""

    def make():
        group = Group(id="launch", datasets=["a", "b_2", "c"])
        sizes = zip(group.datasets, (200, 240, 280), strict=True)
        of_launch = [update_study(on(name, rows=rows).id, group=group) for name, rows in sizes]
        return [*of_launch, on("a", [1, 2]), on("a", [2, 3])]

    return made_once(make)


def entry(table, name):
    return next(c for c in table.configurations if c.configuration == name)


def test_seeds_in_two_studies_are_those_of_one_study_and_a_repeat_counts_once(studies):
    whole, *_, first, second = studies
    found = across.compare([first, second])
    (joined,) = found.columns.values()
    assert found.across is None and len(found.of_column["a"]) == 2
    one = results.compare(whole)
    for name in NAMES:
        mine, theirs = entry(joined, name), entry(one, name)
        assert mine.values == theirs.values and mine.verdict == theirs.verdict and mine.mean == theirs.mean
        assert mine.difference == theirs.difference and mine.p_adjusted == theirs.p_adjusted
    assert "2 runs count once although several of these studies have the same." in joined.notes
    said = " ".join(joined.conditions.sentences())
    assert f"studies {first.id} and {second.id} were put into one table" in said
    assert [word for word in joined.frame()["marked"] if word != "reference"] == ["not shown †"]


def test_a_name_with_other_settings_stays_apart_and_what_was_added_or_is_missing_is_still_said(studies):
    first = studies[3]
    changed = get_preset("lr").with_overrides(["training.max_epochs=2"])
    other = on("a", [1, 2, 3], ["mdaf-full", changed], failed=[("lr", 3)])
    added = Extension(seeds=[4], added="2026-01-02T00:00:00+00:00", results_seen=True)
    add_runs(update_study(first.id, add_seeds=added), [4], NAMES, rows=200)
    (table,) = across.compare([get_study(first.id), other]).columns.values()
    assert {c.configuration for c in table.configurations} == {*NAMES, f"lr ({other.id})"}
    said = " ".join(table.conditions.sentences())
    assert f"{first.id}: 1 seed (4) was added on 2026-01-02 after results were seen" in said
    assert entry(table, f"lr ({other.id})").verdict == "interim"
    assert f"lr ({other.id}) 2 of 3 planned seeds" in said


def test_other_content_under_one_name_is_refused_and_one_content_under_two_names_is_one_column(studies):
    anew = on("a", [4, 5], ["mdaf-full", "mdaf-bst"], print_="z")
    (table,) = across.compare([studies[0], anew]).columns.values()
    assert entry(table, "mdaf-bst").verdict == "not comparable"
    same = on("copy", [4], print_="f")
    assert list(across.compare([studies[0], same]).columns) == ["a"]


@dataclass(frozen=True)
class Imported(RunRecord):
    """A run whose predictions came in a file with this digest."""

    sha: str = ""

    @property
    def imported(self):
        return True

    @property
    def result(self):
        part = SplitScores(
            file="s.csv", sha256=self.sha, rows=1, score="p", scale="probability", scale_because="", matched="",
            labels_checked=True, distinct=1,
        )  # fmt: skip
        scores = ImportedScores(seed_known=False, imported="2026-01-01T00:00:00+00:00", splits={"test": part})
        return RunResult.model_construct(imported=scores)


def test_a_file_of_predictions_that_two_studies_imported_counts_once(studies, monkeypatch):
    first, second = studies[3:]

    def runs(study):
        seeds = {0: "aa", 1: "bb"} if study.id == first.id else {5: "bb", 6: "cc"}
        named = ("lr", "lr", "imported")
        return [
            Imported(f"{study.id}{seed}", study.id, *named, seed, "a", "f", "finished", "", 0.0, 1.0, {}, sha)
            for seed, sha in seeds.items()
        ]

    monkeypatch.setattr(results, "study_runs", runs)
    kept, twice = across._joined_runs([first, second], {one.id: {"lr": "lr"} for one in (first, second)}, "test")
    assert [run.seed for run in kept] == [0, 1, 6] and twice == 1


def test_columns_are_each_studys_own_words_and_one_launch_was_planned(studies):
    launch, (alone, _) = studies[:3], studies[3:]
    found = across.compare(launch)
    assert list(found.columns) == ["a", "b_2", "c"] and across.together([launch[1].id]) == launch
    for study in launch:
        assert found.columns[study.dataset].frame().equals(results.compare(study).frame())
    row = found.across.row("lr")
    assert found.across.chosen_after == [] and row.mark == ""
    each = [table.frame().filter(configuration="lr")["difference_bp"][0] for table in found.columns.values()]
    assert row.here.test.estimate == pytest.approx(sum(each) / 3e4)
    some = across.compare(launch[:2])
    assert some.across.chosen_after == ["2 of the 3 data sets launched together (not c)"]
    assert some.across.row("lr").mark == "†"
    assert "were not launched together" in across.compare([launch[1], alone]).across.chosen_after[0]
    with pytest.raises(UsageError, match="stands alone"):
        across.together([alone.id])


def test_data_sets_of_one_input_are_not_averaged(studies, monkeypatch):
    meta = SimpleNamespace(fingerprint={"inputs": {"log.csv": {"sha256": "ab"}}})
    monkeypatch.setattr(across, "PreparedDataset", SimpleNamespace(open=lambda name: SimpleNamespace(meta=meta)))
    found = across.compare(studies[:2])
    assert found.across.notes[0].startswith("a and b_2 were made from the same input")
    assert found.across.row("lr").here is None and found.across.row("lr").cells.keys() == {"a", "b_2"}


def test_figure_and_table_for_the_paper_and_their_provenance(studies):
    first, second, third, alone, _ = studies
    figure, table = make_figure(Material(first), "across"), make_table(Material(first), "data-sets")
    assert figure.origin.id.startswith(f"{first.id}/across@")
    assert set(figure.data["on"]) == {"a", "b_2", "c", HERE, ELSEWHERE}
    assert f"{HERE}: the data sets' differences averaged" in figure.caption
    assert "Without averages" not in figure.caption
    assert r"\toprule" in table.latex() and r"b\_2" in table.latex()
    named = f"{alone.id}/data-sets/with={third.id}"
    assert b"% MDAF Studio" in bundle.one_file(named, "tex")
    added = Extension(seeds=[9], added="2026-01-02T00:00:00+00:00", results_seen=True)
    add_runs(update_study(second.id, add_seeds=added), [9], ["lr"], rows=240)  # of the study beside it
    with pytest.raises(StudioError, match="are not those that"):
        bundle.one_file(figure.origin.id, "csv")
    with pytest.raises(UsageError, match="stands alone"):
        make_figure(Material(alone), "across")


def run_cli(capsys, *args):
    try:
        app(["across", *args], standalone_mode=False)
    finally:
        out = capsys.readouterr().out
    return out


def test_command(studies, capsys):
    first, second, *_, again = (study.id for study in studies)
    text = run_cli(capsys, first)
    assert text.startswith(f"Studies {first}, {second}, ") and HERE in text
    value = json.loads(run_cli(capsys, first, second, "--json"))
    assert value["data_sets"].keys() == {"a", "b_2"} and value["across"]["configurations"][1]["words"]["here"]
    assert r"\begin{tabular}" in run_cli(capsys, first, second, "--latex")
    assert run_cli(capsys, first, second, "--csv").startswith("configuration,on,")
    assert "as one table" in run_cli(capsys, first, again)
    with pytest.raises(UsageError, match="on one data set"):
        run_cli(capsys, first, again, "--latex")
    with pytest.raises(UsageError, match="has no configuration 'nobody'"):
        run_cli(capsys, first, second, "--reference", "nobody")


def test_page(studies):
    first, second, third, alone, again = (study.id for study in studies)
    app = AppTest.from_file(str(ROOT / "pages" / "compare.py"), default_timeout=300)
    app.query_params["study"], app.query_params["view"] = first, "Across studies"
    app.run()
    assert not app.exception and not app.error
    beside = app.multiselect(key="_with")
    assert beside.value == [second, third], "a launch on several data sets stands together"
    table = getattr(app.dataframe[0].value, "data", app.dataframe[0].value)
    assert {"a", "b_2", "c", HERE, ELSEWHERE} <= set(table.columns)
    app = beside.set_value([alone, again]).run()
    assert not app.exception and not app.error
    table = getattr(app.dataframe[0].value, "data", app.dataframe[0].value)
    assert set(table["Configuration"]) == set(NAMES) and set(table["Verdict"]) == {"reference", "● not shown †"}


def test_one_launch_on_several_data_sets(tiny, home, capsys, monkeypatch):
    shutil.copytree(home / "datasets" / "tiny", home / "datasets" / "again")

    def run(*args):
        app(["study", "run", "demo", "--seeds", "1", *args, "--json"], standalone_mode=False)
        return json.loads(capsys.readouterr().out)

    made = run("--data", "tiny", "--data", "again", "--only", "lr,dcnv2", "--title", "Two")
    assert made["group"]["datasets"] == ["tiny", "again"]
    assert [one["title"] for one in made["studies"]] == ["Two on tiny", "Two on again"]
    ids = [one["study"] for one in made["studies"]]
    assert {get_study(one).group.id for one in ids} == {made["group"]["id"]} and len(api.list_jobs()) == 4
    assert [one.id for one in across.together([ids[1]])] == ids
    for wrong, why in ((["tiny", "tiny"], "named twice"), (["tiny", "none"], "none")):
        with pytest.raises(UsageError, match=why):
            run("--data", wrong[0], "--data", wrong[1])
    with pytest.raises(UsageError, match="cannot be acknowledged"):
        run("--data", "tiny", "--data", "again", "--acknowledge", "nothing")
    assert len(api.list_jobs()) == 4, "nothing is queued where one of them cannot be"

    for name in ("page_link", "switch_page"):  # beside a page alone there are no others
        monkeypatch.setattr(f"streamlit.{name}", lambda *_, **__: None)
    page = AppTest.from_file(str(ROOT / "pages" / "launch.py"), default_timeout=300)
    page.query_params["dataset"], page.query_params["definition"] = "tiny", "demo"
    page.run().multiselect(key="also-tiny").set_value(["again"]).run()
    page.button(key="launch").click().run()
    assert not page.exception and not page.error
    newest = list_studies()[:2]
    assert newest[0].group == newest[1].group and newest[0].group.datasets == ["tiny", "again"]
