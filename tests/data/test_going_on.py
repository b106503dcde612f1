"""Nothing is prepared twice, and what was interrupted goes on from its last finished stage."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time

import polars as pl
import pytest

from mdaf_core.base.errors import StudioError, UsageError
from mdaf_core.base.settings import get_settings
from mdaf_core.data.formats.base import parse_options
from mdaf_core.data.formats.registry import get_source
from mdaf_core.data.formats.synthetic import SyntheticOptions
from mdaf_core.data.prepare import resources
from mdaf_core.data.prepare.pipeline import prepare
from mdaf_core.data.prepare.work import work_folder
from mdaf_core.data.store.dataset import PreparedDataset, list_datasets
from tests.data.raw_files import TAOBAO_START, write_criteo, write_ml_csv, write_taobao_ads, write_user_behavior

pytestmark = pytest.mark.usefixtures("home")


class Stopped(BaseException):
    """Someone stops the process."""


@pytest.fixture
def raw(tmp_path):
    path = tmp_path / "UserBehavior.csv"
    write_user_behavior(path)
    return path


def _stop_at(words):
    def progress(_share, message):
        if message.startswith(words):
            raise Stopped

    return progress


def _work():
    root = get_settings().work_dir
    return list(root.iterdir()) if root.exists() else []


def _forbid(monkeypatch, name):
    def refuse(*_, **__):
        raise AssertionError(f"{name} ran again")

    monkeypatch.setattr(name, refuse)


@pytest.mark.parametrize(
    ("stopped_at", "finished"),
    [
        ("Ordering the event log", "mdaf_core.data.reading.text._parse"),
        ("Coding category", "mdaf_core.data.reading.text._parse"),
        ("Auditing", "mdaf_core.data.prepare.pipeline.write_dataset"),
        ("Computing statistics", "mdaf_core.data.prepare.pipeline.write_dataset"),
    ],
)
def test_goes_on_from_the_last_finished_stage(raw, monkeypatch, stopped_at, finished):
    wanted = prepare("user-behavior", path=raw, name="whole", options={"history": "pv,cart"}).meta
    with pytest.raises(Stopped):
        prepare(
            "user-behavior", path=raw, name="data", options={"history": "pv,cart"}, again=True,
            progress=_stop_at(stopped_at),
        )  # fmt: skip
    assert list_datasets() == ["whole"] and len(_work()) == 1
    _forbid(monkeypatch, finished)
    found = prepare("user-behavior", path=raw, name="later", options={"history": "pv,cart"}, again=True)
    assert found.meta.fingerprint == wanted.fingerprint
    assert found.meta.model_dump(exclude={"name", "created"}) == wanted.model_dump(exclude={"name", "created"})
    assert found.audit["dataset"] == "later" and found.audit["checks"] == PreparedDataset.open("whole").audit["checks"]
    assert list_datasets() == ["later", "whole"] and not _work()


@pytest.mark.parametrize("damage", [b"", b"[" * 100_000, b'{"parts": 1}', b"[3]"])
@pytest.mark.parametrize(("stopped_at", "file"), [("Coding", "stage.json"), ("Coding", "*.arrow"), ("Audit", "*.json")])
def test_what_an_interrupted_one_left_is_damaged(raw, stopped_at, file, damage):
    """A sentence, and the next attempt begins anew."""
    with pytest.raises(Stopped):
        prepare("user-behavior", path=raw, name="data", progress=_stop_at(stopped_at))
    (work,) = _work()
    for path in work.rglob(file):
        path.write_bytes(damage)
    with pytest.raises(StudioError, match=str(work)):
        prepare("user-behavior", path=raw, name="data")
    assert not _work() and not list_datasets()
    assert prepare("user-behavior", path=raw, name="data").meta.splits["train"].rows


@pytest.mark.parametrize(
    ("killed_at", "read_again"),
    [
        ("Reading ad_feature.csv", ["ad_feature.csv", "user_profile.csv", "behavior_log.csv"]),
        ("Reading behavior_log.csv", ["behavior_log.csv"]),
        ("Ordering the event log", []),
    ],
)
def test_of_several_files_those_read_before_a_kill_are_not_read_again(tmp_path, home, killed_at, read_again):
    files = write_taobao_ads(tmp_path / "ads")
    with (tmp_path / "ads" / "behavior_log.csv").open("a") as log:
        log.write(f"1,5,pv,1,1\n1,{TAOBAO_START + 60},pv,nonsense,1\n")  # outside its period, and a bad line
    options = {
        "history": "behavior-log", "profile_fields": "age_level", "ad_fields": "pid,price", "skip_bad_rows": True,
    }  # fmt: skip
    wanted = prepare("taobao-ads", path=tmp_path / "ads", name="whole", options=options).meta
    program = f"""
import os, signal
from pathlib import Path
from mdaf_core.data.prepare.pipeline import prepare

