"""Compare's view of results of others: what was found in their tables, and what they can carry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from mdaf_core.base.errors import StudioError
from pages import access, published, published_form, shared
from pages import compare_evidence as evidence

if TYPE_CHECKING:
    from mdaf_core.analysis.published.found import Audit, DataSetFound
    from mdaf_core.studies.store import Study

number = st.column_config.NumberColumn
FIRST = ("seeds", "test")  # topics that stand beside each other above the data sets
SIZES = ("Lead", "Low", "High", "Shown flatters")


def draw(study: Study | None) -> None:
    """A table of runs (at first one that ships), what was found, its data sets; the form for one's own."""
    st.markdown("What other people's figures can carry. All of them are **reported**, not computed here.")
    published_form.draw()
    places = st.columns([4, 2, 2, 3], vertical_alignment="bottom")
    with places[0]:
        chosen = published.picker()
    if chosen is not None:
        found = _audited(chosen, places[1:])
        _findings(found)
        _data_set(found, chosen)
    with st.expander("One published AUC: what it can carry"), shared.guard():
        evidence.reported(study)


def _audited(chosen: str, places: list[st.delta_generator.DeltaGenerator]) -> Audit:
    """The audit by the choices above it, which belong to one table."""
    table = published.table_of(chosen)
    if st.session_state.get("published_of") != chosen:
        st.session_state["published_of"] = chosen
        for key in ("published_metric", "published_reference", "published_margin"):
            st.session_state.pop(key, None)
    titles = {key: metric.title for key, metric in table.metrics.items()}
    metric = places[0].selectbox(
        "Metric", ["", *titles], format_func=lambda key: titles.get(key, "as shown"), key="published_metric",
        help="As shown: of each data set the metric whose figures are shown, else the likeliest.",
    )  # fmt: skip
    models = sorted({run.model for run in table.runs if run.seed})
    reference = places[1].selectbox(
        "Reference", ["", *models], format_func=lambda name: name or "best mean", key="published_reference",
        help="The model that others are compared with, where it has seeds.",
    )  # fmt: skip
    margin = places[2].text_input(
        "Margin", key="published_margin", placeholder="none",
        help="What counts as parity: bp (2), a share of the gain over the base rate (1%), or `proposed`: as narrow as "
        "the seeds can resolve, at most a quarter of the way from the best to the median figure. None: not tested.",
    )  # fmt: skip
    return published.audited(chosen, metric or None, reference or None, margin)


def _findings(found: Audit) -> None:
    """What was found, in plain words, and a line a data set."""
    from mdaf_core.reporting.paper.published import TOPICS, sentences
    from mdaf_core.reporting.topics.published import overview

    told = sentences(found)
    st.markdown(shared.plain(" ".join(sentence.text for sentence in told["runs"])))
    places = st.columns(len(FIRST), gap="medium")
    for place, topic in zip(places, FIRST, strict=True):
        with place:
            st.markdown(f"**{TOPICS[topic]}**")
            st.markdown("\n".join(f"- {shared.plain(sentence.text)}" for sentence in told[topic]))
    table = overview(found)
    shared.show_table(
        table.select(c for c in table.columns if table[c].null_count() < len(table)), "published-overview",
        title=TOPICS["survives"], help="Comparisons with the best mean over seeds, after Holm.",
        column_config={
            "Rank correlation": number(
                format="%+.2f",
                help="Spearman's, of the shown order and that of the means (or of what is best on validation).",
            ),
            "With seeds": number(help="Models with two seeds or more: only these can be told apart."),
            "Survive Holm": st.column_config.TextColumn(help="Of the comparisons with the best mean over seeds."),
            "Validation = test": st.column_config.TextColumn(
                help="Lines whose validation figures are the test figures: they were chosen on test rows."
            ),
        },
    )  # fmt: skip


def _data_set(found: Audit, chosen: str) -> None:
    from mdaf_core.reporting.paper.published import TOPICS, of_data_set, sentences
    from mdaf_core.reporting.topics import published as topic

    one = published.data_set_picker(found, chosen)
    if one.leads:
        st.markdown(shared.plain(of_data_set(one)))
    else:
        st.markdown("No two models have two seeds here: no difference can be tested, whatever its size.")
    frame = topic.dots_frame(one)
    left = len(one.entries) - frame["configuration"].n_unique()
    shared.show_chart(
        topic.dots(frame, x_title=f"{one.metric.title}, reported"), "published-dots", frame,
        title=f"Runs and shown figures, {shared.plain(one.name)}",
        help="Ticks: single runs. Dot: their mean, with its 95% interval over seeds. Diamond: the figure that is shown."
        + (f" {left} models without seeds are in the table alone." if left else ""),
    )  # fmt: skip
    _models(one)
    told = sentences(found)
    with st.expander("How it was tested, settings tried, what was left out"):
        for name in ("method", "settings"):
            if name in told:
                st.markdown(f"**{TOPICS[name]}**")
                st.markdown("\n".join(f"- {shared.plain(sentence.text)}" for sentence in told[name]))
        st.markdown("\n".join(f"- {shared.plain(note)}" for note in found.notes))
    with st.expander("For the paper"):
        published.for_paper(found, one)
    if st.session_state.get("last_reported") not in (None, *_shipped()):
        access.change_button("Remove this table", icon=":material/delete:", key="published-remove", on_click=_remove)


def _models(one: DataSetFound) -> None:
    from mdaf_core.reporting.topics.published import table

    frame = table(one)
    size = "%+.1f" if one.metric.in_bp else "%+.4g"
    shares = [c for c in frame.columns if c in ("p", "Holm", "p of parity")]
    shared.show_table(
        frame.to_pandas().style.format(shared.fmt_p, subset=shares), "published-models",
        title=f"Models on {shared.plain(one.name)}, {one.metric.title}, reported",
        help="Figure: the mean over seeds; of a model without seeds its one run, or that best on validation.",
        column_config={c: number(format="%.4f") for c in ("Figure", "± 95%", "Shown") if c in frame.columns}
        | {c: number(format=size) for c in frame.columns if c.split(",")[0] in SIZES},
    )  # fmt: skip


def _shipped() -> tuple[str, ...]:
    from mdaf_core.runs.published.opened import PRESETS

    return tuple(PRESETS)


def _remove() -> None:
    from mdaf_core.runs.published.kept import remove

    try:
        remove(st.session_state["last_reported"])
    except (StudioError, OSError) as error:
        st.session_state[shared.REFUSAL] = str(error)
    st.session_state.pop("last_reported", None)
    st.query_params.pop("reported", None)
