"""Launch: what do I run?"""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from typing import Any

import streamlit as st

from mdaf_core.analysis.sequential import UntilDecided
from mdaf_core.base.errors import StudioError, UsageError
from mdaf_core.data.audit.report import stored_audit
from mdaf_core.data.store.dataset import PreparedDataset, list_datasets
from mdaf_core.data.store.schema import LONGEST_HISTORY
from mdaf_core.models.registry import plugged
from mdaf_core.runs.config import RunConfig
from mdaf_core.runs.presets import describe, get_preset, preset_names
from mdaf_core.studies import definitions, launch, suitable
from mdaf_core.studies.definitions import Definition, configurations, definition_names, get_definition
from mdaf_core.studies.estimate import known_costs, settled
from mdaf_core.studies.histories import length_word, parse_lengths
from mdaf_core.studies.seeds import parse_seeds, seeds_to_try
from mdaf_core.studies.settings_form import apply
from mdaf_core.studies.store import new_group
from mdaf_core.testing.report import kept
from pages import access, launch_cost, launch_form, launch_starts, launch_tune, shared, study_plan
from pages.study_plan import Chosen, plan_form
from serving.whole import whole

OWN = "own"
POLL_SECONDS = 1.0
SEEDS_HELP = (
    "Each configuration runs once with each. One seed shows no variance; three or more let differences be judged."
)


def main() -> None:
    if study_id := st.session_state.pop("launched_study", None):
        st.switch_page("pages/overview.py", query_params={"study": study_id})
    if search_id := st.session_state.pop("begun_search", None):
        st.switch_page("pages/tuning.py", query_params={"search": search_id})
    shared.header("Launch", "What do I run?")
    if access.only_owners("Launching is"):
        return
    with shared.guard():
        source = launch_starts.cloned()
        left, right = st.columns([5, 4], gap="large")
        with left:
            name = shared.dataset_picker()
            if name is None:
                return
            shared.warm()
            dataset = PreparedDataset.open(name)
            acknowledged = _audit(dataset)
            definition, starts, reference = launch_starts.copied(dataset, source) if source else _selection(dataset)
            if not starts:
                st.info("Choose at least one configuration.", icon=":material/info:")
                return
            _examinations(starts)
            configs, obstacles = _settings(starts)
        with right:
            _summary(dataset, definition, configs, reference, acknowledged, obstacles)


def _audit(dataset: PreparedDataset) -> list[str] | None:
    """Show the audit; ids of failed checks that were acknowledged, or None while one is not."""
    audit = stored_audit(dataset)
    failed, warned = audit.with_status("fail"), audit.with_status("warn")
    noun = "warning" if len(warned) == 1 else "warnings"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(
            f"Audit: {len(audit.with_status('pass'))} passed, {len(warned)} {noun}, **{len(failed)} failed**",
            width="content",
        )
        st.page_link("pages/data.py", label="See the checks", query_params={"dataset": dataset.name})
    accepted = []
    for check in failed:
        st.error(f"**{shared.plain(check.title)}** {shared.sentence(check.sentence)}", icon=":material/error:")
        if st.checkbox(f"I accept `{check.id}`; it is recorded on every run", key=f"accept-{dataset.name}-{check.id}"):
            accepted.append(check.id)
    return accepted if len(accepted) == len(failed) else None


def _selection(dataset: PreparedDataset) -> tuple[str, list[RunConfig], str]:
    """Which study: definition, configurations before any change, reference."""
    name = st.selectbox("Study", [*definition_names(), OWN], key="definition", bind="query-params")
    definition = None if name == OWN else get_definition(name)
    st.caption(f"{definition.title}." if definition else "Configurations of your own choice.")
    possible = suitable.possible_presets(dataset, preset_names())
    if definition is not None and definition.factors:
        starts, _ = launch_starts.factorial(definition) if definition.presets[0] in possible else ([], None)
        return name, starts, starts[0].name if starts else ""
    wanted = [preset for preset in (definition.presets if definition else ()) if preset in possible]
    chosen = st.multiselect(
        "Configurations", possible, wanted, key=f"chosen-{name}-{dataset.name}", wrap=True,
        help="  \n".join(f"**{preset}**: {describe(preset)}" for preset in possible),
    )  # fmt: skip
    left_out = [preset for preset in preset_names() if preset not in possible]
    if left_out:
        st.caption(f"Not offered, because these data have no histories: {', '.join(left_out)}.")
    if not chosen:
        return name, [], ""
    if definition is None:
        starts = [get_preset(preset) for preset in chosen]
    else:
        starts = configurations(definition, chosen, **(_lengths(definition) if definition.histories else {}))
    if not starts:
        return name, [], ""
    usual = definitions.usual_reference(definition, starts).name if definition else starts[0].name
    names = [config.name for config in starts]
    reference = st.selectbox(
        "Reference", names, names.index(usual), key=f"reference-{name}",
        help="The configuration that all others are compared with.",
    )  # fmt: skip
    return name, starts, reference if reference in names else names[0]


