"""The rows of the Gates page: scatter, table, and the story of one row."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import polars as pl
import streamlit as st

from mdaf_core.base.entries import whole_number
from mdaf_core.data.store.describe import field_word
from mdaf_core.data.store.schema import Split
from mdaf_core.reporting.topics.gates import charts as gate_charts
from pages import shared

if TYPE_CHECKING:
    import altair as alt
    from plotly.graph_objects import Figure

    from mdaf_core.analysis.rows import RowFilter
    from mdaf_core.analysis.story import RowStory
    from mdaf_core.runs.tracking import RunRecord

SORTS = {
    "row": ("row_id", False),
    "g, highest first": ("g", True),
    "g, lowest first": ("g", False),
    "probability, highest first": ("probability", True),
    "history, longest first": ("history_length", True),
}
EXTRAPOLATION = "an extrapolation where no loss on the branches was trained"
FIND_HELP = "An id or a title; where there is none like it, all that contain the text."
COLUMNS = {
    "row_id": st.column_config.NumberColumn("Row", format="%d"),
    "user": "User",
    "time": "Time",
    "item": "Item",
    "category": "Category",
    "label": st.column_config.NumberColumn("Label", format="%d"),
    "probability": st.column_config.NumberColumn("Probability", format="%.4f"),
    "history_length": st.column_config.NumberColumn("History", format="%d", help="Events the model reads."),
    "contribution_static": st.column_config.NumberColumn(
        "Static part", format="%+.3f", help="What the branch adds to the log-odds beside other rows' vectors."
    ),
    "contribution_sequential": st.column_config.NumberColumn("Sequential part", format="%+.3f"),
    "g": st.column_config.ProgressColumn("g", format="%.3f", min_value=0, max_value=1),
    "logit_static": st.column_config.NumberColumn("Static logit", format="%.3f", help=f"With g = 0; {EXTRAPOLATION}."),
    "logit_sequential": st.column_config.NumberColumn(
        "Sequential logit", format="%.3f", help=f"With g = 1; {EXTRAPOLATION}."
    ),
}


def show(run: RunRecord, split: Split, gated: bool) -> None:
    """Filters, scatter, table and story: choosing a row re-runs only these."""
    with shared.guard():
        shared.section("Which rows?", help="Choose a row, in the scatter or the table, to open its story below.")
        wanted = _filters(run, split, gated)
        _table(run, split, gated, _scatter(run, split, wanted) if gated else wanted)
        entered = _open_row()
        row = whole_number(entered)
        if not entered:
            st.caption("Choose a row to see its history, what moved its prediction, and what other gates would do.")
        elif row is None:
            st.error("A row is opened by its number, as in the column 'Row'.", icon=":material/error:")
        else:
            _story(run, split, row)


def _open_row() -> str:
    """The row whose story is open: from the field, which the first run of a page draws later, or from the link."""
    return str(st.session_state.get("row") or st.query_params.get("row", "")).strip()


def _filters(run: RunRecord, split: Split, gated: bool) -> RowFilter:
    """What the reader wants to see, of scatter and table."""
    from mdaf_core.analysis import rows

    shortest, longest = rows.history_bounds(run, split)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        label = st.segmented_control("Label", [0, 1], key="label", bind="query-params")
        g = st.slider("g", 0.0, 1.0, (0.0, 1.0), 0.01, key="g", width=200) if gated else None
        history = None
        if longest > shortest:
            history = st.slider("History length", shortest, longest, (shortest, longest), key="history", width=200)
        user = st.text_input("User", key="user", bind="query-params", placeholder="any", width=120).strip()
        fields = []
        for name in rows.searched_fields(run, split):
            text = st.text_input(
                field_word(name).capitalize(), key=f"find-{name}", bind="query-params", placeholder="any", width=150,
                help=FIND_HELP,
            ).strip()  # fmt: skip
            fields += [(name, text)] if text else []
    return rows.RowFilter(label=label, g=g, history=history, user=user or None, fields=tuple(fields))


def _scatter(run: RunRecord, split: Split, wanted: RowFilter) -> RowFilter:
    """Draw it; returns what is wanted within the box that the reader has drawn, if there is one."""
    from mdaf_core.analysis import rows

    held = rows.row_columns(run, split)
    axes, names = [axis for axis in gate_charts.AXES if axis in held], gate_charts.AXES.get
    kind = "contribution" if "contribution_static" in held else "logit"
    controls = st.container(horizontal=True, vertical_alignment="bottom")
    with controls:
        x = st.selectbox("Horizontal", axes, index=axes.index(f"{kind}_static"), format_func=names, key="x")
        y = st.selectbox("Vertical", axes, index=axes.index(f"{kind}_sequential"), format_func=names, key="y")
        colour = st.selectbox(
            "Colour", ["g", "label", *axes[1:]], format_func=lambda c: names(c, "Label"), key="colour"
        )
    row = whole_number(_open_row())
    everything = bool(st.session_state.get("all-rows"))
    frame, note = rows.scatter_rows(run, split, wanted, None if everything else rows.SCATTER_ROWS, keep=row)
    if note or len(frame) > rows.SCATTER_ROWS:
        controls.toggle("All rows", key="all-rows", help="Draw every row, by the graphics processor (WebGL).")
    if frame.is_empty():
        return wanted
    # Other axes or filters begin without a choice.
    key = f"scatter-{run.run_id}-{split}-{x}-{y}-{hash(wanted)}"
    if everything:
        _draw_all(gate_charts.all_points(frame, x, y, colour, row), frame["row_id"], f"all-{key}")
        return wanted
    box = _draw(gate_charts.scatter(frame, x, y, colour, row), key, note)
    return replace(wanted, within=tuple((axis, *box[axis]) for axis in (x, y) if axis in box))  # type: ignore[index]


def _draw(chart: alt.TopLevelMixin, key: str, note: str) -> dict[str, list[float]]:
    """Returns lowest and highest value inside the reader's box by axis; empty without one."""

    def clicked() -> None:
        points = st.session_state[key].selection.point
        if points:
            st.session_state["row"] = str(points[0]["row_id"])

    state = st.vega_lite_chart(
        spec=shared.screen_spec(chart), width="stretch", key=key, on_select=clicked,
        selection_mode=["point", "box"], alt="Rows as points; the table below lists the same rows.",
    )  # fmt: skip
    words = "Click a point to open its row; draw a box to list all rows inside; the wheel zooms, a double click undoes."
    st.caption(f"{note} {words}".strip())
    return dict(state.selection.box)


