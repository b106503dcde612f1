"""Avazu's click-through-rate challenge (Kaggle 2014): ten days of ads in apps and on mobile sites, hour by hour."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl

from mdaf_core.base.errors import BadInputError
from mdaf_core.base.progress import Progress
from mdaf_core.data.formats.base import RawTable, Size, Source, calendar_columns
from mdaf_core.data.formats.criteo import hex_text
from mdaf_core.data.formats.parts import PartsOptions, files_of_parts, part_files
from mdaf_core.data.reading.files import count_lines, exists, header, is_folder
from mdaf_core.data.reading.layout import ID_RANGE, Column, Layout
from mdaf_core.data.reading.parts import Part, read_parts
from mdaf_core.data.reading.text import Text, read_text, shrink
from mdaf_core.data.store.schema import FieldSpec

NO_DEVICE = "a99f214a"
"""The device_id of most rows: it stands for none."""
_HASHED = (
    "site_id", "site_domain", "site_category", "app_id", "app_domain", "app_category", "device_id", "device_ip",
    "device_model",
)  # fmt: skip
_NUMBERED = ("device_type", "device_conn_type", *(f"C{i}" for i in range(14, 22)))
_INPUTS = ("C1", "banner_pos", *_HASHED, *_NUMBERED)
_MOMENT = (pl.col("hour") + "00").str.to_datetime("%y%m%d%H%M", time_unit="ms", strict=False, exact=True)
_NUMBER = (-1, ID_RANGE[1])  # -1: unknown

LAYOUT = Layout(
    (
        Column("id", "text"),
        Column("click", "text", choices=("0", "1")),
        Column("hour", "text", width=8),
        *(Column(name, between=_NUMBER) for name in ("C1", "banner_pos")),
        *(Column(name, "hex") for name in _HASHED),
        *(Column(name, between=_NUMBER) for name in _NUMBERED),
    ),
    header=True,
    rule=(
        _MOMENT.is_not_null(),
        "The field hour must be YYMMDDHH, such as 14102100 for 21 October 2014, 00:00 to 00:59 UTC",
    ),
    expected="Avazu's train.csv with the header id,click,hour,C1,banner_pos,site_id,…,C21",
)
_UNLABELLED = replace(LAYOUT, columns=(LAYOUT.columns[0], *LAYOUT.columns[2:]))
_DESCRIPTIONS = {
    "banner_pos": "Position of the ad",
    "device_id": f"Device; {NO_DEVICE} stands for none",
    "device_ip": "Address of the device, hashed; several people share one",
}


def read(path: Path, options: PartsOptions, progress: Progress) -> RawTable:
    """Read train.csv, train.gz, or the folder that holds it. Rows carry no user, so there are no histories."""
    layout = LAYOUT
    if options.new_rows:
        layout = LAYOUT.with_optional("click") if "click" in header(_file(path)) else _UNLABELLED

    def keep(block: pl.DataFrame) -> pl.DataFrame:
        label = pl.col("click") if "click" in block.columns else pl.lit(None, pl.String)
        block = block.with_columns(_MOMENT.dt.epoch("s").alias("timestamp"))
        return shrink(
            block.select(label.cast(pl.UInt8).alias("label"), "timestamp", *_INPUTS, *calendar_columns("UTC"))
        )

    def read_file(file: Path, stage: str, progress: Progress) -> Text:
        skip = options.skip_bad_rows
        return read_text(file, layout, skip_bad_rows=skip, progress=progress, keep=keep, stage=stage)

    text, inputs = read_parts(_parts(path, options), read_file, progress)
    return RawTable(
        rows=text.frame,
        fields=[FieldSpec(name=name, description=_DESCRIPTIONS.get(name, "Anonymous id")) for name in _INPUTS],
        as_text=dict.fromkeys(_HASHED, hex_text),
        titles={"device_id": pl.DataFrame({"id": [NO_DEVICE], "title": ["no device"]})},
        title="Avazu CTR challenge",
        label="clicked",
        inputs=inputs,
        skipped_rows=text.skipped,
        examples=text.examples,
    ).with_calendar()


def _file(path: Path) -> Path:
    """The file of rows: train.csv, or train, as Kaggle's train.gz unpacks to."""
    if not is_folder(path):
        return path
    return next((path / name for name in ("train.csv", "train") if exists(path / name)), path / "train.csv")


def _parts(path: Path, options: PartsOptions) -> list[Part]:
    return part_files(path, options, _file(path).name)


def _is_own(file: Path) -> bool:
    """Whether it is a file of the challenge, by its header; a plain table has `timestamp` in place of `hour`."""
    return {"hour", "C1", "banner_pos", "C21"} <= set(header(file))


def _check(path: Path, options: PartsOptions) -> None:
    for _, file in _parts(path, options):
        if not exists(file):
            raise BadInputError(f"There is no train.csv and no train.gz here; expected {_EXPECTED}.", path)
        if not _is_own(file):
            raise BadInputError(f"This is another file than Avazu's; expected {LAYOUT.expected}.", file)
        if "click" not in header(file) and not options.new_rows:
            raise BadInputError("The file has no column click, as the challenge's test file: take train.csv.", file)


def _size(path: Path, options: PartsOptions) -> Size:
    lines = sum(count_lines(file) for _, file in _parts(path, options))
    return Size(lines=lines, read=95, rows=lines, events=0, fields=len(_INPUTS) + 2, history_fields=0)


_EXPECTED = "train.gz or train.csv of the Kaggle challenge, or its folder"


SOURCE = Source(
    name="avazu",
    title="Avazu CTR challenge: ads by the hour, no users, no histories",
    path_help=_EXPECTED,
    options=PartsOptions,
    read=read,
    default_name=lambda _path, _options: "avazu",
    files=lambda path, options: files_of_parts(_parts(path, options)),
    size=_size,
    check=_check,
    is_own=_is_own,
    place=52,
)
