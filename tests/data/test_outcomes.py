"""What came of events: its codes, its counts in every way of reading a history, and what people are told of it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from mdaf_core.data.batches.events import Events
from mdaf_core.data.batches.gather import match_features, match_names, match_scale
from mdaf_core.data.batches.outcomes import outcome_names
from mdaf_core.data.prepare.pipeline import prepare
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.data.store.describe import describe_history, outcome_words
from mdaf_core.data.store.export import export_rows
from mdaf_core.data.store.outcomes import outcome_codes, outcomes_of, stars
from mdaf_core.data.store.schema import OUTCOME
from mdaf_core.predicting.serving import gather_kept
from mdaf_core.testing.data import OUTCOMES, GeneratedData
from tests.data.raw_files import write_user_behavior

import torch  # isort: skip


@pytest.fixture
def shop(home: Path, tmp_path: Path) -> PreparedDataset:
    write_user_behavior(tmp_path / "UserBehavior.csv", 900, users=12)
    return prepare("user-behavior", path=tmp_path / "UserBehavior.csv", name="shop")


def test_codes_keep_the_order_of_an_enum_and_of_words() -> None:
    kinds = pl.Enum(["view", "cart", "buy", "never"])
    events = pl.DataFrame({"outcome": pl.Series(["buy", "view", None, "cart"], dtype=kinds)})
    assert outcomes_of(events) == ["view", "cart", "buy"]
    assert outcome_codes(events, ["view", "cart", "buy"]).tolist() == [3, 1, 0, 2]
    assert outcome_codes(events, ["cart"]).tolist() == [0, 0, 0, 1]  # those that training did not have
    assert outcomes_of(pl.DataFrame({"outcome": ["b", "a", "b"]})) == ["a", "b"]
    assert outcomes_of(pl.DataFrame({"outcome": ["b", "b"]})) == outcomes_of(pl.DataFrame({"item": [1]})) == []
    clicks = pl.DataFrame({"positive": [1, 0, None]})
    assert outcomes_of(clicks) == ["0", "1"] and outcome_codes(clicks, ["0", "1"]).tolist() == [2, 1, 0]
    with pytest.raises(ValueError, match="300 values"):
        outcomes_of(pl.DataFrame({"outcome": list(map(str, range(300)))}))


def test_stars_are_their_words_and_no_labels() -> None:
    words = stars(pl.Series([0.5, 5.0, 1.0, 0.0, 3.3, None, 5.5]))
    assert words.to_list() == ["0.5", "5", "1", None, None, None, None]
    events = pl.DataFrame({"outcome": words, "positive": [0, 1, 0, 0, 0, 0, 1]})
    assert outcomes_of(events) == ["0.5", "1", "5"]
    assert outcome_codes(events, ["0.5", "1", "5"]).tolist() == [1, 3, 2, 0, 0, 0, 0]
    # Of a data set that was prepared when a source told no more than what is positive: one star is not yes.
    assert outcome_codes(events, ["0", "1"]).tolist() == [1, 2, 1, 1, 1, 1, 2]


def by_hand(data: PreparedDataset, split: str, row: int, most: int) -> list[float]:
    """The counts of one row, event by event."""
    rows, log, fields = data.rows(split), data.events, data.meta.history_fields  # type: ignore[arg-type]
    end = int(rows.history_end[row])
    events = range(max(int(rows.history_start[row]), end - most), end)
    log_count, _, log_age = match_scale(most)
    found: list[float] = []
    for name in (*fields, None):
        for code in range(1, len(data.meta.outcomes) + 1):
            target = 0 if name is None else rows.columns[name][row]
            alike = [e for e in events if name is None or (target > 1 and log[name][e] == target)]
            times = [int(log["timestamp"][e]) for e in alike if log[OUTCOME][e] == code]
            found.append(min(1.0, math.log1p(len(times)) / log_count))
            age = (int(rows.timestamp[row]) - max(times)) / data.meta.ticks if times else math.inf
            found.append(max(0.0, 1.0 - math.log1p(age) / log_age))
    return found


@pytest.mark.parametrize("most", [3, 20, 200])
def test_every_way_of_reading_counts_the_same(most: int) -> None:
    data, index_B = GeneratedData(), np.arange(60)
    expected = np.array([by_hand(data, "val", int(row), most) for row in index_B], np.float32)
    assert len(outcome_names(data.meta.history_fields, OUTCOMES)) == expected.shape[1] == 24
    batch, shared = data.batch("val", index_B, max_history=most), data.shared_batch("val", index_B, most)
    np.testing.assert_allclose(batch.outcome_BK, expected, rtol=1e-6)
    np.testing.assert_allclose(shared.outcome_BK[np.argsort(shared.row_id_B)], expected, rtol=1e-6)
    beside = match_features(data, "val", index_B, most, outcomes=True)
    np.testing.assert_array_equal(beside, np.concatenate([batch.match_BM, batch.outcome_BK], axis=1))
    assert match_features(data, "val", index_B, most).shape[1] == len(match_names(data.meta.history_fields))
    rows = data.rows("val")
    for row in index_B[:10]:
        end = int(rows.history_end[row])
        events = Events.of(data, slice(max(int(rows.history_start[row]), end - most), end))
        held = torch.zeros(len(events), 1), events.identity_TH, events.time_T, events.outcome_T
        kept = gather_kept(data, rows, np.array([row]), *held, most)
        np.testing.assert_allclose(kept.outcome_BK[0], expected[row], rtol=1e-6)


def test_kinds_of_events_are_prepared_shown_and_exported(shop: PreparedDataset, tmp_path: Path) -> None:
    assert (
        shop.meta.outcomes == ["pv", "cart", "fav", "buy"] and outcome_words(shop.meta.outcomes) == "pv, cart, fav, buy"
    )
    assert "prepare the data set again" in outcome_words(None)
    raw = pl.read_csv(tmp_path / "UserBehavior.csv", has_header=False, new_columns=["u", "i", "c", "what", "t"])
    rows = shop.rows("test")
    row = int(np.argmax(rows.history_end - rows.history_start))
    shown = describe_history(shop, "test", row)
    user = shop.users[int(rows.user[row])]
    before = raw.filter((pl.col("u").cast(pl.String) == user) & (pl.col("t") < int(rows.timestamp[row]))).sort(
        "t", maintain_order=True
    )
    assert shown["outcome"].to_list() == before["what"].to_list()[-len(shown) :]
    export_rows(shop, ("test",), tmp_path / "rows.parquet", history=True)
    written = pl.read_parquet(tmp_path / "rows.parquet")
    assert written["history_outcome"][row].to_list() == shown["outcome"].to_list()
    assert written["history_outcome"].list.len().to_list() == written["history_item"].list.len().to_list()
