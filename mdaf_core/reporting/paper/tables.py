"""All tables, found from the topics that make them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from mdaf_core.base.entries import known_entry
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
    _, make = known_entry(name, TABLES, "is no table")
    material.require_runs()
    table = make(material)
    return replace(table, caption=f"{table.caption} {conditions.text(material.conditions_beside(name))}")
