"""What is done when a trial has ended: draw the next one, and when all budgets are spent, confirm the winners.

The state is the search's file, the queue and the run store, as of seeds until decided (`studies.until`): it does not
matter who looks, or how often.
"""

from __future__ import annotations

from collections.abc import Callable

from mdaf_core.base.errors import StudioError, UsageError
from mdaf_core.queue import api as jobs
from mdaf_core.runs.config import RunConfig
from mdaf_core.studies import launch
from mdaf_core.studies.trainings import training_job
from mdaf_core.studies.tuning import found, search
from mdaf_core.studies.tuning.found import Tried
from mdaf_core.studies.tuning.search import Search, Searched, Trial
from mdaf_core.studies.tuning.suggest import suggest

REDRAWN = 50
"""How often settings are drawn for a trial until some go together."""


def go_on(search_id: str, serve: bool = True, mark: Callable[[Search], None] | None = None) -> Search:
    """Draw and queue the next trial of every configuration whose last one has ended, and once all have had their
    budget, the study of the winners.

    Args:
        serve: as of `queue.api.submit`.
        mark: writes into the search how a trial ended, before anything else is done.

    Raises:
        StudioError: the search, its runs or the queue cannot be read or written; it can be called again.
    """
    with search.changing(search_id) as one:
        if mark is not None:
            mark(one)
        trials = found.tried(one)
        for part in one.configurations:
            mine = trials[part.config.name]
            if all(trial.ended for trial in mine) and not found.is_done(one, mine):
                part.trials.append(_next(one, part, mine))
    _queue(one, serve)
    trials = found.tried(one)
    if all(found.is_done(one, trials[name]) for name in one.names):
        _confirm(one, trials, serve)
    return search.get(search_id)


def _next(one: Search, part: Searched, before: list[Tried]) -> Trial:
    number = len(part.trials) + 1
    if number == 1:
        return Trial(number=1, settings={path: part.config.value(path) for path in sorted(part.space)})
    past = found.history(before)
    for again in range(REDRAWN):
        trial = Trial(
            number=number, settings=suggest(part.space, past, one.seed, number + 100_000 * again, one.sampler)
        )
        try:
            part.trial_config(trial)
        except UsageError as error:
            problem = str(error)
        else:
            return trial
    return trial.model_copy(update={"gone": f"No settings that go together were drawn: {problem}", "settings": {}})


def _queue(one: Search, serve: bool) -> None:
    """Queue the trials that have neither job nor run; two who call it together queue nothing twice."""
    new = []
    for mine in found.tried(one).values():
        for trial in mine:
            if trial.state == "missing":
                config = one.searched(trial.configuration).trial_config(trial.trial)
                told = {"search": one.id, "trial": trial.trial.number, "acknowledged": one.acknowledged}
                new.append(training_job(one.id, config, one.dataset, one.seed, told, None, one.threads))
    if new:
        jobs.submit(new, serve=serve)


def winners(one: Search, trials: dict[str, list[Tried]]) -> list[RunConfig]:
    """Each configuration with the settings that won.

    Raises:
        StudioError: none of its trials came to an end.
    """
    configs = []
    for part in one.configurations:
        best = found.winner(trials[part.config.name])
        if best is None:
            raise StudioError(
                f"No trial of {part.config.name} came to an end, so search {one.id} has no winner of it: begin another "
                "search with other ranges, or without it."
            )
        configs.append(part.config.with_overrides(best.trial.settings))
    return configs


def _confirm(one: Search, trials: dict[str, list[Tried]], serve: bool) -> None:
    """The study of the winners, made once, with its runs queued; one that was deleted stays so."""
    with search.changing(one.id) as kept:
        study = search.confirming(kept)
        if study is None and kept.study is not None:
            return
        if study is None:
            study = launch.run_configurations(
                definition=kept.definition,
                dataset=kept.dataset,
                configs=winners(kept, trials),
                title=kept.title,
                acknowledged=kept.acknowledged,
                tuned_in=kept.id,
                serve=serve,
                **dict(kept.confirm),
            )
        kept.study = study.id
    launch.queue_missing(study, serve)


def give_up(search_id: str) -> list[Tried]:
    """Count the trials that failed or were cancelled as they are, without a figure, and go on.

    Raises:
        UsageError: there is none.
    """
    broken: list[Tried] = []

    def mark(one: Search) -> None:
        for mine in found.tried(one).values():
            for trial in mine:
                if trial.state in ("failed", "cancelled"):
                    broken.append(trial)
                    trial.trial.gone = f"Given up: {trial.reason or trial.state}"

        if not broken:
            raise UsageError(f"Search {search_id} has no failed or cancelled trial to give up.")

    go_on(search_id, mark=mark)
    return broken


def resume(search_id: str) -> Search:
    """Queue failed and cancelled trials again, where they were, and whatever else is due."""
    one = search.get(search_id)
    broken = [t.job for mine in found.tried(one).values() for t in mine if t.state in ("failed", "cancelled") and t.job]
    if broken:
        jobs.go_on(broken)
    return go_on(search_id)


def diverged(search_id: str, configuration: str, reason: str) -> Search:
    """A trial's training diverged: it counts, without a figure."""
    return go_on(search_id, serve=False, mark=lambda one: _mark(one, configuration, gone=reason))


def pruned(search_id: str, configuration: str, epoch: int) -> Search:
    """A trial was stopped after this epoch: it counts."""
    return go_on(search_id, serve=False, mark=lambda one: _mark(one, configuration, pruned=epoch))


def _mark(one: Search, configuration: str, **ended: object) -> None:
    name, _, number = configuration.rpartition(".")
    trial = one.searched(name).trials[int(number) - 1]
    for field, value in ended.items():
        setattr(trial, field, value)
