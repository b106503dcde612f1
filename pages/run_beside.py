"""Run's view of another run beside it: why do their figures differ?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from mdaf_core.base.errors import StudioError
from pages import beside, shared
from pages.compare_views import SPLITS

if TYPE_CHECKING:
    from mdaf_core.analysis.two_runs import Differs, MetricDifference
    from mdaf_core.runs.tracking import RunRecord

HELP = (
    "What differs of data, settings, seed, code and machine, and what came of it. First come runs on the same data of "
    "the same configuration with the same seed, the newest before others."
)
TITLES = {"data": "Data", "settings": "Setting", "seed": "Seed", "code": "Code", "machine": "Machine"}
LONGEST = 60  # characters of an option


def draw(run: RunRecord) -> None:
    """The choice, then the differences of the two; nothing where there is no other run."""
    from mdaf_core.analysis import two_runs
    from mdaf_core.runs import tracking

    near = {one.run_id: one for one in two_runs.nearest(run, tracking.list_runs())}
    named = st.query_params.get("with")
    if named and named not in near:  # of a link: one that is not among the likeliest
        try:
            near[named] = tracking.get_run(named)
        except StudioError as gone:
            st.warning(shared.plain(str(gone)), icon=":material/info:")
    if not near:
        return
    shared.section("Beside another run", help=HELP)
    titles = _studies()
    chosen = beside.choose_one(
        "Another run", "with", {id: _label(one, titles) for id, one in near.items()},
        placeholder="Choose a run: why do their figures differ?",
    )  # fmt: skip
    if chosen is None:
        return
    other = near[chosen]
    with shared.guard():
        found = two_runs.differences(run, other)
        st.markdown(f"**{two_runs.said(found)}** [The other run](run?run={other.run_id})")
        left, right = st.columns([4, 5], gap="medium")
        with left:
            if found:
                _differences(found)
        with right, st.spinner("Reading both runs' predictions, the first time"):
            _metrics(two_runs.metric_differences(run, other))
        st.code(f"python -m mdaf_core run diff {run.run_id[:8]} {other.run_id[:8]}", language="sh", wrap_lines=True)


def _studies() -> dict[str, str]:
    from mdaf_core.studies.store import list_studies

    return {study.id: study.title for study in list_studies()}


def _label(run: RunRecord, titles: dict[str, str]) -> str:
    study = titles.get(run.study, run.study)
    study = study if len(study) <= LONGEST else f"{study[: LONGEST - 1]}…"
    return f"{run.configuration}, seed {run.seed} · {study} · {shared.fmt_when(run.started)}"


def _differences(found: list[Differs]) -> None:
    import pandas as pd

    def word(value: Any) -> str:
        return shared.MISSING if value is None else str(value)

    shared.show_table(
        pd.DataFrame(
            {
                "Of": [TITLES[one.part] for one in found],
                "What": [one.what for one in found],
                "This run": [word(one.this) for one in found],
                "Other run": [word(one.other) for one in found],
            }
        ),
        "run-differs",
        title="What differs",
        help="A dash: it has no such thing, or that was not recorded.",
    )


def _metrics(found: list[MetricDifference]) -> None:
    import pandas as pd

    if not found:
        st.caption("Metrics stand beside each other when both runs have finished.")
        return
    estimates = [one.difference for one in found]
    number, signed = (st.column_config.NumberColumn(format=form) for form in ("%.4f", "%+.4f"))
    shared.show_table(
        pd.DataFrame(
            {
                "Rows": [SPLITS[one.split] for one in found],
                "Metric": [one.title for one in found],
                "This run": [one.this for one in found],
                "Other run": [one.other for one in found],
                "Difference": [e.estimate if e else None for e in estimates],
                "Low": [e.low if e else None for e in estimates],
                "High": [e.high if e else None for e in estimates],
            }
        ),
        "run-differences",
        title="What came of it",
        help="This run minus the other, on the same rows, with the 95% interval.",
        column_config={"This run": number, "Other run": number, "Difference": signed, "Low": signed, "High": signed},
    )
    covers = sorted({e.covers for e in estimates if e})
    words = [f"Intervals cover {'; '.join(covers)}: other seeds would give other differences."] if covers else []
    for sentence in dict.fromkeys([*words, *(one.missing for one in found if one.missing)]):
        st.caption(shared.plain(sentence))