def _draw_all(figure: Figure, row_ids: pl.Series, key: str) -> None:
    """Point i of the figure is row `row_ids[i]`."""

    def clicked() -> None:
        indices = st.session_state[key].selection.point_indices
        if indices:
            st.session_state["row"] = str(row_ids[indices[0]])

    st.plotly_chart(
        figure, key=key, on_select=clicked, selection_mode="points",
        config={"displaylogo": False, "scrollZoom": True}, alt="Rows as points; the table below lists the same rows.",
    )  # fmt: skip
    words = "Click a point to open its row; a drag or the wheel zooms, a double click undoes."
    st.caption(f"All {len(row_ids):,} rows. {words}")


def _table(run: RunRecord, split: Split, gated: bool, wanted: RowFilter) -> None:
    from mdaf_core.analysis import rows

    with st.container(horizontal=True, vertical_alignment="bottom"):
        sorts = [s for s, (column, _) in SORTS.items() if gated or column != "g"]
        sort = st.selectbox("Order", sorts, key="order", width=200)
        st.text_input("Open row", key="row", bind="query-params", placeholder="number", width=120)
        count = st.container(width="stretch")
    column, descending = SORTS[sort]
    frame, total = rows.select_rows(run, split, wanted, sort=column, descending=descending)

    def chosen() -> None:
        rows = st.session_state["frame-gate-rows"].selection.rows
        if rows:
            st.session_state["row"] = str(frame["row_id"][rows[0]])

    words = f"{total:,} rows" + (f", the first {len(frame):,} are listed" if len(frame) < total else "")
    count.caption(words + (" · inside the box of the scatter" if wanted.within else ""))
    if frame.is_empty():
        st.info("No row passes these filters: widen them.", icon=":material/info:")
        return
    shared.show_table(
        frame, "gate-rows", height=320, column_config=COLUMNS, on_select=chosen, selection_mode="single-row"
    )


