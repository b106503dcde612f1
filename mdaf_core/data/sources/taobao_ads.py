"""Taobao's Ad Display/Click data (Tianchi data set 56): impressions of ads, the ads, the users, their shopping log."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from pydantic import Field, model_validator

from mdaf_core.data.schema import FieldSpec
from mdaf_core.data.sources.base import (
    Progress,
    RawTable,
    Size,
    Source,
    SourceOptions,
    calendar_columns,
    calendar_fields,
    weekday_titles,
)
from mdaf_core.data.sources.files import count_lines, find
from mdaf_core.data.sources.text import ID_RANGE, Column, Layout, Text, check_file, read_text
from mdaf_core.errors import BadInputError, UsageError

TIMEZONE = "Asia/Shanghai"
AdField = Literal["campaign", "customer", "brand", "price", "pid"]
Behavior = Literal["pv", "cart", "fav", "buy"]
BEHAVIORS: tuple[Behavior, ...] = ("pv", "cart", "fav", "buy")
ProfileField = Literal[
    "cms_segid", "cms_group_id", "final_gender_code", "age_level", "pvalue_level", "shopping_level", "occupation",
    "new_user_class_level",
]  # fmt: skip
NO_PROFILE = -1
"""Value of each profile field for a user whom user_profile.csv does not describe; no level is negative."""


def _midnight(year: int, month: int, day: int) -> int:
    return int(datetime(year, month, day, tzinfo=ZoneInfo(TIMEZONE)).timestamp())


# The periods that the data set's description states: eight days of impressions; 22 days of behaviour, to the same end.
WINDOW = (_midnight(2017, 5, 6), _midnight(2017, 5, 14))
LOG_WINDOW = (_midnight(2017, 4, 22), _midnight(2017, 5, 14))

_LEVELS = {
    "cms_segid": "Micro-group of the user",
    "cms_group_id": "Group of the user",
    "final_gender_code": "Gender of the user",
    "age_level": "Age level of the user",
    "pvalue_level": "Consumption grade of the user",
    "shopping_level": "Shopping depth of the user",
    "occupation": "Whether the user is a college student",
    "new_user_class_level": "City level of the user",
}
_LEVEL_TITLES = {
    "final_gender_code": {1: "male", 2: "female"},
    "pvalue_level": {1: "low", 2: "medium", 3: "high"},
    "shopping_level": {1: "shallow", 2: "moderate", 3: "deep"},
    "occupation": {0: "no student", 1: "college student"},
}

SAMPLES = Layout(
    (
        Column("user", between=ID_RANGE),
        Column("time_stamp"),
        Column("adgroup_id", between=ID_RANGE),
        Column("pid", "text"),
        Column("nonclk", "text", choices=("0", "1")),
        Column("clk", "text", choices=("0", "1")),
    ),
    header=True,
    rule=(pl.col("nonclk") != pl.col("clk"), "The fields nonclk and clk must differ: nonclk is 1 where clk is 0"),
    expected="raw_sample.csv with the header user,time_stamp,adgroup_id,pid,nonclk,clk",
)
ADS = Layout(
    (
        Column("adgroup_id", between=ID_RANGE),
        *(
            Column(name, optional=True, null="NULL", between=ID_RANGE)
            for name in ("cate_id", "campaign_id", "customer")
        ),
        Column("brand", optional=True, null="NULL", between=ID_RANGE),
        Column("price", "float", optional=True, null="NULL", between=(0, 10**12)),
    ),
    header=True,
    expected="ad_feature.csv with the header adgroup_id,cate_id,campaign_id,customer,brand,price",
)
PROFILES = Layout(
    (
        Column("userid", between=ID_RANGE),
        *(Column(name, optional=True, null="NULL", between=(0, 32_767)) for name in _LEVELS),
    ),
    header=True,
    expected=f"user_profile.csv with the header userid,{','.join(_LEVELS)}",
)
LOG = Layout(
    (
        Column("user", between=ID_RANGE),
        Column("time_stamp"),
        Column("btag", "text", choices=(*BEHAVIORS, "ipv")),
        Column("cate", optional=True, null="NULL", between=ID_RANGE),
        Column("brand", optional=True, null="NULL", between=ID_RANGE),
    ),
    header=True,
    expected="behavior_log.csv with the header user,time_stamp,btag,cate,brand",
)

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
        list(BEHAVIORS), min_length=1, description="history=behavior-log: events of these behaviours."
    )
    ad_fields: list[AdField] = Field(
        [], description="Further inputs of the ad: campaign, customer, brand, price, and its place on the page (pid)."
    )
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


def read(path: Path | None, options: TaobaoAdsOptions, progress: Progress) -> RawTable:
    """Read the folder with raw_sample.csv, ad_feature.csv and, where the options ask for them, user_profile.csv and
    behavior_log.csv."""
    assert path is not None
    files = _Files(path if path.is_dir() else path.parent, options, progress)
    impressions, outside = _impressions(files, options)
    total = len(impressions)
    impressions = _sampled(impressions, options)
    notes = _sampling_notes(total, impressions, options)

    ads = files.read("ad_feature.csv", ADS, keep=_narrow)
    inputs = ["category", *(name for name in options.ad_fields if name not in ("price", "pid"))]
    if options.history == "behavior-log" and "brand" not in inputs:
        inputs.append("brand")
    found = _position(impressions["item"], ads["adgroup_id"], "ad_feature.csv", files)
    notes += _undescribed_ads(impressions["item"], found)
    source = {"category": "cate_id", "campaign": "campaign_id"}
    columns = {name: ads[source.get(name, name)].gather(found) for name in inputs}
    if "price" in options.ad_fields:
        columns["price"] = ads["price"].gather(found).log1p().cast(pl.Float32)
    rows = impressions.with_columns(*(values.alias(name) for name, values in columns.items()))
    if options.profile_fields:
        rows = rows.with_columns(_profiles(rows["user"], files, options))
    rows = rows.with_columns(calendar_columns(TIMEZONE))

    names = ["item", "category", *(["brand"] if "brand" in options.ad_fields else [])]
    events: pl.DataFrame
    if options.history == "behavior-log":
        names = ["category", "brand"]
        events, left_out = _log(files, rows["user"], options)
        if left_out:
            verb = "left out" if options.outside_window == "drop" else "kept"
            notes.append(
                f"{left_out:,} events of behavior_log.csv lie outside 2017-04-22 to 2017-05-13 ({TIMEZONE}) and were "
                f"{verb}."
            )
    else:
        shown = rows if options.history == "impressions" else rows.filter(pl.col("label") == 1)
        events = shown.select("user", "timestamp", *names, positive="label")
    return RawTable(
        rows=rows,
        fields=_fields(inputs, options),
        history_fields=names,
        events=events,
        titles={"dayofweek": weekday_titles()} | {name: _level_titles(name) for name in options.profile_fields},
        title="Taobao ads, " + _HISTORY_WORDS[options.history],
        label="clicked (0: shown and not clicked)",
        timezone=TIMEZONE,
        timezone_assumed=True,
        window=WINDOW,
        outside_window=outside,
        outside_window_kept=options.outside_window == "keep",
        inputs=files.fingerprints,
        skipped_rows=files.skipped,
        notes=notes,
    )


_HISTORY_WORDS = {
    "clicked": "histories of clicked ads",
    "impressions": "histories of shown ads",
    "behavior-log": "histories from the shopping log",
}


@dataclass
class _Files:
    """The files of the folder that the options need: read one by one, with one progress over all their bytes."""

    folder: Path
    options: TaobaoAdsOptions
    progress: Progress
    fingerprints: dict[str, dict[str, Any]] = field(default_factory=dict)
    skipped: int = 0

    def __post_init__(self) -> None:
        layouts = _layouts(self.options)
        self.sizes = {name: check_file(self.folder / name, layout.expected) for name, layout in layouts.items()}
        self.done = 0

    def read(self, name: str, layout: Layout, **arguments: Any) -> pl.DataFrame:
        total, size = sum(self.sizes.values()), self.sizes[name]
        text: Text = read_text(
            self.folder / name,
            layout,
            skip_bad_rows=self.options.skip_bad_rows,
            progress=lambda share, words: self.progress((self.done + share * size) / total, words),
            **arguments,
        )
        self.done += size
        self.fingerprints[name] = text.fingerprint
        self.skipped += text.skipped
        return text.frame


def _layouts(options: TaobaoAdsOptions) -> dict[str, Layout]:
    """The files that the options need."""
    layouts = {"raw_sample.csv": SAMPLES, "ad_feature.csv": ADS}
    if options.profile_fields:
        layouts["user_profile.csv"] = PROFILES
    if options.history == "behavior-log":
        layouts["behavior_log.csv"] = LOG
    return layouts


def _impressions(files: _Files, options: TaobaoAdsOptions) -> tuple[pl.DataFrame, int]:
    """Columns label, user, timestamp, item (and pid), and how many impressions lie outside the window."""
    outside = 0
    pid = ["pid"] if "pid" in options.ad_fields else []

    def keep(block: pl.DataFrame) -> pl.DataFrame:
        nonlocal outside
        inside = block["time_stamp"].is_between(*WINDOW, closed="left")
        outside += len(block) - int(inside.sum())
        if options.outside_window == "drop":
            block = block.filter(inside)
        return _narrow(
            block.select(
                (pl.col("clk") == "1").cast(pl.UInt8).alias("label"),
                "user",
                pl.col("time_stamp").alias("timestamp"),
                pl.col("adgroup_id").alias("item"),
                *(pl.col(name).cast(pl.Categorical) for name in pid),
            )
        )

    frame = files.read("raw_sample.csv", SAMPLES, keep=keep)
    if frame.is_empty():
        raise BadInputError(
            "No impression lies within 2017-05-06 to 2017-05-13 (Asia/Shanghai), the period of this data set. "
            "Set outside_window=keep to use these impressions all the same.",
            files.folder / "raw_sample.csv",
        )
    return frame, outside


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


def _position(wanted: pl.Series, known: pl.Series, file: str, files: _Files) -> pl.Series:
    """Where each wanted id stands among `known`; null where it does not.

    Raises:
        BadInputError: `known` holds an id twice.
    """
    if known.n_unique() < len(known):
        at = int((~known.is_first_distinct()).arg_max() or 0)
        raise BadInputError(
            f"The {known.name} {known[at]} is described twice: remove one of the lines.",
            files.folder / file,
            at + 2 if not files.skipped else None,  # below the header
        )
    table = known.alias("id").to_frame().with_row_index("position")
    return wanted.alias("id").to_frame().join(table, on="id", how="left", maintain_order="left")["position"]


def _undescribed_ads(items: pl.Series, position: pl.Series) -> list[str]:
    if not position.null_count():
        return []
    strangers = items.filter(position.is_null())
    count = strangers.n_unique()
    return [
        f"ad_feature.csv does not describe {count:,} ad{'s' if count > 1 else ''} of {len(strangers):,} impressions "
        f"(for instance ad {strangers[0]}): what it would say of them is 'missing'."
    ]


def _profiles(users: pl.Series, files: _Files, options: TaobaoAdsOptions) -> list[pl.Series]:
    """The chosen fields of each row's user: null where the file's is empty, `NO_PROFILE` where it has no such user."""
    profiles = files.read("user_profile.csv", PROFILES, keep=_narrow)
    position = _position(users, profiles["userid"], "user_profile.csv", files)
    known = position.is_not_null()
    absent = pl.Series([NO_PROFILE], dtype=pl.Int16).new_from_index(0, len(users))
    return [
        profiles[name].cast(pl.Int16).gather(position).zip_with(known, absent).alias(name)
        for name in options.profile_fields
    ]


def _log(files: _Files, users: pl.Series, options: TaobaoAdsOptions) -> tuple[pl.DataFrame, int]:
    """Events of behavior_log.csv of these users, and how many of them lie outside the log's period."""
    kept = np.zeros(int(users.max()) + 2, np.bool_)  # type: ignore[arg-type]
    kept[users.to_numpy()] = True
    wanted = [*options.log_behaviors, *(["ipv"] if "pv" in options.log_behaviors else [])]  # ipv: the description's pv
    outside = 0

    def keep(block: pl.DataFrame) -> pl.DataFrame:
        nonlocal outside
        block = block.filter(pl.Series(kept[np.minimum(block["user"].to_numpy(), len(kept) - 1)]))
        if len(wanted) < len(LOG.columns[2].choices):
            block = block.filter(pl.col("btag").is_in(wanted))
        inside = block["time_stamp"].is_between(*LOG_WINDOW, closed="left")
        outside += len(block) - int(inside.sum())
        if options.outside_window == "drop":
            block = block.filter(inside)
        return _narrow(block.select("user", timestamp="time_stamp", category="cate", brand="brand"))

    return files.read("behavior_log.csv", LOG, keep=keep), outside


