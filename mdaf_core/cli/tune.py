"""`study tune`: search for settings at equal budgets, then confirm the winners. `study tuned`: how far it is."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from mdaf_core.base.errors import UsageError
from mdaf_core.cli.options import AcknowledgeOption, DataOption, OnlyOption, SettingsOption, names
from mdaf_core.cli.output import emit, number, say, table
from mdaf_core.metrics.registry import named
from mdaf_core.studies import definitions
from mdaf_core.studies.definitions import definition_names, get_definition, override_all
from mdaf_core.studies.seeds import parse_seeds

Searches = Annotated[str, typer.Argument(metavar="SEARCH", help="A search's id, as `study tune` prints it.")]


Sampling = Literal["tpe", "random"]
"""How settings are drawn."""


def register(app: typer.Typer) -> None:
    """Add these commands to the group `study`."""
    app.command()(tune)
    app.command()(tuned)
    app.command()(searches)


def tune(
    definition: Annotated[str, typer.Argument(help=f"One of: {', '.join(definition_names())}.")],
    data: DataOption,
    trials: Annotated[
        int | None, typer.Option(min=1, max=1000, help="Of each configuration; 20 unless there is a budget.")
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(help="Time of training of each configuration, e.g. 30m: once it is spent no trial is begun."),
    ] = None,
    space: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[CONFIGURATION:]KEY=RANGE",
            help="What is tried of a setting: model.dropout=0..0.5, training.learning_rate='1e-4..1e-2 log', "
            "model.cross_layers='1..4 whole', model.embedding_dim=8,16,32; model.dropout= for nothing; of one "
            "configuration dcnv2:model.dropout=0..0.2.",
        ),
    ] = None,
    seeds: Annotated[
        str | None, typer.Option(help="Seeds on which the winners are confirmed; default: the definition's.")
    ] = None,
    tuning_seed: Annotated[int, typer.Option(min=0, help="Seed of every trial, not among --seeds.")] = 1,
    sampler: Annotated[Sampling, typer.Option(help="tpe learns from earlier trials; random does not.")] = "tpe",
    prune: Annotated[
        bool, typer.Option("--prune", help="Stop trials below the median of those before; they count all the same.")
    ] = False,
    settings: SettingsOption = None,
    only: OnlyOption = None,
    models: Annotated[str | None, typer.Option(help="These presets in the place of the definition's.")] = None,
    reference: Annotated[
        str | None, typer.Option(help="Configuration the others are compared with; default: the definition's.")
    ] = None,
    metric: Annotated[str, typer.Option(help=f"Winners are compared by: {named(keys=True)}.")] = "auc",
    margin: Annotated[
        str | None, typer.Option(help="What will count as parity, in bp (20) or as a share (1%).")
    ] = None,
    title: Annotated[str, typer.Option(help="Shown in the app.")] = "",
    acknowledge: AcknowledgeOption = None,
    wait: Annotated[
        bool,
        typer.Option("--wait", help="Stay until trials and confirming runs have ended; exit with 1 if one failed."),
    ] = False,
) -> None:
    """Tune every configuration with the same budget, then confirm the winners on seeds that tuning never saw.

    Winners are chosen on validation. Only the confirming runs enter verdicts: they are a study of their own.
    """
    from mdaf_core.analysis.margins import AT_LAUNCH, parse_margin
    from mdaf_core.studies.tuning import begin, search
    from mdaf_core.studies.tuning.spaces import parse_change, spaces_of

    found = get_definition(definition)
    chosen = definitions.chosen(found, names(only), names(models))
    configs = override_all(chosen, settings or [])
    one = begin.begin(
        definition=found.name,
        dataset=data,
        configs=configs,
        spaces=spaces_of(configs, map(parse_change, space or [])),
        trials=20 if trials is None and budget is None else trials,
        budget=begin.parse_budget(budget) if budget else None,
        seed=tuning_seed,
        sampler=sampler,
        prune=prune,
        title=title,
        acknowledged=acknowledge or [],
        seeds=parse_seeds(seeds) if seeds is not None else found.seeds,
        reference=reference or definitions.usual_reference(found, configs).name,
        metric=metric,
        margin=parse_margin(margin, AT_LAUNCH) if margin else None,
        criteria=found.criteria,
    )
    if wait:
        from mdaf_core.tasks.follow import follow_search

        for line in follow_search(one.id):
            say(line)
    one = search.get(one.id)
    emit(_value(one), lambda: _text(one))
    if wait and not _all_well(one):
        raise typer.Exit(1)


def tuned(
    search_id: Searches,
    resume: Annotated[
        bool, typer.Option("--resume", help="Queue failed and cancelled trials again, where they were, and go on.")
    ] = False,
    give_up: Annotated[
        bool, typer.Option("--give-up", help="Count failed and cancelled trials as they are, and go on.")
    ] = False,
    trials: Annotated[bool, typer.Option("--trials", help="Every trial, not the winners alone.")] = False,
) -> None:
    """Show where a search stands: trials, compute, winners, and the expected best of fewer trials."""
    from mdaf_core.studies.tuning import going, search

    if resume and give_up:
        raise UsageError("Either --resume or --give-up.")
    if resume:
        going.resume(search_id)
    if give_up:
        gone = going.give_up(search_id)
        say("Given up: " + "; ".join(f"{one.configuration}.{one.trial.number} ({one.reason})" for one in gone))
    one = search.get(search_id)
    emit(_value(one), lambda: _text(one, trials))


def searches() -> None:
    """List the searches for settings, newest first."""
    from mdaf_core.studies.tuning import search

    found = search.list_searches()
    rows = [(one.id, one.title, ", ".join(one.names), one.budget_words, one.study or "") for one in found]
    emit(
        [{"id": one.id, "title": one.title, "study": one.study, "configurations": one.names} for one in found],
        lambda: (
            table(rows, ("id", "title", "configurations", "budget", "study"))
            if rows
            else "No searches yet. `python -m mdaf_core study tune DEFINITION --data NAME` begins one."
        ),
    )


def _all_well(one: Any) -> bool:
    from mdaf_core.studies.status import cells
    from mdaf_core.studies.store import get_study

    return one.study is not None and all(cell.state == "finished" for cell in cells(get_study(one.study)))


def _value(one: Any) -> dict[str, Any]:
    from mdaf_core.studies.tuning.summary import summary

    return summary(one).to_dict()


def _text(one: Any, every: bool = False) -> str:
    from mdaf_core.studies.tuning.summary import duration, summary

    found = summary(one)
    lines = [f"{one.title} ({one.id}), data set {one.dataset}", found.sentence, *found.warnings, ""]
    header = (
        "configuration",
        "trials",
        "pruned",
        "no figure",
        "time",
        "as it was",
        "best",
        "expected of half",
        "winner",
    )
    rows = []
    for part in found.configurations:
        best = part.winner
        half = part.expected_of(max(1, len(part.values) // 2))
        rows.append((
            part.name, part.ended, part.pruned, part.gone, duration(part.seconds),
            number(part.untuned), number(best.value if best else None), number(half), part.winner_words,
        ))  # fmt: skip
    lines.append(table(rows, header))
    lines += [
        "",
        "Figures are of validation, which chose the winners: they flatter. What the winners are worth, the study says.",
    ]
    if every:
        listed = [
            (
                f"{t.configuration}.{t.trial.number}",
                t.state,
                number(t.value),
                f"{t.seconds:.0f}",
                part.settings_words(t),
            )
            for part in found.configurations
            for t in part.trials
        ]
        lines += ["", *(f"Tried of {part.name}: {part.tried_words}." for part in found.configurations)]
        lines += ["", table(listed, ("trial", "state", "validation", "seconds", "settings"))]
    if one.study:
        lines += ["", f"Confirmed on seeds {', '.join(map(str, one.confirm.seeds))} in study {one.study}: "
                  f"`python -m mdaf_core compare {one.study}`."]  # fmt: skip
    return "\n".join(lines)
