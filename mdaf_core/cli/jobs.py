"""`jobs`: the queue from a shell."""

from __future__ import annotations

from typing import Annotated

import typer

from mdaf_core.base.errors import UsageError
from mdaf_core.cli.output import JsonOption, as_json, emit, table
from mdaf_core.queue import api
from mdaf_core.queue.job import Job
from mdaf_core.studies.store import get_study
from mdaf_core.tasks import message
from mdaf_core.tasks.kinds import standing, to_dict

app = typer.Typer(help="The queue of jobs; alone it lists them.", invoke_without_command=True)
JobId = Annotated[int, typer.Argument(metavar="ID", min=1, help="A job's number, as `jobs` lists it.")]


@app.callback()
def default(context: typer.Context, json: JsonOption = False) -> None:
    if context.invoked_subcommand is None:
        list_jobs()


@app.command("list")
def list_jobs() -> None:
    """List all jobs: running, queued in their order, ended."""
    jobs = api.list_jobs()
    emit([to_dict(job) for job in jobs], lambda: _table(jobs))


@app.command()
def cancel(
    job_ids: Annotated[list[int] | None, typer.Argument(metavar="ID…", min=1, help="Numbers of jobs.")] = None,
    study: Annotated[str | None, typer.Option(help="All queued and running jobs of this study.")] = None,
) -> None:
    """Cancel jobs.

    A running one stops within seconds and keeps its finished epochs.
    """
    if bool(job_ids) == (study is not None):
        raise UsageError("Name the jobs by their numbers, or a study with --study.")
    ids = job_ids or [job.id for job in api.list_jobs(api.ACTIVE, group=study)]
    if study is not None and not ids:
        get_study(study)
    for job_id in ids:  # a number that is mistyped cancels nothing
        api.get_job(job_id)
    done = [api.cancel(job_id) for job_id in ids]
    texts = [f"Job {j.id} was asked to stop." if j.state == "running" else f"Job {j.id} is {j.state}." for j in done]
    one = job_ids is not None and len(done) == 1
    emit(
        to_dict(done[0]) if one else [to_dict(job) for job in done],
        lambda: "\n".join(texts) or f"No job of study {study} is queued or running.",
    )


@app.command()
def retry(job_id: JobId) -> None:
    """Run a failed or cancelled job again from scratch."""
    emit(to_dict(api.retry(job_id)), lambda: f"Job {job_id} is queued again, from scratch.")


@app.command()
def resume(job_id: JobId) -> None:
    """Continue a failed or cancelled training.

    It goes on after its last finished epoch.
    """
    emit(to_dict(api.resume(job_id)), lambda: f"Job {job_id} is queued again and goes on where it was.")


@app.command()
def move(job_id: JobId, where: Annotated[str, typer.Argument(help="up, down or first")]) -> None:
    """Change a queued job's place."""
    if where not in ("up", "down", "first"):
        raise typer.BadParameter("give up, down or first")
    job = api.move(job_id, where)  # type: ignore[arg-type]
    emit(to_dict(job), lambda: f"Job {job_id} is now number {api.queue_position(job_id)} in the queue.")


@app.command()
def log(
    job_id: JobId,
    lines: Annotated[int, typer.Option(min=1, help="How many of the last lines.")] = 200,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job has ended.")] = False,
) -> None:
    """Show the end of a job's log."""
    if follow:
        if as_json():
            raise UsageError("A log that is followed has no end to close a JSON document with: leave out --json.")
        for line in api.follow_log(job_id, lines):
            print(line, flush=True)
        return
    tail = api.log_tail(job_id, lines)
    emit({"job": job_id, "lines": tail}, lambda: "\n".join(tail))


@app.command()
def tell(study: Annotated[str | None, typer.Option(help="What is told of this study, as it stands.")] = None) -> None:
    """Send a message to MDAF_NOTIFY now.

    Without --study one that says nothing but that messages arrive. Studies are told of by themselves when the last of
    their runs has ended.
    """
    title, text = ("MDAF Studio", "Messages arrive.") if study is None else message.words(get_study(study))
    message.send(title, text)
    emit({"title": title, "text": text}, lambda: f"Sent: {title}")


def _table(jobs: list[Job]) -> str:
    if not jobs:
        return "No jobs yet. `python -m mdaf_core study run DEFINITION --data NAME` adds some."
    rows = [(job.id, job.state, job.group or "", job.title, standing(job)) for job in jobs]
    return table(rows, ("job", "state", "study", "what", "how it stands"))
