"""`speed`: how long trained models take to answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError

from mdaf_core.base.errors import UsageError
from mdaf_core.base.validation import describe_validation_error
from mdaf_core.cli.output import ProgressLines, emit, say, table

if TYPE_CHECKING:
    from mdaf_core.analysis.speed import Ratio
    from mdaf_core.predicting.measured import Measured, SpeedSettings
    from mdaf_core.runs.tracking import RunRecord
    from mdaf_core.studies.store import Study


def command(
    names: Annotated[list[str], typer.Argument(metavar="STUDY|RUN…", help="A study, or ids of runs of one data set.")],
    events: Annotated[str | None, typer.Option(help="Lengths of histories; default: 10,100,1000,10000.")] = None,
    candidates: Annotated[str | None, typer.Option(help="Candidates of a request; default: 1,100,1000.")] = None,
    threads: Annotated[str | None, typer.Option(help="Threads; default: all cores, then 1.")] = None,
    rounds: Annotated[int | None, typer.Option(help="Turns of each model at each task; default: 20.")] = None,
    calls: Annotated[int | None, typer.Option(help="Requests a turn; default: 5.")] = None,
    users: Annotated[int | None, typer.Option(help="Users whose requests take turns; default: 8.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of histories, candidates and order; default: 0.")] = None,
    reference: Annotated[
        str | None, typer.Option(help="Configuration the others are held against; default: the study's, or the first.")
    ] = None,
    queue: Annotated[bool, typer.Option("--queue", help="Measure a study as a job of the queue.")] = False,
) -> None:
    """Measure how long trained models take to answer.

    One user with some candidates, and many in bulk: from the raw history, and from a kept state to which one event is
    appended. Models take turns; "faster" and "slower" come from the rounds. A study keeps what was measured last.
    """
    settings = _settings(
        events=_numbers(events), candidates=_numbers(candidates), threads=_numbers(threads),
        rounds=rounds, calls=calls, users=users, seed=seed,
    )  # fmt: skip
    study, runs = _found(names)
    if queue:
        if study is None:
            raise UsageError("Only a study is measured as a job: it keeps the result. Leave --queue out for runs.")
        from mdaf_core.tasks.speed import submit_speed

        job = submit_speed(study, settings)
        emit({"job": job}, lambda: f"Job {job} is queued. `python -m mdaf_core jobs` shows how far it is.")
        return
    if study is not None:
        from mdaf_core.tasks.speed import measure_study

        measured = measure_study(study, settings, ProgressLines())
    else:
        from mdaf_core.predicting.speed import measure

        first = runs[0].configuration
        measured = measure(runs, settings, title="", reference=reference or first, progress=ProgressLines())
    from mdaf_core.analysis.speed import compare_speed

    if reference is not None and reference not in {one.configuration for one in measured.measured}:
        say(f"The reference {reference!r} was not measured; {measured.reference} is taken.")
        reference = None
    ratios = compare_speed(measured, reference)
    value = {**measured.model_dump(mode="json"), "comparisons": ratios, "beside": measured.sentences()}
    emit(value, lambda: _text(measured, ratios))


def _numbers(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",")]


def _settings(**given: Any) -> SpeedSettings:
    from mdaf_core.predicting.measured import SpeedSettings

    try:
        return SpeedSettings.model_validate({name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        raise UsageError(describe_validation_error(error, "This cannot be measured")) from None


def _found(names: Sequence[str]) -> tuple[Study | None, list[RunRecord]]:
    """The study that is meant, or the runs."""
    from mdaf_core.predicting.predictor import find_run
    from mdaf_core.studies.store import get_study, list_studies

    if len(names) == 1 and names[0] in {study.id for study in list_studies()}:
        return get_study(names[0]), []
    runs = [find_run(name) for name in dict.fromkeys(names)]
    twice = [run.configuration for run in runs]
    if len(set(twice)) < len(twice):
        raise UsageError("Two of the runs are of one configuration: its speed does not depend on the seed. Name one.")
    return None, runs


def _text(measured: Measured, ratios: list[Ratio]) -> str:
    from mdaf_core.reporting.topics.speed import frame, ratio_frame

    times, compared = frame(measured), ratio_frame(ratios)
    return "\n".join(
        [
            table([[_cell(v) for v in row] for row in times.iter_rows()], times.columns),
            "",
            table([[_cell(v) for v in row] for row in compared.iter_rows()], compared.columns),
            "",
            *(f"- {sentence}" for sentence in measured.sentences()),
        ]
    )


def _cell(value: Any) -> Any:
    return (
        f"{value:,.3f}"
        if isinstance(value, float) and value < 100
        else f"{value:,.0f}"
        if isinstance(value, float)
        else value
    )
