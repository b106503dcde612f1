"""An option's value as text, as the command line and a form take it."""

from __future__ import annotations

import json
from typing import Any


def as_text(value: Any) -> str:
    """The text that is read back as this value: as it is where that is safe, else as JSON.

    Lists are joined by commas, unless a part holds one. Texts that would be taken for a number, lose blanks at their
    ends, or hold a tab, are quoted.
    """
    if isinstance(value, list | tuple):
        parts = [part if isinstance(part, str) else f"{part:g}" for part in value]
        joined = ",".join(parts)
        safe = all(part and part == part.strip() and "," not in part for part in parts) and not _misread(joined)
        return joined if safe and parts else json.dumps(parts, ensure_ascii=False)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False) if _misread(value) else value
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _misread(text: str) -> bool:
    if text != text.strip() or not text or not text.isprintable() or text[0] in '["':
        return True
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
