"""All tables, found from the topics that make them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from mdaf_core.base.errors import UsageError
from mdaf_core.reporting import conditions, topics
from mdaf_core.reporting.paper.table import PaperTable

if TYPE_CHECKING:
    from mdaf_core.reporting.material import Material


TABLES: dict[str, tuple[str, Callable[[Material], PaperTable]]] = topics.declared("TABLES")


def make_table(material: Material, name: str) -> PaperTable:
    """One of `TABLES`.

    Raises:
        UsageError: unknown name, or the study has nothing finished to make it from.
    """
    if name not in TABLES:
        raise UsageError(f"There is no table {name!r}. Known: {', '.join(TABLES)}.")
    material.require_runs()
    table = TABLES[name][1](material)
    return replace(table, caption=f"{table.caption} {conditions.text(material.conditions_beside(name))}")
