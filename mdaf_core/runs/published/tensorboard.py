"""TensorBoard's downloads of scalars: a CSV (`Wall time,Step,Value`) or JSON file (`[[wall time, step, value], …]`)
for each run and tag, named `run-RUN-tag-TAG`.

A series becomes one figure: validation's best step tells which one counts, and the test figure is that of this step, of
the last one where it has none.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from mdaf_core.base.errors import BadInputError
from mdaf_core.runs.published.columns import part_and_metric, without_seed
from mdaf_core.runs.published.metric import metric_of

_NAME = re.compile(r"(?:run-)?(.*?)[-_]tag-(.*)", re.DOTALL)
Series = dict[int, float]


def is_scalars(start: str) -> bool:
    """Whether a text begins like such a file."""
    return bool(re.match(r"\s*(wall time,step,value\b|\[\s*\[\s*[\d.eE+]+\s*,\s*\d+\s*,)", start, re.IGNORECASE))


def read(files: Sequence[Path], root: Path) -> tuple[pl.DataFrame, list[str]]:
    """A line a run: its name as model, the seed its name has, the folder as data set, and a column each tag.

    Raises:
        BadInputError: a file does not say which run and tag it is of, or holds something else than numbers.
    """
    runs: dict[tuple[str, str], dict[str, Series]] = defaultdict(dict)
    for file in files:
        found = _NAME.fullmatch(file.stem)
        folder = file.relative_to(root).parent.as_posix() if file.is_relative_to(root) else "."
        if found is None:
            raise BadInputError(
                "The file's name does not say of which run and tag its scalars are: TensorBoard calls it "
                "run-RUN-tag-TAG.csv.",
                file,
            )
        runs["" if folder == "." else folder, found[1]][found[2]] = _series(file)
    rows = []
    for (folder, run), tags in sorted(runs.items()):
        model, seed = without_seed(run)
        row: dict[str, str | None] = {"model": model, "seed": seed or None, "data_set": folder or None}
        rows.append(row | {tag: repr(value) for tag, value in _figures(tags).items()})
    columns = dict.fromkeys(name for row in rows for name in row)
    note = (
        "Of each series of scalars one figure is taken: validation's best step, and test figures at that step (at the "
        "last one where they have none)."
    )
    return pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String)), [note]


def _figures(tags: dict[str, Series]) -> dict[str, float]:
    """One figure a tag."""
    of = {tag: part_and_metric(tag) for tag in sorted(tags)}
    best: dict[str, int] = {}
    for tag, found in of.items():
        if found and found[0] == "val" and tags[tag]:
            direction = metric_of(found[1], tag, []).direction
            best[found[1]] = max(tags[tag], key=lambda step: (direction * tags[tag][step], -step))
    out = {}
    for tag, series in tags.items():
        found = of[tag]
        if not found or not series:
            continue
        step = best.get(found[1], max(series))
        out[tag] = series[step if step in series else max(series)]
    return out


def _series(file: Path) -> Series:
    """Step → value; a step that is there twice keeps the later one, as TensorBoard does. Values that are not finite are
    left out."""
    text = file.read_text("utf-8-sig", "replace")
    try:
        rows = json.loads(text) if text.lstrip().startswith("[") else list(csv.reader(text.splitlines()))[1:]
        found = {int(float(row[1])): float(row[2]) for row in rows if row}
    except (ValueError, IndexError, TypeError, csv.Error) as error:
        raise BadInputError(f"These are no scalars of TensorBoard ({error}): download them again.", file) from None
    return {step: _as_logged(value) for step, value in found.items() if math.isfinite(value)}


def _as_logged(value: float) -> float:
    """The figure that was logged: TensorBoard keeps float32, which it prints with the digits of a double."""
    return float(str(np.float32(value))) if float(np.float32(value)) == value else value
