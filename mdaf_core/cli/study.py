"""`study`: run a study through the queue, and see where it stands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from mdaf_core.analysis.margins import AT_LAUNCH, Margin, check_margin, parse_margin
from mdaf_core.analysis.plan import NO_PLAN, AddedConfiguration, Extension
from mdaf_core.analysis.sequential import MOST_SEEDS, UntilDecided
from mdaf_core.base.errors import UsageError
from mdaf_core.base.progress import duration
from mdaf_core.base.words import plural
from mdaf_core.cli import shelf, tune
from mdaf_core.cli.options import AcknowledgeOption, EvaluatedSplit, OnlyOption, SettingsOption, StudyId, names
from mdaf_core.cli.output import emit, number, say, table
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.data.store.schema import EVALUATED, MAX_HISTORY
from mdaf_core.metrics.registry import in_bp, in_results, named
from mdaf_core.runs.config import RunConfig
from mdaf_core.studies import changing, launch
from mdaf_core.studies.definitions import (
    chosen,
    definition_names,
    design,
    get_definition,
    override_all,
    usual_reference,
)
from mdaf_core.studies.factorial import parse_component
from mdaf_core.studies.histories import parse_lengths
from mdaf_core.studies.seeds import parse_seeds
from mdaf_core.studies.status import Cell, cells, counts, remaining, spread
from mdaf_core.studies.store import Study, get_study, new_group
from mdaf_core.studies.suitable import check_each
from mdaf_core.studies.until import complete as queue_and_go_on
from mdaf_core.studies.until import go_on
from mdaf_core.tasks.follow import follow
from mdaf_core.tasks.twins import require_twin, run_twin

Until = Literal["decided"]
"""When no further seeds are added."""


app = typer.Typer(help="Studies: a data set × named configurations × seeds.", no_args_is_help=True)
shelf.register(app)
tune.register(app)


@app.command()
def run(
    definition: Annotated[str, typer.Argument(help=f"One of: {', '.join(definition_names())}.")],
    data: Annotated[
        list[str],
        typer.Option("--data", help="Name of a prepared data set; several: a study on each, compared by `across`."),
    ],
    seeds: Annotated[str | None, typer.Option(help="Seeds, e.g. 42,43; default: the definition's.")] = None,
    settings: SettingsOption = None,
    only: OnlyOption = None,
    models: Annotated[
        str | None, typer.Option(help="These presets in the place of the definition's, e.g. mdaf-sequential,bst.")
    ] = None,
    histories: Annotated[
        str | None, typer.Option(help="Run each with these lengths of history, e.g. 10,50,200,1000,all.")
    ] = None,
    windows: Annotated[
        int | None,
        typer.Option(min=1, help="Of models that read each row's own events anew, lengths up to this; 200 usually."),
    ] = None,
    reference: Annotated[
        str | None, typer.Option(help="Configuration the others are compared with; default: the definition's.")
    ] = None,
    metric: Annotated[str, typer.Option(help=f"Compared by: {named(keys=True)}.")] = "auc",
    split: Annotated[EvaluatedSplit, typer.Option(help="Rows that are compared.")] = "test",
    margin: Annotated[
        str | None,
        typer.Option(
            "--margin",
            "--margin-bp",
            help=f"What will count as parity: bp (20) of {named(in_bp)}; a share of the reference's gain over "
            "the base rate (1%); `proposed` takes the program's proposal. Without it parity is not tested.",
        ),
    ] = None,
    title: Annotated[str, typer.Option(help="Shown in the app.")] = "",
    acknowledge: AcknowledgeOption = None,
    twin: Annotated[
        bool, typer.Option("--twin", help="And the same study on a split by time of the same input, see `study twin`.")
    ] = False,
    until: Annotated[
        Until | None,
        typer.Option(
            help="Add seeds one at a time, from the third only where the verdict is open; words hold at every look."
        ),
    ] = None,
    max_seeds: Annotated[
        int, typer.Option(min=3, max=MOST_SEEDS, help="With --until: seeds of each configuration at most.")
    ] = 20,
    components: Annotated[
        list[str] | None,
        typer.Option("--component", metavar="NAME:KEY=VALUE", help="Of a factorial: what switches a component off."),
    ] = None,
    halve: Annotated[
        int | None, typer.Option(min=0, max=7, help="Of a factorial: how often its configurations are halved.")
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Stay until all jobs have ended; exit with 1 if one failed.")
    ] = False,
) -> None:
    """Queue a study's runs.

    Primary metric, rows, margin, reference and seeds are stored as its plan: what is shown later and was not planned is
    marked as chosen after results were seen.
    """
    configs: dict[str, Any] = {
        "only": names(only),
        "models": names(models),
        "histories": parse_lengths(histories) if histories else (),
        "windows": windows,
    }
    named_study = get_definition(definition)
    factors = dict(map(parse_component, components or ())) or None
    if named_study.factors or factors or halve is not None:
        possible = design(named_study, configs["models"], factors, halve)[0]
    else:
        possible = chosen(named_study, **configs)
    if twin and len(data) > 1:
        raise UsageError("--twin is of one data set: name one, or run `study twin STUDY` of each study afterwards.")
    group = new_group(data)
    wanted = override_all(possible, settings or [])
    accepted = check_each(data, wanted, acknowledge or []) if group else {data[0]: acknowledge or []}
    for name in data:
        _require_memory(wanted, name)
    if twin:
        require_twin(data[0], acknowledge or ())
    usual = next((c for c in possible if c.name == reference), usual_reference(named_study, possible))
    margins = {name: _margin(margin, name, usual, metric, split) for name in data}
    studies = [
        launch.run(
            definition,
            name,
            seeds=parse_seeds(seeds) if seeds is not None else None,
            overrides=settings or [],
            title=f"{title} on {name}" if title and group else title,
            acknowledged=accepted[name],
            **configs,
            reference=reference,
            metric=metric,
            split=split,
            margin=margins[name],
            until=UntilDecided(most=max_seeds) if until else None,
            factors=factors,
            halvings=halve,
            group=group,
        )
        for name in data
    ]
    _launched([*studies, *([run_twin(studies[0])] if twin else [])], wait)


@app.command("twin")
def twin_command(
    study: StudyId,
    path: Annotated[Path | None, typer.Option(help="Where the input of its data lies now, if it was moved.")] = None,
    acknowledge: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="Accept a failed audit check of the twin by its id.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Stay until all jobs have ended.")] = False,
) -> None:
    """Run the same study on a split by time of the same input.

    Prepares that split where it is not there (`data twin`). `twins STUDY` then says which conclusions survive.
    """
    _launched([run_twin(get_study(study), path, acknowledge or ())], wait)


def _launched(studies: list[Study], wait: bool) -> None:
    """Follow studies just queued, if that is wanted: one, one with its twin, or one on each of several data sets."""
    if wait:
        for study in studies:
            further = " to begin with" if study.undecided else ""
            runs = f"{plural(len(study.configurations), 'configuration')} × {plural(len(study.seeds), 'seed')}"
            say(f"Study {study.id}: {runs}{further}.")
            for line in follow(study):
                say(line)
        studies = [get_study(study.id) for study in studies]
    found = [cells(study) for study in studies]
    each = [_status(study, state) for study, state in zip(studies, found, strict=True)]
    value = each[0]
    if studies[0].group is not None and len(each) > 1:
        value = {"group": studies[0].group, "studies": each}
    elif len(each) > 1:
        value["twin"] = each[1]
    emit(
        value,
        lambda: "\n\n".join(
            _text(study, state) if wait else _queued(study) for study, state in zip(studies, found, strict=True)
        ),
    )
    if wait and any(cell.state != "finished" for state in found for cell in state):
        raise typer.Exit(1)


def _require_memory(configs: list[RunConfig], data: str) -> None:
    """Refuse long histories that cannot fit now, not when their jobs begin; short ones are not worth loading torch."""
    long = [config for config in configs if config.training.max_history > MAX_HISTORY and config.model.reads_history]
    if long:
        from mdaf_core.training.cost import require_memory

        dataset = PreparedDataset.open(data)
        for config in long:
            require_memory(config, dataset)


def _margin(text: str | None, data: str, reference: RunConfig, metric: str, split: EvaluatedSplit) -> Margin | None:
    """The margin as it was given; without one it is said what the program would propose, and none is taken."""
    check_margin(None, metric)
    if text is not None and text.strip().lower() != "proposed":
        return parse_margin(text, AT_LAUNCH)
    found = launch.propose_margin(PreparedDataset.open(data), reference, metric, split)
    if text is not None:
        return found.margin
    what = f" `--margin proposed` takes it: {found.sentence}" if found.margin else f" {found.sentence}"
    say(f"No margin is set, so parity will not be tested.{what}")
    return None


@app.command()
def extend(
    study: StudyId,
    seeds: Annotated[str | None, typer.Option(help="Seeds to add, e.g. 47,48.")] = None,
    add: Annotated[
        str | None, typer.Option(metavar="NAME", help="Add a configuration: a preset, or one of the study's, changed.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Its name; default: that of what it starts from.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change its setting.")
    ] = None,
) -> None:
    """Add seeds or a configuration to a study and queue their runs.

    It is recorded when they were added and whether results had been seen, and said beside verdicts.
    """
    if (seeds is None) == (add is None):
        raise UsageError("Name the seeds to add (--seeds 47,48) or a configuration (--add NAME).")
    if add is None and (name or settings):
        raise UsageError("--name and --set are of a configuration to add: name what it starts from (--add NAME).")
    if add is not None:
        found = changing.add_configuration(study, changing.changed_configuration(study, add, settings or [], name))
        added: Extension | AddedConfiguration = found.added[-1]
        runs = len(found.seeds)
    else:
        new = parse_seeds(seeds or "")
        found = changing.extend(study, new)
        added = found.extensions[-1]
        runs = len(new) * len(found.trained)
    emit(
        {"study": study, "seeds": found.seeds, "configurations": found.configuration_names, "extension": added},
        lambda: (
            f"{runs} runs queued; recorded as added "
            f"{'after results were seen' if added.results_seen else 'before any result was seen'}."
        ),
    )


@app.command("give-up")
def give_up(study: StudyId, seeds: Annotated[str | None, typer.Option(help="Only of these seeds.")] = None) -> None:
    """Judge a study without its failed or cancelled runs.

    Verdicts are withheld while planned runs are missing. This records those that will not be finished; verdicts are
    then given without them, and say so.
    """
    gone = changing.give_up(study, parse_seeds(seeds) if seeds is not None else None)
    go_on(study)
    emit(
        {"study": study, "given_up": gone},
        lambda: "Given up: " + "; ".join(f"{run.configuration} seed {run.seed} ({run.reason})" for run in gone),
    )


@app.command()
def show(study: StudyId) -> None:
    """Show a study's runs and metrics.

    Configurations × seeds with states, and metrics as means over seeds with their standard deviation over seeds.
    """
    found = get_study(study)
    state = cells(found)
    emit(_status(found, state), lambda: _text(found, state))


@app.command()
def complete(study: StudyId) -> None:
    """Queue the runs of a study that were never queued."""
    ids = queue_and_go_on(study)
    emit({"study": study, "jobs": ids}, lambda: f"{plural(len(ids), 'job')} queued.")


@app.command()
def definitions() -> None:
    """List the study definitions."""
    rows = [get_definition(name) for name in definition_names()]
    emit(rows, lambda: table([(d.name, d.title, ", ".join(d.presets)) for d in rows], ("name", "title", "runs")))


def _status(study: Study, found: list[Cell]) -> dict[str, Any]:
    configurations = []
    for name in study.configuration_names:
        mine = [cell for cell in found if cell.configuration == name]
        metrics = {split: {m: spread(mine, split, m) for m in in_results()} for split in EVALUATED}
        configurations.append({"name": name} | metrics)
    shown = (
        *("title", "note", "tags", "archived", "cloned_from", "group", "definition", "dataset", "seeds", "reference"),
        *("acknowledged", "plan", "extensions", "added", "given_up", "stopped", "undecided"),
    )
    return {
        "study": study.id,
        **{name: getattr(study, name) for name in shown},
        "states": counts(found),
        "seconds_left": remaining(study).seconds,
        "configurations": configurations,
        "runs": [cell.to_dict() for cell in found],
    }


def _queued(study: Study) -> str:
    runs = f"{plural(len(study.pairs), 'run')} queued"
    if study.undecided:
        runs += "; further seeds follow where the verdict is open"
    return f"Study {study.id}: {runs}. `python -m mdaf_core study show {study.id}` tells where it stands."


def _text(study: Study, found: list[Cell]) -> str:
    rows = []
    for name in study.configuration_names:
        mine = [cell for cell in found if cell.configuration == name]
        values = []
        for split in EVALUATED:
            for metric in in_results():
                one = spread(mine, split, metric)
                values.append(f"{number(one.mean)} ({number(one.sd)})" if one.sd is not None else number(one.mean))
        states = ", ".join(f"{cell.seed} {cell.state}" for cell in mine)
        rows.append((name, *values, states))
    header = (
        "configuration",
        *(f"{split} {m.words}" for split in EVALUATED for m in in_results().values()),
        "seeds",
    )
    plan = f"Planned: {study.plan.words}." if study.plan else f"{NO_PLAN[0].upper()}{NO_PLAN[1:]}."
    said = [f"Cloned from {study.cloned_from}."] if study.cloned_from else []
    if study.group is not None:
        from mdaf_core.studies.across import members

        others = [one.id for one in members(study) if one.id != study.id]
        said += [f"Launched together with {', '.join(others)}: `across {study.id}` compares them."] if others else []
    said += [f"Tags: {', '.join(study.tags)}."] if study.tags else []
    said += ["", study.note] if study.note else []
    lines = [f"{study.title} ({study.id}), data set {study.dataset}", plan, *said, "", table(rows, header)]
    left = remaining(study)
    if left.done < left.total:
        about = "" if left.seconds is None else f", about {duration(left.seconds)} left"
        lines += ["", f"{left.done} of {left.total} runs ended{about}."]
    if study.stopped or study.undecided:
        stops = [f"{one.configuration} after {one.seeds} seeds: {one.why}" for one in study.stopped]
        lines += ["", "; ".join([*stops, *(f"{name}: open" for name in study.undecided)]) + "."]
    if any(" (" in value for row in rows for value in row[1:-1]):
        lines += ["", "In brackets: standard deviation over seeds, which says nothing of other users; `compare` does."]
    reasons = [
        f"{f'Job {c.job.id}, ' if c.job else ''}{c.configuration}, seed {c.seed}: {c.reason}" for c in found if c.reason
    ]
    return "\n".join([*lines, *(["", *reasons] if reasons else [])])
