"""What Taobao's data sets have in common."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

TIMEZONE = "Asia/Shanghai"
"""Of hours and weekdays; nothing in the files states it."""
Behavior = Literal["pv", "cart", "fav", "buy"]
BEHAVIORS: tuple[Behavior, ...] = ("pv", "cart", "fav", "buy")


def midnight(year: int, month: int, day: int) -> int:
    """Unix seconds at which that day begins there."""
    return int(datetime(year, month, day, tzinfo=ZoneInfo(TIMEZONE)).timestamp())
