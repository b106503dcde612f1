"""Tuning before the study: budget, what is tried, and the button. Part of the Launch page."""

from __future__ import annotations

import time
from collections.abc import Sequence

import streamlit as st

from mdaf_core.base.errors import StudioError, UsageError
from mdaf_core.base.words import plural
from mdaf_core.models.space import Space
from mdaf_core.runs.config import RunConfig
from mdaf_core.studies.definitions import definition_names, get_definition
from mdaf_core.studies.tuning import begin, spaces
from pages import shared
from pages.fields import anew, place
from pages.study_plan import Chosen
from serving.whole import whole

HOW = {"fixed": "As they are", "tuned": "Tuned first"}
HELP = (
    "Tuned first: every configuration gets the same number of trials (or the same time), the best on validation is "
    "taken, and only then the study is run, with these winners on seeds that tuning never saw. Only its runs enter "
    "verdicts."
)
SYNTAX = "A range `0..0.5`, `1e-4..1e-2 log`, `1..4 whole`, or values `8, 16, 32`. Empty: it stays as it is."


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
    found = _spaces(configs, obstacles)
    for obstacle in obstacles:
        st.warning(shared.plain(obstacle), icon=":material/warning:")
    count = f"{plural(len(configs), 'configuration')} × {plural(trials, 'trial')}"
    st.button(
        f"Tune {count}", type="primary", icon=":material/tune:", key="tune", disabled=bool(obstacles), on_click=_begin,
        args=(dataset, definition, configs, found, trials, budget, seed, prune, title, seeds, reference,
              acknowledged, plan),
    )  # fmt: skip
    st.caption(f"Then {len(configs)} winners × {len(seeds)} seeds, as a study of their own.")
    if refusal := st.session_state.pop("launch_refused", None):
        st.error(shared.plain(refusal), icon=":material/error:")
    st.page_link("pages/tuning.py", label="Earlier searches", icon=":material/arrow_forward:")


def _spaces(configs: Sequence[RunConfig], obstacles: list[str]) -> list[Space]:
    """What is tried, of all configurations or of one: a box a setting, and further settings to choose from."""
    typed, names = _typed(), [spaces.ALL, *(config.name for config in configs)]
    with st.expander("What is tried", expanded=False):
        scope = st.selectbox("Of", names, key="plan_space_scope") if len(configs) > 1 else names[1]
        st.caption(SYNTAX)
        shown = spaces.rows(configs, typed, scope)
        for i, row in enumerate(shown):
            if i % 2 == 0:
                columns = st.columns(2)
            with columns[i % 2]:
                _box(scope, row)
        left, right = st.columns(2, vertical_alignment="bottom")
        further = spaces.further(configs, typed, scope)
        name = place(f"plan_space_add-{scope}")
        left.selectbox(
            "Try another setting", list(further), None, key=name, placeholder="Choose", on_change=_add,
            args=(scope, name, further),
        )  # fmt: skip
        if typed.get(scope):
            right.button(
                "Undo all changes here", on_click=_undo, args=(scope,), icon=":material/undo:", key="undo-space"
            )
    marked = sum(bool(row.refused) for row in shown)
    if marked:
        obstacles.append(f"Correct what is tried: {marked} of the boxes {'is' if marked == 1 else 'are'} marked red.")
    for other in names:
        refused = [] if other == scope else [row.refused for row in spaces.rows(configs, typed, other)]
        obstacles += [f"{other}: {said}" for said in refused if said]
    try:
        found = spaces.spaces_of(configs, spaces.changes(configs, typed))
        for config, space in zip(configs, found, strict=True):
            spaces.check_space(config, space)
    except UsageError as error:
        if not marked and not any(str(error) in one for one in obstacles):
            obstacles.append(str(error))
        return []
    return found


def _typed() -> dict[str, dict[str, str]]:
    """Scope → path → what was typed. Kept while the session lasts."""
    found: dict[str, dict[str, str]] = st.session_state.setdefault("plan_spaces", {})
    return found


def _box(scope: str, row: spaces.Row) -> None:
    name = f"plan_space-{scope}-{row.path}"
    key = place(name)
    if key in st.session_state and st.session_state[key] != row.text:  # changed elsewhere: in all of them, or undone
        anew(name)
        key = place(name)
    mark = ":red[{}] :material/error:" if row.refused else ":blue[{}] :material/edit:" if row.changed else "{}"
    st.text_input(
        mark.format(row.path), row.text, key=key, placeholder=row.hint, on_change=_change, args=(scope, row.path, key)
    )
    if row.refused:
        st.caption(f":red[{shared.plain(row.refused)}]")


def _change(scope: str, path: str, key: str) -> None:
    _typed().setdefault(scope, {})[path] = st.session_state[key]


def _add(scope: str, key: str, further: dict[str, str]) -> None:
    if path := st.session_state[key]:
        _typed().setdefault(scope, {})[path] = further[path]
        anew(f"plan_space_add-{scope}")


def _undo(scope: str) -> None:
    _typed().pop(scope, None)


@whole
def _begin(
    dataset: str, definition: str, configs: Sequence[RunConfig], searched: Sequence[Space], trials: int, budget: str,
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
            spaces=searched,
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
