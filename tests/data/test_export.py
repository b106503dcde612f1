"""Rows for other programs: no column takes another's place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from mdaf_core.data.prepare.pipeline import prepare
from mdaf_core.data.store.export import export_rows


def test_a_field_called_as_a_history_keeps_its_column(home: Path, tmp_path: Path) -> None:
    n, rng = 300, np.random.default_rng(0)
    columns = {
        "user": rng.integers(0, 9, n), "item": rng.integers(0, 20, n), "timestamp": 1_700_000_000 + 900 * np.arange(n),
        "label": rng.integers(0, 2, n), "history_item": rng.integers(0, 50, n) / 2,
    }  # fmt: skip
    pl.DataFrame(columns).write_csv(tmp_path / "log.csv")
    options = {
        "user": "user", "item": "item", "timestamp": "timestamp", "numeric": "history_item", "history": "rows",
        "numeric_scaling": "none",
    }  # fmt: skip
    data = prepare("table", path=tmp_path / "log.csv", name="log", options=options)
    out = tmp_path / "rows.parquet"
    assert export_rows(data, ["val"], out, history=True, max_history=3) == data.meta.splits["val"].rows
    found, rows = pl.read_parquet(out), data.rows("val")
    assert found["history_item"].to_list() == rows.columns["history_item"].tolist()
    ids = {code: text for code, text in data.vocabulary("item").select("code", "id").iter_rows()}
    expected = [
        [ids.get(code) for code in data.events["item"][max(start, end - 3) : end].tolist()]
        for start, end in zip(rows.history_start.tolist(), rows.history_end.tolist(), strict=True)
    ]
    assert found["history_item_"].to_list() == expected and any(map(len, expected))
