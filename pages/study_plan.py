"""What a study plans to compare: the choices before launch, what is said of them later, and adding seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import streamlit as st

from mdaf_core.base import rights
from mdaf_core.base.errors import StudioError
from mdaf_core.metrics.registry import in_bp, named, titles
from pages import shared
from pages.compare_views import SPLITS

if TYPE_CHECKING:
    from mdaf_core.analysis.margins import Margin, Proposal
    from mdaf_core.analysis.sequential import UntilDecided
    from mdaf_core.data.store.dataset import PreparedDataset
    from mdaf_core.data.store.schema import Split
    from mdaf_core.runs.config import RunConfig
    from mdaf_core.studies.store import Study

PLAN_HELP = (
    "Stored with the study before any result. Verdicts hold at 5% for what is planned here; whatever else is shown "
    "later (another metric, other rows, another margin or reference, added seeds) is marked as chosen after results "
    "were seen."
)


def margin_help() -> str:
    """What a margin may be, of which metric."""
    without = named(lambda metric: metric.gain is None, "and")
    return (
        f"What counts as parity. A number of bp (20) of {named(in_bp)}, 1 bp = 0.0001; or a share of what the "
        f"reference gains over the base rate (1%), for every metric but {without}. Empty: parity is not tested."
    )


class Chosen(NamedTuple):
    """The plan as the form has it; `problem` says what is wrong with it."""

    metric: str
    split: Split
    margin: Margin | None
    problem: str | None


def plan_form(dataset: PreparedDataset, reference: RunConfig | None) -> Chosen:
    """Primary metric, rows and margin; a margin is proposed with its reasons, and taken only by a click."""
    from mdaf_core.analysis.margins import AT_LAUNCH, PROPOSED, check_margin, parse_margin
    from mdaf_core.runs import tracking

    st.markdown("**Plan of the comparison**", help=PLAN_HELP)
    columns = st.columns(3, vertical_alignment="bottom")
    metric = columns[0].selectbox("Primary metric", list(titles()), format_func=titles().get, key="plan_metric")
    split = columns[1].selectbox("Rows", list(SPLITS), format_func=SPLITS.get, key="plan_split")
    proposal = _proposal(dataset.name, reference.preset, metric, split, tracking.store_version()) if reference else None
    proposed = proposal.margin if proposal else None
    text = columns[2].text_input("Margin", key="plan_margin", help=margin_help(), placeholder="none: parity not tested")
    if proposal:
        st.caption(shared.sentence(proposal.sentence))
    if proposed and not text.strip():

        def take(value: str) -> None:
            st.session_state["plan_margin"] = value

        st.button(f"Take ± {proposed.text} as the margin", key="take-margin", on_click=take, args=(proposed.text,),
                  icon=":material/check:", type="tertiary")  # fmt: skip
    try:
        margin = parse_margin(text, AT_LAUNCH)
        check_margin(margin, metric)
    except StudioError as error:
        return Chosen(metric, split, None, str(error))
    if margin and margin.same(proposed):
        margin = margin.model_copy(update={"origin": PROPOSED})
    return Chosen(metric, split, margin, None)


@st.cache_data(show_spinner=False, max_entries=32)
def _proposal(dataset: str, preset: str, metric: str, split: Split, version: tuple[Any, ...]) -> Proposal:
    """`propose_margin`; reading what runs have found takes long where there are many."""
    from mdaf_core.data.store.dataset import PreparedDataset
    from mdaf_core.runs.presets import get_preset
    from mdaf_core.studies import launch

    return launch.propose_margin(PreparedDataset.open(dataset), get_preset(preset), metric, split)


UNTIL_HELP = (
    "These seeds: every configuration is trained with each, and verdicts are given when all have finished. Until "
    "decided: all begin with three; after each further one those stop whose verdict is given, or that further seeds "
    "cannot decide. Verdicts keep their 5% although one looks after every seed; a difference that is small beside the "
    "spread over seeds takes more of them to be shown."
)


def until_form() -> UntilDecided | None:
    """Fixed seeds, or seeds until decided and how many at most."""
    from mdaf_core.analysis.sequential import MOST_SEEDS, UntilDecided

    how, most = st.columns([3, 2], vertical_alignment="bottom")
    chosen = how.segmented_control(
        "How many", ["fixed", "decided"], default="fixed", required=True, key="plan_until", help=UNTIL_HELP,
        format_func={"fixed": "These seeds", "decided": "Until decided"}.get,
    )  # fmt: skip
    if chosen != "decided":
        return None
    return UntilDecided(most=most.number_input("Seeds at most", 3, MOST_SEEDS, 20, key="plan_most_seeds"))


def until_words(until: UntilDecided, seeds: list[int]) -> None:
    """Which seeds are trained first, and which may follow."""
    first, later = ", ".join(map(str, seeds[: until.first])), seeds[until.first :]
    more = f"; then one at a time up to {later[-1]}, where the verdict is open" if later else ""
    st.caption(f"Each configuration begins with seeds {first}{more}.")


def more_seeds(study: Study, broken: int) -> None:
    """Add seeds to a study, or go on without the runs that failed; what is done is recorded and said beside words."""
    from mdaf_core.studies import changing
    from mdaf_core.studies.seeds import parse_seeds

    def add() -> None:
        seeds = parse_seeds(st.session_state["added_seeds"])
        changing.extend(study.id, seeds)
        st.session_state["added_seeds"] = ""  # what was refused stays

    if not rights.may_change():
        return
    if study.plan is not None and study.plan.until is not None:
        _give_up(study, broken)
        return
    with st.popover("Add seeds", icon=":material/add:", type="tertiary"):
        st.caption(
            "Every configuration runs once more with each. It is recorded when they were added and whether results had "
            "been seen, and said beside every verdict."
        )
        st.text_input("Seeds to add", key="added_seeds", placeholder="47, 48")
        st.button(
            "Add them",
            key="add-seeds",
            on_click=shared.act,
            args=(add,),
            disabled=not st.session_state.get("added_seeds"),
        )
    _give_up(study, broken)


def _give_up(study: Study, broken: int) -> None:
    from mdaf_core.studies import changing, until

    def give_up() -> None:
        changing.give_up(study.id)
        until.go_on(study.id)

    if broken:
        with st.popover("Go on without the failed runs", icon=":material/skip_next:", type="tertiary"):
            st.caption(
                "Verdicts wait for all planned seeds. Failed runs can be retried on Jobs. Given up, they are left out "
                "for good; every verdict of their configurations then says so."
            )
            st.button("Give them up", key="give-up", on_click=shared.act, args=(give_up,))


def words(study: Study) -> str:
    """The plan as a sentence."""
    from mdaf_core.analysis.plan import NO_PLAN

    return f"Planned: {study.plan.words}." if study.plan else f"{NO_PLAN[0].upper()}{NO_PLAN[1:]}."
