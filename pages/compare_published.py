"""Compare's view of results of others: what was found in their tables, what they can carry, and the form that takes in
one's own, where what is recognised can be corrected before anything is kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from mdaf_core.base import rights
from mdaf_core.base.errors import StudioError
from pages import access, published, shared, uploading
from pages import compare_evidence as evidence
from serving.whole import whole

if TYPE_CHECKING:
    from mdaf_core.analysis.published.found import Audit, DataSetFound
    from mdaf_core.studies.store import Study

number = st.column_config.NumberColumn
FIRST = ("seeds", "test")  # topics that stand beside each other above the data sets
SIZES = ("Lead", "Low", "High", "Shown flatters")


def draw(study: Study | None) -> None:
    """A table of runs (at first one that ships), what was found, its data sets; the form for one's own."""
    st.markdown("What other people's figures can carry. All of them are **reported**, not computed here.")
    _form()
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


UPLOAD = "published-upload"
column = st.column_config


def _form() -> None:
    """Path or upload, the columns as they are read, and the button that keeps the table."""
    if not rights.may_change():
        return
    if done := st.session_state.pop("published-done", None):
        st.success(shared.plain(done), icon=":material/check:")
    with st.expander("Your own table of runs", icon=":material/upload_file:"), shared.guard():
        st.caption(
            "A line a run: CSV, TSV, JSON lines or Parquet; FuxiCTR's result lines; exports of MLflow, W&B or "
            "TensorBoard (all its files, or their folder). Columns are recognised; correct what is not right."
        )
        left, right = st.columns(2, gap="medium")
        typed = left.text_input(
            "File or folder", key="published-path", help="On the machine that runs the app."
        ).strip()
        name = left.text_input("Name", key="published-name", placeholder="as the file is called").strip()
        uploads = uploading.uploads(right, UPLOAD, several=True)
        if typed or uploads:
            path = Path(typed) if typed else uploading.stored(uploads, UPLOAD)
            _recognised(path, name or (path.name if typed else _called(uploads)))


def _called(uploads: list[Any]) -> str:
    first = min(one.name for one in uploads)
    return first if len(uploads) == 1 else f"{first} and {len(uploads) - 1} more"


def _recognised(path: Path, name: str) -> None:
    """What is read as what, to be corrected."""
    import pandas as pd

    from mdaf_core.runs.published.roles import BETTER, ROLES, columns_of

    raw, rows, said = _read(path)
    st.markdown("\n".join(f"- {shared.plain(sentence)}" for sentence in said))
    edited = st.data_editor(
        pd.DataFrame(rows).astype("object"),
        key=f"published-roles-{path}",
        hide_index=True,
        height="content",
        placeholder="",
        disabled=["column", "example"],
        column_config={
            "column": column.TextColumn("Column"),
            "example": column.TextColumn("For example"),
            "role": column.SelectboxColumn("Is", options=list(ROLES), required=True, width="medium"),
            "metric": column.TextColumn("Metric", help="Of a figure; a name that is not known is taken as it is."),
            "better": column.SelectboxColumn("Better", options=list(BETTER)),
        },
    )
    columns, lower, higher = columns_of(shared.edited_rows(edited))
    from mdaf_core.runs.published.table import build

    published = build(raw.frame, columns, lower, higher)
    st.caption(
        shared.plain(
            f"{len(published.runs):,} runs, {len({(r.data_set, r.model) for r in published.runs}):,} pairs of a model "
            f"and a data set. {' '.join(published.notes)}"
        )
    )
    st.button(
        "Import",
        type="primary",
        icon=":material/add:",
        key="published-go",
        on_click=_keep,
        args=(published, name, path),
    )


def _read(path: Path) -> tuple[Any, list[dict[str, Any]], list[str]]:
    """The file's lines, its columns as they are recognised, and what is to be said of them; once a file."""
    from mdaf_core.runs.published.columns import propose
    from mdaf_core.runs.published.read import read_runs
    from mdaf_core.runs.published.roles import roles

    path = path.expanduser()
    key = (str(path), path.stat().st_mtime_ns if path.exists() else 0)
    kept = st.session_state.get("published-read")
    if kept is None or kept[0] != key:
        raw = read_runs(path)
        proposed = propose(raw.frame)
        said = [f"Read as {raw.form}, {len(raw.frame):,} lines.", *raw.notes, *proposed.guesses]
        kept = (key, (raw, roles(raw.frame, proposed), said))
        st.session_state["published-read"] = kept
    return kept[1]


@whole
def _keep(published: Any, name: str, path: Path) -> None:
    from mdaf_core.runs.published.kept import keep

    try:
        about = keep(published, name)
    except StudioError as error:
        st.session_state[shared.REFUSAL] = str(error)
        return
    uploading.used(path, UPLOAD)
    st.session_state.pop("published-read", None)
    st.session_state["published-path"] = st.session_state["published-name"] = ""
    shared.choose("reported", about.id)
    st.session_state["published-done"] = f"{about.name} is imported, and shown below."
