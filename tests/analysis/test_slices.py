"""Partitions of rows: which there are of a data set."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import polars as pl

from mdaf_core.analysis import slices
from mdaf_core.analysis.slices import _by_ids, _kept
from mdaf_core.data.prepare.pipeline import prepare
from mdaf_core.data.store.dataset import PreparedDataset


def test_segments_are_planted_ones_and_no_field_of_that_name(tiny: PreparedDataset, tmp_path: Path) -> None:
    labels, code = _by_ids(tiny, "test")["segment"]
    assert labels == ["habit", "session"] and {*np.unique(code).tolist()} == {0, 1}
    n, draw = 300, np.random.default_rng(0)
    columns = {
        "user": draw.integers(0, 9, n), "timestamp": 1_700_000_000 + 900 * np.arange(n), "label": np.arange(n) % 2,
        "segment": [f"s{k}" for k in draw.integers(0, 3, n)],
    }  # fmt: skip
    pl.DataFrame(columns).write_csv(tmp_path / "log.csv")
    options = {"user": "user", "timestamp": "timestamp", "categorical": "segment"}
    data = prepare("table", path=tmp_path / "log.csv", name="log", options=options)
    assert "segment" in data.meta.categorical and "segment" not in _by_ids(data, "test")


def test_partitions_are_made_once_and_anew_where_the_data_are_others(tiny: PreparedDataset, monkeypatch) -> None:
    """A page asks for them at every re-run, and of 200,000 rows they take half a second."""
    made: list[str] = []
    monkeypatch.setattr(slices, "_by_ids", lambda dataset, split: (made.append(split), _by_ids(dataset, split))[1])
    first = _kept(tiny, "test")
    again = _kept(PreparedDataset.open(tiny.path.name), "test")
    assert made == ["test"] and list(first) == list(again) == list(_by_ids(tiny, "test"))
    for name, (labels, code) in _by_ids(tiny, "test").items():
        assert again[name][0] == labels and np.array_equal(again[name][1], code)
    _kept(tiny, "val")
    assert made == ["test", "val"]
    rows = tiny.path / "rows" / "test.arrow"
    os.utime(rows, ns=(rows.stat().st_atime_ns, rows.stat().st_mtime_ns + 1))
    _kept(tiny, "test")
    assert made == ["test", "val", "test"]