def progress(_share, message):
    if message.startswith({killed_at!r}):
        os.kill(os.getpid(), signal.SIGKILL)

prepare("taobao-ads", path=Path({str(tmp_path / "ads")!r}), name="data", options={options!r}, again=True,
        progress=progress)
"""
    killed = subprocess.run([sys.executable, "-c", program], env=os.environ, check=False)
    assert killed.returncode == -signal.SIGKILL and len(_work()) == 1 and list_datasets() == ["whole"]
    said = []
    found = prepare(
        "taobao-ads", path=tmp_path / "ads", name="data", options=options, again=True,
        progress=lambda _, message: said.append(message),
    ).meta  # fmt: skip
    assert [
        name for name in (f"{name}.csv" for name in files) if any(f"Reading {name}" in m for m in said)
    ] == read_again
    assert found.model_dump(exclude={"name", "created"}) == wanted.model_dump(exclude={"name", "created"})
    assert found.skipped_rows == 1 and "1 events of behavior_log.csv lie outside" in " ".join(found.notes)
    assert not _work()


def test_half_a_stage_is_read_again(raw, monkeypatch):
    wanted = prepare("user-behavior", path=raw, name="whole").meta.fingerprint
    monkeypatch.setattr("mdaf_core.data.reading.blocks.BLOCK_BYTES", 2000)
    with pytest.raises(Stopped):
        prepare("user-behavior", path=raw, again=True, progress=_stop_at("Reading UserBehavior.csv: "))
    assert list(_work()[0].glob("read/events/*.arrow"))
    assert prepare("user-behavior", path=raw, name="data", again=True).meta.fingerprint == wanted


def test_other_input_or_options_do_not_go_on_from_there(raw):
    with pytest.raises(Stopped):
        prepare("user-behavior", path=raw, name="data", progress=_stop_at("Auditing"))
    content = raw.read_text()
    raw.write_text(content.replace("pv", "cart", 3))
    changed = prepare("user-behavior", path=raw, name="changed").meta
    raw.write_text(content)
    other = prepare("user-behavior", path=raw, name="other", options={"min_count": 20}).meta
    same = prepare("user-behavior", path=raw, name="data").meta
    assert len({meta.fingerprint["sha256"] for meta in (changed, other, same)}) == 3
    assert len({meta.request for meta in (changed, other, same)}) == 3


def test_the_same_is_not_prepared_twice(raw, monkeypatch, tmp_path):
    first = prepare("user-behavior", path=raw, name="first")
    _forbid(monkeypatch, "mdaf_core.data.prepare.pipeline.write_dataset")
    said = []
    again = prepare("user-behavior", path=raw, name="first", progress=lambda _, message: said.append(message))
    assert again.meta == first.meta and "prepared already" in said[-1]
    elsewhere = tmp_path / "elsewhere" / "UserBehavior.csv"
    elsewhere.parent.mkdir()
    elsewhere.write_bytes(raw.read_bytes())
    other = prepare("user-behavior", path=elsewhere, name="second", progress=lambda _, message: said.append(message))
    assert "first is prepared already" in said[-1] and other.name == "second" and other.audit["dataset"] == "second"
    assert (
        other.meta.fingerprint == first.meta.fingerprint and PreparedDataset.open("first").audit["dataset"] == "first"
    )
    with pytest.raises(AssertionError, match="ran again"):
        prepare("user-behavior", path=raw, name="first", again=True)


def test_an_altered_data_set_is_prepared_again(raw):
    first = prepare("user-behavior", path=raw, name="data")
    (first.path / "events.arrow").write_bytes(b"")
    second = prepare("user-behavior", path=raw, name="data")
    assert second.meta.fingerprint == first.meta.fingerprint and len(second.events["timestamp"])


def test_only_one_process_prepares_the_same(raw):
    with pytest.raises(Stopped):
        prepare("user-behavior", path=raw, name="data", progress=_stop_at("Auditing"))
    folder = _work()[0]
    with work_folder(folder.name), pytest.raises(UsageError, match="already: wait"):
        prepare("user-behavior", path=raw, name="data")


def test_work_nobody_came_back_to_is_removed(raw, tmp_path):
    with pytest.raises(Stopped):
        prepare("user-behavior", path=raw, name="data", progress=_stop_at("Auditing"))
    old = time.time() - 8 * 86400
    os.utime(_work()[0], (old, old))
    write_criteo(tmp_path / "train.txt")
    prepare("criteo", path=tmp_path / "train.txt")
    assert not _work()


def test_what_does_not_fit_into_memory_is_refused_before_it_starts(raw, monkeypatch):
    _forbid(monkeypatch, "mdaf_core.data.reading.text._parse")
    with pytest.raises(UsageError, match=r"needs about .* of memory, and the limit is 1 MB.*--memory-limit"):
        prepare("user-behavior", path=raw, memory_limit=1_000_000)
    monkeypatch.setenv("MDAF_DATA_MEMORY_LIMIT", "2MB")
    with pytest.raises(UsageError, match="the limit is 2 MB"):
        prepare("user-behavior", path=raw)
    assert not list_datasets() and not _work()


def test_what_outgrows_the_limit_is_stopped(raw, monkeypatch):
    monkeypatch.setattr(resources, "estimate", lambda *_: None)
    with pytest.raises(StudioError, match="more than the limit of 1 MB"):
        prepare("user-behavior", path=raw, memory_limit=1_000_000)


def test_what_does_not_fit_onto_the_disk_is_refused(raw, monkeypatch):
    usage = type("Usage", (), {"free": 1_000_000})
    monkeypatch.setattr(resources.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(StudioError, match=r"of disk space in .*, and 1 MB are free"):
        prepare("user-behavior", path=raw)
    assert not list_datasets()


@pytest.mark.parametrize("options", [{}, {"task": "next-click", "negatives": 3}])
def test_estimates_know_the_rows_and_the_disk(raw, options):
    source = get_source("user-behavior")
    need = resources.estimate(source, raw, parse_options(source, options))
    dataset = prepare("user-behavior", path=raw, options=options)
    rows = sum(counts.rows for counts in dataset.meta.splits.values())
    written = sum(file.stat().st_size for file in dataset.path.glob("rows/*.arrow"))
    assert need is not None
    assert rows <= need.rows <= 1.3 * rows or options  # next-click: a row a view, and its negatives
    assert 0.5 * written < need.disk


def test_estimates_of_ratings_and_tables(tmp_path):
    write_ml_csv(tmp_path / "ml")
    frame = pl.DataFrame({"label": [0, 1] * 500, "item": list(range(1000)), "price": [0.5] * 1000})
    frame.write_csv(tmp_path / "t.csv")
    frame.write_parquet(tmp_path / "t.parquet")
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress((tmp_path / "t.csv").read_bytes()))
    (tmp_path / "bad.parquet").write_bytes(b"PAR1" + bytes(50))

    def rows(source, path, **options):
        found = get_source(source)
        need = resources.estimate(found, path, parse_options(found, options))
        return need and (need.rows, need.memory > 350_000_000)

    assert rows("movielens", tmp_path / "ml") == (401, True)  # its header is counted
    options = {"item": "item", "numeric": "price"}
    for name in ("t.csv", "t.csv.gz", "t.parquet"):
        assert rows("table", tmp_path / name, **options) == (1000, True)
    for name in ("bad.parquet", "none.csv", "ml"):
        assert rows("table", tmp_path / name, **options) is None
    assert rows("table", tmp_path / "t.csv", item="item", history_item="price") is None


@pytest.mark.parametrize(("text", "size"), [("4GB", 4_000_000_000), ("500 MB", 500_000_000), ("1GiB", 1 << 30)])
def test_sizes(text, size):
    assert resources.parse_size(text) == size


def test_what_is_no_size():
    with pytest.raises(UsageError, match="looks like 4GB"):
        resources.parse_size("much")


def test_sharing_names_leaves_files_alone(raw):
    first = prepare("user-behavior", path=raw, name="first")
    prepare("user-behavior", path=raw, name="second")
    assert json.loads((first.path / "dataset.json").read_text())["name"] == "first"
    second = PreparedDataset.open("second")
    assert (first.path / "events.arrow").samefile(second.path / "events.arrow")
    prepare("user-behavior", path=raw, name="second", options={"min_count": 3})
    assert PreparedDataset.open("first").meta == first.meta
    assert len(PreparedDataset.open("first").events["timestamp"])


def test_a_fault_of_the_program_leaves_nothing(raw, monkeypatch):
    def fail(*_arguments, **_options):
        raise OverflowError("too large")

    monkeypatch.setattr("mdaf_core.data.prepare.pipeline.write_statistics", fail)
    with pytest.raises(OverflowError):
        prepare("user-behavior", path=raw)
    assert not list_datasets() and not _work()


def test_a_split_that_is_asked_for_is_not_the_generated_one_of_the_same_name(tiny) -> None:  # type: ignore[no-untyped-def]
    asked = prepare("synthetic", name="asked", options={"size": "tiny", "split": "time"})
    assert asked.meta.request != tiny.meta.request and asked.meta.splits != tiny.meta.splits
    assert prepare("synthetic", name="again", options={"size": "tiny"}).meta.splits == tiny.meta.splits


def test_shares_are_not_asked_for_where_parts_are_generated() -> None:
    shares = ("fractions", "val_from", "split_seed")
    assert not any(SyntheticOptions.has_effect(name, {}) for name in shares)
    assert SyntheticOptions.has_effect("fractions", {"split": "time"})
    assert SyntheticOptions().request()["split"] == "time", "stored data sets of the generated parts call it that"
