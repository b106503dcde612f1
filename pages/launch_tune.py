"""Tuning before the study: budget, what is tried, and the button. Part of the Launch page."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from mdaf_core.base.errors import StudioError, UsageError
from mdaf_core.studies.definitions import definition_names, get_definition
from mdaf_core.studies.tuning import begin
from pages import shared

if TYPE_CHECKING:
    from mdaf_core.models.space import Space
    from mdaf_core.runs.config import RunConfig
    from pages.study_plan import Chosen

HOW = {"fixed": "As they are", "tuned": "Tuned first"}
HELP = (
    "Tuned first: every configuration gets the same number of trials (or the same time), the best on validation is "
    "taken, and only then the study is run, with these winners on seeds that tuning never saw. Only its runs enter "
    "verdicts."
)
SPACE_HELP = "A range (0..0.5, 1e-4..1e-2 log, 7..255 whole) or values (8, 16, 32). Empty: stays as it is."


def asked() -> bool:
    """Whether settings are to be tuned before the study."""
    chosen = st.segmented_control(
        "Settings", list(HOW), default="fixed", required=True, key="plan_tune", format_func=HOW.get, help=HELP
    )
    return bool(chosen == "tuned")


def draw(
    dataset: str, definition: str, configs: Sequence[RunConfig], reference: str, title: str, seeds: list[int],
    acknowledged: list[str], plan: Chosen, obstacles: list[str],
) -> None:  # fmt: skip
    """The rest of the form, and the button, locked while there are obstacles."""
    left, middle, right = st.columns(3, vertical_alignment="bottom")
    trials = left.number_input("Trials of each", 1, begin.MOST_TRIALS, 20, key="plan_trials")
    budget = middle.text_input(
        "Time of each", key="plan_budget", placeholder="no limit",
        help="Of training, such as 30m or 2h. Once it is spent no further trial of that configuration is begun.",
    )  # fmt: skip
    seed = right.number_input(
        "Seed of trials",
        0,
        2**32 - 1,
        1,
        key="plan_tuning_seed",
        help="Not one of the seeds above: winners are new to those.",
    )
    prune = st.checkbox(
        "Stop trials early that are below the median", key="plan_prune",
        help="Of the best validation figures of the trials before, from the sixth trial and the third epoch on. They "
        "count as trials, and never win.",
    )  # fmt: skip
    spaces = _spaces(configs, obstacles)
    for obstacle in obstacles:
        st.warning(shared.plain(obstacle), icon=":material/warning:")
    count = (
        f"{len(configs)} configuration{'' if len(configs) == 1 else 's'} × {trials} trial{'' if trials == 1 else 's'}"
    )
    st.button(
        f"Tune {count}", type="primary", icon=":material/tune:", key="tune", disabled=bool(obstacles), on_click=_begin,
        args=(dataset, definition, configs, spaces, trials, budget, seed, prune, title, seeds, reference,
              acknowledged, plan),
    )  # fmt: skip
    st.caption(f"Then {len(configs)} winners × {len(seeds)} seeds, as a study of their own.")
    if refusal := st.session_state.pop("launch_refused", None):
        st.error(shared.plain(refusal), icon=":material/error:")
    st.page_link("pages/tuning.py", label="Earlier searches", icon=":material/arrow_forward:")


def _spaces(configs: Sequence[RunConfig], obstacles: list[str]) -> list[Space]:
    """What is tried, one box a setting, for all configurations that have it."""
    usual: dict[str, str] = {}
    for config in configs:
        for path, values in config.space().items():
            usual.setdefault(path, values.words)
    changes = []
    with st.expander(f"What is tried: {len(usual)} settings", expanded=False):
        for i, (path, words) in enumerate(usual.items()):
            if i % 2 == 0:
                columns = st.columns(2)
            text = columns[i % 2].text_input(path, words, key=f"plan_space-{path}", help=SPACE_HELP)
            if text.strip() != words:
                changes.append(f"{path}={text}")
        more = st.text_input(
            "Further settings", key="plan_space_more", help="As KEY=RANGE, with a semicolon between them.",
            placeholder="model.cross_layers=1,2,3; training.patience=2..8 whole",
        )  # fmt: skip
        changes += [part for part in more.split(";") if part.strip()]
    try:
        spaces = begin.spaces_of(configs, changes)
        for config, space in zip(configs, spaces, strict=True):
            begin.check_space(config, space)
    except UsageError as error:
        obstacles.append(str(error))
        return []
    return spaces


def _begin(
    dataset: str, definition: str, configs: Sequence[RunConfig], spaces: Sequence[Space], trials: int, budget: str,
    seed: int, prune: bool, title: str, seeds: list[int], reference: str, acknowledged: list[str], plan: Chosen,
) -> None:  # fmt: skip
    if time.monotonic() - st.session_state.get("launched", -60.0) < 3:  # a double click is one search
        return
    st.session_state["launched"] = time.monotonic()
    known = get_definition(definition) if definition in definition_names() else None
    whole = known is not None and [config.name for config in configs] == list(known.presets)
    try:
        one = begin.begin(
            definition=definition if whole else "own",
            dataset=dataset,
            configs=configs,
            spaces=spaces,
            trials=trials,
            budget=begin.parse_budget(budget) if budget.strip() else None,
            seed=seed,
            prune=prune,
            title=title,
            acknowledged=acknowledged,
            seeds=seeds,
            reference=reference,
            metric=plan.metric,
            split=plan.split,
            margin=plan.margin,
            criteria=known.criteria if known else (),
        )
    except StudioError as error:
        st.session_state["launch_refused"] = str(error)
    else:
        st.session_state["begun_search"] = one.id
