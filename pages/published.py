"""Results of others on pages: which table is shown, its audit, and what of it goes into a paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages import shared

if TYPE_CHECKING:
    from mdaf_core.analysis.published.found import Audit, DataSetFound
    from mdaf_core.runs.published.table import Published


def picker() -> str | None:
    """Choose a table, those that ship first; in the link as `reported`."""
    from mdaf_core.runs.published.kept import kept
    from mdaf_core.runs.published.opened import PRESETS

    names = {name: title for name, (title, _) in PRESETS.items()} | {one.id: one.name for one in kept()}
    return shared.linked_select(
        "Table of runs", "reported", list(names), names.__getitem__, "Those that ship, then those that were imported."
    )


def table_of(chosen: str) -> Published:
    """The runs of a table."""
    from mdaf_core.runs.published.kept import load
    from mdaf_core.runs.published.opened import PRESETS, preset

    return preset(chosen) if chosen in PRESETS else load(chosen)[1]


def audited(chosen: str, metric: str | None, reference: str | None, margin: str) -> Audit:
    """The audit of a table, kept while its figures stay as they are."""
    return _audited(chosen, metric, reference, margin, table_of(chosen).digest)


@st.cache_data(show_spinner=False, max_entries=16)
def _audited(chosen: str, metric: str | None, reference: str | None, margin: str, _digest: str) -> Audit:
    from mdaf_core.analysis.published.audit import audit

    return audit(table_of(chosen), metric=metric, reference=reference, margin=margin)


def data_set_picker(found: Audit, chosen: str) -> DataSetFound:
    """Choose one of the table's data sets; at first one whose models have seeds."""
    names = {one.name: one for one in found.data_sets}
    first = next((i for i, one in enumerate(found.data_sets) if one.leads), 0)
    name = st.selectbox("Data set", list(names), index=first, key=f"reported-set-{chosen}", width=320)
    return names[name]


def for_paper(found: Audit, one: DataSetFound) -> None:
    """The table of a data set as print sets it, the sentences, and files of both."""
    from mdaf_core.reporting.paper.published import paper_table, paragraph

    made, told = paper_table(one), paragraph(found)
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="center"):
        for kind, content in (("tex", made.latex()), ("md", made.markdown()), ("csv", made.csv())):
            st.download_button(
                kind.upper(), content, f"{made.name}.{kind}", "text/plain", type="tertiary", on_click="ignore",
                key=f"reported-{kind}", help=f"The table of {shared.plain(one.name)}.",
            )  # fmt: skip
    st.html(made.html())
    st.caption(shared.plain(made.caption))
    st.code(" ".join(sentence.text for sentence in told), language=None, wrap_lines=True)


def export() -> None:
    """The part of Export that needs no study."""
    part = st.expander("Results of others: tables and text", on_change="rerun", key="export-published")
    with part, shared.guard():
        if part.open and (chosen := picker()) is not None:
            found = audited(chosen, None, None, "")
            for_paper(found, data_set_picker(found, chosen))
