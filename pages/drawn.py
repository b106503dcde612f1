"""Charts with the menu that saves them, and tables: what pages show of frames. Pages reach it as `shared`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import streamlit as st

from mdaf_core.reporting import theme
from pages import known

if TYPE_CHECKING:
    import altair as alt

    from mdaf_core.reporting.stamp import Origin

MISSING = "–"


def show_chart(
    chart: alt.TopLevelMixin,
    name: str,
    data: Any = None,
    *,
    title: str | None = None,
    help: str | None = None,
) -> None:
    """A chart in the reader's theme with a menu that exports exactly what is shown.

    Args:
        chart: from `mdaf_core.reporting.topics`.
        name: file name of the exports without ending, unique on the page.
        data: polars or pandas frame behind the chart, for CSV; default: the chart's own data.
        title: heading above the chart; help: its definition, as a tooltip.
    """
    with st.container(key=f"chart-{name}", gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{title}**" if title else " ", help=help, width="stretch")
            with st.container(width="content", key=f"icons-{name}"):
                st.fragment(_export_menu)(chart, name, data, title or name)
        described = {"description": _description(title or name, help)}
        st.vega_lite_chart(spec=screen_spec(chart) | described, width="stretch", key=f"vega-{name}")


def _description(title: str, help: str | None) -> str:
    """What a chart is, for those who cannot see it: heading and definition, without their Markdown."""
    return re.sub(r"\\(.)", r"\1", f"{title}. {help or ''}".replace("**", "").strip())


def screen_spec(chart: alt.TopLevelMixin) -> dict[str, Any]:
    """The chart as it is drawn on the reader's page."""
    return theme.themed(chart, "screen", rows=False, light=st.context.theme.type == "light")


def _export_menu(chart: alt.TopLevelMixin, name: str, data: Any, title: str) -> None:
    """Filled when it is opened: with a dozen buttons each, the menus of a page would take longer than its charts."""
    menu = st.popover(
        "Save this chart",
        icon=":material/download:",
        type="tertiary",
        help="Save this chart",
        key=f"save-{name}",
        on_change="rerun",
    )
    if menu.open:
        with menu:
            _exports(chart, name, data, title)


def _exports(chart: alt.TopLevelMixin, name: str, data: Any, title: str) -> None:
    from mdaf_core.reporting import export

    link = f"{urlsplit(st.context.url or '').path}?{urlencode(st.query_params.to_dict())}"

    def origin() -> Origin:
        from mdaf_core.reporting import provenance

        return provenance.of_a_page(link, name, title, export.chart_csv(chart, data), known.of_link())

    def button(label: str, suffix: str, mime: str, make: Callable[[], bytes]) -> None:
        st.download_button(label, make, f"{name}{suffix}", mime, key=f"save-{name}{suffix}", on_click="ignore")

    if note := export.without_font(chart):
        st.caption(note)
    for columns, words in ((1, "One column, 3.3 in"), (2, "Two columns, 7 in")):
        st.caption(words)
        with st.container(horizontal=True, gap="xsmall"):
            for kind, mime in export.FIGURE_KINDS.items():
                button(
                    kind.upper(),
                    f"-{columns}col.{kind}",
                    mime,
                    lambda kind=kind, columns=columns: export.render(chart, kind, columns=columns, origin=origin()),
                )
    st.caption("Data and specification")
    with st.container(horizontal=True, gap="xsmall"):
        button("CSV", ".csv", "text/csv", lambda: export.chart_csv(chart, data))
        button("Vega-Lite", ".vl.json", "application/json", lambda: export.vega_lite(chart, origin()))


