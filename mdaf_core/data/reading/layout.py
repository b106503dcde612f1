"""How the lines of a delimited text file are written, and what is wrong with one that is not."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import Any, Literal

import polars as pl

ID_RANGE = (0, 2**31 - 1)
"""Ids as the published data sets have them: no negative ones, none beyond 32 bits."""

DTYPES: dict[str, Any] = {"int": pl.Int64, "float": pl.Float64, "text": pl.String, "hex": pl.UInt32}
_KIND_WORDS = {"int": "an integer", "float": "a number", "text": "text", "hex": "8 lowercase hexadecimal digits"}
_HEX = re.compile(r"[0-9a-f]{8}")
_INTEGER = re.compile(r"\s*[+-]?\d+", re.ASCII)
_SKIP_HINT = "Correct the line, or prepare with skip_bad_rows=true to leave out such lines."


@dataclass(frozen=True)
class Column:
    """One column of the text: what its values must look like. Optional ones may be empty, or the word `null`; `width`
    is in characters, `between` the lowest and highest number; `like`: a pattern of whole values, and one of them;
    `hex`: 8 hexadecimal digits, read as a number."""

    name: str
    kind: Literal["int", "float", "text", "hex"] = "int"
    optional: bool = False
    null: str = ""
    choices: tuple[str, ...] = ()
    width: int | None = None
    between: tuple[float, float] | None = None
    like: tuple[str, str] | None = None

    def problem(self, value: str) -> str | None:
        """What is wrong with a value, or None."""
        if value in ("", self.null):
            return None if self.optional else f"The field {self.name} is empty"
        if self.choices and value not in self.choices:
            return f"The field {self.name} must be one of {', '.join(self.choices)}"
        if self.width and len(value) != self.width:
            return f"The field {self.name} must be {self.width} characters long"
        if self.like and not re.fullmatch(self.like[0], value):
            return f"The field {self.name} must be written as {self.like[1]}"
        good = True
        if self.kind == "int":
            good = _INTEGER.fullmatch(value) is not None and -(2**63) <= int(value) < 2**63
        elif self.kind == "float":
            try:
                good = "_" not in value and math.isfinite(float(value))  # Python alone takes 1_0 for a number
            except ValueError:
                good = False
        elif self.kind == "hex":
            good = _HEX.fullmatch(value) is not None
        if not good:
            return f"The field {self.name} must be {_KIND_WORDS[self.kind]}"
        if self.between and not self.between[0] <= float(value) <= self.between[1]:
            low, high = (f"{limit:,}" if isinstance(limit, int) else f"{limit:g}" for limit in self.between)
            return f"The field {self.name} must lie between {low} and {high}"
        return None

    def sound(self, values: pl.Expr, empty: pl.Expr) -> pl.Expr:
        """Whether values are as they must be, once read as their type (null where that failed); `empty`: whether there
        was nothing to read."""
        checks = [values.is_not_null() | empty if self.optional else values.is_not_null()]
        if self.kind == "float":
            checks.append(values.is_finite())
        if self.choices:
            checks.append(values.is_in(list(self.choices)))
        if self.between:
            checks.append(values.is_between(*self.between))
        if self.width:
            checks.append(values.str.len_chars() == self.width)
        if self.like:
            checks.append(values.str.contains(f"^(?:{self.like[0]})$"))
        return pl.all_horizontal([check.fill_null(True) for check in checks])


@dataclass(frozen=True)
class Layout:
    """How a file is written.

    Attributes:
        columns: in file order.
        separator: of one or two characters.
        header: the first line names the columns; it is checked.
        latin1: text that is not UTF-8 is taken as Latin-1 (as older GroupLens files are).
        rule: what must hold between the fields of a line, and the sentence where it does not.
        least: fewest fields of a line whose empty fields at the end were stripped; None: lines are always whole.
        expected: what the file should be, for messages.
    """

    columns: tuple[Column, ...]
    separator: str = ","
    header: bool = False
    latin1: bool = False
    least: int | None = None
    rule: tuple[pl.Expr, str] | None = None
    expected: str = ""

    def with_optional(self, *names: str) -> Layout:
        """The same layout, with these columns allowed to be empty."""
        columns = tuple(replace(c, optional=True) if c.name in names else c for c in self.columns)
        return replace(self, columns=columns)


def problem(raw: bytes, layout: Layout) -> tuple[str | None, str]:
    """What is wrong with one line, and the text at fault."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return "The line is not UTF-8 text", raw.decode("utf-8", "backslashreplace")
    if not text.strip():
        return "The line is empty", text
    if "\0" in text:
        return "The line holds a NUL byte, which text does not", text
    values = text.split(layout.separator)
    if len(values) != len(layout.columns):
        return f"The line must have {len(layout.columns)} fields, it has {len(values)}", text
    for column, value in zip(layout.columns, values, strict=True):
        problem = column.problem(value)
        if problem:
            return problem, value
    return None, ""


def hint(line: int, raw: bytes, layout: Layout) -> str:
    names = {column.name.lower() for column in layout.columns}
    found = {part.strip().lower() for part in raw.decode("utf-8", "replace").split(layout.separator)}
    if line == 1 and not layout.header and names & found:
        return "This looks like a header; the file as published has none: remove the first line."
    if names == found:
        return "This looks like a header once more, as where files were joined: remove the line."
    return (f"Expected {layout.expected}. " if layout.expected else "") + _SKIP_HINT
