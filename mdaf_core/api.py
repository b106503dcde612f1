"""What a notebook needs, under one name: `import mdaf_core as mdaf`. docs/api.md teaches it.

Most of it is the core's own: `ELSEWHERE` says where each name stands. Functions here put together what a page or a
command puts together. Nothing heavy is imported before it is called.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import altair as alt
    import polars as pl

    from mdaf_core.analysis import significance as significance
    from mdaf_core.analysis.adaptivity import Contributions
    from mdaf_core.analysis.compared import StudyComparison
    from mdaf_core.analysis.margins import Margin
    from mdaf_core.analysis.published.audit import audit_file as audit_results
    from mdaf_core.analysis.scores import Kind
    from mdaf_core.data.store.dataset import PreparedDataset
    from mdaf_core.data.store.dataset import list_datasets as list_datasets
    from mdaf_core.data.store.schema import Split
    from mdaf_core.predicting.saved import load as load
    from mdaf_core.predicting.saved import predict as predict
    from mdaf_core.predicting.saved import save_run as save_run
    from mdaf_core.runs.presets import get_preset as get_preset
    from mdaf_core.runs.presets import preset_names as preset_names
    from mdaf_core.runs.tracking import RunRecord
    from mdaf_core.runs.tracking import get_run as get_run
    from mdaf_core.runs.tracking import list_runs as list_runs
    from mdaf_core.studies.changing import extend as extend_study
    from mdaf_core.studies.imports import import_predictions as import_predictions
    from mdaf_core.studies.launch import run as run_study
    from mdaf_core.studies.store import Study
    from mdaf_core.studies.store import get_study as get_study
    from mdaf_core.studies.store import list_studies as list_studies
    from mdaf_core.tasks.summaries import train as train

ELSEWHERE = {
    "audit_results": "mdaf_core.analysis.published.audit:audit_file",
    "extend_study": "mdaf_core.studies.changing:extend",
    "get_preset": "mdaf_core.runs.presets:get_preset",
    "get_run": "mdaf_core.runs.tracking:get_run",
    "get_study": "mdaf_core.studies.store:get_study",
    "import_predictions": "mdaf_core.studies.imports:import_predictions",
    "list_datasets": "mdaf_core.data.store.dataset:list_datasets",
    "list_runs": "mdaf_core.runs.tracking:list_runs",
    "list_studies": "mdaf_core.studies.store:list_studies",
    "load": "mdaf_core.predicting.saved:load",
    "predict": "mdaf_core.predicting.saved:predict",
    "preset_names": "mdaf_core.runs.presets:preset_names",
    "run_study": "mdaf_core.studies.launch:run",
    "save_run": "mdaf_core.predicting.saved:save_run",
    "significance": "mdaf_core.analysis.significance:",
    "train": "mdaf_core.tasks.summaries:train",
}

__all__ = [
    "audit_results",
    "chart",
    "compare",
    "export",
    "extend_study",
    "figure",
    "follow",
    "gates",
    "get_preset",
    "get_run",
    "get_study",
    "import_predictions",
    "list_datasets",
    "list_runs",
    "list_studies",
    "load",
    "notes",
    "open_dataset",
    "predict",
    "prepare",
    "preset_names",
    "run_study",
    "save_run",
    "significance",
    "status",
    "table",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in ELSEWHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import mdaf_core.tasks  # noqa: F401  (names the program that runs what is queued)

    module, _, attribute = ELSEWHERE[name].partition(":")
    found = import_module(module)
    return getattr(found, attribute) if attribute else found


# ---- data ------------------------------------------------------------------------------------------------------------


def prepare(
    source: str,
    path: Path | str | None = None,
    *,
    name: str | None = None,
    options: dict[str, Any] | None = None,
    progress: Callable[[float, str], None] | None = None,
    again: bool = False,
    force: bool = False,
) -> PreparedDataset:
    """Prepare a data set here and now, and open it: `data.prepare.pipeline.prepare`.

    Args:
        progress: called with a share from 0 to 1 and a sentence; None: nothing is said.
        force: replaces a data set of this name even if runs refer to it.

    Raises:
        UsageError, BadInputError, StudioError: as there, or studies and runs refer to a data set of this name.
    """
    from functools import partial

    from mdaf_core.data.prepare import pipeline
    from mdaf_core.studies.data_sets import refuse_replacing

    return pipeline.prepare(
        source,
        path=Path(path).expanduser() if path is not None else None,
        name=name,
        options=options,
        progress=progress,
        again=again,
        may_replace=partial(refuse_replacing, force=force),
    )


def open_dataset(name: str) -> PreparedDataset:
    """A prepared data set by its name. See `PreparedDataset.open` for errors."""
    from mdaf_core.data.store.dataset import PreparedDataset

    return PreparedDataset.open(name)


# ---- a study while it runs -------------------------------------------------------------------------------------------


def follow(study: Study | str, show: Callable[[str], None] = print) -> None:
    """Stay until no job of a study is queued or running, and tell each change in a line: to the notebook's cell.

    To interrupt it stops the telling alone: jobs go on in the background.
    """
    from mdaf_core.tasks.follow import follow as lines

    for line in lines(_study(study)):
        show(line)


def status(study: Study | str) -> pl.DataFrame:
    """One row a configuration and seed: state, reason, job, run_id, and AUC of validation and test rows."""
    import polars as pl

    from mdaf_core.studies.status import cells

    schema = {
        "configuration": pl.String,
        "seed": pl.Int64,
        "state": pl.String,
        "reason": pl.String,
        "job": pl.Int64,
        "run_id": pl.String,
        "val_auc": pl.Float64,
        "test_auc": pl.Float64,
    }
    rows = [
        (c.configuration, c.seed, c.state, c.reason, c.job and c.job.id, c.run_id, c.metric("val", "auc"), auc)
        for c in cells(_study(study))
        for auc in (c.metric("test", "auc"),)
    ]
    return pl.DataFrame(rows, schema=schema, orient="row")


# ---- results ---------------------------------------------------------------------------------------------------------


def compare(
    what: Any,
    *,
    reference: str | None = None,
    metric: str | None = None,
    margin: Margin | str | None = "planned",
    split: Split | None = None,
    over_items: bool = False,
    label: str = "label",
    user: str | None = None,
    item: str | None = None,
    models: Sequence[str] | None = None,
    scores: Kind = "auto",
) -> StudyComparison:
    """Compare the configurations of a study, or models of any origin by a frame of their scores, with one of them.

    `.frame()` of the result is a frame of Polars (`.to_pandas()` one of pandas); `table`, `chart` and `notes` show it.

    Args:
        what: a study or its id; or a frame of Polars or pandas (see `analysis.scores`).
        metric: None: as the study planned; of a frame AUC.
        margin: what counts as parity, such as "20 bp" or "1%"; None: parity is not tested; "planned": as the study
            planned, of a frame none.
        split: of a study: rows to compare on; None: as it planned.
        over_items: intervals cover other items, too.
        label, user, item, models, scores: of a frame, see `analysis.scores.compare_scores`.

    Raises:
        UsageError, BadInputError: as `studies.results.compare` and `analysis.scores.compare_scores`.
    """
    from mdaf_core.analysis.margins import parse_margin
    from mdaf_core.analysis.scores import compare_scores
    from mdaf_core.studies import results
    from mdaf_core.studies.store import Study

    planned = margin == results.PLANNED
    wanted = parse_margin(margin) if isinstance(margin, str) and not planned else margin
    if isinstance(what, str | Study):
        return results.compare(
            _study(what), reference=reference, metric=metric, margin=wanted, split=split, over_items=over_items
        )
    return compare_scores(
        what,
        reference=reference,
        metric=metric or "auc",
        margin=None if isinstance(wanted, str) else wanted,
        label=label,
        user=user,
        item=item,
        models=models,
        scores=scores,
        over_items=over_items,
    )


def table(comparison: StudyComparison) -> pl.DataFrame:
    """A comparison as the Compare page shows it, best first; `comparison.frame()` has the exact figures."""
    from mdaf_core.reporting.topics.comparison.frames import comparison_table

    return comparison_table(comparison)


def notes(comparison: StudyComparison) -> list[str]:
    """What must be known beside a comparison, as sentences."""
    from mdaf_core.reporting.captions import of_differences
    from mdaf_core.reporting.topics.comparison.frames import comparison_notes, condition_notes

    said = [*condition_notes(comparison), of_differences(comparison), *comparison_notes(comparison)]
    return [note for note in dict.fromkeys(said) if note]


def chart(comparison: StudyComparison, kind: Literal["differences", "leaderboard"] = "differences") -> alt.ChartType:
    """The differences to the reference with their intervals, or the means: an Altair chart, which Jupyter displays.

    Raises:
        UsageError: nothing was compared (yet), or the metric is undefined for all.
    """
    from mdaf_core.reporting.theme import in_notebook
    from mdaf_core.reporting.topics.comparison.figures import comparison_chart

    return in_notebook(comparison_chart(comparison, kind))


def figure(study: Study | str, name: str) -> alt.ChartType:
    """One of the figures that `export` writes, by its name there, such as "auc-by-epoch" or "calibration".

    Raises:
        UsageError: unknown name (the message lists those there are), or nothing to draw it from.
    """
    from mdaf_core.reporting.figures import make_figure
    from mdaf_core.reporting.material import Material
    from mdaf_core.reporting.theme import in_notebook

    return in_notebook(make_figure(Material(_study(study)), name).chart)


def gates(target: Study | RunRecord | str, configuration: str | None = None, *, split: Split = "test") -> Contributions:
    """What history, branches and gate contribute to one configuration of a study (the first with a gate), or to a run.

    `.history.sentence`, `.branches` and `.gate.sentence` are the words, `.effects` the figures.

    Raises:
        UsageError: no such study, configuration or run, or none finished.
    """
    from mdaf_core.analysis.adaptivity import contributions
    from mdaf_core.runs.tracking import RunRecord
    from mdaf_core.studies.contributions import planned_margin_of, runs_meant

    if isinstance(target, RunRecord):
        found = [target]
    else:
        found = runs_meant(target if isinstance(target, str) else target.id, configuration)
    return contributions(found, split, planned_margin_of(found[0]))


def export(study: Study | str, folder: Path | str) -> list[Path]:
    """Write a study's figures, tables, results paragraph and manifest into a folder; returns the files.

    Raises:
        UsageError: no such study, or none of its runs has finished.
    """
    from mdaf_core.reporting.paper.bundle import export_study

    return export_study(study if isinstance(study, str) else study.id, Path(folder).expanduser())


def _study(study: Study | str) -> Study:
    from mdaf_core.studies.store import get_study

    return get_study(study) if isinstance(study, str) else study
