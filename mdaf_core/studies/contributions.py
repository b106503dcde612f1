"""Whose contributions are asked for, by a study or a run, and what its study planned to call negligible."""

from __future__ import annotations

from mdaf_core.analysis.effects import runs_of
from mdaf_core.analysis.gates import without_gate
from mdaf_core.analysis.margins import Margin
from mdaf_core.analysis.plan import planned_margin
from mdaf_core.base.errors import UsageError
from mdaf_core.runs import tracking
from mdaf_core.runs.tracking import RunRecord
from mdaf_core.studies.store import get_study


def runs_meant(target: str, configuration: str | None = None) -> list[RunRecord]:
    """The finished runs of one configuration of a study, or one run.

    Args:
        target: a study, or a run (the beginning of its id).
        configuration: of the study; None: the first with a gate, else its first.

    Raises:
        UsageError: there is no such study, run or configuration.
    """
    try:
        study = get_study(target)
    except UsageError:
        if configuration is not None:
            raise
        return [tracking.get_run(target)]
    runs = [run for run in tracking.list_runs(study.id) if run.state == "finished"]
    if configuration is None:
        gated = {run.configuration for run in runs if without_gate(run) is None}
        names = study.configuration_names
        configuration = next((name for name in names if name in gated), names[0])
    return runs_of(runs, configuration)


def planned_margin_of(run: RunRecord) -> Margin | None:
    """What the run's study planned to count as negligible in AUC; None: nothing, or it is of no study."""
    try:
        return planned_margin(get_study(run.study).plan, "auc")
    except UsageError:
        return None
