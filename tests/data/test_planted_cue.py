"""Logs with a cue long ago: where it is, what it decides, and that nothing else tells of it."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from mdaf_core.data.batches.stream import unread
from mdaf_core.data.formats import planted_cue
from mdaf_core.data.formats.planted_cue import CATEGORIES, CUES, ITEMS, LEAD, LONGEST, ROWS, STRENGTH, Logs
from mdaf_core.data.formats.synthetic import START, SyntheticOptions
from mdaf_core.data.prepare.pipeline import prepare

DISTANCE = 300


@pytest.fixture(scope="module")
def logs() -> Logs:
    return planted_cue.generate(DISTANCE, START, np.random.default_rng(1))


def histories(logs: Logs) -> list[tuple[int, dict, np.ndarray]]:
    """User, row and categories of its history, oldest first, for every fifth row."""
    of_user = {user: frame for (user,), frame in logs.events.group_by("user", maintain_order=True)}
    rows = [row for i, row in enumerate(logs.rows.iter_rows(named=True)) if i % 5 == 0]
    return [
        (row["user"], row, of_user[row["user"]].filter(pl.col("timestamp") < row["timestamp"])["category"].to_numpy())
        for row in rows
    ]


def test_the_newest_events_are_background_and_the_cue_lies_behind_them(logs: Logs) -> None:
    for user, _, category in histories(logs):
        colours = np.unique(category[category > CATEGORIES])
        assert colours.tolist() == [CATEGORIES + (2 if logs.colour[user - 1] > 0 else 1)]
        assert (category > CATEGORIES).sum() == CUES
        assert (category[-DISTANCE:] <= CATEGORIES).all()
        newest = np.flatnonzero(category > CATEGORIES)[-1]
        assert DISTANCE <= len(category) - 1 - newest <= DISTANCE + LONGEST - LEAD - CUES
        assert len(category) <= DISTANCE + LONGEST
    first = logs.rows.group_by("user", maintain_order=True).first()
    own = logs.events.join(first.select("user", before="timestamp"), on="user").filter(
        pl.col("timestamp") < pl.col("before")
    )
    cue = own.with_columns(at=pl.int_range(pl.len()).over("user"), of=pl.len().over("user")).filter(
        pl.col("category") > CATEGORIES
    )
    assert (cue.group_by("user").agg((pl.col("of") - pl.col("at")).min()).get_column("of") == DISTANCE + 1).all()


def test_clicks_depend_on_colour_and_side_together_alone(logs: Logs) -> None:
    rows = logs.rows.with_columns(colour=pl.Series(logs.colour)[logs.rows["user"].to_numpy() - 1])
    for row in rows.iter_rows(named=True):
        is_cue = row["item"] > ITEMS
        assert row["category"] == (
            CATEGORIES + 1 + (row["item"] - ITEMS - 1) // 2 if is_cue else (row["item"] - 1) % CATEGORIES + 1
        )
        slope = 0.0 if is_cue else STRENGTH * logs.side[row["category"] - 1] * row["colour"]
        assert row["true_probability"] == pytest.approx(1 / (1 + np.exp(-slope)))
    assert logs.side.sum() == 0 and abs(logs.colour.mean()) < 0.2
    clicks = rows.filter(pl.col("item") <= ITEMS).group_by("colour", "category").agg(pl.col("label").mean())
    assert clicks.height == 2 * CATEGORIES and ((clicks["label"] - 0.5).abs() > 0.4).all()


def test_users_belong_to_one_part_and_parts_follow_each_other(logs: Logs) -> None:
    rows = logs.rows
    assert (rows.group_by("user").agg(pl.col("split").n_unique())["split"] == 1).all()
    assert dict(rows.group_by("split").len().iter_rows()) == {
        part: users * ROWS for part, users in planted_cue.USERS.items()
    }
    spans = rows.group_by("split", maintain_order=True).agg(
        low=pl.col("timestamp").min(), high=pl.col("timestamp").max()
    )
    assert (spans["high"][:-1].to_numpy() < spans["low"][1:].to_numpy()).all()
    assert not rows.select("user", "timestamp").is_duplicated().any()
    gaps = logs.events.select(gap=pl.col("timestamp").diff().over("user"))["gap"].drop_nulls()
    assert (gaps > ROWS).all()
    assert set(rows.filter(pl.col("split") == "train")["item"]) == set(range(1, ITEMS + 5))


def test_what_a_stream_of_a_length_has_read() -> None:
    """With 1,000 events nothing of the cue is encoded; with 2,000 the state begins before it, and no row reads it."""
    lengths = np.arange(3000 + CUES, 3000 + LONGEST + 1)
    assert (unread(lengths, 1000) >= LEAD + CUES).all()
    assert (unread(lengths, 2000) == 0).all() and lengths.min() - 2000 > LEAD + CUES


def test_the_source_prepares_it_and_other_sizes_ask_for_what_they_did(home) -> None:
    dataset = prepare("synthetic", options={"size": "long", "cue_distance": 40})
    assert dataset.meta.has_oracle and not dataset.meta.features().numeric
    assert list(dataset.meta.features().categorical) == ["item", "category"] == dataset.meta.history_fields
    rows = dataset.rows("test")
    assert (rows.history_end - rows.history_start).min() >= 40 + CUES
    again = planted_cue.generate(40, START, np.random.default_rng([0, 20240506])).rows.filter(pl.col("split") == "test")
    assert (rows.label == again.sort("timestamp", maintain_order=True)["label"].to_numpy()).all()
    assert "cue_distance" not in SyntheticOptions().request()
    assert SyntheticOptions(size="long").request()["cue_distance"] == 3000
