"""A split by time beside another one, the same study on both, and which of its words stand."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import get_args

import numpy as np
import polars as pl
import pytest
from scipy.stats import spearmanr
from streamlit.testing.v1 import AppTest

from mdaf_core.analysis.compared import ComparedConfiguration, StudyComparison
from mdaf_core.analysis.significance import Difference, SeedSummary, Verdict
from mdaf_core.analysis.twins import compare_twins
from mdaf_core.base.errors import UsageError
from mdaf_core.data.prepare.pipeline import prepare
from mdaf_core.data.prepare.twins import same_input, twin_request, twins_of
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.data.store.schema import SPLITS
from mdaf_core.queue import api
from mdaf_core.reporting.topics.comparison.twins import twins_sentences
from mdaf_core.studies import twins
from mdaf_core.studies.store import get_study
from mdaf_core.tasks.prepare import Preparation
from mdaf_core.tasks.twins import require_twin, run_twin
from tests.conftest import ROOT
from tests.reporting.example_study import make_study
from tests.waiting import PATIENT

OPTIONS = {"label": "y", "user": "u", "item": "i", "timestamp": "t"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`given`: parts in two files whose times overlap, 700 rows of 1,000 train; and its twin."""
    folder, rng = tmp_path_factory.mktemp("twins"), np.random.default_rng(2)
    (folder / "in").mkdir()
    log = pl.DataFrame(
        {
            "u": rng.integers(0, 40, 1000),
            "i": rng.integers(0, 30, 1000),
            "t": 1_700_000_000 + rng.permutation(1000) * 300,
            "y": rng.integers(0, 2, 1000),
        }
    )
    log[:700].write_csv(folder / "in" / "train.csv")
    log[700:].write_csv(folder / "in" / "test.csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MDAF_HOME", str(folder / "home"))
        given = prepare(
            "table", path=folder / "in" / "train.csv", name="given", options=OPTIONS | {"test_path": "test.csv"}
        )
        wanted = twin_request(given.meta)
        prepare(wanted.source, path=wanted.path, name=wanted.name, options=wanted.options)
    return folder


@pytest.fixture
def here(store: Path, home: Path) -> Path:
    """An artifacts folder with both data sets and an empty run store, in which nothing is started."""
    shutil.copytree(store / "home" / "datasets", home / "datasets")
    return home


def test_a_twin_has_the_same_rows_and_shares_in_the_order_of_time(here: Path) -> None:
    given, twin = PreparedDataset.open("given"), PreparedDataset.open("given-by-time")
    assert (given.meta.split["kind"], twin.meta.split["kind"]) == ("given", "time")
    for split in SPLITS:
        assert given.meta.splits[split].rows == twin.meta.splits[split].rows

    def moments(data: PreparedDataset, *parts: str) -> list[int]:
        return sorted(int(t) for part in parts for t in data.rows(part).timestamp)  # type: ignore[arg-type]

    assert moments(given, *SPLITS) == moments(twin, *SPLITS)
    assert moments(twin, "train")[-1] < moments(twin, "val")[0] and moments(twin, "val")[-1] < moments(twin, "test")[0]
    assert moments(given, "train")[-1] > moments(given, "test")[0], "else there is nothing to find out"
    assert [meta.name for meta in twins_of(given.meta)] == ["given-by-time"] and same_input(twin.meta, given.meta)
    changed = twin.meta.model_copy(update={"options": twin.meta.options | {"min_count": 2}})
    assert not same_input(changed, given.meta)


def test_what_has_no_twin_is_said(here: Path, store: Path, tmp_path: Path) -> None:
    given = PreparedDataset.open("given").meta
    with pytest.raises(UsageError, match="split by time already"):
        twin_request(PreparedDataset.open("given-by-time").meta)
    with pytest.raises(UsageError, match="carry no time"):
        twin_request(given.model_copy(update={"has_time": False}))
    gone = given.model_copy(update={"path": str(tmp_path / "gone.csv")})
    with pytest.raises(UsageError, match=r"not at .*gone\.csv any more.*--path"):
        twin_request(gone)
    with pytest.raises(UsageError, match="not recorded"):
        twin_request(given.model_copy(update={"path": ""}))
    with pytest.raises(UsageError, match="split by time already"):
        require_twin("given-by-time")
    require_twin("given")
    assert twin_request(gone, store / "in" / "train.csv", "other").name == "other"


