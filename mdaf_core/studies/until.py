"""Studies whose seeds are added until decided: what is done when a run has ended.

The state is the study's file, the queue and the run store; whoever ends a run looks at them and does what is due. So it
does not matter who looks, or how often: the last run of a look to be recorded as finished finds all the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from mdaf_core.analysis.plan import Stop
from mdaf_core.runs import tracking
from mdaf_core.runs.tracking import RunRecord
from mdaf_core.studies import launch, results
from mdaf_core.studies.store import Study, get_study, update_study


def go_on(study_id: str, serve: bool = True) -> Study:
    """Stop the configurations that are decided, and where others are open and have finished all their seeds, add the
    next one and queue its runs; nothing for a study of fixed seeds, or one that waits for runs.

    Args:
        serve: as of `queue.api.submit`.

    Raises:
        StudioError: the study, its runs or the queue cannot be read or written; it can be called again.
    """
    study = get_study(study_id)
    plan = study.plan
    if plan is None or plan.until is None:
        return study
    launch.queue_missing(study, serve)  # of a look whose runs were decided on and not queued
    runs = [run for run in tracking.list_runs(study.id) if run.state == "finished"]
    if not study.undecided or not _complete(study, runs):
        return study
    from mdaf_core.analysis.looks import stop

    comparison = results.compare(study, [run for run in runs if (run.configuration, run.seed) in set(study.pairs)])
    now = datetime.now(UTC).isoformat(timespec="seconds")
    never = sum(one.why not in ("better", "worse") for one in study.stopped)
    stops = []
    for name in study.undecided:
        why = stop(comparison, name, len(study.seeds), never)
        if why is not None:
            stops.append(Stop(configuration=name, seeds=len(study.seeds), why=why, when=now))
            never += why not in ("better", "worse")
    left = set(study.undecided) - {one.configuration for one in stops}
    following = plan.seeds[len(study.seeds)] if left else None
    study = update_study(study_id, stop=stops, next_seed=following)
    launch.queue_missing(study, serve)
    return study


def complete(study_id: str) -> list[int]:
    """`launch.queue_missing`, then `go_on`; returns the ids of jobs that were missing."""
    ids = launch.queue_missing(get_study(study_id))
    go_on(study_id)
    return ids


def _complete(study: Study, runs: Sequence[RunRecord]) -> bool:
    """Whether all runs of the open configurations and the reference have finished, those given up aside; the run store
    alone says so, for the queue may not have been told yet."""
    assert study.plan
    wanted = [study.plan.reference, *study.undecided]
    done = {(run.configuration, run.seed) for run in runs}
    return all((name, seed) in done for name in wanted for seed in study.expected_seeds[name])