def _examinations(starts: Sequence[RunConfig]) -> None:
    """What an examination found of the chosen models that come from plug-ins, or how to make one."""
    for kind, plugin in {kind: found for start in starts for kind, found in plugged(start.model).items()}.items():
        found, file = kept(plugin.digest, kind), shared.plain(plugin.file.name)
        if found is not None and found.passed:
            st.caption(f"`{kind}` of {file} was examined: all checks pass.")
            continue
        if found is not None:
            st.warning(
                f"`{kind}` of {file} fails {', '.join(found.failed)} of its examination.", icon=":material/labs:"
            )
        else:
            st.caption(f"`{kind}` of {file} was not examined as it is now. This does, in under a minute:")
        command = ["python", "-m", "mdaf_core", "check-model", str(plugin.file)]
        st.code(shlex.join(command), language="sh", wrap_lines=True)


def _lengths(definition: Definition) -> dict[str, Any]:
    """With which lengths of history each model is run."""
    left, right = st.columns(2)
    usual = ", ".join(length_word(length).replace(",", "") for length in definition.histories)
    text = left.text_input(
        "History lengths", usual, key=f"histories-{definition.name}",
        help="Newest events that a row reads; each model is run with each, and reads every event once where it can.",
    )  # fmt: skip
    windows = right.number_input(
        "Longest window", 1, LONGEST_HISTORY, definition.windows, key=f"windows-{definition.name}",
        help="Of models that read each row's own events anew (BST, DIN): time and memory grow with rows × events.",
    )  # fmt: skip
    return {"histories": parse_lengths(text), "windows": windows}


def _settings(starts: Sequence[RunConfig]) -> tuple[list[RunConfig], list[str]]:
    """The chosen configurations with the definition's and the reader's changes, the form to make them, and why some of
    them are not possible."""
    shared.section("Settings", help="Every setting starts at its preset. Changed ones are marked.")
    names = [start.name for start in starts]
    scope = st.selectbox("Change", [launch_form.ALL, *names], key="scope")
    configs: list[RunConfig] = []
    refused: dict[str, dict[str, str]] = {launch_form.ALL: {}}
    for start in starts:
        mine = launch_form.changes(start.name)
        config, sentences = apply(start, {**launch_form.changes(launch_form.ALL), **mine})
        configs.append(config)
        refused[start.name] = {path: said for path, said in sentences.items() if path in mine}
        refused[launch_form.ALL] |= {path: said for path, said in sentences.items() if path not in mine}
    own = scope != launch_form.ALL
    shown = configs[names.index(scope)] if own else apply(starts[0], launch_form.changes(scope))[0]
    with st.container(border=True):
        launch_form.form(scope, shown, refused[scope], training_only=not own)
    marked = "setting that is" if len(refused[scope]) == 1 else "settings that are"
    obstacles = [f"Correct the {marked} marked red."] if refused[scope] else []
    obstacles += [f"{name}: {said}" for name, found in refused.items() if name != scope for said in found.values()]
    return configs, obstacles