def test_the_same_study_is_queued_on_the_twin_behind_its_preparation(here: Path) -> None:
    study = make_study(["dcnv2", "lr"], [1, 2], dataset=PreparedDataset.open("given"), predictions=False)
    made = run_twin(study)
    assert made.dataset == "given-by-time" and made.plan and study.plan
    assert made.plan.model_dump() == study.plan.model_dump()
    jobs = api.list_jobs()
    assert len(jobs) == 4 and {job.depends_on for job in jobs} == {None}
    shutil.rmtree(here / "datasets" / "given-by-time")
    run_twin(study)
    first = [job for job in api.list_jobs() if job.kind == "prepare"]
    assert len(first) == 1 and Preparation.model_validate(first[0].payload).options["split"] == "time"
    later = [job for job in api.list_jobs() if job.kind == "train" and job.id > max(job.id for job in jobs)]
    assert [job.depends_on for job in later] == [first[0].id] * 4


def word(name: str, verdict: str, mean: float, difference: float | None) -> ComparedConfiguration:
    return ComparedConfiguration(
        configuration=name, preset=name, model=name, run_ids={}, values={1: mean, 2: mean},
        summary=SeedSummary.model_construct(mean=mean, sd=0.0),
        difference=None if difference is None else Difference.model_construct(
            estimate=difference, low=difference - 1e-4, high=difference + 1e-4
        ),
        verdict=verdict,
    )  # fmt: skip


def comparison(*entries: ComparedConfiguration) -> StudyComparison:
    return StudyComparison(reference="ref", split="test", metric="auc", configurations=list(entries))


def test_what_becomes_of_each_word() -> None:
    expected = {
        ("better", "better"): "same word", ("not shown", "not shown"): "same word", ("parity", "parity"): "same word",
        ("better", "worse"): "changed sign", ("worse", "better"): "changed sign",
        ("better", "not shown"): "changed word", ("not shown", "worse"): "changed word",
        ("parity", "better"): "changed word", ("parity", "not shown"): "changed word",
        ("interim", "better"): "no word", ("better", "one seed: no variance known"): "no word",
        ("not comparable", "not comparable"): "no word",
    }  # fmt: skip
    names = {pair: f"m{i}" for i, pair in enumerate(expected)}
    rng = np.random.default_rng(0)
    means = {name: rng.random(2) for name in ["ref", *names.values()]}
    sides = [
        comparison(
            word("ref", "reference", means["ref"][side], None),
            *(word(name, pair[side], means[name][side], 1e-3) for pair, name in names.items()),
        )
        for side in (0, 1)
    ]
    sides[1].configurations.append(word("alone", "better", 0.9, 1e-3))
    found = compare_twins(*sides)
    assert {pair: fate.outcome for pair, fate in zip(expected, found.fates, strict=True)} == expected
    assert found.counts == {outcome: list(expected.values()).count(outcome) for outcome in found.counts}
    assert {word for pair in expected for word in pair} <= set(get_args(Verdict)) and found.only_one == ["alone"]
    assert found.rank_correlation == pytest.approx(spearmanr(*zip(*means.values(), strict=True)).statistic)
    assert [fate.first.verdict for fate in found.concluded].count("better") == 3


def test_the_words_of_two_studies_from_command_and_page(here: Path, monkeypatch, capsys) -> None:  # type: ignore[no-untyped-def]
    from tests.cli.conftest import strict

    names = ["mdaf-full", "mdaf-static", "lr"]
    first, second = (make_study(names, [1, 2, 3], dataset=PreparedDataset.open(d)) for d in ("given", "given-by-time"))
    make_study(["dcnv2", "lr"], [1], dataset=PreparedDataset.open("given-by-time"), predictions=False)
    assert [other.id for other in twins.twin_studies(first)] == [second.id]
    with pytest.raises(UsageError, match=f"Twins: {second.id}"):
        twins.twin_study(first, first.id)
    found = twins.compare(get_study(first.id), second)
    sentences = twins_sentences(found, first, second)
    assert [fate.configuration for fate in found.fates] == ["mdaf-static", "lr"]
    assert "given (split as its source gives it" in sentences[0] and "given-by-time (split by time)" in sentences[0]

    from mdaf_core.cli.main import main

    monkeypatch.setattr("sys.argv", ["mdaf_core", "twins", first.id, "--json"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    said = strict(capsys.readouterr().out)
    assert said["sentences"] == sentences and sum(said["counts"].values()) == 2
    assert [one["study"] for one in said["studies"]] == [first.id, second.id]

    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=PATIENT)
    app.switch_page("pages/compare.py")
    app.query_params["study"], app.query_params["view"] = first.id, "Another split"
    app.run()
    assert not app.exception and not app.error
    assert any(sentences[0].split(",")[0][:40] in str(m.value).replace("\\", "") for m in app.markdown)
    assert list(app.dataframe[0].value["Outcome"]) == [fate.outcome for fate in found.fates]
