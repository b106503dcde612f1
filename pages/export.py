"""Export: what goes into the paper?"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

from mdaf_core.analysis.margins import check_margin, parse_margin
from mdaf_core.analysis.plan import planned_margin
from mdaf_core.base.errors import StudioError
from mdaf_core.metrics.registry import titles
from mdaf_core.reporting.theme import PRINTS
from mdaf_core.runs import tracking
from mdaf_core.studies import results
from mdaf_core.studies.store import get_study
from pages import export_use, published, shared
from pages.compare_views import SPLITS
from pages.study_plan import margin_help

if TYPE_CHECKING:
    from mdaf_core.reporting.material import Material
    from mdaf_core.reporting.paper.table import PaperTable

WIDTHS = {1: "One column", 2: "Two columns"}
CSS_PIXELS_PER_INCH = 96
OTHER_VIEWS = ("Tables", "Text", "Use")
WHAT = (
    "Every figure as PDF, SVG and PNG in both widths, CSV and Vega-Lite; every table as LaTeX, Markdown and CSV; the "
    "results paragraph; a two-column paper.tex with all of it; configurations, data fingerprints, versions, and in "
    "README.md the command that makes each figure, table and run again. What this study cannot give is left out with "
    "the reason."
)
CAPSULE = (
    "Opens without a server or a network: tables, charts, verdicts with their tests, data card, settings, provenance. "
    "The predictions of the rows compared are inside, and whoever has the file can compute every number again "
    "from them with `mdaf verify FILE`."
)


def main() -> None:
    shared.header("Export", "What goes into the paper?")
    with shared.guard():
        columns = st.columns([4, 2, 2, 2, 3, 2], vertical_alignment="bottom")
        study_id = shared.study_picker(columns[0])
        published.export()
        if study_id is None:
            return
        study = get_study(study_id)
        metrics = titles()
        _, rows, by, planned = results.choices(study)
        shared.start_over(study_id, split=rows, metric=by, margin=planned.text if planned else "")

        def margin_of_metric() -> None:
            found = planned_margin(study.plan, st.session_state["metric"])
            st.session_state["margin"] = found.text if found else ""

        split = columns[1].selectbox(
            "Rows", list(SPLITS), index=list(SPLITS).index(rows), format_func=SPLITS.get, key="split",
            bind="query-params",
        )  # fmt: skip
        metric = columns[2].selectbox(
            "Metric", list(metrics), index=list(metrics).index(by), format_func=metrics.get, key="metric",
            bind="query-params", on_change=margin_of_metric,
            help="What configurations are compared by: figures of Comparison and Cost, table of results, text.",
        )  # fmt: skip
        of_metric = planned_margin(study.plan, metric)
        margin = columns[3].text_input(
            "Margin", of_metric.text if of_metric else "", key="margin", bind="query-params", help=margin_help(),
            placeholder="none",
        )  # fmt: skip
        check_margin(parse_margin(margin), metric)
        width = columns[4].segmented_control(
            "Preview at", list(WIDTHS), format_func=WIDTHS.get, default=1, required=True, key="width",
            bind="query-params",
            help="The width of a column of a two-column paper, or of both; of a paper with one column, half of it or "
            "all. The bundle holds both.",
        )  # fmt: skip
        typeface = columns[5].selectbox(
            "Printed for", list(PRINTS), format_func=lambda name: PRINTS[name].title, key="type", bind="query-params",
            help="Widths and sizes of letters as the class has them: acmart (sigconf; acmsmall), NeurIPS, IEEEtran. "
            "Sans is like Helvetica, all others are like Times.",
        )  # fmt: skip
        if not shared.finished_runs(study_id):
            shared.empty(
                "No run of this study has finished, so there is nothing to export yet.",
                "See what is running",
                "pages/jobs.py",
            )
            return
        from mdaf_core.reporting.figures import FIGURES
        from mdaf_core.reporting.material import MOST_LINES
        from mdaf_core.reporting.paper.tables import TABLES

        names = study.configuration_names
        shared.start_over(study_id, lines=names[:MOST_LINES])
        lines: list[str] = []
        if len(names) > MOST_LINES:
            lines = st.multiselect(
                "Configurations in line charts", names, default=names[:MOST_LINES], key="lines", bind="query-params",
                max_selections=MOST_LINES, help="Results, differences and tables always hold all configurations.",
            )  # fmt: skip
        key = (study_id, split, metric, margin, tuple(lines), typeface)
        with st.container(horizontal=True, vertical_alignment="top"):
            button = st.container(width="content")
            with st.expander("What goes into the bundle"):
                figures = st.pills(
                    "Figures", list(FIGURES), selection_mode="multi", default=list(FIGURES), key="figures",
                    format_func=lambda name: FIGURES[name].title, bind="query-params",
                )  # fmt: skip
                chosen_tables = st.pills(
                    "Tables", list(TABLES), selection_mode="multi", default=list(TABLES), key="tables",
                    format_func=lambda name: TABLES[name][0], bind="query-params",
                )  # fmt: skip
                st.caption(WHAT)
        with button, st.container(horizontal=True, gap="small"):
            _bundle_button(key, figures, chosen_tables)
            _capsule(key)
        groups = list(dict.fromkeys(FIGURES[name].group for name in FIGURES))
        view = st.segmented_control(
            "View", [*groups, *OTHER_VIEWS], default=groups[0], required=True, key="view", bind="query-params",
            label_visibility="collapsed",
        )  # fmt: skip
        if view == "Tables":
            _tables(key, chosen_tables)
        elif view == "Text":
            _paragraph(key)
        elif view == "Use":
            export_use.draw(study_id)
        else:
            _figures(key, [name for name in figures if FIGURES[name].group == view], width)


Key = tuple[str, str, str, str, tuple[str, ...], str]


def _material(key: Key) -> Material:
    from mdaf_core.reporting.material import Material

    study_id, split, metric, margin, only, typeface = key
    return Material(
        get_study(study_id),
        split=split,
        metric=metric,
        margin=parse_margin(margin),
        only=only,
        typeface=typeface,
    )


def _bundle_button(key: Key, figures: list[str], chosen_tables: list[str]) -> None:
    def make(figures_only: bool) -> bytes:
        from mdaf_core.reporting.paper.bundle import archive

        return archive(_material(key), figures, chosen_tables, figures_only)

    st.download_button(
        f"Download the bundle: {len(figures)} figures, {len(chosen_tables)} tables", partial(make, False),
        f"{key[0]}.zip", "application/zip", type="primary", on_click="ignore", icon=":material/folder_zip:",
        key="bundle", disabled=not (figures or chosen_tables), help="Made when you click, in up to a minute.",
    )  # fmt: skip
    st.download_button(
        f"The {len(figures)} figures", partial(make, True), f"{key[0]}-figures.zip", "application/zip",
        on_click="ignore", icon=":material/imagesmode:", key="all-figures", disabled=not figures,
        help="A zip of all figures chosen, in every format and both widths.",
    )  # fmt: skip


def _capsule(key: Key) -> None:
    with st.popover(
        "For a reviewer", icon=":material/deployed_code:", help="One file that shows the study and proves it."
    ):
        st.caption(CAPSULE)
        title = st.text_input(
            "Title in the file", key="capsule-title", placeholder="the study's; without names: A study"
        )

        def make(anonymous: bool) -> bytes:
            from mdaf_core.reporting.capsule.make import capsule

            return capsule(_material(key), None, anonymous=anonymous, title=title).html.encode()

        # A button each: a box ticked just before the click would reach the program after it.
        choices = (
            ("With names", False, f"{key[0]}.html", "Title, note, tags, runs and machines as they are."),
            (
                "Without names",
                True,
                "study.html",
                "No title, note, tags, names of people and machines, paths, commits.",
            ),
        )
        for (label, anonymous, name, what), place in zip(choices, st.columns(2), strict=True):
            place.download_button(
                label, partial(make, anonymous), name, "text/html", on_click="ignore", icon=":material/download:",
                key=f"capsule-{anonymous}", help=f"{what} Made when you click, in up to a minute.", width="stretch",
            )  # fmt: skip


# ---- figures ---------------------------------------------------------------------------------------------------------


@st.cache_data(show_spinner=False, max_entries=200)
def _preview(key: Key, name: str, columns: int, version: Any) -> tuple[bytes, str, str, str]:
    """PNG of a figure as it will be printed, its caption, its provenance id, and what no font can draw of it."""
    from mdaf_core.reporting import export
    from mdaf_core.reporting.figures import make_figure

    figure = make_figure(_material(key), name)
    image = export.preview(figure.chart, columns=columns, typeface=figure.typeface)
    return image, figure.caption, figure.origin.id, export.without_font(figure.chart)


def _figures(key: Key, names: list[str], width: int) -> None:
    from mdaf_core.reporting.figures import FIGURES

    if not names:
        st.caption("None of these figures is chosen for the bundle.")
        return
    pixels = round(PRINTS[key[5]].widths[width] * CSS_PIXELS_PER_INCH)  # type: ignore[index]
    shown = st.container(horizontal=True, gap="medium")
    for name in names:
        try:
            image, caption, origin, boxes = _preview(key, name, width, tracking.store_version())
        except StudioError as reason:
            st.caption(f"{shared.plain(FIGURES[name].title)}: {shared.sentence(str(reason))}")
            continue
        with shown, st.container(border=True, key=f"figure-{name}", width=pixels + 34):
            st.markdown(f"**{FIGURES[name].title}**")
            st.image(image, width=pixels, alt=f"{FIGURES[name].title}. {caption}")
            if boxes:
                st.warning(boxes, icon=":material/font_download_off:")
            st.caption(shared.plain(caption))
            _figure_files(key, name, width, origin)


def _figure_files(key: Key, name: str, width: int, origin: str) -> None:
    from mdaf_core.reporting import export

    def make(kind: str) -> bytes:
        from mdaf_core.reporting.figures import make_figure
        from mdaf_core.reporting.paper.bundle import figure_file

        return figure_file(make_figure(_material(key), name), kind, width)

    with st.container(horizontal=True, gap="xsmall"):
        for kind, mime in {**export.FIGURE_KINDS, "csv": "text/csv"}.items():
            st.download_button(
                kind.upper(), lambda kind=kind: make(kind), f"{name}-{width}col.{kind}", mime, type="tertiary",
                key=f"figure-{name}-{kind}", on_click="ignore",
            )  # fmt: skip
        with st.popover("Command", type="tertiary", help="Draws this figure again from the stored runs."):
            columns = " --columns 2" if width == 2 else ""
            st.code(f"python -m mdaf_core figure {origin} --out {name}.pdf{columns}", language="sh", wrap_lines=True)


# ---- tables and text -------------------------------------------------------------------------------------------------


@st.cache_data(show_spinner=False, max_entries=50)
def _table(key: Key, name: str, version: Any) -> PaperTable:
    from mdaf_core.reporting.paper.tables import make_table

    return make_table(_material(key), name)


def _tables(key: Key, names: list[str]) -> None:
    from mdaf_core.reporting.paper.tables import TABLES

    for name in names:
        try:
            table = _table(key, name, tracking.store_version())
        except StudioError as reason:
            st.caption(f"{TABLES[name][0]}: {shared.sentence(str(reason))}")
            continue
        shared.section(table.title)
        st.html(table.html())
        st.caption(shared.plain(table.caption))
        with st.container(horizontal=True, gap="xsmall"):
            for kind in ("tex", "md", "csv"):
                st.download_button(
                    kind.upper(), lambda kind=kind, name=name: _table_file(key, name, kind), f"{table.name}.{kind}",
                    "text/plain", type="tertiary", key=f"table-{table.name}-{kind}", on_click="ignore",
                )  # fmt: skip
        with st.expander("LaTeX"):
            st.code(table.latex(), language="latex", wrap_lines=True)


def _table_file(key: Key, name: str, kind: str) -> bytes:
    from mdaf_core.reporting.paper.bundle import origin_of_table, table_file
    from mdaf_core.reporting.paper.tables import make_table

    material = _material(key)
    return table_file(make_table(material, name), kind, origin_of_table(material, name))


@st.cache_data(show_spinner=False, max_entries=50)
def _sentences(key: Key, version: Any) -> list[tuple[str, str]]:
    from mdaf_core.reporting.paper.bundle import results

    return [(sentence.text, sentence.source) for sentence in results(_material(key))]


def _paragraph(key: Key) -> None:
    shared.section("Results paragraph", help="Every sentence is generated from a count, a figure or a test.")
    with shared.guard():
        sentences = _sentences(key, tracking.store_version())
        st.code(" ".join(text for text, _ in sentences), language=None, wrap_lines=True)
        with st.expander("Where each sentence comes from"):
            st.markdown(
                "\n".join(f"1. {shared.plain(text)} :gray[{shared.plain(source)}.]" for text, source in sentences)
            )


main()
