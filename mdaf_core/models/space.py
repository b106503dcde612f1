"""What a search may try of a setting: a range of numbers, or some values. Written `1e-4..1e-2 log` or `8,16,32`."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, Field, model_validator

from mdaf_core.base.errors import UsageError
from mdaf_core.forms.text import as_text


class Range(BaseModel):
    """Numbers from `low` to `high`, both included.

    Attributes:
        log: drawn evenly by their logarithm.
        whole: whole numbers.
    """

    kind: Literal["range"] = "range"
    low: float = Field(allow_inf_nan=False)
    high: float = Field(allow_inf_nan=False)
    log: bool = False
    whole: bool = False

    @model_validator(mode="after")
    def _is_one(self) -> Range:
        if self.low >= self.high:
            raise ValueError(
                f"a range goes from a smaller to a larger number; this one from {self.low:g} to {self.high:g}"
            )
        if self.log and self.low <= 0:
            raise ValueError("a range by logarithm begins above 0")
        if self.whole and not (self.low.is_integer() and self.high.is_integer()):
            raise ValueError("a range of whole numbers goes from one to another")
        return self

    def holds(self, value: Any) -> bool:
        """Whether a value lies within."""
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        return number and self.low <= value <= self.high and (not self.whole or value == int(value))

    @property
    def words(self) -> str:
        """As it is typed."""
        return f"{as_text(self.low)}..{as_text(self.high)}{' log' if self.log else ''}{' whole' if self.whole else ''}"


class Choice(BaseModel):
    """Some values."""

    kind: Literal["choice"] = "choice"
    values: list[Any] = Field(min_length=2, max_length=100)

    @model_validator(mode="after")
    def _each_once(self) -> Choice:
        for i, value in enumerate(self.values):
            if value in self.values[:i]:
                raise ValueError(f"{as_text(value)} is named twice")
        return self

    def holds(self, value: Any) -> bool:
        """Whether a value is one of them."""
        return value in self.values

    @property
    def words(self) -> str:
        """As it is typed."""
        plain = all(isinstance(value, bool | int | float | str) for value in self.values)
        texts = [value if isinstance(value, str) else json.dumps(value) for value in self.values]
        return ",".join(texts) if plain else json.dumps(self.values)


Space = dict[str, Range | Choice]
"""Path of a setting (`training.learning_rate`, `model.dropout`) → what is tried of it."""

COMMON: Mapping[str, Range | Choice] = {
    "embedding_dim": Choice(values=[8, 16, 32]),
    "item_dim": Choice(values=[16, 32, 64]),
    "hidden_dim": Choice(values=[32, 64, 128]),
    "dropout": Range(low=0.0, high=0.5),
}
"""Settings that many models share; a model whose class declares nothing else is searched over those that it has."""

TRAINING: Mapping[str, Range | Choice] = {
    "learning_rate": Range(low=3e-4, high=1e-2, log=True),
    "weight_decay": Range(low=1e-7, high=1e-3, log=True),
    "embedding_decay": Range(low=1e-6, high=1e-1, log=True),
}
"""Of the training of every network."""


def parse(text: str) -> tuple[str, Range | Choice | None]:
    """`PATH=LOW..HIGH`, with `log` or `whole` behind it, `PATH=A,B,C`, `PATH=[…]` (JSON), or `PATH=` for no search.

    Raises:
        UsageError: anything else.
    """
    path, equals, value = (part.strip() for part in text.partition("="))
    if not equals or not path:
        raise UsageError(
            f"A search space looks like model.dropout=0..0.5 or model.embedding_dim=8,16,32; got {text!r}."
        )
    return path, parse_values(value, path)


def parse_values(text: str, path: str) -> Range | Choice | None:
    """What stands behind the `=` of `parse`; `path` is for the message."""
    words = re.sub(r"\s*\.\.\s*", "..", text.strip()).split()
    if not words:
        return None
    try:
        if ".." in words[0]:
            low, _, high = words[0].partition("..")
            marks = set(words[1:])
            if marks - {"log", "whole"}:
                raise ValueError(
                    f"behind a range stands log or whole, not {', '.join(sorted(marks - {'log', 'whole'}))}"
                )
            return Range(low=float(low), high=float(high), log="log" in marks, whole="whole" in marks)
        values = (
            json.loads(text)
            if text.lstrip().startswith("[[")
            else [_value(one) for one in text.strip("[] ").split(",")]
        )
        if len(values) < 2:
            raise ValueError("name two values at least, or a range such as 0..0.5")
        return Choice(values=values)
    except ValueError as error:  # pydantic's is one
        said = error.errors()[0]["msg"].removeprefix("Value error, ") if hasattr(error, "errors") else str(error)
        raise UsageError(f"The search space of {path}, {text!r}, cannot be used: {said}.") from None


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text.strip()
