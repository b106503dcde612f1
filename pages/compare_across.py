"""Compare's view of several studies: those on the same rows as one table, those on other data sets beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from mdaf_core.analysis.margins import parse_margin
from mdaf_core.analysis.plan import planned_margin
from mdaf_core.data.store.schema import Split
from mdaf_core.runs import tracking
from pages import beside, compare_results, conditions, shared

if TYPE_CHECKING:
    from mdaf_core.studies.across import Table
    from mdaf_core.studies.store import Study

HELP = (
    "Studies that have the reference, or are on the same data set. On the same rows they become one table; on other "
    "data sets they stand beside each other, with averages over them."
)
TABLE_HELP = (
    "Of each data set the mean over seeds, and the verdict of its own study. Mean Δ: over the data sets, each counting "
    "alike. Mean of these: the verdict for these data sets. For others like them: that covers other data sets, too."
)


def draw(study: Study, split: Split, metric: str, reference: str, margin: str, over_items: bool) -> None:
    """Which studies, then their one table, or the table of configurations × data sets."""
    others = _choice(study, reference)
    if not others:
        st.info(
            "Choose studies above: on the same data set, to see their runs as one table; on others, to see what holds "
            "across data sets. **Launch** runs a study on several data sets at once.", icon=":material/info:",
        )  # fmt: skip
        return
    with st.spinner("Comparing: row by row for every seed, the first time", show_time=True):
        found = _table((study.id, *others), reference, split, metric, margin, over_items)
    known = _known(found)
    said = conditions.block(
        [one.sentence for one in known if one.grave], [one.sentence for one in known if not one.grave]
    )
    if found.across is None:
        (comparison,) = found.columns.values()
        compare_results.draw(comparison, said)
    else:
        _across(found, said)


def _choice(study: Study, reference: str) -> list[str]:
    from mdaf_core.studies.across import members
    from mdaf_core.studies.store import list_studies

    near = {
        other.id: f"{other.title or other.id} · {other.dataset}"
        for other in list_studies()
        if other.id != study.id
        and not other.archived
        and (other.dataset == study.dataset or reference in other.configuration_names)
    }
    usual = [other.id for other in members(study) if other.id != study.id]
    return beside.choose("With these studies", "with", near, usual, placeholder="Choose studies", help=HELP)


def _table(ids: tuple[str, ...], reference: str, split: Split, metric: str, margin: str, over_items: bool) -> Table:
    from mdaf_core.studies.store import get_study

    version = (*tracking.store_version(), *(get_study(one).model_dump_json() for one in ids))
    return _kept(ids, reference, split, metric, margin, over_items, version)


@st.cache_data(show_spinner=False, max_entries=16)
def _kept(
    ids: tuple[str, ...], reference: str, split: Split, metric: str, margin: str, over_items: bool, version: Any
) -> Table:
    from mdaf_core.studies import across, results

    studies = across.together(ids)
    chosen, planned = parse_margin(margin), planned_margin(studies[0].plan, metric)
    same = chosen is planned or (chosen is not None and chosen.same(planned))
    return across.compare(
        studies, reference=reference, split=split, metric=metric, margin=results.PLANNED if same else chosen,
        over_items=over_items,
    )  # fmt: skip


def _known(found: Table) -> Any:
    from mdaf_core.reporting.conditions import of_studies

    return of_studies(found)


def _across(found: Table, said: list[str]) -> None:
    from mdaf_core.metrics.registry import metric
    from mdaf_core.reporting.topics import across

    comparison = found.across
    assert comparison is not None
    title = metric(comparison.metric).title
    number = st.column_config.NumberColumn
    table = across.across_table(comparison, found, differences=False)
    bp = number("± bp", format="%.1f", help="Half the width of the 95% interval, of the verdict to the right.")
    shared.show_table(
        table, "across", title=f"{title} on {len(comparison.datasets)} data sets", help=TABLE_HELP,
        column_config={data: number(data, format="%.4f") for data in comparison.datasets}
        | {f"Verdict, {data}": st.column_config.TextColumn("Verdict", help=data) for data in comparison.datasets}
        | {
            "Configuration": st.column_config.TextColumn(pinned=True),
            "Mean Δ, bp": number(format="%+.1f", help=f"Minus {comparison.reference}, averaged over the data sets."),
            **{f"{name}, ± bp": bp for name in (across.HERE, across.ELSEWHERE)},
            across.PLACE: number(format="%.1f", help="1 is the best. Shown, not tested."),
        },
        names_as_they_are=True,
    )  # fmt: skip
    frame = across.across_frame(comparison)
    if not frame["difference_bp"].is_null().all():
        shared.show_chart(
            across.across_chart(comparison), "across", frame,
            title=f"Difference to {shared.plain(comparison.reference)} on each data set, and on average",
            help="Dots: data sets. Diamonds: averages. Lines: 95% intervals, not adjusted for their number.",
        )  # fmt: skip
    _paper(found)
    notes = [note for note in across.across_sentences(comparison) if note not in said]
    st.markdown("**What to know**")
    st.markdown("\n".join(f"- {shared.plain(note)}" for note in notes))


def _paper(found: Table) -> None:
    from mdaf_core.reporting.conditions import text
    from mdaf_core.reporting.topics.across import across_paper

    assert found.across is not None
    paper = across_paper(found.across, found, text(_known(found)))
    with st.expander("Table for the paper"):
        st.html(paper.html())
        st.caption(shared.plain(paper.caption))
        with st.container(horizontal=True, gap="xsmall"):
            for kind, make in (("tex", paper.latex), ("md", paper.markdown), ("csv", paper.csv)):
                st.download_button(
                    kind.upper(), make, f"{paper.name}.{kind}", "text/plain", type="tertiary", key=f"across-{kind}",
                    on_click="ignore",
                )  # fmt: skip
        st.code(f"python -m mdaf_core across {' '.join(study.id for study in found.studies)} --latex", language="sh",
                wrap_lines=True)  # fmt: skip
