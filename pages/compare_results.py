"""Compare's results: the table of a comparison, its leaderboard and its differences, and which may be the best."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import polars as pl
import streamlit as st

from mdaf_core.analysis.compared import StudyComparison
from mdaf_core.data.store.schema import Split
from mdaf_core.metrics import registry
from mdaf_core.reporting import captions
from mdaf_core.reporting.theme import FAINT_TEXT
from mdaf_core.reporting.topics.comparison import frames
from mdaf_core.runs.tracking import RunRecord
from mdaf_core.studies.results import best_of
from mdaf_core.studies.store import Study
from pages import shared
from pages.compare_views import SPLITS

if TYPE_CHECKING:
    import pandas as pd


LONG_VERDICT = 14  # characters; longer ones need a wide column
SORTS = {"mean": "Best mean first", "difference": "Difference", "sd": "Spread over seeds", "name": "Name"}


def draw(comparison: StudyComparison, said: Sequence[str]) -> None:
    """The table, the leaderboard, the differences, tests over seeds alone, and what to know. `said`: what is above."""
    from mdaf_core.reporting.topics.comparison import charts, frames
    from mdaf_core.reporting.topics.comparison.figures import comparison_chart

    metric = comparison.metric
    st.caption(shared.plain(frames.comparison_basis(comparison)))
    whole = comparison
    comparison = _arranged(whole)
    table = frames.comparison_table(comparison).with_columns(Run=_links(comparison))
    seeds = frames.comparison_seeds(comparison) if st.session_state.get("members") else None
    if seeds is not None:
        table = table.hstack(seeds)
    shared.show_table(
        _styled(table.to_pandas(), comparison),
        "comparison",
        column_config=_columns(comparison, metric)
        | {name: st.column_config.NumberColumn(format="%.4f") for name in (seeds.columns if seeds is not None else ())},
    )
    if len(comparison.configurations) < len(whole.configurations):
        hidden = len(whole.configurations) - len(comparison.configurations)
        st.caption(
            f"{hidden} hidden by the filter; p values are adjusted over all {whole.tests} comparisons all the same. "
            "Which are shown was chosen after results were seen."
        )
    frame = comparison.frame()
    left, right = st.columns(2, gap="medium")
    title = registry.metric(metric).title
    what = f"{title}, {SPLITS[comparison.split].lower()} rows"
    with left:
        shared.show_chart(
            charts.leaderboard(frame, frames.comparison_members(comparison), x_title=what),
            "leaderboard", frame, title=what,
            help="Dot: mean over seeds. Line: its 95% interval over other seeds and other users (rows, where there "
                 "are none); none with one seed. Ticks: single seeds. Diamond: the reference.",
        )  # fmt: skip
    with right:
        if frame["difference_bp"].is_null().all():
            st.info("Nothing to compare with the reference yet.", icon=":material/info:")
        else:
            shared.show_chart(
                comparison_chart(comparison, "differences"), "differences", frame,
                title=f"Difference to {shared.plain(comparison.reference)}",
                help=f"Mean of the differences paired by seed. {captions.of_differences(comparison)} "
                     "Band: the margin of parity. Faint: smaller than the noise floor, the spread over seeds.",
            )  # fmt: skip
    _over_seeds(comparison)
    known = (captions.of_differences(comparison), *frames.comparison_notes(comparison))
    notes = [note for note in known if note and note not in said]
    if notes:
        st.markdown("**What to know**")
        st.markdown("\n".join(f"- {shared.plain(note)}" for note in notes))


def _links(comparison: StudyComparison) -> pl.Series:
    """The page of a run of each configuration, that of its first seed; it links to its other seeds."""
    first = [next(iter(c.run_ids.values()), None) for c in comparison.configurations]
    return pl.Series([None if one is None else f"run?run={one}" for one in first], dtype=pl.String)


def _arranged(comparison: StudyComparison) -> StudyComparison:
    """The comparison sorted and filtered as the reader asks; the choices live in the link."""
    words = list(dict.fromkeys(c.verdict for c in comparison.configurations if c.verdict != "reference"))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        order = st.selectbox("Sort", list(SORTS), format_func=SORTS.get, key="sort", bind="query-params", width=190)
        find = st.text_input("Name contains", key="find", bind="query-params", width=190, placeholder="any")
        chosen = []
        if len(words) > 1 or st.session_state.get("verdicts"):
            chosen = st.pills(
                "Verdict", words, selection_mode="multi", key="verdicts", bind="query-params", width="content",
                help="Only these; the reference always stays. None chosen: all.",
            )  # fmt: skip
        st.toggle("Each seed", key="members", bind="query-params", help="A column for each seed's value.")
    return frames.arranged(comparison, order, find or "", chosen)


def _over_seeds(comparison: StudyComparison) -> None:
    table, sentences = frames.over_seeds(comparison)
    if table.is_empty():
        return
    with st.expander("Tests over seeds alone"):
        st.caption(
            "They take these rows as given: other seeds, not other users. Student's t assumes differences that are "
            "normal over seeds; Wilcoxon's signed-rank test only that they are symmetric. Verdicts are of seeds "
            "and users together."
        )
        p = [column for column in table.columns if column.endswith(", p")]
        signed = st.column_config.NumberColumn(format="%+.1f")
        shared.show_table(
            table.to_pandas().style.format(shared.fmt_p, subset=p),
            "over-seeds",
            column_config=dict.fromkeys((c for c in table.columns[2:] if c not in p), signed),
        )
        for sentence in sentences:
            st.caption(shared.sentence(sentence))


def _styled(table: pd.DataFrame, comparison: StudyComparison) -> Any:
    """The table with rows whose difference is under the noise floor in grey, and p values as they are printed."""
    grey = f"color: {FAINT_TEXT.get(st.context.theme.type or 'light', FAINT_TEXT['light'])}"
    below = [c.below_noise_floor is True for c in comparison.configurations]

    style = table.style.format(shared.fmt_p, subset=["p", "p of parity"])
    texts = [name for name in table.columns if name != "Run"]  # of a sign; a colour would take its font away
    return style.apply(lambda row: [grey if below[row.name] else ""] * len(row), axis=1, subset=texts)


def _columns(comparison: StudyComparison, metric: str) -> dict[str, Any]:
    number = st.column_config.NumberColumn
    interval = captions.of_differences(comparison)
    title = registry.metric(metric).title
    return {
        "Configuration": st.column_config.TextColumn(pinned=bool(st.session_state.get("members"))),
        "Run": st.column_config.LinkColumn(
            display_text=":material/open_in_new:",
            width="small",
            help="Its run with the first seed, which links to those with the others.",
        ),
        "Seeds": number(help="Finished seeds; a repeated seed counts once.", width="small"),
        "Mean": number(f"{title}, mean", format="%.4f", help="Over seeds, best epoch's weights."),
        "± 95%": number(
            format="%.4f",
            help="Half the width of the mean's 95% interval over other seeds and other users (rows, where there are "
            "none) at once; a dash where one of both is not known.",
        ),
        "Sd over seeds": number(format="%.4f", help="Standard deviation over seeds alone: it says nothing of users."),
        "Δ, bp": number(format="%+.1f", help=f"Minus {comparison.reference}, paired by seed."),
        "Low, bp": number(format="%+.1f", help=interval),
        "High, bp": number(format="%+.1f", help=interval),
        "p": number(help=f"Against no difference; Holm over {comparison.tests} comparisons."),
        "p of parity": number(help=f"Two one-sided tests against {comparison.margin_words}; Holm-adjusted."),
        "Verdict": st.column_config.TextColumn(
            help="From the adjusted tests alone, at 5%. 'Not shown' is not 'the same': that is parity. 'Interim': "
            "planned seeds are missing.",
            width="medium" if max(map(len, frames.comparison_table(comparison)["Verdict"])) > LONG_VERDICT else None,
        ),
    }


BEST_HELP = (
    "The configuration with the best mean was picked by its figures. With 95% confidence the best one, for other seeds "
    "and other users, is among those marked; p is against being the best and counts how many were compared."
)


def best(study: Study, runs: Sequence[RunRecord], split: Split, metric: str) -> None:
    """Which configurations may be the best."""
    from mdaf_core.reporting.topics.comparison.best import best_frame, best_note

    with shared.guard():
        found = best_of(study, runs, split=split, metric=metric)
        if not found.candidates:
            return
        number = st.column_config.NumberColumn
        shared.show_table(
            best_frame(found).to_pandas().style.format(shared.fmt_p, subset=["p"]),
            "best",
            title="Which may be the best",
            help=BEST_HELP,
            column_config={
                "Mean": number(format="%.4f", help="Over the seeds that all have."),
                "Behind, bp": number(format="%.1f", help="Of the best mean."),
                "p": number(help=f"Below {found.alpha:.2g}: another configuration is shown to be better."),
            },
        )
        st.caption(shared.plain(f"{found.sentence} {best_note(found)}"))
