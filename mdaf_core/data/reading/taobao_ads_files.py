"""The four files of Taobao's Ad Display/Click data (Tianchi data set 56): their layouts, and what is kept of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import polars as pl

from mdaf_core.base.errors import BadInputError
from mdaf_core.base.progress import Progress
from mdaf_core.data.reading.blocks import check_file
from mdaf_core.data.reading.described import positions
from mdaf_core.data.reading.layout import ID_RANGE, Column, Layout
from mdaf_core.data.reading.taobao import BEHAVIORS, Behavior, midnight
from mdaf_core.data.reading.text import EXAMPLES, Examples, Text, add_examples, read_text, shrink
from mdaf_core.data.reading.times import TIME_RANGE, check_published

ProfileField = Literal[
    "cms_segid", "cms_group_id", "final_gender_code", "age_level", "pvalue_level", "shopping_level", "occupation",
    "new_user_class_level",
]  # fmt: skip
PROFILE_FIELDS: tuple[ProfileField, ...] = get_args(ProfileField)


# The periods that the data set's description states: eight days of impressions; 22 days of behaviour, to the same end.
WINDOW = (midnight(2017, 5, 6), midnight(2017, 5, 14))
LOG_WINDOW = (midnight(2017, 4, 22), midnight(2017, 5, 14))

SAMPLES = Layout(
    (
        Column("user", between=ID_RANGE),
        Column("time_stamp", between=TIME_RANGE),
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
        *(Column(name, optional=True, null="NULL", between=(0, 32_767)) for name in PROFILE_FIELDS),
    ),
    header=True,
    expected=f"user_profile.csv with the header userid,{','.join(PROFILE_FIELDS)}",
)
LOG = Layout(
    (
        Column("user", between=ID_RANGE),
        Column("time_stamp", between=TIME_RANGE),
        Column("btag", "text", choices=(*BEHAVIORS, "ipv")),
        Column("cate", optional=True, null="NULL", between=ID_RANGE),
        Column("brand", optional=True, null="NULL", between=ID_RANGE),
    ),
    header=True,
    expected="behavior_log.csv with the header user,time_stamp,btag,cate,brand",
)


LAYOUTS = {"raw_sample.csv": SAMPLES, "ad_feature.csv": ADS, "user_profile.csv": PROFILES, "behavior_log.csv": LOG}


@dataclass
class AdFiles:
    """The files of a folder, read one by one, with one progress over all their bytes.

    Each is a stage of its own (see `stages.py`): what was read is not read again by an attempt that goes on.

    Args:
        names: of the files that will be read.
        drop_outside: leave out what lies outside the stated periods; it is counted either way.
        new_rows: impressions are to be predicted: they may lack clk and nonclk, and none is left out.

    Raises:
        BadInputError: one of the files is missing or empty.
    """

    folder: Path
    names: Sequence[str]
    progress: Progress
    skip_bad_rows: bool = False
    drop_outside: bool = True
    new_rows: bool = False
    fingerprints: dict[str, dict[str, Any]] = field(default_factory=dict)
    skipped: int = 0
    examples: Examples = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._sizes = {name: check_file(self.folder / name, LAYOUTS[name].expected) for name in self.names}
        self._done = 0

    def impressions(self, pid: bool) -> tuple[pl.DataFrame, int]:
        """Columns label, user, timestamp, item (and pid), and how many impressions lie outside the window.

        Raises:
            BadInputError: none is left.
        """

        def keep(block: pl.DataFrame) -> pl.DataFrame:
            return block.select(
                (pl.col("clk") == "1").cast(pl.UInt8).alias("label"),
                "user",
                pl.col("time_stamp").alias("timestamp"),
                pl.col("adgroup_id").alias("item"),
                *([pl.col("pid").cast(pl.Categorical)] if pid else []),
            )

        text = self._read("raw_sample.csv", keep, WINDOW)
        if text.frame.is_empty():
            raise BadInputError(
                "No impression lies within 2017-05-06 to 2017-05-13 (Asia/Shanghai), the period of this data set. "
                "Set outside_window=keep to use these impressions all the same.",
                self.folder / "raw_sample.csv",
            )
        return text.frame, text.counted["outside"]

    def described(self, name: str, wanted: pl.Series) -> tuple[pl.DataFrame, pl.Series]:
        """A file that describes ids in its first column, and where in it each wanted id stands (null: nowhere).

        Raises:
            BadInputError: it describes an id twice.
        """
        frame = self._read(name).frame
        first_line = 2 if not self.skipped else None  # below the header
        return frame, positions(wanted, frame[:, 0], self.folder / name, first_line)

    def log(self, users: pl.Series, behaviors: Sequence[Behavior]) -> tuple[pl.DataFrame, int]:
        """Columns user, timestamp, category, brand and outcome (what was done) of these users' events of these kinds,
        and how many of them lie outside the log's period."""
        kept = np.zeros(int(users.max()) + 2, np.bool_)  # type: ignore[arg-type]
        kept[users.to_numpy()] = True
        wanted = [*behaviors, *(["ipv"] if "pv" in behaviors else [])]  # ipv: the description's pv

        def keep(block: pl.DataFrame) -> pl.DataFrame:
            block = block.filter(pl.Series(kept[np.minimum(block["user"].to_numpy(), len(kept) - 1)]))
            if len(wanted) < len(LOG.columns[2].choices):
                block = block.filter(pl.col("btag").is_in(wanted))
            done = pl.col("btag").cast(pl.String).replace("ipv", "pv").cast(pl.Enum(BEHAVIORS))
            return block.select("user", timestamp="time_stamp", category="cate", brand="brand", outcome=done)

        text = self._read("behavior_log.csv", keep, LOG_WINDOW)
        return text.frame, text.counted["outside"]

    def _read(
        self,
        name: str,
        keep: Callable[[pl.DataFrame], pl.DataFrame] = lambda block: block,
        period: tuple[int, int] | None = None,
    ) -> Text:
        """A file, with what `keep` leaves of its blocks; `counted` says how much of that is `outside` a period."""
        total, size = sum(self._sizes.values()), self._sizes[name]
        counted: Counter[str] = Counter()
        outside: Examples = {}
        strays: list[pl.Series] = []

        def keep_small(block: pl.DataFrame) -> pl.DataFrame:
            block = keep(block)
            if period is not None:
                inside = block["timestamp"].is_between(*period, closed="left")
                counted["outside"] += len(block) - int(inside.sum())
                strays.append(block["timestamp"].filter(~inside).head(EXAMPLES).cast(pl.Int64))
                if period == WINDOW:
                    add_examples(outside, "outside", block.filter(~inside))
                if self.drop_outside and not self.new_rows:
                    block = block.filter(inside)
                elif self.drop_outside and name == "behavior_log.csv":  # what is later than the period is new
                    block = block.filter(pl.col("timestamp") >= period[0])
            return shrink(block)

        text = read_text(
            self.folder / name,
            LAYOUTS[name].with_optional("clk", "nonclk") if self.new_rows else LAYOUTS[name],
            skip_bad_rows=self.skip_bad_rows,
            progress=lambda share, words: self.progress((self._done + share * size) / total, words),
            keep=keep_small,
            counted=counted,
            examples=outside,
            stage=name,
        )
        if period is not None and (len(text.frame) or strays):
            times = text.frame["timestamp"].cast(pl.Int64)
            self.notes += check_published(times if len(times) else pl.concat(strays), self.folder / name)
        self._done += size
        self.fingerprints[name] = text.fingerprint
        self.skipped += text.skipped
        for kind, rows in text.examples.items():
            self.examples[kind] = (self.examples.get(kind, []) + rows)[:EXAMPLES]
        return text
