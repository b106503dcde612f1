"""JSON lines as a frame of text: one object a line, its values as they are written there.

An object within the object is columns of their own: `{"user": {"id": 7}}` has the column `user.id`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import polars as pl

_PIECE = 100_000  # lines that are held as Python's objects
Problem = Callable[[int, str, str], None]


def looks_like_json_lines(start: bytes) -> bool:
    return start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{")


def read_json_lines(
    file: BinaryIO, used: list[str] | None, problem: Problem, *, rows: int | None = None, longest: int
) -> pl.DataFrame:
    """The values of the keys `used` (None: of all) as text, lists as `["1", "2"]`; null where there is none.

    Args:
        problem: called with number (1-based), words and text of a line that is no object; raises, or the line is left
            out.
        rows: at most so many.
        longest: bytes that a line may have.
    """
    frames: list[pl.DataFrame] = []
    piece: list[dict[str, Any]] = []
    for values in _objects(file, problem, longest):
        if rows is not None and sum(map(len, frames)) + len(piece) >= rows:
            break
        piece.append(values)
        if len(piece) == _PIECE:
            frames.append(_frame(piece, used))
            piece = []
    frames.append(_frame(piece, used))
    return pl.concat(frames, how="diagonal")


def _objects(file: BinaryIO, problem: Problem, longest: int) -> Iterator[dict[str, Any]]:
    number, empty = 0, 0
    while raw := file.readline(longest + 1):
        number += 1
        if len(raw) > longest:
            problem(number, f"The line is longer than {longest >> 20} MB", "")
            while raw and not raw.endswith(b"\n"):
                raw = file.readline(longest)
            continue
        if not raw.strip():
            empty += 1
            continue
        if empty:  # not at the end
            for line in range(number - empty, number):
                problem(line, "The line is empty", "")
            empty = 0
        try:
            values = json.loads(raw.decode("utf-8-sig"), parse_int=str, parse_float=str, parse_constant=str)
        except UnicodeDecodeError:
            problem(number, "The line is not UTF-8 text", raw.decode("utf-8", "backslashreplace"))
            continue
        except (json.JSONDecodeError, RecursionError):
            values = None
        if isinstance(values, dict):
            yield _flat(values) if any(isinstance(value, dict) for value in values.values()) else values
        else:
            words = "The line must be one JSON object (JSON lines: one a line, not spread over several)"
            problem(number, words, raw.decode("utf-8", "replace"))


def _flat(values: dict[str, Any]) -> dict[str, Any]:
    """Without objects in it; as deep as they may be."""
    found: dict[str, Any] = {}
    left = list(reversed(values.items()))
    while left:
        name, value = left.pop()
        if isinstance(value, dict):
            left += [(f"{name}.{key}", inner) for key, inner in reversed(value.items())]
        else:
            found.setdefault(name, value)
    return found


def _frame(piece: list[dict[str, Any]], used: list[str] | None) -> pl.DataFrame:
    names = list(dict.fromkeys(key for values in piece for key in values)) if used is None else used
    columns = {name: [_text(values.get(name)) for values in piece] for name in names}
    return pl.DataFrame(columns, schema=dict.fromkeys(names, pl.String))


def _text(value: Any) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
