"""Amazon Reviews 2023: ratings of products, of one category, in one file or in the published parts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import polars as pl
from pydantic import Field

from mdaf_core.base.errors import BadInputError, UsageError
from mdaf_core.base.progress import Progress
from mdaf_core.data.formats.base import (
    EventRule,
    RawTable,
    Size,
    Source,
    id_fields,
    rows_as_events,
)
from mdaf_core.data.formats.options import SourceOptions, SplitKind, given_split
from mdaf_core.data.reading.files import count_lines, find, first_line, open_input
from mdaf_core.data.reading.layout import Column, Layout
from mdaf_core.data.reading.parts import Part, parts_beside, parts_in, read_parts
from mdaf_core.data.reading.text import Text, read_text
from mdaf_core.data.reading.times import TIME_RANGE, check_published
from mdaf_core.data.store.outcomes import stars

EXPECTED = "a category's CSV file (user_id,parent_asin,rating,timestamp), or one of its .train, .valid and .test files"
_COLUMNS: tuple[Column, ...] = (
    Column("user_id", "text"),
    Column("parent_asin", "text"),
    Column("rating", "float", between=(0, 5)),
    Column("timestamp", between=TIME_RANGE),
)
_HISTORY = Column("history", "text", optional=True, like=("[^ ,^|;]+( [^ ,^|;]+)*", "B00NP0R05C B00DXXGXUW …"))


class AmazonReviewsOptions(SourceOptions):
    """Options of `amazon-reviews`."""

    split: SplitKind = given_split()
    positive_from: float = Field(4.0, ge=1, le=5, description="Ratings of at least this many stars are positives.")
    history: Literal["reviews", "liked", "given"] = Field(
        "reviews",
        description="A history holds the user's earlier reviews, by their times; those with positive_from stars or "
        "more; or what the files of last_out_w_his and timestamp_w_his give, which is without times.",
    )


def read(path: Path, options: AmazonReviewsOptions, progress: Progress) -> RawTable:
    """Read a category's file, or the one and the parts beside it."""
    parts = _parts(path, options)
    given = options.history == "given"

    def keep(block: pl.DataFrame) -> pl.DataFrame:
        past = pl.col("history").fill_null("").str.extract_all("[^ ]+").cast(pl.List(pl.Categorical))
        further = past.alias("past") if given else stars(block["rating"]).alias("outcome")
        return block.select(
            pl.when(pl.col("rating") >= options.positive_from).then(1).otherwise(0).cast(pl.UInt8).alias("label"),
            pl.col("user_id").cast(pl.Categorical).alias("user"),
            pl.col("parent_asin").cast(pl.Categorical).alias("item"),
            "timestamp",
            further,
        )

    def reviews(file: Path, stage: str, share: Progress) -> Text:
        return read_text(
            file,
            _layout(file, options),
            skip_bad_rows=options.skip_bad_rows,
            progress=share,
            keep=keep,
            stage=f"{stage}-stars",  # not what an interrupted attempt of before they were kept has left
        )

    text, inputs = read_parts(parts, reviews, progress)
    rows = text.frame
    notes = check_published(rows["timestamp"], parts[0].path, "ms") + ([] if options.new_rows else _repeated(rows))
    if given:
        events = rows.select("past").with_row_index("row").filter(pl.col("past").list.len() > 0)
        events, rows = events.explode("past").rename({"past": "item"}), rows.drop("past")
    else:
        events = rows_as_events(rows, _EVENT_RULES[options.history], ["item", "outcome"])
        rows = rows.drop("outcome")
    category = parts[0].path.name.split(".")[0].replace("_", " ")
    return RawTable(
        rows=rows,
        fields=id_fields("Product (parent_asin)"),
        history_fields=["item"],
        events=events,
        title=f"Amazon Reviews 2023, {category}",
        label=f"rated {options.positive_from:g} stars or more (0: fewer; every row is a review, none a mere view)",
        time_unit="ms",
        timezone="UTC",
        inputs=inputs,
        skipped_rows=text.skipped,
        examples=text.examples,
        notes=notes,
    ).with_calendar()


def _repeated(rows: pl.DataFrame) -> list[str]:
    """A note where a user reviewed a product more than once: of the published files each pair's first one is kept."""
    twice = len(rows) - rows.select("user", "item").n_unique()
    return [
        f"{twice:,} rows are a further review of a product by the same user. The published files keep the first one of "
        "each pair alone, so these are other files, or parts that overlap."
    ] * bool(twice)


def _layout(file: Path, options: AmazonReviewsOptions) -> Layout:
    """Of this file: the scripts that make the files write no header, the published ones have one."""
    first = first_line(file)
    columns = _COLUMNS
    if first.endswith(",history") or first.count(",") == len(_COLUMNS):
        columns = (*columns, _HISTORY)
    elif options.history == "given":
        raise UsageError(
            f"{file.name} has no column 'history': take those of last_out_w_his or timestamp_w_his, or history=reviews."
        )
    layout = Layout(columns, header="user_id" in first, expected=EXPECTED)
    return layout.with_optional("rating") if options.new_rows else layout


def _parts(path: Path, options: AmazonReviewsOptions) -> list[Part]:
    """The file; or where it is one of several parts, all of them."""
    if options.new_rows and not path.is_dir():
        return [Part(None, path)]
    if path.is_dir():
        files = [file for file in sorted(path.iterdir()) if ".csv" in file.suffixes]
        if len(files) == 1:
            return [Part(None, files[0])]
        found = parts_in(path)
    else:
        found = parts_beside(path)
    return [Part(split, file) for split, file in found.items()] or [Part(None, path)]


def _check(path: Path, options: AmazonReviewsOptions) -> None:
    for _, file in _parts(path, options):
        _layout(file, options)
        named = [column.name for column in _COLUMNS]
        first = first_line(file).split(",")
        if first[: len(named)] != named and not (options.new_rows or re.fullmatch(r"[\d.]+,\d+", ",".join(first[2:4]))):
            raise BadInputError(f"This is another file than Amazon Reviews 2023's; expected {EXPECTED}.", file)


def _size(path: Path, options: AmazonReviewsOptions) -> Size:
    files = [file for _, file in _parts(path, options)]
    rows = sum(count_lines(file) for file in files)
    events = rows
    if options.history == "given":
        with open_input(files[-1]) as opened:
            sample = opened.read(1 << 20)
        events = round(rows * sample.count(b" ") / max(1, sample.count(b"\n"))) + rows
    return Size(rows, 18 + 4 * events / rows, rows, events, fields=4, history_fields=1, held=90 + 12 * events / rows)


_EVENT_RULES: dict[str, EventRule] = {"reviews": "rows", "liked": "positives"}


SOURCE = Source(
    name="amazon-reviews",
    title="Amazon Reviews 2023: ratings, whole or in the published parts",
    path_help=EXPECTED,
    options=AmazonReviewsOptions,
    read=read,
    default_name=lambda path, _options: "amazon-" + ("reviews" if path is None else path.name.split(".")[0].lower()),
    files=lambda path, options: [find(file).file for _, file in _parts(path, options)],
    size=_size,
    check=_check,
    event_rule=lambda options: _EVENT_RULES.get(options.history, "none"),
    place=48,
)