def _narrow(frame: pl.DataFrame) -> pl.DataFrame:
    """Ids as 32 bits, their bounds checked by the layout; times too, but for those kept from far outside the window."""
    small = [name for name, dtype in frame.schema.items() if dtype == pl.Int64 and name != "timestamp"]
    frame = frame.with_columns(pl.col(small).cast(pl.Int32))
    if "timestamp" in frame.columns and frame["timestamp"].is_between(-(2**31), 2**31 - 1).all():
        frame = frame.with_columns(pl.col("timestamp").cast(pl.Int32))
    return frame


def _fields(inputs: list[str], options: TaobaoAdsOptions) -> list[FieldSpec]:
    words = {"campaign": "Campaign of the ad", "customer": "Advertiser", "brand": "Brand of the advertised item"}
    fields = [
        FieldSpec(name="item", role="item", description="Ad (adgroup)"),
        FieldSpec(name="category", role="category", description="Category of the advertised item"),
        FieldSpec(name="user", role="user", description="User"),
        *(FieldSpec(name=name, description=words[name]) for name in inputs if name != "category"),
    ]
    if "pid" in options.ad_fields:
        fields.append(FieldSpec(name="pid", description="Place on the page"))
    if "price" in options.ad_fields:
        fields.append(FieldSpec(name="price", kind="numeric", description="Price of the item, ln(1 + yuan)"))
    fields += [FieldSpec(name=name, description=_LEVELS[name]) for name in options.profile_fields]
    return fields + calendar_fields()


