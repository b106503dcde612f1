"""A proposal of what the columns of a table are."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from mdaf_core.forms.text import as_text


@dataclass
class Proposal:
    """A mapping to begin with.

    Attributes:
        options: of the source `table`, those that differ from their defaults.
        reasons: option → why, as a phrase.
        findings: what must be known before it is run, as sentences, the most important first.
        left_out: column that nothing is proposed for → why.
        rows: the first rows of the file (but for Parquet: as text).
        source: that reads the file; another than `table` for some published files.
        runs: whether the proposal can be run as it is.
    """

    options: dict[str, Any] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    rows: pl.DataFrame = field(default_factory=pl.DataFrame)
    source: str = "table"
    runs: bool = True

    def take(self, option: str, value: Any, why: str) -> None:
        self.options[option], self.reasons[option] = value, why

    def command(self, path: Path | str) -> list[str]:
        """Arguments of `python` that prepare the file as proposed; none where it cannot be run as it is."""
        if not self.runs:
            return []
        made = ["-m", "mdaf_core", "data", "prepare", self.source, "--path", str(path)]
        for name, value in self.options.items():
            made += ["--set", f"{name}={as_text(value)}"]
        return made