def show_table(
    df: Any,
    name: str,
    *,
    title: str | None = None,
    help: str | None = None,
    column_config: dict[str, Any] | None = None,
    names_as_they_are: bool = False,
    **options: Any,
) -> Any:
    """A table (polars, pandas or Styler) without index, up to 30 rows in full; its toolbar searches and saves CSV.

    Args:
        name: unique on the page; title: heading above the table; help: its definition, as a tooltip.
        names_as_they_are: leave headings as the columns are named (configurations); else they begin with a capital,
            unless with a symbol: p, t, g.
        options: for `st.dataframe`.
    """
    columns = {} if names_as_they_are else {c: {"label": _heading(c)} for c in getattr(df, "data", df).columns}
    for column, config in (column_config or {}).items():
        given = {"label": config} if isinstance(config, str) else {k: v for k, v in config.items() if v is not None}
        columns[column] = columns.get(column, {}) | given
    _show_whole_texts(getattr(df, "data", df), columns, options)
    df = _with_minus_signs(df, columns)
    options.setdefault("height", "content" if len(getattr(df, "data", df)) <= 30 else "auto")
    with st.container(key=f"table-{name}", gap="xsmall"):
        if title:
            st.markdown(f"**{title}**", help=help)
        return st.dataframe(
            df, hide_index=True, column_config=columns, key=f"frame-{name}", placeholder=MISSING, **options
        )


MOST_MEASURED = 2000  # rows of a table whose texts are measured
MOST_STYLED = 200  # rows of one whose cells are written one by one: of 1,000 that takes half of what a page takes
IN_LINES = ("Configuration", "Winner")  # columns whose long texts take several lines: cut off, two may read the same
LINE_WIDTH, LINE = 320, 52  # of such a column: pixels, and the characters that fit


def _show_whole_texts(df: Any, columns: dict[str, Any], options: dict[str, Any]) -> None:
    """Give texts room where Streamlit would cut them off: of a column's width it asks the first ten rows, and of those
    not what is twice as long as their mean."""
    most = 1
    for name in df.columns if len(df) < MOST_MEASURED else ():
        config = columns.get(name, {})
        lengths = [len(text) for text in df[name] if isinstance(text, str)]
        if not lengths or "width" in config or (config.get("type_config") or {}).get("type") == "link":
            continue
        longest, usual = max(lengths), sum(lengths[:10]) / len(lengths[:10])
        if longest > LINE and name in IN_LINES:
            columns[name] = config | {"width": LINE_WIDTH}
            most = max(most, min(3, -(-longest // LINE)))
        elif 1.5 * usual < longest <= LINE:
            columns[name] = config | {"width": round(longest * LINE_WIDTH / LINE) + 20}
    if most > 1:
        options.setdefault("row_height", 20 * most + 22)  # text wraps in rows of 60 pixels and more


def _with_minus_signs(df: Any, columns: dict[str, Any]) -> Any:
    """The table with − before numbers below 0 where a column's format (`%+.1f`) would put a hyphen, and 0 unsigned.

    The numbers stay numbers: what is sorted by, and what the CSV holds.
    """
    data = getattr(df, "data", df)
    formats = {}
    for name in data.columns:
        kind = columns.get(name, {}).get("type_config") or {}
        printf = re.fullmatch(r"%(\+?\.(\d+)f)", kind.get("format") or "")
        if printf and len(data) < MOST_STYLED and (data[name] < 0.5 * 10.0 ** -int(printf[2])).any():
            columns[name] = columns[name] | {"type_config": kind | {"format": None}}
            formats[name] = lambda x, spec=printf[1]: _signed(x, spec)
    if not formats:
        return df
    style = df if hasattr(df, "data") else (df.to_pandas() if hasattr(df, "to_pandas") else df).style
    return style.format(formats, subset=list(formats), na_rep=MISSING)


def _signed(x: float, spec: str) -> str:
    text = format(x, spec)
    return text.lstrip("+-") if float(text) == 0 else text.replace("-", "−")


def _heading(name: str) -> str:
    """A column's name as its heading; symbols of one letter keep their case."""
    return name if re.match(r"[a-z]\b", name) else name[:1].upper() + name[1:]


def edited_rows(table: Any) -> list[dict[str, Any]]:
    """Rows of a table that people edit, without empty cells; rows in which nothing was entered are left out."""
    plain_rows = table.astype("object").where(table.notna(), None).to_dict("records")
    return [kept for row in plain_rows if (kept := {k: v for k, v in row.items() if v is not None and v != ""})]