def _level_titles(name: str) -> pl.DataFrame:
    titles = {NO_PROFILE: "no profile"} | _LEVEL_TITLES.get(name, {})
    return pl.DataFrame({"id": list(titles), "title": list(titles.values())}, schema={"id": pl.Int64, "title": str})


def _files(path: Path, options: TaobaoAdsOptions) -> list[Path]:
    folder = path if path.is_dir() else path.parent
    return [find(folder / name).file for name in _layouts(options)]


def _size(path: Path, options: TaobaoAdsOptions) -> Size:
    folder = path if path.is_dir() else path.parent
    rows = count_lines(folder / "raw_sample.csv")
    chosen = min(rows, options.sample or rows)
    events, fields = chosen, 5 + len(options.ad_fields) + len(options.profile_fields)
    if options.history == "behavior-log":
        events = count_lines(folder / "behavior_log.csv")
    elif options.history == "clicked":
        events = chosen // 15
    # The sampled rows with all their columns, and the impressions or log events they came from.
    held = 30 + 4 * fields + 16 * max(events, rows) / chosen
    return Size(lines=rows, read=0, rows=chosen, events=events, fields=fields, history_fields=2, held=held)


SOURCE = Source(
    name="taobao-ads",
    title="Taobao ads: impressions with ads, user profiles and a shopping log",
    path_help="the folder with raw_sample.csv and ad_feature.csv (and user_profile.csv, behavior_log.csv)",
    options=TaobaoAdsOptions,
    read=read,
    default_name=lambda _path, options: f"taobao-ads-{'report' if options.protocol == 'report' else options.history}",
    files=_files,
    size=_size,
)
