"""The faults of `test_planted_faults.py` in other guises: subtle and gross, in small and large data, in raw files and
in prepared data sets; and data of many kinds without a fault, of which the audit has nothing to say."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from mdaf_core.data.audit.audit import audit_dataset
from mdaf_core.data.audit.report import Check
from mdaf_core.data.prepare.pipeline import prepare
from mdaf_core.data.store.columns import read_columns
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.data.store.schema import SPLITS
from tests.data.planting import change, impressions, prepare_table
from tests.data.raw_files import (
    TAOBAO_START,
    USER_BEHAVIOR_START,
    write_criteo,
    write_ml_100k,
    write_taobao_ads,
    write_user_behavior,
)

pytestmark = pytest.mark.usefixtures("audited_by_the_test")
DAY = 86400
Columns = dict[str, np.ndarray]
Plant = Callable[[Path], PreparedDataset]
FAULTS: list[tuple[str, Plant]] = []


def fault(*ids: str) -> Callable[[Plant], Plant]:
    """A planting that the checks of these ids are to find (warn or fail)."""

    def register(plant: Plant) -> Plant:
        FAULTS.extend((id, plant) for id in ids)
        return plant

    return register


def _append(columns: Columns, others: Columns, at: int | list[int]) -> Columns:
    """Rows of another part, added at the end."""
    return {name: np.append(values, others[name][at]).astype(values.dtype) for name, values in columns.items()}


def _put(dataset: PreparedDataset, file: str, column: str, at: int | slice, value: Any) -> None:
    """Overwrite some values of a column."""

    def alter(columns: Columns) -> None:
        columns[column][at] = value

    change(dataset, file, alter)


def _replace(dataset: PreparedDataset, file: str, column: str, new: Callable[[Columns], np.ndarray]) -> None:
    """Replace a column by what `new` makes of all columns."""
    change(dataset, file, lambda columns: columns | {column: new(columns).astype(columns[column].dtype)})


def _edit_json(dataset: PreparedDataset, alter: Callable[[dict], None]) -> None:
    meta = json.loads((dataset.path / "dataset.json").read_text())
    alter(meta)
    (dataset.path / "dataset.json").write_text(json.dumps(meta))


def _edit_vocabulary(dataset: PreparedDataset, field: str, alter: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    path = dataset.path / "vocabulary" / f"{field}.arrow"
    alter(pl.read_ipc(path.read_bytes())).write_ipc(path)


def _user_behavior(folder: Path, lines: Iterable[tuple], **options: object) -> PreparedDataset:
    text = "".join(",".join(map(str, line)) + "\n" for line in lines)
    (folder / "UserBehavior.csv").write_text(text)
    return prepare("user-behavior", path=folder / "UserBehavior.csv", name="data", options=options)


def _new_items_daily(rows: int = 3000, items: int = 60) -> list[tuple]:
    draw = np.random.default_rng(2)
    when = np.sort(USER_BEHAVIOR_START + draw.integers(0, 9 * DAY, rows))
    item = (when - USER_BEHAVIOR_START) // DAY * 1000 + draw.integers(1, items, rows)
    user = draw.integers(1, 40, rows)
    return [(u, i, i % 7, "pv", t) for u, i, t in zip(user, item, when, strict=True)]


# Negatives from training items


@fault("unknown-by-label")
def prepared_negatives_take_training_codes(folder: Path) -> PreparedDataset:
    dataset = _user_behavior(folder, _new_items_daily(), task="next-click")
    for split in ("val", "test"):

        def known(columns: Columns) -> None:
            drawn = columns["label"] == 0
            columns["item"][drawn] = np.random.default_rng(0).integers(2, 100, int(drawn.sum()))

        change(dataset, f"rows/{split}.arrow", known)
    return dataset


def _with_negatives(folder: Path, new: float, drawn_from: str, rows: int) -> PreparedDataset:
    """A share of ads is new at the end; negatives are those of the first days, or ads that nobody was shown."""
    draw = np.random.default_rng(3)
    views = impressions(rows=rows).with_columns(clk=pl.lit(1))
    late = (views["when"].to_numpy() > TAOBAO_START + 7 * DAY) & (draw.random(len(views)) < new)
    views = views.with_columns(ad=pl.Series(np.where(late, 1000 + draw.integers(0, 50, len(views)), views["ad"])))
    low, high = (0, 150) if drawn_from == "training" else (5000, 9000)
    drawn = views.with_columns(ad=pl.Series(draw.integers(low, high, len(views))), clk=pl.lit(0))
    return prepare_table(folder, pl.concat([views, drawn]), history="positives")


@fault("unknown-by-label")
def negatives_from_training_where_few_items_are_new(folder: Path) -> PreparedDataset:
    return _with_negatives(folder, 0.04, "training", 8000)


@fault("unknown-by-label")
def negatives_from_training_in_small_data(folder: Path) -> PreparedDataset:
    return _with_negatives(folder, 0.6, "training", 400)


@fault("unknown-by-label")
def negatives_from_a_catalogue_nobody_saw(folder: Path) -> PreparedDataset:
    return _with_negatives(folder, 0.0, "catalogue", 2000)


# A future event in a history


@fault("history-earlier")
def one_row_of_impressions_sees_later_ones(folder: Path) -> PreparedDataset:
    write_taobao_ads(folder)
    dataset = prepare("taobao-ads", path=folder, name="data", options={"history": "impressions"})
    owner = dataset.events["user_index"]

    def further(columns: Columns) -> None:
        at = next(
            i
            for i, end in enumerate(columns["history_end"])
            if owner[min(end, len(owner) - 1)] == columns["user_index"][i]
        )
        columns["history_end"][at] = np.searchsorted(owner, columns["user_index"][at], "right")

    change(dataset, "rows/train.arrow", further)
    return dataset


@fault("history-earlier")
def an_event_moved_behind_the_rows_that_hold_it(folder: Path) -> PreparedDataset:
    dataset = prepare_table(folder, impressions())
    at = int(dataset.rows("val").history_end[0]) - 1
    _put(dataset, "events.arrow", "timestamp", at, dataset.events["timestamp"][at] + 30 * DAY)
    return dataset


@fault("history-earlier")
def a_row_dated_before_its_history(folder: Path) -> PreparedDataset:
    write_user_behavior(folder / "UserBehavior.csv")
    dataset = prepare("user-behavior", path=folder / "UserBehavior.csv", name="data")
    _put(dataset, "rows/test.arrow", "timestamp", 5, dataset.rows("test").timestamp[5] - 5 * DAY)
    return dataset


@fault("history-earlier")
def all_histories_reach_to_the_end(folder: Path) -> PreparedDataset:
    write_ml_100k(folder)
    dataset = prepare("movielens", path=folder, name="data")
    owner = dataset.events["user_index"]
    for split in SPLITS:
        _replace(
            dataset, f"rows/{split}.arrow", "history_end", lambda c: np.searchsorted(owner, c["user_index"], "right")
        )
    return dataset


# The target in its own history


def _ready_made(
    folder: Path, rows: int, own: str, repeats: float = 0.1, length: int = 12, ads: int = 150, ids: str = ""
) -> PreparedDataset:
    """Lists of earlier ads, and in them the target: nowhere, first, last, or (of clicks) in the middle."""
    draw, frame = np.random.default_rng(4), impressions(rows=rows, ads=ads)
    lists = []
    for ad, clicked in zip(frame["ad"].to_list(), frame["clk"].to_list(), strict=True):
        past = draw.integers(0, ads, int(draw.integers(1, length))).tolist()
        if draw.random() < repeats:
            past[-1] = ad
        if own == "first":
            past.insert(0, ad)
        if own == "last":
            past.append(ad)
        if own == "of clicks" and clicked:
            past.insert(len(past) // 2, ad)
        lists.append("^".join(f"{ids}{id}" for id in past))
    return prepare_table(folder, frame.with_columns(past=pl.Series(lists)), history_item="past")


@fault("history-target")
def lists_that_end_with_the_target(folder: Path) -> PreparedDataset:
    return _ready_made(folder, 3000, "last")


@fault("history-target")
def small_lists_with_the_newest_first(folder: Path) -> PreparedDataset:
    return _ready_made(folder, 300, "first")


@fault("history-target")
def lists_with_the_clicked_target_in_the_middle(folder: Path) -> PreparedDataset:
    return _ready_made(folder, 2000, "of clicks")


@fault("history-target")
def lists_with_the_target_among_few_ads(folder: Path) -> PreparedDataset:
    return _ready_made(folder, 2000, "first", ads=8, length=5)


@fault("history-target")
def the_event_of_each_row_logged_a_second_before(folder: Path) -> PreparedDataset:
    frame = impressions().unique(["uid", "when"], maintain_order=True)
    dataset = prepare_table(folder, frame)
    for split in SPLITS:
        _replace(dataset, f"rows/{split}.arrow", "history_end", lambda c: c["history_end"] + 1)
    _replace(dataset, "events.arrow", "timestamp", lambda c: c["timestamp"] - 1)
    return dataset


@fault("history-target")
def one_row_in_its_own_history(folder: Path) -> PreparedDataset:
    dataset = prepare_table(folder, impressions(rows=300))
    _put(dataset, "rows/val.arrow", "history_end", 0, dataset.rows("val").history_end[0] + 1)
    return dataset


# Overlapping parts


@fault("split-times")
def one_test_row_in_training(folder: Path) -> PreparedDataset:
    dataset = prepare_table(folder, impressions(rows=400))
    test = read_columns(dataset.path / "rows" / "test.arrow")
    change(dataset, "rows/train.arrow", lambda c: _append(c, test, 3))
    change(dataset, "rows/test.arrow", lambda c: {name: np.delete(values, 3) for name, values in c.items()})
    return dataset


@fault("split-times")
def parts_that_share_a_moment(folder: Path) -> PreparedDataset:
    dataset = prepare_table(folder, impressions(), split="last-day")
    last = int(dataset.rows("train").timestamp.max())
    _put(dataset, "rows/val.arrow", "timestamp", 0, last)
    return dataset


@fault("split-times")
def validation_and_test_exchanged(folder: Path) -> PreparedDataset:
    write_user_behavior(folder / "UserBehavior.csv")
    dataset = prepare("user-behavior", path=folder / "UserBehavior.csv", name="data")
    val, test = (read_columns(dataset.path / "rows" / f"{split}.arrow") for split in ("val", "test"))
    val = {name: values.copy() for name, values in val.items()}
    change(dataset, "rows/val.arrow", lambda _: test)
    change(dataset, "rows/test.arrow", lambda _: val)
    return dataset


# Rows in two parts


@fault("rows-across-splits")
def lines_of_criteo_written_twice(folder: Path) -> PreparedDataset:
    """Rows with neither user nor time: the last lines repeat some of the first."""
    write_criteo(folder / "train.txt", 2000)
    lines = (folder / "train.txt").read_text().splitlines()
    (folder / "train.txt").write_text("\n".join(lines + lines[100:120]) + "\n")
    return prepare("criteo", path=folder / "train.txt", name="data", options={"min_count": 1})


@fault("rows-across-splits")
def a_training_row_copied_into_test(folder: Path) -> PreparedDataset:
    write_user_behavior(folder / "UserBehavior.csv")
    dataset = prepare("user-behavior", path=folder / "UserBehavior.csv", name="data")
    train = read_columns(dataset.path / "rows" / "train.arrow") | {}
    train["row_id"] = train["row_id"] + 10**7
    change(dataset, "rows/test.arrow", lambda c: _append(c, train, [7]))
    return dataset


@fault("rows-across-splits")
def the_last_row_of_each_user_written_twice(folder: Path) -> PreparedDataset:
    frame = impressions(rows=400)
    last = frame.group_by("uid", maintain_order=True).last().select(frame.columns)
    return prepare_table(folder, pl.concat([frame, last]), split="leave-last-out")


@fault("rows-across-splits")
def one_row_id_in_two_parts(folder: Path) -> PreparedDataset:
    dataset = prepare_table(folder, impressions(rows=300))
    first = int(dataset.rows("train").row_id[0])
    _put(dataset, "rows/val.arrow", "row_id", 0, first)
    return dataset


# The label in an input


def _with_label(folder: Path, rows: int, given: pl.Expr, **options: object) -> PreparedDataset:
    luck = pl.Series("luck", np.random.default_rng(5).random(rows * 2))
    frame = impressions(rows=rows)
    return prepare_table(folder, frame.with_columns(luck=luck.head(len(frame))).with_columns(hint=given), **options)


@fault("label-leak")
def words_for_the_label(folder: Path) -> PreparedDataset:
    words = pl.when(pl.col("clk") == 1).then(pl.lit("yes")).otherwise(pl.lit("no"))
    return _with_label(folder, 3000, words, categorical="hint")


@fault("label-leak")
def a_noisy_copy_of_the_label(folder: Path) -> PreparedDataset:
    flipped = pl.when(pl.col("luck") < 0.05).then(1 - pl.col("clk")).otherwise("clk")
    return _with_label(folder, 3000, flipped, numeric="price,hint")


@fault("label-leak")
def a_copy_of_the_label_that_is_often_missing(folder: Path) -> PreparedDataset:
    return _with_label(folder, 3000, pl.when(pl.col("luck") < 0.65).then("clk"), numeric="price,hint")


@fault("label-leak")
def the_label_in_small_data(folder: Path) -> PreparedDataset:
    return _with_label(folder, 500, 7 - 3 * pl.col("clk"), numeric="price,hint")


@fault("label-leak")
def an_id_that_only_clicks_have(folder: Path) -> PreparedDataset:
    click_id = pl.when(pl.col("clk") == 1).then(pl.int_range(pl.len()))
    return _with_label(folder, 1500, click_id, categorical="hint")


def _label_in(part: str, folder: Path) -> PreparedDataset:
    dataset = prepare_table(folder, impressions())
    _replace(dataset, f"rows/{part}.arrow", "price", lambda c: c["label"])
    return dataset


@fault("label-leak")
def the_label_in_an_input_of_test_rows_alone(folder: Path) -> PreparedDataset:
    return _label_in("test", folder)


@fault("label-leak")
def the_label_in_an_input_of_training_rows_alone(folder: Path) -> PreparedDataset:
    return _label_in("train", folder)


# Vocabularies that know too much


@fault("vocabulary-training")
def a_test_id_with_its_code(folder: Path) -> PreparedDataset:
    dataset = _user_behavior(folder, [*_new_items_daily(), (1, 1, 1, "buy", USER_BEHAVIOR_START)])
    size = dataset.meta.categorical["item"]
    extra = pl.DataFrame(
        {"code": [size], "id": ["8001"], "title": [None]},
        schema={"code": pl.Int32, "id": pl.String, "title": pl.String},
    )
    _edit_vocabulary(dataset, "item", lambda table: pl.concat([table, extra]))
    _edit_json(
        dataset, lambda meta: next(f for f in meta["fields"] if f["name"] == "item").update(vocabulary_size=size + 1)
    )
    _put(dataset, "rows/test.arrow", "item", slice(0, 9), size)
    return dataset


@fault("vocabulary-training")
def an_id_too_rare_for_its_code(folder: Path) -> PreparedDataset:
    dataset = prepare_table(folder, impressions(), min_count=5)

    def rarer(columns: Columns) -> np.ndarray:
        first = columns["item"] == 2
        return np.where(first & (np.cumsum(first) > 4), 1, columns["item"])

    _replace(dataset, "rows/train.arrow", "item", rarer)
    return dataset


@fault("vocabulary-training")
def users_of_all_parts(folder: Path) -> PreparedDataset:
    dataset = prepare_table(folder, impressions())
    _replace(dataset, "rows/train.arrow", "user", lambda c: np.where(c["user"] == 9, 8, c["user"]))
    return dataset


# Codes that collide


@fault("reserved-codes")
def codes_of_a_part_begin_at_zero(folder: Path) -> PreparedDataset:
    dataset = prepare_table(folder, impressions(rows=300))
    _replace(dataset, "rows/test.arrow", "category", lambda c: c["category"] - 2)
    return dataset


@fault("reserved-codes")
def two_ids_on_one_code(folder: Path) -> PreparedDataset:
    write_criteo(folder / "train.txt")
    dataset = prepare("criteo", path=folder / "train.txt", name="data", options={"min_count": 1})
    third = pl.when(pl.col("code") == 4).then(3).otherwise("code").cast(pl.Int32).alias("code")
    _edit_vocabulary(dataset, "C3", lambda table: table.with_columns(third))
    return dataset


@fault("reserved-codes")
def one_id_on_two_codes(folder: Path) -> PreparedDataset:
    dataset = prepare_table(folder, impressions())
    again = pl.when(pl.col("code") == 4).then(pl.col("id").first()).otherwise("id").alias("id")
    _edit_vocabulary(dataset, "category", lambda table: table.with_columns(again))
    return dataset


@fault("reserved-codes")
def padding_in_the_event_log(folder: Path) -> PreparedDataset:
    dataset = prepare_table(folder, impressions())
    _put(dataset, "events.arrow", "item", 11, 0)
    return dataset


# Contradictions


@fault("contradicting-rows")
def a_view_and_a_purchase_in_one_second(folder: Path) -> PreparedDataset:
    lines = write_user_behavior(folder / "UserBehavior.csv")
    user, item, category, _, time = next(line for line in lines if line[3] == "pv")
    return _user_behavior(folder, [*lines, (user, item, category, "buy", time)])


@fault("contradicting-rows")
def contradictions_across_parts(folder: Path) -> PreparedDataset:
    frame = impressions(rows=400)
    other = frame[::40].with_columns(clk=1 - pl.col("clk"))
    return prepare_table(folder, pl.concat([frame, other]), split="random", history="none")


@fault("contradicting-rows")
def lines_of_criteo_with_both_labels(folder: Path) -> PreparedDataset:
    write_criteo(folder / "train.txt", 1000)
    lines = (folder / "train.txt").read_text().splitlines()
    again = [str(1 - int(line[0])) + line[1:] for line in lines[:8]]
    (folder / "train.txt").write_text("\n".join(lines + again) + "\n")
    return prepare("criteo", path=folder / "train.txt", name="data", options={"min_count": 1})


# Times outside the period


@fault("timestamps-in-window")
def default_dates_in_a_table(folder: Path) -> PreparedDataset:
    frame = impressions()
    odd = frame.head(4).with_columns(when=pl.Series([946_684_800, 946_684_800, 946_684_800, 2_145_916_800]))
    return prepare_table(folder, pl.concat([frame, odd]))


@fault("timestamps-in-window")
def one_rating_of_1970(folder: Path) -> PreparedDataset:
    write_ml_100k(folder)
    with (folder / "u.data").open("a") as file:
        file.write("1\t1\t5\t0\n")
    return prepare("movielens", path=folder, name="data")


@fault("timestamps-in-window")
def events_before_the_period_left_out(folder: Path) -> PreparedDataset:
    lines = write_user_behavior(folder / "UserBehavior.csv")
    return _user_behavior(folder, [*lines, (1, 1, 1, "pv", USER_BEHAVIOR_START - 1)])


@fault("timestamps-in-window")
def rows_moved_out_of_the_period(folder: Path) -> PreparedDataset:
    write_taobao_ads(folder)
    dataset = prepare("taobao-ads", path=folder, name="data")
    _put(dataset, "rows/test.arrow", "timestamp", slice(-2, None), TAOBAO_START + 8 * DAY)
    return dataset


# The wrong timezone


@fault("timezone")
def a_small_log_read_in_utc(folder: Path) -> PreparedDataset:
    return prepare_table(folder, impressions(rows=400), timezone="UTC")


@fault("timezone")
def a_single_day_read_in_another_zone(folder: Path) -> PreparedDataset:
    return prepare_table(folder, impressions(days=1), timezone="America/New_York")


@fault("timezone")
def local_times_written_as_unix_times(folder: Path) -> PreparedDataset:
    return prepare_table(folder, impressions().with_columns(pl.col("when") + 8 * 3600))


@fault("timezone")
def weekdays_that_begin_on_sunday(folder: Path) -> PreparedDataset:
    dataset = prepare_table(folder, impressions())
    for split in SPLITS:
        _replace(dataset, f"rows/{split}.arrow", "dayofweek", lambda c: (c["dayofweek"] - 1) % 7 + 2)
    return dataset


# Histories without anything in them


@fault("history-empty")
def a_log_that_ends_before_the_test(folder: Path) -> PreparedDataset:
    frame = impressions()
    early = pl.col("when") < pl.col("when").quantile(0.9)
    past = pl.when(early).then(pl.lit("1^2^3^4"))
    return prepare_table(folder, frame.with_columns(past=past), history_item="past")


@fault("history-unknown")
def lists_that_name_ads_otherwise(folder: Path) -> PreparedDataset:
    return _ready_made(folder, 1000, "nowhere", ids="ad")


@fault("history-empty")
def one_row_a_user(folder: Path) -> PreparedDataset:
    return prepare_table(folder, impressions(rows=500).with_columns(uid=pl.int_range(pl.len())))


# A rate that drifts


@fault("positive-rate-drift")
def a_slow_drift_in_large_data(folder: Path) -> PreparedDataset:
    frame = impressions(rows=30_000)
    share = (pl.col("when") - TAOBAO_START) / (10 * DAY)
    luck = pl.Series(np.random.default_rng(6).random(len(frame)))
    return prepare_table(folder, frame.with_columns(clk=(luck < 0.4 - 0.2 * share).cast(pl.Int64)))


@fault("positive-rate-drift")
def more_clicks_on_the_last_day(folder: Path) -> PreparedDataset:
    late = pl.col("when") >= TAOBAO_START + 9 * DAY
    more = pl.when(late & (pl.int_range(pl.len()) % 3 == 0)).then(1).otherwise("clk")
    return prepare_table(folder, impressions().with_columns(clk=more), split="last-day")


@fault("positive-rate-drift")
def conversions_lost_at_the_end(folder: Path) -> PreparedDataset:
    lines = write_user_behavior(folder / "UserBehavior.csv", n=6000)
    end = USER_BEHAVIOR_START + 8 * DAY
    return _user_behavior(folder, [(u, i, c, "pv" if t > end and i % 2 else b, t) for u, i, c, b, t in lines])


@pytest.mark.parametrize(("id", "plant"), FAULTS, ids=[f"{id}-{plant.__name__}" for id, plant in FAULTS])
def test_a_planted_fault_is_found(id, plant, tmp_path):
    dataset = plant(tmp_path)
    check = next(check for check in audit_dataset(PreparedDataset(dataset.path)).checks if check.id == id)
    assert check.status in ("warn", "fail") and check.number and check.todo
    assert check.examples or "left out" in check.sentence
    assert check.sentence.endswith(".")


# Data without a fault. What may be said of it: that the timezone is a guess, and the like.


def heavy_tails(folder: Path) -> PreparedDataset:
    return prepare_table(folder, impressions(rows=12_000, users=1500, ads=2500, tail=1.1))


def small(folder: Path) -> PreparedDataset:
    return prepare_table(folder, impressions(rows=150, users=12, ads=20))


def very_small(folder: Path) -> PreparedDataset:
    return prepare_table(folder, impressions(rows=60, users=5, ads=8))


def a_single_day(folder: Path) -> PreparedDataset:
    return prepare_table(folder, impressions(days=1))


def an_evening(folder: Path) -> PreparedDataset:
    frame = impressions(days=1).filter(pl.col("when") > TAOBAO_START + 18 * 3600)
    return prepare_table(folder, frame)


def lists_with_repeats(folder: Path) -> PreparedDataset:
    return _ready_made(folder, 3000, "nowhere", repeats=0.35)


def lists_of_few_ads(folder: Path) -> PreparedDataset:
    return _ready_made(folder, 2000, "nowhere", ads=4, length=30)


def people_who_look_again(folder: Path) -> PreparedDataset:
    """Every impression is followed by others of the same ad, seconds apart."""
    frame = impressions(rows=1500)
    again = [frame.with_columns(pl.col("when") + after, clk=pl.lit(0, pl.Int64)) for after in (0, 40, 90)]
    again[0] = frame
    return prepare_table(folder, pl.concat(again).sort("when"))


def sampled_negatives(folder: Path) -> PreparedDataset:
    lines = _new_items_daily()
    return _user_behavior(folder, lines, task="next-click")


def purchases_of_what_was_viewed(folder: Path) -> PreparedDataset:
    views = write_user_behavior(folder / "UserBehavior.csv", users=60, items=30)
    when = USER_BEHAVIOR_START + np.random.default_rng(8).integers(0, 9 * DAY, len(views)) // 60 * 60  # as views
    bought = [(u, i, c, "buy", t) for (u, i, c, b, _), t in zip(views[::9], when.tolist(), strict=False) if b == "pv"]
    return _user_behavior(folder, [line for line in views if line[3] == "pv"] + bought)


def counts_and_ids(folder: Path) -> PreparedDataset:
    write_criteo(folder / "train.txt", 3000)
    return prepare("criteo", path=folder / "train.txt", name="data")


def a_table_without_users_and_times(folder: Path) -> PreparedDataset:
    mapping = {"user": None, "timestamp": None, "numeric": [], "categorical": "device,city"}
    draw = np.random.default_rng(7)
    frame = impressions().with_columns(
        device=pl.Series(draw.integers(0, 3, 3000)).head(len(impressions())),
        city=pl.Series(draw.integers(0, 9, 3000)).head(len(impressions())),
    )
    return prepare_table(folder, frame, **mapping)


def years_of_ratings(folder: Path) -> PreparedDataset:
    """Few at first, then more, and none for months."""
    frame = impressions(rows=3000)
    years = (pl.int_range(pl.len()) / pl.len()).sqrt() * 3000
    when = TAOBAO_START + (years + pl.when(years > 1500).then(300).otherwise(0)).floor().cast(pl.Int64) * DAY
    return prepare_table(folder, frame.with_columns(when=when + (pl.col("when") - TAOBAO_START) % DAY))


CLEAN = [
    heavy_tails, small, very_small, a_single_day, an_evening, lists_with_repeats, lists_of_few_ads,
    people_who_look_again, sampled_negatives, purchases_of_what_was_viewed, counts_and_ids,
    a_table_without_users_and_times, years_of_ratings,
]  # fmt: skip
MAY_BE_SAID = {
    lists_with_repeats: {"history-earlier"},  # ready-made: they cannot be verified
    lists_of_few_ads: {"history-earlier"},
    heavy_tails: {"history-clicks", "history-empty", "concentrated-users"},  # half of the users have one row, one 18%
    sampled_negatives: {"unseen-items", "history-unknown"},  # new items every day
    **{few: {"few-labels"} for few in (small, very_small, an_evening, purchases_of_what_was_viewed)},
}


@pytest.mark.parametrize("make", CLEAN, ids=lambda make: make.__name__)
def test_data_without_a_fault_passes(make, tmp_path):
    dataset = make(tmp_path)
    allowed = {"history-clicks"} | MAY_BE_SAID.get(make, set())
    said: list[Check] = [check for check in audit_dataset(dataset).checks if check.status != "pass"]
    assert {check.id: check.sentence for check in said if check.id not in allowed} == {}
