"""Imported predictions kept as a run: like one that was trained here, with what is not known left unknown."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

from mdaf_core.base.errors import StudioError
from mdaf_core.base.files import keep
from mdaf_core.data.store.schema import EVALUATED, LONGEST_HISTORY, SPLIT_NAMES
from mdaf_core.metrics.metric import FIRST_DEFINITION
from mdaf_core.metrics.registry import metrics
from mdaf_core.runs import tracking
from mdaf_core.runs.config import RunConfig
from mdaf_core.runs.imported import IMPORTED, ImportedModel, ImportedScores, marked_name
from mdaf_core.runs.importing.examine import Examined
from mdaf_core.runs.predictions import write_predictions
from mdaf_core.runs.provenance import code_version, fingerprint, versions
from mdaf_core.runs.results import RunResult, SplitMetrics


def imported_config(name: str) -> RunConfig:
    """The configuration that imported predictions are of."""
    return RunConfig(name=marked_name(name), preset=IMPORTED, model=ImportedModel(of=name))


def record(examined: Examined, config: RunConfig, seed: int, seed_known: bool, study: str) -> RunResult:
    """Keep predictions as a finished run of a study.

    Raises:
        StudioError: the run store or the disk refuses it; the run is closed as failed then.
    """
    dataset = examined.dataset
    scores = ImportedScores(
        seed_known=seed_known,
        imported=datetime.now(UTC).isoformat(timespec="seconds"),
        splits={split: part.scores for split, part in examined.parts.items()},
    )
    facts = {
        "code": code_version(),
        "versions": versions("numpy", "polars"),
        "dataset": {"name": dataset.name, "fingerprint": dataset.meta.fingerprint, "versions": dataset.meta.versions},
        "seed": seed if seed_known else None,
        "imported": scores.model_dump(mode="json"),
    }
    run_id = tracking.start_run(config, seed, dataset.name, fingerprint(dataset), study, facts)
    try:
        for split, part in examined.parts.items():
            path = tracking.run_directory(run_id) / "predictions" / f"{split}.parquet"
            columns = {"logit": part.logit}
            keep(path, lambda: write_predictions(path, dataset.rows(split), columns, LONGEST_HISTORY))  # noqa: B023
        of_splits = {
            split: examined.parts[split].metrics if split in examined.parts else _unknown(SPLIT_NAMES[split])
            for split in EVALUATED
        }
        result = RunResult(
            run_id=run_id,
            preset=config.preset,
            configuration=config.name,
            seed=seed,
            dataset=dataset.name,
            best_epoch=None,
            stopped="Imported: how it was trained is not known.",
            epochs=[],
            val=of_splits["val"],
            test=of_splits["test"],
            rows_per_second=None,
            parameters=None,
            parameters_embedding=None,
            parameters_dense=None,
            wall_seconds=None,
            peak_memory_mb=None,
            provenance=facts,
            imported=scores,
        )
        tracking.finish_run(run_id, result)
    except BaseException as error:
        with suppress(StudioError):
            tracking.close_run(run_id, "failed", str(error) or type(error).__name__)
        raise
    return result


def _unknown(split: str) -> SplitMetrics:
    """Metrics of a split that nothing was imported of."""
    found = metrics()
    why = f"No predictions of the {split} rows were imported."
    return SplitMetrics(
        rows=0,
        positives=0,
        undefined=dict.fromkeys([*found, "auc_se"], why),
        definitions={key: one.identity for key, one in found.items() if one.identity != FIRST_DEFINITION},
        **dict.fromkeys(found),
    )
