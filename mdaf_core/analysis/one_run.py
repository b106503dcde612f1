"""Everything there is to know of one run: settings, what they differ in from its preset, provenance, metrics, files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from mdaf_core.analysis.sampling import mean_over_seeds, row_sampling
from mdaf_core.base import notices
from mdaf_core.base.errors import StudioError, UsageError
from mdaf_core.base.files import below, new_file, read_json, writing
from mdaf_core.data.store.export import frames
from mdaf_core.data.store.schema import EVALUATED, Split
from mdaf_core.metrics.registry import metrics
from mdaf_core.runs import files
from mdaf_core.runs.config import RunConfig
from mdaf_core.runs.metric_values import metric_value
from mdaf_core.runs.predictions import COLUMNS, dataset_of, load_predictions
from mdaf_core.runs.presets import get_preset, preset_names
from mdaf_core.runs.results import EpochMetrics
from mdaf_core.runs.tracking import RunRecord

DOWNLOADS = (".csv", ".parquet")


@dataclass(frozen=True)
class Changed:
    """A setting whose value is not the preset's; `preset` is None too where that has no such setting."""

    setting: str
    preset: Any
    value: Any


@dataclass(frozen=True)
class MetricOfRun:
    """A metric of the best epoch's weights on one split.

    Attributes:
        low, high: its 95% interval over other users (rows, where there are none), of this trained model.
        covers: what the interval covers, or why there is none; of an undefined metric the reason.
    """

    split: Split
    key: str
    title: str
    value: float | None
    low: float | None
    high: float | None
    covers: str


def config_of(run: RunRecord) -> RunConfig:
    """The configuration it was trained with.

    Raises:
        DamagedFileError: its file cannot be read.
    """
    return files.load_config(run.directory / "config.json")


def settings(run: RunRecord) -> dict[str, Any]:
    """All settings, by their dotted paths: of its file, else as the run store has them (as texts)."""
    try:
        return config_of(run).flat_settings()
    except StudioError as damage:
        notices.add(damage)
        return {key: value for key, value in run.config.items() if key not in ("seed", "dataset")}


def changes(run: RunRecord) -> list[Changed] | None:
    """What differs from its preset as that is today; None where there is no such preset here."""
    if run.imported or run.preset not in preset_names():
        return None
    own, usual = settings(run), get_preset(run.preset).flat_settings()
    return [
        Changed(path, usual.get(path), own.get(path))
        for path in dict.fromkeys([*own, *usual])
        if own.get(path) != usual.get(path)
    ]


def took(run: RunRecord) -> float | None:
    """Seconds of a run that has ended: of a finished one those it was trained and evaluated, without the time that it
    waited to be resumed; else from its begin to its end."""
    if run.result is not None and run.result.wall_seconds is not None:
        return run.result.wall_seconds
    return None if run.ended is None else run.ended - run.started


def provenance(run: RunRecord) -> dict[str, Any]:
    """Code, versions, machine and data as they were recorded; empty where nothing was."""
    if run.result is not None:
        return run.result.provenance
    path = run.directory / "provenance.json"
    if not path.exists():
        return {}
    try:
        found = read_json(path, "The run's other files are used.")
    except StudioError as damage:
        notices.add(damage)
        return {}
    return found if isinstance(found, dict) else {}


def metrics_of(run: RunRecord) -> list[MetricOfRun]:
    """Every metric on both splits with its interval; empty where the run has no result. The first time it reads the
    predictions, which takes a moment for each metric."""
    out = []
    for split in EVALUATED if run.result is not None else ():
        for key, metric in metrics().items():
            found, low, high = metric_value(run, split, key), None, None
            covers = found.reason
            if found.value is not None:
                sampling = row_sampling([[run]], split, key)
                estimate = mean_over_seeds([found.value], sampling)
                covers = estimate.covers if estimate else sampling.missing or sampling.refused or ""
                low, high = (estimate.low, estimate.high) if estimate else (None, None)
            out.append(MetricOfRun(split, key, metric.title, found.value, low, high, covers))
    return out


