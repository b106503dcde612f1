"""What every command shares: one JSON document or text on stdout, all else on stderr.

Exit codes: 0 done, 1 failed, 2 wrong usage.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any

import typer

from mdaf_core.base import notices

EVERY_SECONDS = 5.0
"""Between two lines of progress."""
_asked: set[str] = set()


def as_json() -> bool:
    """Whether the command was asked for one JSON document."""
    return "--json" in _asked


def _ask(asked: bool) -> None:
    (_asked.add if asked else _asked.discard)("--json")


JsonOption = Annotated[
    bool, typer.Option("--json", callback=_ask, expose_value=False, help="One JSON document on stdout.")
]
"""Of every command: `main` adds it."""


def emit(value: Any, text: Callable[[], str]) -> None:
    """Print `value` as JSON where that is asked for (NaN and infinity become null), else the text.

    An object gets the field `left_out` where a damaged file had to be left out; elements of lists say so themselves.
    """
    if not as_json():
        sys.stdout.write(text().rstrip() + "\n")
        return
    document = plain(value)
    if isinstance(document, dict) and notices.said():
        document["left_out"] = notices.said()
    sys.stdout.write(json.dumps(document, indent=2) + "\n")


def plain(value: Any) -> Any:
    """A value JSON knows: models and dataclasses as objects, NaN and infinity as null, paths and times as text."""
    if hasattr(value, "model_dump"):  # pydantic's
        return plain(value.model_dump(mode="json"))
    if hasattr(value, "__dataclass_fields__"):
        return {name: plain(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, str | int | bool) or value is None:
        return value
    if hasattr(value, "item"):  # numpy scalars
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Iterable):
        return [plain(v) for v in value]
    return str(value)


def say(message: str) -> None:
    """A line for people, on stderr."""
    sys.stderr.write(message + "\n")


class ProgressLines:
    """Sentences on stderr: one a change of stage, and one every few seconds of a long one."""

    def __init__(self) -> None:
        self.stage, self.said = "", 0.0

    def __call__(self, fraction: float, message: str) -> None:
        stage = message.partition(":")[0].partition(", about")[0]
        if stage != self.stage or time.monotonic() - self.said > EVERY_SECONDS:
            self.stage, self.said = stage, time.monotonic()
            say(f"{fraction:4.0%}  {message}")


def table(rows: Sequence[Sequence[Any]], header: Sequence[str]) -> str:
    """Columns under their headings; numbers right-aligned."""
    cells = [[("" if c is None else str(c)) for c in row] for row in rows]
    widths = [max(len(h), *(len(r[i]) for r in cells), 0) if cells else len(h) for i, h in enumerate(header)]
    right = [
        bool(rows) and all(isinstance(r[i], int | float) or r[i] in (None, "", "–") or _is_number(r[i]) for r in rows)
        for i in range(len(header))
    ]

    def line(values: Sequence[str]) -> str:
        aligned = [v.rjust(w) if r else v.ljust(w) for v, w, r in zip(values, widths, right, strict=True)]
        return "  ".join(aligned).rstrip()

    return "\n".join([line(list(header)), line(["-" * w for w in widths]), *(line(r) for r in cells)])


def _is_number(text: Any) -> bool:
    try:
        float(str(text).replace(",", "").replace("−", "-").removeprefix("< "))
    except ValueError:
        return False
    return True


def number(value: float | None, digits: int = 4) -> str:
    """A number with fixed digits, or a dash."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"
