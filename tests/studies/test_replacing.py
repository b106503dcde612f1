"""A data set that runs refer to is not replaced by one that was prepared otherwise; names hold what differs."""

from functools import partial
from types import SimpleNamespace

import polars as pl
import pytest

from mdaf_core.base.errors import BadInputError, UsageError
from mdaf_core.data.formats.base import parse_options
from mdaf_core.data.formats.registry import get_source
from mdaf_core.data.prepare import uploads
from mdaf_core.data.prepare.pipeline import default_name, prepare
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.queue import api, store
from mdaf_core.studies import data_sets
from mdaf_core.tasks import prepare as prepare_task
from tests.data.raw_files import write_criteo, write_ml_100k, write_taobao_ads

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def referred(monkeypatch):
    """Studies refer to every data set."""
    monkeypatch.setattr(data_sets, "references", lambda name: data_sets.References(["a-study"], 3))


def _log(path, seed=0):
    frame = pl.DataFrame({"label": [0, 1] * 100, "item": [(i * 7 + seed) % 9 for i in range(200)]})
    frame.write_csv(path)
    return path


def _prepare(path, may_replace=data_sets.refuse_replacing, **options):
    return prepare("table", path=path, name="log", options={"item": "item"} | options, may_replace=may_replace)


def test_what_runs_refer_to_is_kept(tmp_path, referred):
    path = _log(tmp_path / "log.csv")
    first = _prepare(path)
    assert _prepare(path).meta == first.meta  # the same again replaces nothing
    for change in ({"split": "random"}, {"min_count": 2}):
        with pytest.raises(UsageError, match=r"1 study \(a-study\) and 3 runs refer to data set 'log'.*--force"):
            _prepare(path, **change)
    _log(path, seed=1)
    with pytest.raises(UsageError, match="--force"):
        _prepare(path)
    assert first.meta == prepare("table", path=path, name="other", options={"item": "item"}).open("log").meta
    with pytest.raises(UsageError, match="--force"):  # another data set under its name, without a copy
        prepare("table", path=path, name="log", options={"item": "item"}, may_replace=data_sets.refuse_replacing)
    assert _prepare(path, may_replace=None).meta.request != first.meta.request


def test_a_study_launched_meanwhile_keeps_its_data(tmp_path, monkeypatch):
    path = _log(tmp_path / "log.csv")
    first = _prepare(path)

    def launch(_share, message):
        if message == "Computing statistics":
            monkeypatch.setattr(data_sets, "references", lambda name: data_sets.References(["a-study"], 0))

    with pytest.raises(UsageError, match="1 study"):
        prepare(
            "table", path=path, name="log", options={"item": "item", "split": "random"}, progress=launch,
            may_replace=data_sets.refuse_replacing,
        )  # fmt: skip
    assert PreparedDataset.open("log").meta == first.meta


def test_a_job_asks_too_and_empties_an_upload_only_once_it_is_prepared(tmp_path, monkeypatch):
    stored = uploads.save_uploads([("log.csv", _log(tmp_path / "log.csv").open("rb"))])
    job = prepare_task.job("table", stored, "log", {"item": "item"})

    def work(job):
        context = SimpleNamespace(report=lambda _: None, stop_if_asked=lambda: None)
        prepare_task.run(context, prepare_task.Preparation.model_validate(job.payload))

    _prepare(_log(tmp_path / "other.csv", seed=1))
    monkeypatch.setattr(data_sets, "references", lambda name: data_sets.References(["a-study"], 3))
    with pytest.raises(UsageError, match="--force"):
        work(job)
    assert stored.read_bytes() == (tmp_path / "log.csv").read_bytes()
    before = PreparedDataset.open("log").meta.request
    work(prepare_task.job("table", stored, "log", {"item": "item"}, force=True))
    assert PreparedDataset.open("log").meta.request != before and not stored.parent.exists()


def test_what_a_job_trains_on_is_kept_even_by_force(tmp_path, monkeypatch):
    path = _log(tmp_path / "log.csv")
    first = _prepare(path)
    (job,) = store.add([store.NewJob("train", "lr, seed 1", {"dataset": "log"}, key="a-study/lr/1", resource="log")])
    forced = partial(data_sets.refuse_replacing, force=True)
    with store.transaction() as db:
        db.execute("UPDATE jobs SET state = 'running' WHERE id = ?", (job,))
    with pytest.raises(UsageError, match=f"Job {job} is training on data set 'log'"):
        _prepare(path, may_replace=forced, split="random")
    assert PreparedDataset.open("log").meta == first.meta
    with store.transaction() as db:
        db.execute("UPDATE jobs SET state = 'finished' WHERE id = ?", (job,))
    assert _prepare(path, may_replace=forced, split="random").meta.request != first.meta.request


def test_without_references_it_is_replaced(tmp_path):
    path = _log(tmp_path / "log.csv")
    first = _prepare(path)
    assert _prepare(path, split="random").meta.request != first.meta.request


def test_default_names_hold_what_differs(tmp_path):
    path = _log(tmp_path / "log.csv")
    source = get_source("table")

    def name(**options):
        return default_name(source, path, parse_options(source, {"item": "item"} | options))

    assert name() == "table-log"
    names = [
        name(**options)
        for options in (
            {}, {"split": "random"}, {"split": "random", "split_seed": 1}, {"min_count": 3}, {"skip_bad_rows": True},
            {"fractions": "0.6,0.2,0.2"}, {"calendar": False}, {"history": "none"}, {"history": "positives"},
            {"timestamp_unit": "ms"}, {"timezone": "Asia/Shanghai"}, {"positive_from": 3.0},
        )
    ]  # fmt: skip
    assert len(set(names)) == len(names) and "table-log-random" in names
    prepare("table", path=path, options={"item": "item"})
    assert name() == "table-log"
    other = name(item=None, categorical=["item"])  # what words do not say is said by a hash, once it would collide
    assert other.startswith("table-log-") and other != "table-log"


@pytest.mark.parametrize("source", ["movielens", "user-behavior", "taobao-ads", "criteo"])
def test_a_folder_without_the_files_is_refused_before_the_queue(tmp_path, source):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(BadInputError, match="xpected"):
        prepare_task.job(source, tmp_path)
    assert api.list_jobs() == []


def test_files_that_are_missing_beside_others_are_named_before_the_queue(tmp_path):
    write_ml_100k(tmp_path / "ml")
    (tmp_path / "ml" / "u.user").unlink()
    with pytest.raises(BadInputError, match=r"no u\.user here.*It holds u\.data, u\.item"):
        prepare_task.job("movielens", tmp_path / "ml")
    write_taobao_ads(tmp_path / "ads")
    (tmp_path / "ads" / "behavior_log.csv").unlink()
    assert prepare_task.job("taobao-ads", tmp_path / "ads").payload["force"] is False
    with pytest.raises(BadInputError, match=r"no behavior_log\.csv here"):
        prepare_task.job("taobao-ads", tmp_path / "ads", options={"history": "behavior-log"})
    write_criteo(tmp_path / "train.txt")
    assert prepare_task.job("criteo", tmp_path).payload["name"] == "criteo"


def test_a_table_without_the_columns_is_refused_before_the_queue(tmp_path):
    path = _log(tmp_path / "log.csv")
    with pytest.raises(BadInputError, match="no column 'user'"):
        prepare_task.job("table", path, options={"user": "user"})
    assert prepare_task.job("table", path, options={"item": "item"}).payload["name"] == "table-log"