def epoch_lines(epochs: list[EpochMetrics], best: int | None) -> list[str]:
    """The log in short, a line an epoch; `kept`: the epoch whose weights were."""
    return [_line(epoch, epoch.epoch == best) for epoch in epochs]


def _line(epoch: EpochMetrics, best: bool) -> str:
    values = [
        f"{name} {value:.4f}"
        for name, value in (
            ("train loss", epoch.train_loss),
            ("val loss", epoch.val_loss),
            ("train AUC", epoch.train_auc_eval),
            ("val AUC", epoch.val_auc),
            ("mean g", epoch.gate_mean),
        )
        if value is not None
    ]
    pace = [f"{epoch.seconds:.1f} s", f"{epoch.rows_per_second:,.0f} rows/s"] if epoch.seconds else []
    kept = ["kept"] if best else []
    return f"epoch {epoch.epoch}: {', '.join([*values, f'lr {epoch.lr:.3g}', *pace, *kept])}"


def files_of(run: RunRecord) -> list[tuple[str, int]]:
    """Its files on this machine, with their bytes."""
    found = ((path, stat.st_size) for path, stat in below(run.directory) if not path.name.startswith("."))
    return sorted((path.relative_to(run.directory).as_posix(), size) for path, size in found)


# ---- predictions for people ------------------------------------------------------------------------------------------


def predicted_rows(run: RunRecord, split: Split) -> Iterator[pl.DataFrame]:
    """A run's predictions with what was predicted, in parts, in the data set's order.

    Columns: row_id, user (raw id), label, probability, logit, g where the model has one, timestamp, history_length, and
    each field as its raw id or number (`field NAME` where another column is called so). Where the data set is gone or
    was prepared anew since, users are its codes and there are no fields; that is noted.

    Raises:
        UsageError: the run has no predictions of the split.
        DamagedFileError: they cannot be read.
    """
    own = load_predictions(run.run_id, split)
    own = own.select(*(name for name in (*COLUMNS, "g") if name in own.columns))
    try:
        described = frames(dataset_of(run, split), split, labels=False, most=0, several=False)
    except StudioError as gone:
        notices.add(f"{gone} Users are numbers of that data set, and fields are left out.")
        yield own.select(*_first(own))
        return
    named = {field.name for field in dataset_of(run, split).meta.fields if field.role != "user"}
    start = 0
    for rows in described:
        here = own.slice(start, len(rows))
        start += len(rows)
        users = [name for name in ("user_id" if "user" in named else "user",) if name in rows.columns]
        fields = [name for name in rows.columns if name not in ("row_id", "timestamp", *users)]
        whole = here.drop("user").hstack(
            [
                *(rows[name].alias("user") for name in users),
                *(rows[name].alias(f"field {name}" if name in (*COLUMNS, "g") else name) for name in fields),
            ]
        )
        yield whole.select(*_first(whole))


def _first(frame: pl.DataFrame) -> list[str]:
    order = ("row_id", "user", "label", "probability", "logit", "g", "timestamp", "history_length")
    first = [name for name in order if name in frame.columns]
    return [*first, *(name for name in frame.columns if name not in first)]


def write_predicted_rows(run: RunRecord, split: Split, path: Path) -> int:
    """Write `predicted_rows` to a file, which appears when it is complete; returns the number of rows.

    Raises:
        UsageError: another ending than .csv or .parquet, or no predictions.
        StudioError: they cannot be read, or the disk refuses the file.
    """
    if path.suffix.lower() not in DOWNLOADS:
        raise UsageError(f"{path.name} should end in {' or '.join(DOWNLOADS)}, which says the format.")
    whole = pl.concat(predicted_rows(run, split))
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with new_file(path) as aside:
            whole.write_csv(aside) if path.suffix.lower() == ".csv" else whole.write_parquet(aside)
    return len(whole)
