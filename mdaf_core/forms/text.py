"""A value as text, as the command line and a form take it, and back."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from typing import Any

from pydantic import BaseModel


def as_text(value: Any) -> str:
    """The text that is read back as this value: as it is where that is safe, else as JSON.

    Lists are joined by commas, unless a part holds one. Texts that would be taken for a number, lose blanks at their
    ends, or hold a tab, are quoted. A member of an enumeration is its value, a part with settings of its own JSON.
    """
    if isinstance(value, Enum):
        return as_text(value.value)
    if isinstance(value, BaseModel):
        return value.model_dump_json()
    if isinstance(value, list | tuple):
        parts = [part if isinstance(part, str) else as_text(part) for part in value]
        joined = ",".join(parts)
        safe = all(part and part == part.strip() and "," not in part for part in parts) and not _misread(joined)
        return joined if safe and parts else json.dumps(parts, ensure_ascii=False)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False) if _misread(value) else value
    if isinstance(value, bool | dict) or value is None:
        return json.dumps(value)
    short = f"{value:g}" if isinstance(value, float) else str(value)
    return short if not isinstance(value, float) or float(short) == value else repr(value)


def as_list(text: str) -> list[Any]:
    """Text as its parts: a JSON list, else what stands between commas; nothing is an empty list."""
    if text.lstrip().startswith("["):
        with suppress(ValueError, RecursionError):
            parts: list[Any] = json.loads(text)
            return parts
    return [part.strip() for part in text.split(",") if part.strip()]


def as_numbers(text: str, whole: bool) -> list[int] | list[float] | str:
    """`256, 128` as a list; nothing is an empty list; what holds something else stays as it is, to be refused."""
    parts = [part if isinstance(part, str) else json.dumps(part) for part in as_list(text)]
    form = r"-?[0-9]{1,18}" if whole else r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,3})?"
    if not all(re.fullmatch(form, part) for part in parts):
        return text
    number: Callable[[str], Any] = int if whole else float
    return [number(part) for part in parts]


def _misread(text: str) -> bool:
    if text != text.strip() or not text or not text.isprintable() or text[0] in '["':
        return True
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
