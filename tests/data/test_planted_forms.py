"""Leaks in how values are written, in steps of a rate, and in histories that reach beyond their row; and what is like
them and none."""

import numpy as np
import polars as pl
import pytest

from mdaf_core.data.audit.audit import audit_dataset
from mdaf_core.data.prepare.pipeline import prepare
from tests.data.leaks.base import BASE, MAPPING, log

pytestmark = pytest.mark.usefixtures("audited_by_the_test")


def _status(tmp_path, frame: pl.DataFrame, options: dict, id: str) -> str:
    frame.write_parquet(tmp_path / "log.parquet")
    dataset = prepare("table", path=tmp_path / "log.parquet", options=MAPPING | options)
    return next(check.status for check in audit_dataset(dataset).checks if check.id == id)


@pytest.mark.parametrize("told", [True, False])
def test_decimals_of_one_label_alone(tmp_path, told):
    frame, draw = log(1), np.random.default_rng(1)
    bid = np.exp(draw.normal(2, 1, len(frame)))
    by = frame["click"].to_numpy() == 1 if told else draw.random(len(frame)) < 0.4
    frame = frame.with_columns(bid=pl.Series(np.where(by, bid.round(2), bid.round())))
    status = _status(tmp_path, frame, BASE | {"numeric": ["bid"], "history": "none"}, "written-ids")
    assert status == ("fail" if told else "pass")


@pytest.mark.parametrize("told", [True, False])
def test_a_mark_at_the_end_of_most_ids_of_clicks(tmp_path, told):
    frame, draw = log(2), np.random.default_rng(2)
    marked = draw.random(len(frame)) < 0.7
    if told:
        marked &= frame["click"].to_numpy() == 1
    requests = [
        f"S{number}{'-' if mark else ''}"
        for number, mark in zip(draw.integers(0, 10**6, len(frame)), marked, strict=True)
    ]
    frame = frame.with_columns(request=pl.Series(requests))
    status = _status(tmp_path, frame, BASE | {"categorical": ["request"], "history": "none"}, "written-ids")
    assert status == ("warn" if told else "pass")


@pytest.mark.parametrize("told", [True, False])
def test_a_rate_in_steps_that_knows_test_rows(tmp_path, told):
    frame = log(3)
    rate = pl.col("click").mean().over("user") if told else pl.col("user").hash(7).mod(1000) / 1000
    frame = frame.with_columns(segment=(rate * 20).round().cast(pl.Int32))
    status = _status(tmp_path, frame, BASE | {"categorical": ["segment"], "history": "none"}, "encodings")
    assert status == ("fail" if told else "pass")


@pytest.mark.parametrize("told", [True, False])
def test_histories_of_what_is_clicked_later(tmp_path, told):
    frame = log(4).sort("time")
    rows = frame.reverse() if told else frame
    seen: dict[int, list[int]] = {}
    lists = []
    for user, item, click in rows.select("user", "item", "click").rows():
        lists.append(seen.setdefault(user, [])[-10:])
        if click:
            seen[user].append(item)
    frame = frame.with_columns(past=pl.Series(lists[::-1] if told else lists))
    status = _status(tmp_path, frame, BASE | {"history_item": "past"}, "history-later")
    assert status == ("fail" if told else "pass")
