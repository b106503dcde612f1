"""What each configuration cost, so that unequal budgets are visible."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from mdaf_core.runs import tracking
from mdaf_core.runs.groups import by_configuration
from mdaf_core.runs.tracking import RunRecord


def ledger(runs: Sequence[RunRecord], others: Sequence[RunRecord] = ()) -> pl.DataFrame:
    """What each configuration cost, so that unequal budgets are visible.

    Args:
        runs: of a study.
        others: further runs of the store, to count the settings tried of each kind of model on the same data.

    Returns:
        Columns configuration, model, seeds, parameters_embedding, parameters_dense, multiply_adds (a row),
        rows_per_second (mean), epochs (mean, trained), best_epoch (mean), wall_seconds (mean a run),
        total_seconds (all runs), peak_memory_mb (largest), settings_tried. Null of imported ones: not known.
    """
    records = []
    for name, group in by_configuration(runs).items():
        members = list(group.values())
        results = [r.result for r in members if r.result]
        first = members[0]
        seconds = [r.wall_seconds for r in results if r.wall_seconds is not None]
        tried = {
            _settings(r) for r in [*runs, *others] if r.model == first.model and r.fingerprint == first.fingerprint
        }
        records.append(
            {
                "configuration": name,
                "model": first.model,
                "seeds": len(members),
                "parameters_embedding": results[0].parameters_embedding,
                "parameters_dense": results[0].parameters_dense,
                "multiply_adds": results[0].multiply_adds,
                "rows_per_second": _mean([r.rows_per_second for r in results]),
                "epochs": None if first.imported else _mean([len(r.epochs) for r in results]),
                "best_epoch": _mean([r.best_epoch for r in results]),
                "wall_seconds": _mean([r.wall_seconds for r in results]),
                "total_seconds": sum(seconds) if seconds else None,
                "peak_memory_mb": max(
                    (r.peak_memory_mb for r in results if r.peak_memory_mb is not None), default=None
                ),
                "settings_tried": None if first.imported else len(tried),
            }
        )
    integers = ("seeds", "parameters_embedding", "parameters_dense", "multiply_adds", "settings_tried")
    floats = ("rows_per_second", "epochs", "best_epoch", "wall_seconds", "total_seconds", "peak_memory_mb")
    schema: dict[str, Any] = {"configuration": pl.String, "model": pl.String}
    schema |= dict.fromkeys(integers, pl.Int64) | dict.fromkeys(floats, pl.Float64)
    return pl.DataFrame(records, schema=schema).select(
        "configuration", "model", "seeds", *integers[1:4], *floats, "settings_tried"
    )


def budgets(runs: Sequence[RunRecord], others: Sequence[RunRecord]) -> dict[str, int]:
    """Configuration → settings of its preset that were tried on the same data: its own, and those of runs elsewhere
    that no configuration compared here has. Imported ones are left out.

    Args:
        runs: of a study. others: of the store, in whatever state.
    """
    compared = {_settings(run) for run in runs}
    elsewhere: dict[tuple[str, str], set[tuple[tuple[str, Any], ...]]] = {}
    wanted = {(run.preset, run.fingerprint) for run in runs if not run.imported}
    for run in others:
        if (run.preset, run.fingerprint) in wanted and (settings := _settings(run)) not in compared:
            elsewhere.setdefault((run.preset, run.fingerprint), set()).add(settings)
    return {
        run.configuration: 1 + len(elsewhere.get((run.preset, run.fingerprint), ())) for run in runs if not run.imported
    }


def _settings(run: RunRecord) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted((k, v) for k, v in run.config.items() if k not in ("seed", "dataset")))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return float(np.mean(known)) if known else None


def of_runs(runs: Sequence[RunRecord]) -> pl.DataFrame:
    """`ledger` of some runs, with all others of the run store on the same data as what else was tried."""
    mine = {run.run_id for run in runs}
    there = tracking.list_runs_on(run.fingerprint for run in runs)
    return ledger(runs, [run for run in there if run.run_id not in mine])
