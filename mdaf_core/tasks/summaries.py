"""What pages show of a study, computed when a run ends and kept on disk, so that opening a page is a read."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from mdaf_core.analysis import gate_groups
from mdaf_core.analysis.comparison import compare_study
from mdaf_core.analysis.curves import CurveKind, curve_points
from mdaf_core.analysis.effects import measure_effects
from mdaf_core.analysis.gates import gate_summary, without_gate
from mdaf_core.analysis.slices import slice_metrics
from mdaf_core.base.errors import StudioError, UsageError
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.data.store.schema import EVALUATED
from mdaf_core.runs import tracking
from mdaf_core.runs.config import RunConfig
from mdaf_core.runs.groups import by_configuration
from mdaf_core.runs.presets import get_preset
from mdaf_core.runs.results import RunResult
from mdaf_core.studies.store import Study, get_study

Named = TypeVar("Named")

CURVES: tuple[CurveKind, ...] = ("roc", "pr", "calibration")


def train(config: RunConfig | str, dataset: PreparedDataset | str, seed: int, **options: Any) -> RunResult:
    """`training.fit.train` with its `options`, then `summarise`: what a job and a training in the foreground do.

    Args:
        config: a configuration, or a preset's name. dataset: a prepared data set, or its name.

    Raises:
        UsageError: they are something else. Further errors as of `training.fit.train`.
    """
    from mdaf_core.training import fit

    found = _named(config, get_preset, RunConfig, "configuration must be one of get_preset, or a preset's name")
    data = _named(dataset, PreparedDataset.open, PreparedDataset, "data set must be one of open_dataset, or its name")
    result = fit.train(found, data, seed, **options)
    try_to_summarise(result.run_id)
    return result


def _named(given: object, by_name: Callable[[str], Named], kind: type[Named], what: str) -> Named:
    found = by_name(given) if isinstance(given, str) else given
    if not isinstance(found, kind):
        raise UsageError(f"The {what}, not of type {type(given).__name__}.")
    return found


def try_to_summarise(run_id: str) -> None:
    """As `summarise`; whatever goes wrong, the run is finished all the same, and pages compute what is missing."""
    try:
        summarise(run_id)
    except Exception:
        traceback.print_exc()


def summarise(run_id: str) -> None:
    """Of one finished run: its curves, its gate and what that does alone; of its study: every comparison with the
    reference, what the parts of its configuration contribute, its slices by history length, and the figures that the
    Export page shows first. What is undefined here is said by the page that would show it.

    Seconds at hundreds of thousands of rows; nothing is computed twice, so that it can be called again.
    """
    run = tracking.get_run(run_id)
    with suppress(StudioError):  # a run of no study
        study = get_study(run.study)
        runs = [other for other in tracking.list_runs(study.id) if other.state == "finished"]
        for split in EVALUATED:
            compare_study(runs, study.reference, split)
            mine = list(by_configuration(runs)[run.configuration].values())
            with suppress(StudioError):
                measure_effects(mine, split)
            with suppress(StudioError):
                slice_metrics({run.configuration: mine}, "history_length", split)
        _draw_previews(study)
    for split in EVALUATED:
        for kind in CURVES:
            curve_points([run], kind, split)
        if without_gate(run) is None:
            with suppress(StudioError):
                gate_summary(run, split)
                gate_groups.shown_first(run, split)
                measure_effects([run], split)


def _draw_previews(study: Study) -> None:
    from mdaf_core.reporting import export
    from mdaf_core.reporting.figures import FIGURES, make_figure
    from mdaf_core.reporting.material import Material

    material = Material(study)
    first = next(iter(FIGURES.values())).group
    for name in [name for name, figure in FIGURES.items() if figure.group == first]:
        with suppress(StudioError):
            export.preview(make_figure(material, name).chart)
