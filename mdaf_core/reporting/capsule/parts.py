"""HTML of a capsule's tables, charts and texts: everything that a study or its people wrote is escaped.

`data-at` says in words where a number stands, for whoever checks it: `verify` names places by them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from mdaf_core.reporting import theme
from mdaf_core.reporting.words import MISSING, p_value, signed

if TYPE_CHECKING:
    import polars as pl

    from mdaf_core.reporting.figure import Figure
    from mdaf_core.reporting.paper.table import PaperTable


def text(value: object) -> str:
    """Any text as HTML, quotes too."""
    return escape(str(value), quote=True)


def prose(sentence: str) -> str:
    """A sentence as HTML: what stands in backticks is code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", text(sentence))


def script_json(value: Any) -> str:
    """JSON that may stand in a script element: nothing in it ends that, or begins a comment."""
    found = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return found.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def element(tag: str, content: str, **attributes: str) -> str:
    """An element around HTML; attributes are escaped, `data_at` is `data-at`, `class_` is `class`."""
    said = "".join(f' {key.rstrip("_").replace("_", "-")}="{text(value)}"' for key, value in attributes.items())
    return f"<{tag}{said}>{content}</{tag}>"


def paragraphs(lines: Iterable[str], tag: str = "p") -> str:
    return "".join(element(tag, prose(line)) for line in lines)


def listed(lines: Sequence[str]) -> str:
    return element("ul", paragraphs(lines, "li")) if lines else ""


def number(value: float | int | None, digits: int = 4) -> str:
    """A number for people; a dash for none."""
    if value is None:
        return MISSING
    return f"{value:,}" if isinstance(value, int) else f"{value:.{digits}f}"


def frame_table(
    frame: pl.DataFrame, title: str, caption: str = "", *, more: Mapping[str, Callable[[Any], str]] = {}
) -> str:
    """A table of a frame, which can be sorted; the whole number is in a cell's tooltip.

    Args:
        more: column → how its values are written, where not as columns of its name usually are.
    """
    write = {name: more.get(name) or _writer(name) for name in frame.columns}
    rows = [[(write[name](value), value) for name, value in row.items()] for row in frame.iter_rows(named=True)]
    return _table(title, frame.columns, rows, caption)


def paper_table(table: PaperTable) -> str:
    """A table of the paper as it is printed, best bold and second underlined."""
    rows = []
    for row in range(len(next(iter(table.cells.values())))):
        cells = []
        for heading, values in table.cells.items():
            best, second = row in table.best.get(heading, ()), row in table.second.get(heading, ())
            cells.append((values[row], None, "b" if best else "u" if second else ""))
        rows.append(cells)
    return _table(table.title, list(table.cells), rows, table.caption)


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[tuple[Any, ...]]], caption: str) -> str:
    right = [all(_is_number(str(row[i][0])) for row in rows) for i in range(len(columns))]
    heads = "".join(
        element(
            "th", f'<button type="button">{text(column)}</button>', scope="col", **({"class_": "n"} if side else {})
        )
        for column, side in zip(columns, right, strict=True)
    )
    body = []
    for row in rows:
        name = row[0][0]
        cells = []
        for column, side, (shown, whole, *mark) in zip(columns, right, row, strict=True):
            inner = text(shown)
            if mark and mark[0]:
                inner = f"<{mark[0]}>{inner}</{mark[0]}>"
            kind = "n" if side else "s" if len(str(shown)) < 24 else ""
            attributes = {"data_at": f"{name}, {column}"} | ({"class_": kind} if kind else {})
            if isinstance(whole, float):
                attributes["title"] = repr(whole)
            cells.append(element("td", inner, **attributes))
        body.append(f"<tr>{''.join(cells)}</tr>")
    made = f"<thead><tr>{heads}</tr></thead><tbody>{''.join(body)}</tbody>"
    note = element("p", prose(caption), class_="caption") if caption else ""
    scroll = f'<div class="scroll" tabindex="0" role="region" aria-label="{text(title)}"><table>{made}</table></div>'
    return element("section", f"<h3>{text(title)}</h3>{scroll}{note}", data_at=title)


def _is_number(shown: str) -> bool:
    return not any(c.isalpha() for c in shown.removesuffix("k").removesuffix("M"))


def _writer(column: str) -> Callable[[Any], str]:
    if column == "p" or column.startswith("p of") or column.endswith(", p"):
        return lambda value: p_value(value)
    in_bp = "bp" in column or column.split()[-1] in ("low", "high")

    def write(value: Any) -> str:
        if value is None or isinstance(value, int):
            return number(value)
        if isinstance(value, float):
            return signed(value) if in_bp else number(value)
        return str(value)

    return write


def chart(figure: Figure) -> str:
    """A figure for the screen: its specification with all data, drawn by the page; what it says stands below it."""
    spec = theme.themed(figure.chart, "screen")
    spec.pop("usermeta", None)
    spec.pop("$schema", None)
    kept = {name: f"data-{i}" for i, name in enumerate(spec.get("datasets", {}), 1)}  # not by digests of their rows
    spec = _renamed(spec, kept)
    inner = (
        f"<h3>{text(figure.title)}</h3>"
        f'<div class="chart" role="img" aria-label="{text(f"{figure.title}. {figure.caption}")}"></div>'
        f'<script type="application/json" class="spec">{script_json(spec)}</script>'
        f"<figcaption>{prose(figure.caption)}</figcaption>"
    )
    return element("figure", inner, data_at=figure.title)


def _renamed(node: Any, names: Mapping[str, str]) -> Any:
    """A specification with its data sets called otherwise."""
    if isinstance(node, dict):
        out = {key: _renamed(value, names) if key != "datasets" else value for key, value in node.items()}
        if "datasets" in node:
            out["datasets"] = {names[name]: rows for name, rows in node["datasets"].items()}
        if isinstance(node.get("data"), dict) and node["data"].get("name") in names:
            out["data"] = {**node["data"], "name": names[node["data"]["name"]]}
        return out
    return [_renamed(value, names) for value in node] if isinstance(node, list) else node


def facts(pairs: Iterable[tuple[str, object]], title: str) -> str:
    """Terms and what they are, in two columns."""
    rows = "".join(
        f"<dt>{text(term)}</dt>{element('dd', text(value), data_at=term)}"
        for term, value in pairs
        if value not in (None, "")
    )
    return element("section", f"<h3>{text(title)}</h3><dl>{rows}</dl>", data_at=title) if rows else ""
