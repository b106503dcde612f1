"""Export: what goes into the paper?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from pages import shared

if TYPE_CHECKING:
    from mdaf_core.reporting.bundle import Material
    from mdaf_core.reporting.tables import PaperTable

SPLITS = {"test": "Test", "val": "Validation"}
WIDTHS = {1: "One column, 3.3 in", 2: "Two columns, 7 in"}
CSS_PIXELS_PER_INCH = 96
MOST_LINES = 8


def main() -> None:
    shared.header("Export", "What goes into the paper?")
    with shared.guard():
        columns = st.columns([4, 2, 2, 3], vertical_alignment="bottom")
        with columns[0]:
            study_id = shared.study_picker()
        if study_id is None:
            return
        split = columns[1].selectbox("Rows", list(SPLITS), format_func=SPLITS.get, key="split", bind="query-params")
        margin = columns[2].number_input(
            "Margin, ± bp", 0.5, 1000.0, 20.0, 5.0, format="%.4g", key="margin", bind="query-params",
            help="Half-width of what counts as parity.",
        )  # fmt: skip
        width = columns[3].segmented_control(
            "Preview at", list(WIDTHS), format_func=WIDTHS.get, default=1, required=True, key="width",
            bind="query-params", help="Files are written in both widths.",
        )  # fmt: skip
        from mdaf_core.reporting.bundle import FIGURES, TABLES

        if not shared.finished_runs(study_id):
            shared.empty(
                "No run of this study has finished, so there is nothing to export yet.",
                "See what is running",
                "pages/jobs.py",
            )
            return
        names = _study(study_id).configuration_names
        shared.start_over(study_id, lines=names[:MOST_LINES])
        lines: list[str] = []
        if len(names) > MOST_LINES:
            lines = st.multiselect(
                "Configurations in line charts", names, default=names[:MOST_LINES], key="lines", bind="query-params",
                max_selections=MOST_LINES, help="Results, differences and tables always hold all configurations.",
            )  # fmt: skip
        figures = st.pills(
            "Figures", list(FIGURES), selection_mode="multi", default=list(FIGURES), key="figures",
            format_func=lambda name: FIGURES[name][0], bind="query-params",
        )  # fmt: skip
        chosen_tables = st.pills(
            "Tables", list(TABLES), selection_mode="multi", default=list(TABLES), key="tables",
            format_func=lambda name: TABLES[name][0], bind="query-params",
        )  # fmt: skip
        key = (study_id, split, margin, tuple(lines))
        _bundle_button(key, figures, chosen_tables)
        _figures(key, figures, width)
        _tables(key, chosen_tables)
        _paragraph(key)


Key = tuple[str, str, float, tuple[str, ...]]


def _study(study_id: str) -> Any:
    from mdaf_core.studies.store import get_study

    return get_study(study_id)


def _material(key: Key) -> Material:
    from mdaf_core.reporting.bundle import Material

    study_id, split, margin, only = key
    return Material(_study(study_id), split=split, margin_bp=margin, only=only)  # type: ignore[arg-type]


def _bundle_button(key: Key, figures: list[str], chosen_tables: list[str]) -> None:
    def make() -> bytes:
        from mdaf_core.reporting.bundle import archive

        return archive(_material(key), figures, chosen_tables)

    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(
            "Download the bundle", make, f"{key[0]}.zip", "application/zip", type="primary", on_click="ignore",
            icon=":material/folder_zip:", disabled=not (figures or chosen_tables), key="bundle",
        )  # fmt: skip
        st.caption(
            f"{len(figures)} figures as PDF, SVG, PNG in both widths, CSV and Vega-Lite; {len(chosen_tables)} tables "
            "as LaTeX, Markdown and CSV; the results paragraph; configurations, data fingerprints, versions and the "
            "command that repeats each run. Made when you click, in up to a minute."
        )


# ---- figures ---------------------------------------------------------------------------------------------------------


@st.cache_data(show_spinner=False, max_entries=200)
def _preview(key: Key, name: str, columns: int, version: Any) -> tuple[bytes, str]:
    """PNG of a figure as it will be printed, and its caption."""
    from mdaf_core.reporting import export

    figure = _material(key).figure(name)
    return export.render(figure.chart, "png", columns=columns), figure.caption  # type: ignore[arg-type]


def _figures(key: Key, names: list[str], width: int) -> None:
    from mdaf_core import tracking
    from mdaf_core.reporting.bundle import FIGURES
    from mdaf_core.reporting.export import WIDTH_INCHES

    if not names:
        return
    shared.section("Figures", help="At the size and in the type of print. Widths are those of a two-column paper.")
    pixels = round(WIDTH_INCHES[width] * CSS_PIXELS_PER_INCH)
    grid = st.columns(3 if width == 1 else 1, gap="large")
    for i, name in enumerate(names):
        with grid[i % len(grid)], st.container(border=True, key=f"figure-{name}", width=pixels + 34), shared.guard():
            st.markdown(f"**{FIGURES[name][0]}**")
            image, caption = _preview(key, name, width, tracking.store_version())
            st.image(image, width=pixels)
            st.caption(shared.plain(caption))
            _figure_files(key, name, width)


def _figure_files(key: Key, name: str, width: int) -> None:
    from mdaf_core.reporting import export

    def make(kind: str) -> bytes:
        figure = _material(key).figure(name)
        if kind == "csv":
            return export.table_csv(figure.data)
        return export.render(figure.chart, kind, columns=width)  # type: ignore[arg-type]

    with st.container(horizontal=True, gap="xsmall"):
        for kind, mime in {**export.FIGURE_KINDS, "csv": "text/csv"}.items():
            st.download_button(
                kind.upper(), lambda kind=kind: make(kind), f"{name}-{width}col.{kind}", mime, type="tertiary",
                key=f"figure-{name}-{kind}", on_click="ignore",
            )  # fmt: skip


# ---- tables and text -------------------------------------------------------------------------------------------------


@st.cache_data(show_spinner=False, max_entries=50)
def _table(key: Key, name: str, version: Any) -> PaperTable:
    return _material(key).table(name)


def _tables(key: Key, names: list[str]) -> None:
    from mdaf_core import tracking

    for name in names:
        with shared.guard():
            table = _table(key, name, tracking.store_version())
            shared.section(f"Table: {table.title}")
            st.html(table.html())
            st.caption(shared.plain(table.caption))
            for label, text, language in (
                ("LaTeX", table.latex(), "latex"),
                ("Markdown", table.markdown(), "markdown"),
            ):
                with st.expander(label):
                    st.code(text, language=language, wrap_lines=True)
            with st.container(horizontal=True, gap="xsmall"):
                for suffix, text in (("tex", table.latex()), ("md", table.markdown()), ("csv", table.csv())):
                    st.download_button(
                        suffix.upper(), text, f"{table.name}.{suffix}", "text/plain", type="tertiary",
                        key=f"table-{table.name}-{suffix}", on_click="ignore",
                    )  # fmt: skip


@st.cache_data(show_spinner=False, max_entries=50)
def _sentences(key: Key, version: Any) -> list[tuple[str, str]]:
    return [(sentence.text, sentence.source) for sentence in _material(key).paragraph()]


def _paragraph(key: Key) -> None:
    from mdaf_core import tracking

    shared.section("Results paragraph", help="Every sentence is generated from a count, a figure or a test.")
    with shared.guard():
        sentences = _sentences(key, tracking.store_version())
        st.code(" ".join(text for text, _ in sentences), language=None, wrap_lines=True)
        with st.expander("Where each sentence comes from"):
            st.markdown(
                "\n".join(f"1. {shared.plain(text)} :gray[{shared.plain(source)}.]" for text, source in sentences)
            )


main()
