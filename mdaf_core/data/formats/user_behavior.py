"""Taobao's UserBehavior (Tianchi data set 649): views, carts, favourites and purchases of about a million users."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import polars as pl
from pydantic import Field

from mdaf_core.base.errors import BadInputError
from mdaf_core.base.progress import Progress
from mdaf_core.data.formats.base import (
    EventRule,
    NegativeSampling,
    RawTable,
    Size,
    Source,
    expect_files,
    id_fields,
)
from mdaf_core.data.formats.options import SourceOptions
from mdaf_core.data.reading.files import count_lines, find, inside
from mdaf_core.data.reading.layout import ID_RANGE, Column, Layout
from mdaf_core.data.reading.taobao import BEHAVIORS, TIMEZONE, Behavior, midnight
from mdaf_core.data.reading.text import Examples, add_examples, read_text, shrink
from mdaf_core.data.reading.times import TIME_RANGE, check_published

# The period that the data set's description states: 25 November to 3 December 2017.
WINDOW = (midnight(2017, 11, 25), midnight(2017, 12, 4))

LAYOUT = Layout(
    (
        Column("user_id", between=ID_RANGE),
        Column("item_id", between=ID_RANGE),
        Column("category_id", between=ID_RANGE),
        Column("behavior", "text", choices=BEHAVIORS),
        Column("timestamp", between=TIME_RANGE),
    ),
    expected="lines 'user_id,item_id,category_id,behavior,timestamp' without a header (UserBehavior.csv)",
)


_NEXT_CLICK: dict[str, Any] = {"with": {"task": ["next-click"]}}


class UserBehaviorOptions(SourceOptions):
    """Options of `user-behavior`."""

    task: Literal["conversion", "next-click"] = Field(
        "conversion",
        description="conversion: every event is a row, 1 for buy, cart or fav, 0 for a page view. next-click: every "
        "page view is a positive, against sampled items.",
    )
    history: list[Behavior] = Field(
        list(BEHAVIORS), min_length=1, description="Earlier events of these behaviours make up a history."
    )
    negatives: int = Field(
        1, ge=1, le=100, description="next-click: sampled items for each page view (k).", json_schema_extra=_NEXT_CLICK
    )
    alpha: float = Field(
        1.0,
        ge=0,
        le=2,
        description="next-click: items are drawn by popularity^alpha among those viewed in the row's own part of the "
        "split. At 1 unseen ids are as likely among negatives as among positives; below, they are likelier.",
        json_schema_extra=_NEXT_CLICK,
    )
    negatives_seed: int = Field(42, ge=0, description="next-click: seed of the draw.", json_schema_extra=_NEXT_CLICK)
    outside_window: Literal["drop", "keep"] = Field(
        "drop",
        description="Events outside 2017-11-25 to 2017-12-03 (Asia/Shanghai), of which the published file holds some, "
        "up to decades away: leave them out, or keep them. The audit counts them.",
    )


def read(path: Path, options: UserBehaviorOptions, progress: Progress) -> RawTable:
    """Read UserBehavior.csv, or the folder or archive that holds it."""
    path = inside(path, "UserBehavior.csv")
    drop = options.outside_window == "drop" and not options.new_rows
    within = pl.col("timestamp").is_between(*WINDOW, closed="left")

    outside: Examples = {}

    def keep(block: pl.DataFrame) -> pl.DataFrame:
        add_examples(outside, "outside", block.filter(~within))
        block = block.select(
            pl.col("user_id").alias("user"),
            pl.col("item_id").alias("item"),
            pl.col("category_id").alias("category"),
            pl.col("behavior").cast(pl.Enum(BEHAVIORS)),
            "timestamp",
        )
        return shrink(block.filter(within) if drop else block)

    layout = LAYOUT.with_optional("behavior") if options.new_rows else LAYOUT
    text = read_text(
        path, layout, skip_bad_rows=options.skip_bad_rows, progress=progress, keep=keep, examples=outside,
        stage="events",
    )  # fmt: skip
    events = text.frame
    notes: list[str] = []
    if drop and events.is_empty():
        check_published(pl.Series([row["timestamp"] for row in outside["outside"]]), path)
    elif not drop:
        notes = check_published(events["timestamp"].cast(pl.Int64), path)
    if events.is_empty():
        raise BadInputError(
            "No event lies within 2017-11-25 to 2017-12-03 (Asia/Shanghai), the period of this data set. "
            "Set outside_window=keep to use these events all the same.",
            path,
        )
    conversion = options.task == "conversion"
    # A row to be predicted may lack its behaviour: of a view, say, that has not happened.
    rows = events if conversion else events.filter((pl.col("behavior") == "pv").fill_null(options.new_rows))
    if rows.is_empty():
        raise BadInputError("The file holds no page view (pv), so there is no row for next-click.", path)
    rows = rows.select(
        ((pl.col("behavior") == "pv") != conversion).cast(pl.UInt8).alias("label"),
        "user",
        "item",
        "category",
        "timestamp",
    )
    in_history = (
        events if len(options.history) == len(BEHAVIORS) else events.filter(pl.col("behavior").is_in(options.history))
    )
    if options.new_rows and options.outside_window == "drop":  # what is later than the period is new
        in_history = in_history.filter(pl.col("timestamp") >= WINDOW[0])
    return RawTable(
        rows=rows,
        fields=id_fields("Item of the event", "Category of the item"),
        history_fields=["item", "category"],
        events=in_history.select("user", "timestamp", "item", "category", outcome="behavior"),
        title="Taobao UserBehavior, " + ("conversion" if conversion else "next click"),
        label="bought, put in the cart or marked as favourite (0: viewed)"
        if conversion
        else f"viewed (0: one of {options.negatives} sampled items a view)",
        timezone=TIMEZONE,
        timezone_assumed=True,
        window=WINDOW,
        outside_window=text.dropped if drop else len(events) - int(events.select(within.sum()).item()),
        outside_window_kept=not drop,
        inputs={text.name: text.fingerprint},
        skipped_rows=text.skipped,
        examples=text.examples,
        notes=notes,
        negatives=None
        if conversion or options.new_rows
        else NegativeSampling(options.negatives, options.alpha, options.negatives_seed, ("item", "category")),
    ).with_calendar()


def _event_rule(options: UserBehaviorOptions) -> EventRule:
    """Of a plain table, whose rows have a label and no behaviour."""
    if options.task == "next-click":
        return "positives" if "pv" in options.history else "none"
    if len(set(options.history)) == len(BEHAVIORS):
        return "rows"
    return "positives" if {"buy", "cart", "fav"} == set(options.history) else "none"


def _size(path: Path, options: UserBehaviorOptions) -> Size:
    lines = count_lines(inside(path, "UserBehavior.csv"))
    rows = lines if options.task == "conversion" else lines * (1 + options.negatives)
    # Negatives are drawn with all rows in memory, and the draw itself needs several numbers a row.
    held = 0 if options.task == "conversion" else 50
    return Size(lines=lines, read=17, rows=rows, events=lines, fields=5, history_fields=2, held=held)


_EXPECTED = "UserBehavior.csv, its .zip or .gz, or its folder"


SOURCE = Source(
    name="user-behavior",
    title="Taobao UserBehavior: page views, carts, favourites and purchases",
    path_help=_EXPECTED,
    options=UserBehaviorOptions,
    read=read,
    default_name=lambda _path, options: f"user-behavior-{options.task}",
    files=lambda path, _options: [find(inside(path, "UserBehavior.csv")).file],
    size=_size,
    check=lambda path, _options: expect_files(path, ["UserBehavior.csv"], _EXPECTED),
    event_rule=_event_rule,
    place=20,
)
