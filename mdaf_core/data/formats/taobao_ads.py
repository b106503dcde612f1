"""Taobao's Ad Display/Click data (Tianchi data set 56): impressions of ads, the ads, the users, their shopping log."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import polars as pl
from pydantic import Field, model_validator

from mdaf_core.base.errors import UsageError
from mdaf_core.base.progress import Progress
from mdaf_core.data.formats.base import (
    EventRule,
    RawTable,
    Size,
    Source,
    expect_files,
    id_fields,
    rows_as_events,
)
from mdaf_core.data.formats.options import Implied, SourceOptions, numeric_scaling
from mdaf_core.data.reading.described import undescribed
from mdaf_core.data.reading.files import count_lines, exists, find, is_folder
from mdaf_core.data.reading.taobao import BEHAVIORS, TIMEZONE, Behavior
from mdaf_core.data.reading.taobao_ads_files import WINDOW, AdFiles, ProfileField
from mdaf_core.data.store.scaling import Transform
from mdaf_core.data.store.schema import FieldSpec

_LOG = "behavior_log.csv"
AdField = Literal["campaign", "customer", "brand", "price", "pid"]
NO_PROFILE = -1
"""Value of each profile field for a user whom user_profile.csv does not describe; no level is negative."""


_LEVELS: dict[ProfileField, str] = {
    "cms_segid": "Micro-group of the user",
    "cms_group_id": "Group of the user",
    "final_gender_code": "Gender of the user",
    "age_level": "Age level of the user",
    "pvalue_level": "Consumption grade of the user",
    "shopping_level": "Shopping depth of the user",
    "occupation": "Whether the user is a college student",
    "new_user_class_level": "City level of the user",
}
_LEVEL_TITLES: dict[ProfileField, dict[int, str]] = {
    "final_gender_code": {1: "male", 2: "female"},
    "pvalue_level": {1: "low", 2: "medium", 3: "high"},
    "shopping_level": {1: "shallow", 2: "moderate", 3: "deep"},
    "occupation": {0: "no student", 1: "college student"},
}

# What the Mamba4Rec report of 2025-10-31 did, as far as it says: see docs/data.md.
REPORT: dict[str, Any] = {
    "history": "impressions",
    "sample": 2_000_000,
    "min_user_rows": 3,
    "split": "random",
    "fractions": (0.7, 0.15, 0.15),
}
_REPORT_MAY_CHANGE = ("sample",)


class TaobaoAdsOptions(SourceOptions):
    """Options of `taobao-ads`."""

    protocol: Literal["none", "report"] = Field(
        "none",
        description="report: as the Mamba4Rec report prepared this data: a sample of 2,000,000 impressions, users with "
        "at least 3 of them, impressions as history, a random split of 70/15/15. The audit marks it.",
    )
    history: Literal["clicked", "impressions", "behavior-log"] = Field(
        "clicked",
        description="A history holds the user's earlier clicked ads; all earlier impressions, clicked or not; or the "
        "categories and brands of behavior_log.csv.",
    )
    log_behaviors: list[Behavior] = Field(
        list(BEHAVIORS),
        min_length=1,
        description="history=behavior-log: events of these behaviours.",
        json_schema_extra={"with": {"history": ["behavior-log"]}},
    )
    ad_fields: list[AdField] = Field(
        [], description="Further inputs of the ad: campaign, customer, brand, price, and its place on the page (pid)."
    )
    numeric_scaling: Transform = numeric_scaling("log")
    profile_fields: list[ProfileField] = Field([], description="Inputs from user_profile.csv.")
    sample: int = Field(
        0, ge=0, description="A seeded sample of so many impressions; 0: all. Histories are cut down with it."
    )
    sample_users: int = Field(
        0,
        ge=0,
        description="A seeded sample of so many users with all their impressions; 0: all. Histories stay whole.",
    )
    min_user_rows: int = Field(1, ge=1, description="Leave out users with fewer impressions (after sampling).")
    sample_seed: int = Field(42, ge=0, description="Seed of the samples.")
    outside_window: Literal["drop", "keep"] = Field(
        "drop",
        description="Impressions outside 2017-05-06 to 2017-05-13 and log events outside 2017-04-22 to 2017-05-13 "
        "(Asia/Shanghai): leave them out, or keep them. The audit counts them.",
    )

    @classmethod
    def implied(cls, chosen: dict[str, Any]) -> dict[str, Implied]:
        if chosen.get("protocol") != "report":
            return {}
        return {
            name: Implied(value, "protocol=report", name not in _REPORT_MAY_CHANGE) for name, value in REPORT.items()
        }

    @model_validator(mode="after")
    def _apply_protocol(self) -> Self:
        if self.protocol == "report":
            for name, value in REPORT.items():
                if name not in self.model_fields_set:
                    setattr(self, name, value)
                elif name not in _REPORT_MAY_CHANGE and getattr(self, name) != value:
                    shown = "/".join(f"{share:g}" for share in value) if isinstance(value, tuple) else value
                    raise ValueError(f"protocol=report means {name}={shown}; leave {name} out, or the protocol")
        return self


def read(path: Path, options: TaobaoAdsOptions, progress: Progress) -> RawTable:
    """Read the folder with raw_sample.csv, ad_feature.csv and, where the options ask for them, user_profile.csv and
    behavior_log.csv."""
    folder, names = path if path.is_dir() else path.parent, _names(options)
    if options.new_rows and not exists(folder / _LOG):  # rows to be predicted may come without new events
        names = [name for name in names if name != _LOG]
    files = AdFiles(
        folder,
        names,
        progress,
        skip_bad_rows=options.skip_bad_rows,
        drop_outside=options.outside_window == "drop",
        new_rows=options.new_rows,
    )
    impressions, outside = files.impressions(pid="pid" in options.ad_fields)
    total = len(impressions)
    impressions = impressions if options.new_rows else _sampled(impressions, options)
    notes = _sampling_notes(total, impressions, options)

    ads, found = files.described("ad_feature.csv", impressions["item"])
    inputs = ["category", *(name for name in options.ad_fields if name not in ("price", "pid"))]
    if options.history == "behavior-log" and "brand" not in inputs:
        inputs.append("brand")
    notes += undescribed("ad_feature.csv", "ad", impressions["item"], found)
    source = {"category": "cate_id", "campaign": "campaign_id"}
    columns = {name: ads[source.get(name, name)].gather(found) for name in inputs}
    if "price" in options.ad_fields:
        columns["price"] = ads["price"].gather(found)
    rows = impressions.with_columns(*(values.alias(name) for name, values in columns.items()))
    if options.profile_fields:
        rows = rows.with_columns(_profiles(rows["user"], files, options.profile_fields))

    names = ["item", "category", *(["brand"] if "brand" in options.ad_fields else [])]
    if options.history == "behavior-log":
        names = ["category", "brand"]
        events, left_out = rows.clear().select("user", "timestamp", *names), 0
        if _LOG in files.names:
            events, left_out = files.log(rows["user"], options.log_behaviors)
        if left_out:
            verb = "left out" if options.outside_window == "drop" else "kept"
            notes.append(
                f"{left_out:,} events of behavior_log.csv lie outside 2017-04-22 to 2017-05-13 ({TIMEZONE}) and were "
                f"{verb}."
            )
    else:
        events = rows_as_events(rows, _EVENT_RULES[options.history], names)
        if options.new_rows and options.outside_window == "drop":  # what is later than the period is new
            events = events.filter(pl.col("timestamp") >= WINDOW[0])
    return RawTable(
        rows=rows,
        fields=_fields(inputs, options),
        history_fields=names,
        events=events,
        titles={name: _level_titles(name) for name in options.profile_fields},
        title="Taobao ads, " + _HISTORY_WORDS[options.history],
        label="clicked (0: shown and not clicked)",
        numeric_scaling=options.numeric_scaling,
        timezone=TIMEZONE,
        timezone_assumed=True,
        window=WINDOW,
        outside_window=outside,
        outside_window_kept=options.outside_window == "keep",
        inputs=files.fingerprints,
        skipped_rows=files.skipped,
        examples=files.examples,
        notes=notes + files.notes,
    ).with_calendar()


_EVENT_RULES: dict[str, EventRule] = {"clicked": "positives", "impressions": "rows"}
_HISTORY_WORDS = {
    "clicked": "histories of clicked ads",
    "impressions": "histories of shown ads",
    "behavior-log": "histories from the shopping log",
}


def _sampled(rows: pl.DataFrame, options: TaobaoAdsOptions) -> pl.DataFrame:
    """The rows that the options ask for, in file order.

    Raises:
        UsageError: none is left.
    """
    generator = np.random.default_rng(options.sample_seed)
    if options.sample_users:
        users = rows["user"].unique().sort()
        if options.sample_users < len(users):
            chosen = generator.choice(len(users), options.sample_users, replace=False)
            rows = rows.filter(pl.col("user").is_in(users.gather(np.sort(chosen)).implode()))
    if options.sample and options.sample < len(rows):
        rows = rows[np.sort(generator.choice(len(rows), options.sample, replace=False))]
    if options.min_user_rows > 1:
        rows = rows.filter(pl.len().over("user") >= options.min_user_rows)
    if rows.is_empty():
        raise UsageError(f"No user has {options.min_user_rows} impressions: lower min_user_rows.")
    return rows


def _sampling_notes(total: int, rows: pl.DataFrame, options: TaobaoAdsOptions) -> list[str]:
    if len(rows) == total and options.protocol == "none":
        return []
    parts = []
    if options.sample_users:
        parts.append(f"a sample of {options.sample_users:,} users (seed {options.sample_seed})")
    if options.sample:
        parts.append(f"a sample of {min(options.sample, total):,} impressions (seed {options.sample_seed})")
    if options.min_user_rows > 1:
        parts.append(f"users with at least {options.min_user_rows} of them")
    how = "by the report's protocol" if options.protocol == "report" else "on request"
    return [f"Rows were chosen {how}: {', then '.join(parts)}; {len(rows):,} of {total:,} impressions remain."]


def _profiles(users: pl.Series, files: AdFiles, fields: list[ProfileField]) -> list[pl.Series]:
    """The chosen fields of each row's user: null where the file's is empty, `NO_PROFILE` where it has no such user."""
    profiles, position = files.described("user_profile.csv", users)
    known = position.is_not_null()
    absent = pl.Series([NO_PROFILE], dtype=pl.Int16).new_from_index(0, len(users))
    return [profiles[name].cast(pl.Int16).gather(position).zip_with(known, absent).alias(name) for name in fields]


def _fields(inputs: list[str], options: TaobaoAdsOptions) -> list[FieldSpec]:
    words = {"campaign": "Campaign of the ad", "customer": "Advertiser", "brand": "Brand of the advertised item"}
    fields = [
        *id_fields("Ad (adgroup)", "Category of the advertised item"),
        *(FieldSpec(name=name, description=words[name]) for name in inputs if name != "category"),
    ]
    if "pid" in options.ad_fields:
        fields.append(FieldSpec(name="pid", description="Place on the page"))
    if "price" in options.ad_fields:
        fields.append(FieldSpec(name="price", kind="numeric", description="Price of the item, yuan"))
    return fields + [FieldSpec(name=name, description=_LEVELS[name]) for name in options.profile_fields]


def _level_titles(name: ProfileField) -> pl.DataFrame:
    titles = {NO_PROFILE: "no profile"} | _LEVEL_TITLES.get(name, {})
    return pl.DataFrame({"id": list(titles), "title": list(titles.values())}, schema={"id": pl.Int64, "title": str})


def _names(options: TaobaoAdsOptions) -> list[str]:
    """The files that the options need."""
    names = ["raw_sample.csv", "ad_feature.csv"]
    if options.profile_fields:
        names.append("user_profile.csv")
    if options.history == "behavior-log":
        names.append(_LOG)
    return names


def _files(path: Path, options: TaobaoAdsOptions) -> list[Path]:
    folder = path if path.is_dir() else path.parent
    return [find(folder / name).file for name in _names(options)]


def _size(path: Path, options: TaobaoAdsOptions) -> Size:
    folder = path if path.is_dir() else path.parent
    rows = count_lines(folder / "raw_sample.csv")
    chosen = min(rows, options.sample or rows)
    events, fields = chosen, 5 + len(options.ad_fields) + len(options.profile_fields)
    if options.history == "behavior-log":
        events = count_lines(folder / "behavior_log.csv")
    elif options.history == "clicked":
        events = chosen // 15
    # The rows with all their columns, and where they stand among all impressions if they are a sample.
    held = 30 + 4 * fields + (8 * rows / chosen if chosen < rows else 0)
    read = 13 + (16 * events / rows if options.history == "behavior-log" else 0)
    return Size(lines=rows, read=read, rows=chosen, events=events, fields=fields, history_fields=2, held=held)


_EXPECTED = "the folder with raw_sample.csv and ad_feature.csv (and user_profile.csv, behavior_log.csv)"


SOURCE = Source(
    name="taobao-ads",
    title="Taobao ads: impressions with ads, user profiles and a shopping log",
    path_help=_EXPECTED,
    options=TaobaoAdsOptions,
    read=read,
    default_name=lambda _path, options: f"taobao-ads-{'report' if options.protocol == 'report' else options.history}",
    files=_files,
    size=_size,
    check=lambda path, options: expect_files(path if is_folder(path) else path.parent, _names(options), _EXPECTED),
    main_file=lambda _path: "raw_sample.csv",
    event_rule=lambda options: _EVENT_RULES.get(options.history, "none"),
    place=30,
)
