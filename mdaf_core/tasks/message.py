"""One message a study, when the last of its runs has ended, and one where a search stands still because trials failed:
to the address in `MDAF_NOTIFY`, through Apprise.

It is a job like others, so that it is tried in a process of its own, shown where it failed, and can be tried again.
Whoever ends a run of a study queues it if no other run is left. Two that end at once queue the same job (one key), and
what was told is kept beside the studies, so that however many look, one message is sent for each way a study ended.
"""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path

from pydantic import BaseModel

from mdaf_core.base import notices
from mdaf_core.base.errors import StudioError, UsageError
from mdaf_core.base.files import read_json, write_json, writing
from mdaf_core.base.locks import exclusive
from mdaf_core.base.settings import get_settings
from mdaf_core.queue import api, kind
from mdaf_core.queue.context import Context
from mdaf_core.queue.job import ACTIVE, Job, NewJob
from mdaf_core.studies import trainings
from mdaf_core.studies.store import Study, get_study, is_stored
from mdaf_core.studies.tuning import search
from mdaf_core.studies.tuning.search import Search

NAME = "message"
PATIENCE = 60.0
"""Seconds that a message waits for runs that are about to end."""
MOST_REASONS = 3


class Message(BaseModel):
    """Of which study or search."""

    study: str


def run(context: Context, message: Message) -> None:
    """Send it, unless runs of the study are still to end (the last of them queues another message), or it was told."""
    deadline = time.monotonic() + PATIENCE
    while _left(message.study):
        if time.monotonic() > deadline:
            context.report(kind.Stage(fraction=1.0, message="others of its runs go on"))
            return
        context.stop_if_asked()
        time.sleep(0.5)
    if not (is_stored(message.study) or search.exists(message.study)):  # deleted meanwhile
        return
    path = get_settings().told_dir / f"{message.study}.json"
    with exclusive(path.with_suffix(".lock")):
        state = _state(message.study)
        if _told(path) != state and (told := _words_of(message.study)) is not None:
            context.report(kind.Stage(fraction=0.5, message="sending"))
            send(*told)
            with writing(path):
                write_json(path, {"state": state})


KIND = kind.Kind(name=NAME, payload=Message, progress=kind.Stage, run=run)


def tell_if_last(job: Job) -> None:
    """Queue the message of a training's study, if this was the last of its runs and an address is set. What keeps it
    from being queued is a line of the job's log: a run that has finished does not fail for want of a message."""
    if not get_settings().notify:
        return
    try:
        _queue(job)
    except StudioError as error:
        notices.log(f"No message about its study was queued: {error}")


def _queue(job: Job) -> None:
    place = trainings.place(job)
    if place is None or _left(place.study, beside=job.id):
        return
    if not is_stored(place.study) and not (search.exists(place.study) and search.get(place.study).study is None):
        return
    ended = sum(one.id != job.id and one.state not in ACTIVE for one in trainings.of_study(place.study).values())
    key = f"{place.study}/{ended}-{_state(place.study, beside=job.id)[:12]}"
    title = f"message about {place.study}"
    new = NewJob(kind=NAME, title=title, payload=Message(study=place.study).model_dump(), key=key)
    api.submit([new], ahead_of=trainings.KIND, serve=False)


def told_words() -> str:
    """Whether somebody is told when a study has ended, as a sentence; the address itself is nobody's to see."""
    if get_settings().notify is None:
        return "Nobody is told when a study has ended: `MDAF_NOTIFY` takes an address."
    return "When the last run of a study has ended, the address in `MDAF_NOTIFY` is told."


def _words_of(name: str) -> tuple[str, str] | None:
    """What is to be told of a study or a search of this name; None: nothing."""
    if is_stored(name):
        return words(get_study(name))
    return words_of_search(search.get(name)) if search.exists(name) else None


def words_of_search(one: Search) -> tuple[str, str] | None:
    """Title and text where a search waits for somebody to decide on trials that failed; else None."""
    from mdaf_core.studies.tuning.summary import summary

    found = summary(one)
    if one.study is not None or not found.waits:
        return None
    trials = [trial for part in found.configurations for trial in part.trials if trial.state in ("failed", "cancelled")]
    broken = [f"{trial.configuration}, trial {trial.trial.number}: {trial.reason or trial.state}" for trial in trials]
    return f"{one.title or one.id}: the search stands still", "\n".join([found.waits, *_first(broken)])


def _first(lines: list[str]) -> list[str]:
    more = len(lines) - MOST_REASONS
    return lines[:MOST_REASONS] + ([f"And {more} more."] if more > 0 else [])


def words(study: Study) -> tuple[str, str]:
    """Title and text: how its runs ended, and what its comparison shows."""
    from mdaf_core.reporting.material import Material
    from mdaf_core.reporting.paper import paragraph
    from mdaf_core.studies import status

    found = status.cells(study)
    number = status.counts(found)
    counts = ", ".join(f"{count} {state}" for state, count in number.items())
    broken = [cell for cell in found if cell.state == "failed"]
    parts = [f"{counts} of {len(found)} runs."]
    parts += _first([f"{one.configuration}, seed {one.seed}: {one.reason}" for one in broken])
    if number.get("finished"):
        parts += [one.text for one in paragraph.verdicts(Material(study).comparison)]
    end = "all runs finished" if number.get("finished", 0) == len(found) else "its runs have ended"
    if broken:
        end = f"{len(broken)} of {len(found)} runs failed"
    return f"{study.title or study.id}: {end}", "\n".join(parts)


def send(title: str, text: str) -> None:
    """Send a message to the address of `MDAF_NOTIFY`.

    Raises:
        UsageError: there is none, Apprise is not installed, or it does not take the address.
        StudioError: it could not be delivered. The address, which holds secrets, is in no message.
    """
    address = get_settings().notify
    if not address:
        raise UsageError("No address is set: MDAF_NOTIFY takes one that Apprise knows, such as mailto://… or ntfy://….")
    try:
        import apprise
    except ImportError:
        raise UsageError("Messages need Apprise: pip install -r requirements-notify.txt") from None
    there = apprise.Apprise()
    if not there.add(address.get_secret_value()):
        raise UsageError("Apprise does not take the address in MDAF_NOTIFY: see its list of services for the form.")
    if not there.notify(title=title, body=text):
        raise StudioError("The service in MDAF_NOTIFY refused the message or was not reached: nothing was told.")


def _left(study: str, beside: int = 0) -> bool:
    """Whether a run of the study is queued or running, but for the job `beside`."""
    return any(job.state in ACTIVE and job.id != beside for job in trainings.of_study(study).values())


def _state(study: str, beside: int = 0) -> str:
    """How often each run of the study was tried and how it ended; of the job `beside`, which is ending, the former."""
    jobs = sorted(trainings.of_study(study).values(), key=lambda job: job.id)
    seen = [(job.id, job.attempts, "" if job.id == beside else job.state) for job in jobs]
    return hashlib.sha256(json.dumps(seen).encode()).hexdigest()


def _told(path: Path) -> str:
    return str(read_json(path, "Remove it: the next message says it again.")["state"]) if path.exists() else ""
