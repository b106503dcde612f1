"""What `gates` tells of one trained model's rows: searched, or grouped by one or two variables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdaf_core.base.errors import UsageError
from mdaf_core.cli.output import emit, number, plain, table

if TYPE_CHECKING:
    from mdaf_core.analysis.gate_groups import Cells, GateGroup, Value
    from mdaf_core.data.store.schema import Split
    from mdaf_core.runs.tracking import RunRecord


def check(*, by: str | None, and_by: str | None, out: Path | None, rows: bool, searched: tuple[Any, ...]) -> None:
    """Options that need another.

    Raises:
        UsageError: one stands without it.
    """
    if by is None and (and_by is not None or out is not None):
        raise UsageError("--and-by and --out go with --by.")
    if rows and by is not None:
        raise UsageError("Choose --rows or --by.")
    if not rows and any(given is not None and given != [] for given in searched):
        raise UsageError("--user, --find and --label go with --rows.")


def list_rows(
    run: RunRecord, split: Split, user: str | None, find: Sequence[str], label: int | None, sort: str, most: int
) -> None:  # fmt: skip
    """Print the rows that pass."""
    from mdaf_core.analysis.rows import RowFilter, select_rows

    fields = []
    for entry in find:
        name, sign, text = entry.partition("=")
        if not sign or not name or not text:
            raise UsageError(f"--find takes FIELD=TEXT, such as item=17; given was {entry!r}.")
        fields.append((name, text))
    wanted = RowFilter(label=label, user=user, fields=tuple(fields))
    found, total = select_rows(
        run, split, wanted, sort=sort.removeprefix("-"), descending=sort.startswith("-"), most=most
    )

    def listed() -> str:
        if found.is_empty():
            return "No row passes."
        cells = [[number(x) if isinstance(x, float) else x for x in row] for row in found.rows()]
        return f"{table(cells, found.columns)}\n\n{total:,} rows" + (
            f", {len(found)} listed." if len(found) < total else "."
        )

    emit({"rows": found.to_dicts(), "total": total}, listed)


def by_variables(run: RunRecord, split: Split, value: Value, by: str, and_by: str | None, out: Path | None) -> None:
    """Print a value by one or two variables; with `out`, draw it."""
    from mdaf_core.analysis import gate_groups
    from mdaf_core.analysis.slices import TITLES
    from mdaf_core.reporting.topics.gates import values

    found: list[GateGroup] | Cells
    if and_by is None:
        found = gate_groups.groups(run, split, value, by)
        drawn = values.groups(found, TITLES[by], value)
        document: Any = {"value": value, "by": by, "groups": plain(found)}
    else:
        found = gate_groups.cells(run, split, value, by, and_by)
        drawn = values.cells(found, TITLES[by], TITLES[and_by])
        document = plain(found)
    if out is not None:
        _draw(drawn, out)
        document |= {"file": str(out)}
    head = f"{gate_groups.VALUES[value]}, run {run.run_id}, {split}: mean [95% interval, other users], rows"
    note = "g is the weight of the sequential branch's vector and no measure of how much the history is used."
    lines = [head, *([note] if value == "g" else []), "", _cells(found, TITLES[by]), *([str(out)] if out else [])]
    emit(document, lambda: "\n".join(lines))


def _cells(found: list[GateGroup] | Cells, title: str) -> str:
    def mean(one: Any) -> str:
        return f"{number(one.mean, 3)} [{number(one.low, 3)}, {number(one.high, 3)}] {one.rows:,}"

    if isinstance(found, list):
        return table([(entry.group, mean(entry)) for entry in found], (title, "mean"))
    by_place = {(cell.of_first, cell.of_second): cell for cell in found.cells}
    rows = [
        (first, *(mean(cell) if (cell := by_place.get((first, second))) else "" for second in found.seconds))
        for first in found.firsts
    ]
    return table(rows, (title, *found.seconds))


def _draw(drawn: tuple[Any, Any], out: Path) -> None:
    from mdaf_core.base.files import write_bytes, writing
    from mdaf_core.reporting import export

    chart, data = drawn
    kind = out.suffix.removeprefix(".").lower()
    content = export.chart_csv(chart, data) if kind == "csv" else export.render(chart, kind)
    with writing(out):
        write_bytes(out, content)