# ---- one row ---------------------------------------------------------------------------------------------------------


@st.cache_data(show_spinner="Asking the model…", max_entries=64)
def _read_story(run_id: str, ended: float | None, split: Split, row: int) -> RowStory:
    from mdaf_core.analysis.story import row_story
    from mdaf_core.runs.tracking import get_run

    return row_story(get_run(run_id), split, row)


def _story(run: RunRecord, split: Split, row: int) -> None:
    from mdaf_core.analysis.story import sentences

    story = _read_story(run.run_id, run.ended, split, row)
    with st.container(border=True, key="story"):
        first = story.history[0] if story.history else None
        by = "Order"
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            shared.section(f"Row {story.row_id}")
            if first is not None and first.effect_probability is not None and first.seconds_before is not None:
                by = st.segmented_control(
                    "Events by", ["Time", "Order"], default="Time", required=True, key="strip", width="content",
                    label_visibility="collapsed",
                )  # fmt: skip
        words = {"user": story.user, "time": story.when, **story.fields}
        st.markdown(
            " · ".join(f":gray[{shared.plain(field_word(k))}] {shared.plain(str(v))}" for k, v in words.items() if v)
        )
        st.markdown(shared.plain(" ".join(sentences(story))))
        _numbers(story)
        left, right = st.columns(2, gap="medium")
        if first is not None and first.effect_probability is not None:
            with left:
                chart, data = gate_charts.occlusion(story, over_time=by == "Time")
                shared.show_chart(
                    chart, f"row-{row}-history", data, title="Which events mattered",
                    help="The prediction minus that without the event, newest event on the right.",
                )  # fmt: skip
        if story.what_if:
            chart, data = gate_charts.response(story)
            with right:
                shared.show_chart(
                    chart, f"row-{row}-response", data, title="What if g were different",
                    help="The prediction of this row for every g, the rest of the model as trained; beyond the values "
                    "that g takes, the head extrapolates.",
                )  # fmt: skip
        _history(story)
        for note in story.notes:
            st.caption(shared.plain(note))


def _numbers(story: RowStory) -> None:
    truth = story.true_probability
    extrapolated = " (extrapolated)" if story.branch_loss is False else ""
    values: dict[str, Any] = {
        "Label": f"{story.label}",
        "Probability": f"{story.probability:.4f}",
        "True probability": None if truth is None else f"{truth:.4f}",
        "g": None if story.g is None else f"{story.g:.4f}",
        "Static part": None if story.contribution_static is None else f"{story.contribution_static:+.3f}",
        "Sequential part": None if story.contribution_sequential is None else f"{story.contribution_sequential:+.3f}",
        f"Static logit{extrapolated}": None if story.logit_static is None else f"{story.logit_static:.3f}",
        f"Sequential logit{extrapolated}": None if story.logit_sequential is None else f"{story.logit_sequential:.3f}",
    }
    with st.container(horizontal=True, gap="medium"):
        for label, value in values.items():
            if value is not None:
                st.metric(label, value, width="content", help=f"1: {story.label_meaning}" if label == "Label" else None)


def _history(story: RowStory) -> None:
    if not story.history:
        st.caption("This row has no history: nothing of this user is earlier.")
        return
    shared.show_table(
        gate_charts.history(story), "story-history", height="auto" if len(story.history) < 8 else 300, column_config={
            "place": st.column_config.NumberColumn("Before", help="1 is the newest event.", format="%d"),
            "when": "Time", "same": "Same as the row",
            "effect_probability": st.column_config.NumberColumn("Effect on probability", format="%+.4f"),
            "effect_logit": st.column_config.NumberColumn("Effect on logit", format="%+.4f"),
            "effect_g": st.column_config.NumberColumn("Effect on g", format="%+.4f"),
        },
    )  # fmt: skip
    if story.history_recorded > len(story.history):
        st.caption(f"The newest {len(story.history)} of {story.history_recorded} events; the model reads no more.")
