"""Criteo's Display Advertising Challenge (Kaggle 2014): 13 counts and 26 hashed ids an impression."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Literal

import polars as pl
from pydantic import Field

from mdaf_core.base.progress import Progress
from mdaf_core.data.formats.base import RawTable, Size, Source, expect_files
from mdaf_core.data.formats.options import min_count, numeric_scaling
from mdaf_core.data.formats.parts import PartsOptions, files_of_parts, part_files
from mdaf_core.data.reading.files import count_lines, open_input
from mdaf_core.data.reading.layout import Column, Layout
from mdaf_core.data.reading.parts import read_parts
from mdaf_core.data.reading.text import Text, read_text, shrink
from mdaf_core.data.store.scaling import Transform
from mdaf_core.data.store.schema import FieldSpec

NUMERIC = tuple(f"I{i}" for i in range(1, 14))
CATEGORICAL = tuple(f"C{i}" for i in range(1, 27))
LAYOUT = Layout(
    (
        Column("label", "text", choices=("0", "1")),
        *(Column(name, "int", optional=True) for name in NUMERIC),
        *(Column(name, "hex", optional=True) for name in CATEGORICAL),
    ),
    "\t",
    least=37,  # C24 to C26 may be missing; tools that strip lines take their tabs with them
    expected="tab-separated label, I1 to I13, C1 to C26 without a header (40 fields; train.txt)",
)

_UNLABELLED = replace(
    LAYOUT,
    columns=LAYOUT.columns[1:],
    least=36,
    expected="tab-separated I1 to I13, C1 to C26 without a header (39 fields)",
)


class CriteoOptions(PartsOptions):
    """Options of `criteo`."""

    min_count: int = min_count(10)
    counts: Literal["buckets", "numbers"] = Field(
        "buckets",
        description="I1 to I13 as ids of buckets, floor(ln(x)^2) for x > 2 (as the challenge's winners did), with a "
        "bucket for 'missing'; or as numbers, which may be missing.",
    )
    numeric_scaling: Transform = numeric_scaling("log", **{"with": {"counts": ["numbers"]}})


def read(path: Path, options: CriteoOptions, progress: Progress) -> RawTable:
    """Read train.txt, or what holds it, or files of parts. Rows carry neither user nor time: order is time order."""
    parts = part_files(path, options, "train.txt")
    buckets = options.counts == "buckets"
    layout = LAYOUT
    if options.new_rows:
        layout = _UNLABELLED if _lacks_label(parts[0].path) else LAYOUT.with_optional("label")

    def keep(block: pl.DataFrame) -> pl.DataFrame:
        label = pl.col("label") if "label" in block.columns else pl.lit(None, pl.String)
        counts = [(bucket(pl.col(name)) if buckets else pl.col(name)).alias(name) for name in NUMERIC]
        return shrink(block.select(label.cast(pl.UInt8).alias("label"), *counts, *CATEGORICAL))

    def read_file(file: Path, stage: str, progress: Progress) -> Text:
        skip = options.skip_bad_rows
        return read_text(file, layout, skip_bad_rows=skip, progress=progress, keep=keep, stage=stage)

    text, inputs = read_parts(parts, read_file, progress)
    if buckets:
        fields = [FieldSpec(name=name, description="Count, in buckets") for name in NUMERIC]
    else:
        fields = [FieldSpec(name=name, kind="numeric", description="Count") for name in NUMERIC]
    return RawTable(
        rows=text.frame,
        fields=[*fields, *(FieldSpec(name=name, description="Hashed id") for name in CATEGORICAL)],
        title="Criteo Display Advertising Challenge",
        label="clicked",
        numeric_scaling=options.numeric_scaling,
        as_text=dict.fromkeys(CATEGORICAL, hex_text) | (dict.fromkeys(NUMERIC, bucket_text) if buckets else {}),
        titles=dict.fromkeys(NUMERIC, bucket_titles()) if buckets else {},
        inputs=inputs,
        skipped_rows=text.skipped,
        examples=text.examples,
    )


def _lacks_label(path: Path) -> bool:
    """Whether lines have no label, as the challenge's test.txt: then place 14 holds C1, not the count I13."""
    with open_input(path) as opened:
        lines = opened.read(65536).splitlines()
    for fields in (line.split(b"\t") for line in lines):
        if len(fields) >= len(LAYOUT.columns):
            return False
        hashed = [re.fullmatch(rb"[0-9a-f]{8}", field) is not None for field in fields[13:15]]
        if any(hashed):
            return hashed[0]
    return False


def bucket(value: pl.Expr) -> pl.Expr:
    """floor(ln(x)²) for x above 2, x - 3 for smaller ones (below 0, so that the two stay apart); null where missing.

    The challenge's winners, "3 Idiots" (Juan, Zhuang, Chin 2014), call them '1', '2', … and 'SPx': `bucket_text`.
    """
    large = (value.cast(pl.Float64).log() ** 2).floor().cast(pl.Int64, strict=False)
    return pl.when(value > 2).then(large).otherwise(value - _SMALL)


_SMALL = 3


def bucket_text(buckets: pl.Series) -> pl.Series:
    """The winners' names of buckets."""
    return buckets.alias("name").to_frame().select(_words(pl.col("name")))["name"]


def _words(name: pl.Expr) -> pl.Expr:
    small = pl.lit("SP") + (name.cast(pl.Int64) + _SMALL).cast(pl.String)
    return pl.when(name > 0).then(name.cast(pl.String)).otherwise(small)


def hex_text(ids: pl.Series) -> pl.Series:
    """32-bit numbers as 8 hexadecimal digits."""
    return pl.Series(ids.name, [None if number is None else f"{number:08x}" for number in ids], dtype=pl.String)


def bucket_titles() -> pl.DataFrame:
    """What each bucket holds, for people: 'SP0' is 0, '5' is 10 to 11."""
    ids = [f"SP{x}" for x in range(-10, 3)]
    titles = [str(x) for x in range(-10, 3)]
    for number in range(1, 480):  # up to the largest 32-bit count
        low, high = max(3, math.ceil(math.exp(math.sqrt(number)))), math.ceil(math.exp(math.sqrt(number + 1))) - 1
        if low <= high:
            ids.append(str(number))
            titles.append(f"{low:,}" if low == high else f"{low:,} to {high:,}")
    return pl.DataFrame({"id": ids, "title": titles})


def _size(path: Path, options: CriteoOptions) -> Size:
    lines = sum(count_lines(file) for _, file in part_files(path, options, "train.txt"))
    return Size(lines=lines, read=161, rows=lines, events=0, fields=39, history_fields=0)


_EXPECTED = "train.txt, its archive (dac.tar.gz), or its folder"


def _check(path: Path, options: CriteoOptions) -> None:
    if not options.train_path:
        expect_files(path, ["train.txt"], _EXPECTED)
    part_files(path, options, "train.txt")


SOURCE = Source(
    name="criteo",
    title="Criteo Display Advertising Challenge: counts and hashed ids, no users, no histories",
    path_help=_EXPECTED,
    options=CriteoOptions,
    read=read,
    default_name=lambda _path, options: "criteo" if options.counts == "buckets" else "criteo-numbers",
    files=lambda path, options: files_of_parts(part_files(path, options, "train.txt")),
    size=_size,
    check=_check,
    numbers=lambda options: NUMERIC if options.counts == "buckets" else (),
    from_numbers=lambda counts: _words(bucket(counts.cast(pl.Int64))),
    place=50,
)
