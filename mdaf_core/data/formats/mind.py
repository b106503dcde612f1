"""MIND, the Microsoft News data set: impressions of several articles, some of them clicked, and the articles."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import polars as pl
from pydantic import Field

from mdaf_core.base.errors import BadInputError
from mdaf_core.base.progress import Progress
from mdaf_core.data.formats.base import (
    RawTable,
    Size,
    Source,
    expect_files,
    rows_as_events,
)
from mdaf_core.data.formats.options import SourceOptions, SplitKind, given_split
from mdaf_core.data.reading.described import undescribed
from mdaf_core.data.reading.files import count_lines, find, first_line, open_input
from mdaf_core.data.reading.layout import Column, Layout
from mdaf_core.data.reading.parts import Part, part_folders, read_parts, unused
from mdaf_core.data.reading.text import Text, read_text, shrink
from mdaf_core.data.store.schema import FieldSpec

ROWS, NEWS = "behaviors.tsv", "news.tsv"
HISTORY = ("item", "category", "subcategory")
EXPECTED = f"a folder with {ROWS} and {NEWS}, or one with MINDsmall_train and MINDsmall_dev (or of MINDlarge)"
_FORMAT = "%m/%d/%Y %I:%M:%S %p"
MOMENT = "(0?[1-9]|1[0-2])/(0?[1-9]|[12][0-9]|3[01])/(19|20)[0-9]{2} (0?[1-9]|1[0-2]):[0-5][0-9]:[0-5][0-9] [AP]M"
_ID = "[0-9A-Za-z_]+"


def _layout(labelled: bool) -> Layout:
    shown = f"{_ID}-[01]( {_ID}-[01])*" if labelled else f"{_ID}(-[01])?( {_ID}(-[01])?)*"
    return Layout(
        (
            Column("impression", "text"),
            Column("user", "text"),
            Column("time", "text", like=(MOMENT, "11/9/2019 7:21:07 PM")),
            Column("history", "text", optional=True, like=(f"{_ID}( {_ID})*", "N40766 N26917 …")),
            Column("impressions", "text", like=(shown, "N55195-0 N89951-1 …")),
        ),
        "\t",
        expected=f"{ROWS} of MIND: impression, user, time, history and impressions, parted by tabs, without a header",
    )


_ARTICLES = Layout(
    (
        *(Column(name, "text") for name in ("id", "category", "subcategory")),
        *(Column(name, "text", optional=True) for name in ("title", "abstract", "url", "entities", "of abstract")),
    ),
    "\t",
    expected=f"{NEWS} of MIND: 8 fields parted by tabs, without a header and without quoting",
)


class MindOptions(SourceOptions):
    """Options of `mind`."""

    split: SplitKind = given_split()
    history: Literal["given", "clicks"] = Field(
        "given",
        description="A history holds what the file gives with the impression, in that order and without times; or the "
        "user's clicks in earlier impressions, by their times.",
    )


def read(path: Path, options: MindOptions, progress: Progress) -> RawTable:
    """Read a part, or the folder that holds the parts."""
    parts, notes = _parts(path, options)
    layout = _layout(not options.new_rows)

    def impressions(file: Path, stage: str, share: Progress) -> Text:
        text = read_text(file, layout, skip_bad_rows=options.skip_bad_rows, progress=share, keep=_keep, stage=stage)
        lost = text.frame["timestamp"].null_count()
        if lost:
            raise BadInputError(f"{lost:,} impressions have a time of no day of the calendar: correct them.", file)
        return text

    text, inputs = read_parts([Part(split, folder / ROWS) for split, folder in parts], impressions, progress)
    if len({one["sha256"] for one in inputs.values()}) < len(inputs):
        raise BadInputError(
            f"Two of the parts are the same {ROWS}, byte for byte: fetch the test part (named dev) again.", path
        )
    frame = text.frame.with_row_index("history")
    rows = frame.drop("past").explode("item", "label").with_columns(impression=pl.col("history").cast(pl.Int32))
    events = frame.select("history", item="past").filter(pl.col("item").list.len() > 0).explode("item")
    articles, about = _articles([folder / NEWS for _, folder in parts], options)
    inputs |= {unused(inputs, NEWS): text.fingerprint for text in about}
    rows = _described(rows, articles)
    notes += undescribed(NEWS, "article", rows["item"], rows["category"])
    if options.history == "given":
        events = _described(events, articles)
    else:
        events = rows_as_events(rows, "positives", HISTORY)
        rows = rows.drop("history")
    return RawTable(
        rows=rows,
        fields=[
            FieldSpec(name="item", role="item", description="Article"),
            FieldSpec(name="category", role="category", description="Category of the article"),
            FieldSpec(name="subcategory", description="Subcategory of the article"),
            FieldSpec(name="user", role="user", description="User"),
        ],
        history_fields=list(HISTORY),
        events=events,
        titles={"item": articles.select("id", "title")},
        title="MIND, " + ("histories as published" if options.history == "given" else "histories of earlier clicks"),
        label="clicked (0: shown in the same impression and not clicked)",
        timezone="UTC",
        timezone_assumed=True,
        inputs=inputs,
        skipped_rows=text.skipped + sum(one.skipped for one in about),
        examples=text.examples,
        notes=notes,
    ).with_calendar()


def _keep(block: pl.DataFrame) -> pl.DataFrame:
    """An impression a row: user, timestamp, and lists: past, item (those shown) and label."""
    shown = pl.col("impressions").str.split(" ")
    return shrink(
        block.select(
            pl.col("user").cast(pl.Categorical),
            timestamp=pl.col("time").str.to_datetime(_FORMAT, time_unit="ms", strict=False).dt.epoch("s"),
            past=pl.col("history").fill_null("").str.extract_all(_ID).cast(pl.List(pl.Categorical)),
            item=shown.list.eval(pl.element().str.replace("-[01]$", "")).cast(pl.List(pl.Categorical)),
            label=shown.list.eval(pl.element().str.extract("-([01])$").cast(pl.UInt8)),
        )
    )


def _articles(files: list[Path], options: MindOptions) -> tuple[pl.DataFrame, list[Text]]:
    """Columns id, category, subcategory, title of all parts' articles, each once; and what was read."""

    def keep(block: pl.DataFrame) -> pl.DataFrame:
        return block.select(pl.col("id", "category", "subcategory").cast(pl.Categorical), "title")

    texts = [
        read_text(file, _ARTICLES, skip_bad_rows=options.skip_bad_rows, keep=keep, stage=f"articles-{i}")
        for i, file in enumerate(files)
    ]
    return pl.concat([text.frame for text in texts]).unique("id", keep="first", maintain_order=True), texts