def _summary(
    dataset: PreparedDataset, definition: str, configs: list[RunConfig], reference: str, acknowledged: list[str] | None,
    obstacles: list[str],
) -> None:  # fmt: skip
    """What will run, what it costs, and the button, locked while there are obstacles."""
    shared.section("This study")
    tuned = launch_tune.asked()
    seeds_text = st.text_input("Seeds", "42, 43, 44", key="seeds_text", help=SEEDS_HELP)
    until = None if tuned else study_plan.until_form()
    title = st.text_input(
        "Title", "", max_chars=120, key="study_title", placeholder="Shown in lists; may be left empty"
    )
    try:
        seeds = parse_seeds(seeds_text)
        if until is not None:
            seeds = seeds_to_try(until, seeds)
            study_plan.until_words(until, seeds)
    except UsageError as error:
        seeds = []
        obstacles.append(str(error))
    if acknowledged is None:
        obstacles.append("The audit of this data set failed: accept each failed check by its name, or prepare it anew.")
    if until is not None and len(configs) < 2:
        obstacles.append("Seeds until decided takes a reference and a configuration to compare with it.")
    by_name = {config.name: config for config in configs}
    plan = plan_form(dataset, by_name.get(reference))
    if plan.problem:
        obstacles.append(plan.problem)
    if tuned:
        launch_tune.draw(
            dataset.name, definition, configs, reference, title, seeds, acknowledged or [], plan, obstacles
        )
        return
    also = _also(dataset.name, configs, obstacles)
    at_first = len(seeds[: until.first] if until else seeds)
    runs = len(configs) * at_first
    counted = settled(configs, dataset, known_costs(configs, dataset, runs), runs)
    st.fragment(launch_cost.costs, run_every=None if counted else POLL_SECONDS)(dataset, configs, at_first, counted)
    for obstacle in obstacles:
        st.warning(shared.plain(obstacle), icon=":material/warning:")
    every = runs * (1 + len(also))
    st.button(
        f"Launch {every} {'run' if every == 1 else 'runs'}", type="primary", icon=":material/rocket_launch:",
        disabled=bool(obstacles) or not runs, key="launch", on_click=_launch,
        args=(dataset, definition, configs, seeds, reference, title, acknowledged or [], plan, until, also),
    )  # fmt: skip
    if refusal := st.session_state.pop("launch_refused", None):
        st.error(shared.plain(refusal), icon=":material/error:")
    launch_cost.changes(configs)


ALSO_HELP = (
    "One study a data set, with the same configurations, seeds and plan. Compare, Across studies, then has the table "
    "of configurations × data sets, and what holds over them is planned from the beginning."
)


def _also(dataset: str, configs: Sequence[RunConfig], obstacles: list[str]) -> list[str]:
    """Names of further data sets; why the study cannot be trained on one of them is added to the obstacles."""
    others = [name for name in list_datasets() if name != dataset]
    if not others:
        return []
    chosen = st.multiselect(
        "Also on", others, key=f"also-{dataset}", help=ALSO_HELP, placeholder="Further data sets; may be left empty"
    )
    if chosen:
        names = shared.plain(", ".join(chosen))
        st.caption(f"Time and memory below are of {shared.plain(dataset)} alone, not of {names}.")
        try:
            suitable.check_each(chosen, configs, [])
        except StudioError as error:
            obstacles.append(f"Also on: {error}")
    return chosen


@whole
def _launch(
    dataset: PreparedDataset, definition: str, configs: list[RunConfig], seeds: list[int], reference: str, title: str,
    acknowledged: list[str], plan: Chosen, until: UntilDecided | None, also: list[str],
) -> None:  # fmt: skip
    if time.monotonic() - st.session_state.get("launched", -60.0) < 3:  # a double click is one launch
        return
    st.session_state["launched"] = time.monotonic()
    found = get_definition(definition) if definition in definition_names() else None
    design = launch_starts.design_of(found, configs)
    whole = found and (design or found.histories or [c.name for c in configs] == list(found.presets))
    names = [dataset.name, *also]
    try:
        group = new_group(names)
        if group:
            suitable.check_each(also, configs, [])
        studies = [
            launch.run_configurations(
                definition=definition if whole else OWN,
                dataset=name,
                configs=configs,
                seeds=seeds,
                reference=reference,
                title=f"{title} on {name}" if title and group else title,
                criteria=found.criteria if found else (),
                acknowledged=acknowledged if name == dataset.name else (),
                metric=plan.metric,
                split=plan.split,
                margin=plan.margin,
                cloned_from=launch_starts.clone_asked(),
                until=until,
                factorial=design,
                group=group,
            )
            for name in names
        ]
    except StudioError as error:
        st.session_state["launch_refused"] = str(error)
    else:
        st.session_state["launched_study"] = studies[0].id


main()
