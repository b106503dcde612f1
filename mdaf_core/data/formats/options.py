"""The options of a source: those that every one has, and how they are given as text."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path, PurePath
from typing import Any, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo

from mdaf_core.base.validation import problems
from mdaf_core.data.store.scaling import Transform
from mdaf_core.forms.fields import fields, nested, refusals
from mdaf_core.forms.text import as_list

SplitKind = Literal["time", "last-day", "leave-last-out", "random", "given"]

SEEDED_SPLIT: dict[str, Any] = {"with": {"split": ["random", "given"]}}
TIME_SPLIT: dict[str, Any] = {"with": {"split": ["time"]}}


class Implied(NamedTuple):
    """The value that another option gives an option; `fixed`: it cannot be set beside that one."""

    value: Any
    by: str
    fixed: bool


def min_count(default: int, least: int = 1, more: str = "") -> Any:
    """The option of every source; `more`: a further sentence on it."""
    words = "Training rows an id needs to get a code of its own; rarer ids are 'unknown'."
    return Field(default, ge=least, description=words + more)


def numeric_scaling(default: Transform, **effect: Any) -> Any:
    """The option of sources that have numeric fields; `effect` as in `SourceOptions`."""
    return Field(
        default,
        description="How numbers enter models. standard: sign(x) ln(1 + |x|), then standardised on training rows. log: "
        "the first alone. none: as they are, which large numbers make training diverge.",
        json_schema_extra=effect or None,
    )


class SourceOptions(BaseModel):
    """Options every source has; a source's own class adds to them.

    `json_schema_extra={"with": {"split": ["random"]}}` says that an option has an effect with these values of another
    one alone.
    """

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)

    split: SplitKind = Field(
        "time",
        description="time: earliest rows train, latest test. last-day: the last day is the test, the day before it "
        "validation. leave-last-out: each user's last row is test, the one before validation. random: only to "
        "reproduce work that did so; the audit marks it. given: the parts that the files give, row for row; where they "
        "give no validation part, it is the last tenth of the training rows by time, or a tenth of them drawn by "
        "split_seed where rows carry no time.",
    )
    fractions: tuple[float, float, float] = Field(
        (0.8, 0.1, 0.1),
        description="Shares of train, validation and test rows (splits time and random).",
        json_schema_extra={"with": {"split": ["time", "random"]}},
    )
    val_from: datetime | None = Field(
        None,
        description="Split time: first moment of validation, in the data set's timezone, instead of fractions.",
        json_schema_extra=TIME_SPLIT,
    )
    test_from: datetime | None = Field(
        None,
        description="Split time: first moment of test, in the data set's timezone, instead of fractions.",
        json_schema_extra=TIME_SPLIT,
    )
    split_seed: int = Field(
        42,
        ge=0,
        description="Seed of the random split, and of a validation part that is drawn.",
        json_schema_extra=SEEDED_SPLIT,
    )
    min_count: int = min_count(1)
    skip_bad_rows: bool = Field(False, description="Leave out rows that cannot be read, and count them.")
    expect_md5: list[str] = Field(
        [], description="What files must be, unpacked: name=md5, comma-separated. Another one is refused."
    )
    accept_md5: bool = Field(
        False, description="Go on with files whose md5 is not the expected one; the data set says so."
    )
    _new_rows: bool = PrivateAttr(False)

    @property
    def new_rows(self) -> bool:
        """Whether `read` reads rows that are to be predicted: their labels may be missing (null), none is sampled or
        left out for its time, and what the rows lack as a whole is no fault."""
        return self._new_rows

    def for_new_rows(self, skip_bad_rows: bool = False) -> Self:
        """These options for rows that are to be predicted: they come alone, without parts or published sums."""
        fresh = {name: field.get_default() for name, field in self.given_files().items()}
        options = self.model_copy(update={"skip_bad_rows": skip_bad_rows, "expect_md5": []} | fresh)
        options._new_rows = True
        return options

    def at(self, _path: Path | None) -> Self:
        """These options for the input at a path: with what the path itself decides."""
        return self

    @classmethod
    def given_files(cls) -> dict[str, FieldInfo]:
        """The options that name further files of the input."""
        extras = {name: field.json_schema_extra for name, field in cls.model_fields.items()}
        return {
            name: cls.model_fields[name]
            for name, extra in extras.items()
            if isinstance(extra, dict) and "file" in extra
        }

    def request(self) -> dict[str, Any]:
        """What of the options decides what is prepared: of files their names, wherever they lie; of options that came
        later than stored data sets, those that are set."""
        values = self.model_dump(mode="json")
        later = {"expect_md5", "accept_md5", *self.given_files()}
        for name in later:
            if values[name] == type(self).model_fields[name].get_default():
                del values[name]
            elif name in self.given_files():
                values[name] = PurePath(values[name]).name
        return values

    @classmethod
    def implied(cls, _chosen: dict[str, Any]) -> dict[str, Implied]:
        """What the chosen options decide about others; a source with such options says so."""
        return {}

    @classmethod
    def has_effect(cls, name: str, chosen: dict[str, Any]) -> bool:
        """Whether an option changes anything beside those chosen (the others are at their defaults)."""
        extra = cls.model_fields[name.partition(".")[0]].json_schema_extra
        needed: Any = extra.get("with", {}) if isinstance(extra, dict) else {}
        return all(chosen.get(key, cls.model_fields[key].get_default()) in values for key, values in needed.items())

    @field_validator("*", mode="before")
    @classmethod
    def _split_lists(cls, value: Any, info: Any) -> Any:
        """Lists may be given as text: `0.8,0.1,0.1`, `80/10/10` or `pv,cart`."""
        if isinstance(value, str) and info.field_name is not None:
            annotation = str(cls.model_fields[info.field_name].annotation)
            if annotation.startswith(("tuple", "list")):
                return as_list(value.replace("/", ",") if annotation.startswith("tuple[float") else value)
            if value == "" and "None" in annotation:
                return None
        return value

    @field_validator("fractions")
    @classmethod
    def _check_fractions(cls, value: tuple[float, float, float]) -> tuple[float, float, float]:
        total = sum(value)
        if min(value) <= 0 or not (abs(total - 1) < 1e-6 or abs(total - 100) < 1e-6):
            raise ValueError("take three positive shares that add up to 1 (or to 100), for instance 0.8,0.1,0.1")
        return (value[0] / total, value[1] / total, value[2] / total)

    @field_validator("expect_md5")
    @classmethod
    def _check_sums(cls, value: list[str]) -> list[str]:
        wrong = next((one for one in value if not re.fullmatch(r".+=[0-9a-fA-F]{32}", one)), None)
        if wrong is not None:
            raise ValueError(f"write a file's name, '=' and its md5 of 32 hexadecimal digits; got {wrong!r}")
        return value

    @model_validator(mode="after")
    def _check_dates(self) -> Self:
        if (self.val_from is None) != (self.test_from is None):
            raise ValueError("val_from and test_from go together: give both or neither")
        if self.val_from is not None and self.test_from is not None:
            if self.split != "time":
                raise ValueError("val_from and test_from belong to split=time")
            if self.val_from.replace(tzinfo=None) >= self.test_from.replace(tzinfo=None):
                raise ValueError("val_from must be before test_from")
        return self


def given_split(always: bool = False) -> Any:
    """The option `split` of a source whose publisher gives parts: always, or else an input without any is split by
    time."""
    words = SourceOptions.model_fields["split"].description
    otherwise = "" if always else " An input without parts is split by time unless another is chosen."
    return Field("given", description=f"{words}{otherwise}")


def refused_options(options: type[SourceOptions], given: dict[str, Any]) -> dict[str, str]:
    """Why values are not taken, by option, in the words of a form ('': options that do not go together). Options that
    are needed and not given yet are left out: `parse_options` asks for them."""
    try:
        options.model_validate(raw := nested(options, given))
    except ValidationError as error:
        return refusals(problems(error, raw), given, fields(options))
    return {}