def _described(frame: pl.DataFrame, articles: pl.DataFrame) -> pl.DataFrame:
    """With category and subcategory of each item; null where no article is described so."""
    about = articles.select(pl.col("id").alias("item"), "category", "subcategory")
    return frame.join(about, on="item", how="left", maintain_order="left")


def _labelled(folder: Path) -> bool:
    values = first_line(folder / ROWS, 1 << 20).split("\t")
    # Lines that are none of MIND's are for the reader to refuse.
    return len(values) != 5 or not re.fullmatch(MOMENT, values[2]) or "-" in values[4]


def _parts(path: Path, options: MindOptions) -> tuple[list[Part], list[str]]:
    parts, notes = part_folders(path, ROWS, EXPECTED, lambda folder: options.new_rows or _labelled(folder))
    for _, folder in parts:
        expect_files(folder, [NEWS], EXPECTED)
    return parts, notes


def _files(path: Path, options: MindOptions) -> list[Path]:
    return [find(folder / name).file for _, folder in _parts(path, options)[0] for name in (ROWS, NEWS)]


def _size(path: Path, options: MindOptions) -> Size:
    lines = rows = events = 0.0
    for _, folder in _parts(path, options)[0]:
        with open_input(folder / ROWS) as opened:
            sample = [line.split(b"\t") for line in opened.read(4 << 20).split(b"\n")[:-1]]
        count, whole = count_lines(folder / ROWS), [line for line in sample if len(line) == 5]
        lines += count
        rows += count * sum(line[4].count(b" ") + 1 for line in whole) / max(1, len(whole))
        events += count * sum(len(line[3].split()) for line in whole) / max(1, len(whole))
    read = 20 + (5 * rows + 4 * events) / max(1, lines)
    if options.history == "clicks":
        events = lines * 1.5
    return Size(int(lines), read, int(rows), int(events), fields=6, history_fields=3, held=115 + 30 * events / rows)


SOURCE = Source(
    name="mind",
    title="MIND: impressions of news, with the articles and ready-made histories",
    path_help=EXPECTED,
    options=MindOptions,
    read=read,
    default_name=lambda path, options: f"mind-{options.history}",
    files=_files,
    size=_size,
    check=lambda path, options: _parts(path, options) and None,
    main_file=lambda _path: ROWS,
    event_rule=lambda options: "positives" if options.history == "clicks" else "none",
    place=46,
)
