"""Altair and its renderer, loaded when something of them is first asked for: frames and tables need neither."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mdaf_core.base.imports import Later

if TYPE_CHECKING:
    import altair as alt
    import vl_convert
else:
    alt, vl_convert = Later("altair"), Later("vl_convert")

__all__ = ["alt", "vl_convert"]
