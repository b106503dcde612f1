"""`run show`, `run diff`, `run predictions`, `run again`: one trained model."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from mdaf_core.base.errors import UsageError
from mdaf_core.base.words import plural
from mdaf_core.cli.options import EvaluatedSplit
from mdaf_core.cli.output import emit, number, table
from mdaf_core.runs.files import SINGLE_RUNS

app = typer.Typer(help="One run: settings, metrics, log, files, predictions.", no_args_is_help=True)
RunId = Annotated[str, typer.Argument(metavar="RUN", help="A run's id, or its beginning.")]


@app.command()
def show(run: RunId) -> None:
    """Show all of a run.

    Settings and how they differ from its preset, data, code and machine, metrics with intervals over other users, a
    line an epoch, files.
    """
    from mdaf_core.analysis import one_run
    from mdaf_core.runs.tracking import get_run

    record = get_run(run)
    result = record.result
    epochs = record.epochs
    shown = ("run_id", "study", "configuration", "preset", "seed", "dataset", "fingerprint", "state", "reason")
    value: dict[str, Any] = {
        **{name: getattr(record, name) for name in (*shown, "started", "ended")},
        "stopped": result.stopped if result else None,
        "best_epoch": result.best_epoch if result else None,
        "settings": one_run.settings(record),
        "changes": one_run.changes(record),
        "seconds": one_run.took(record),
        "provenance": one_run.provenance(record),
        "metrics": one_run.metrics_of(record),
        "epochs": epochs,
        "files": [{"name": name, "bytes": size} for name, size in one_run.files_of(record)],
    }
    lines = one_run.epoch_lines(epochs, value["best_epoch"])
    emit(value, lambda: _text(value, lines))


def _text(value: dict[str, Any], epochs: list[str]) -> str:
    from mdaf_core.runs.provenance import earlier_words

    ended = f", {value['seconds']:,.0f} s" if value["seconds"] is not None else ""
    began = time.strftime("%Y-%m-%d %H:%M", time.localtime(value["started"]))
    lines = [
        f"Run {value['run_id']}",
        f"{value['configuration']}, seed {value['seed']}, study {value['study']}, data set {value['dataset']}",
        f"{value['state']}, began {began}{ended}. {value['reason'] or value['stopped'] or ''}".rstrip(),
        "",
    ]
    if value["metrics"]:
        rows = [
            (m.split, m.title, number(m.value), *(number(v) for v in (m.low, m.high)), m.covers)
            for m in value["metrics"]
        ]
        lines += [table(rows, ("rows", "metric", "value", "low", "high", "the 95% interval covers")), ""]
    changed = value["changes"]
    if changed is None:
        lines += [f"There is no preset {value['preset']!r} here to compare its settings with.", ""]
    elif changed:
        rows = [(c.setting, _word(c.preset), _word(c.value)) for c in changed]
        lines += [f"Other than preset {value['preset']}:", table(rows, ("setting", "preset", "this run")), ""]
    else:
        lines += [f"All settings are those of preset {value['preset']}.", ""]
    lines += [table([(k, _word(v)) for k, v in value["settings"].items()], ("setting", "value")), ""]
    known = value["provenance"]
    kept = ("code", "platform", "processor", "cores", "threads", "device", "scan", "products")
    about = [(key, known[key]) for key in kept if key in known]
    about += [(name, version) for name, version in known.get("versions", {}).items()]
    about += [("earlier", said) for said in earlier_words(known)]
    lines += [table([("data", f"{value['dataset']} ({value['fingerprint']})"), *about], ("recorded", "")), ""]
    lines += [*epochs, ""] if epochs else []
    lines += [table([(f["name"], f"{f['bytes']:,}") for f in value["files"]], ("file", "bytes"))]
    return "\n".join(lines)


def _word(value: Any) -> str:
    return "none" if value is None else str(value)


@app.command()
def diff(run: RunId, other: Annotated[str, typer.Argument(metavar="OTHER", help="The run beside it.")]) -> None:
    """Show what differs between two runs.

    Of data, settings, seed, code and machine; and this run's metrics minus the other's, with intervals over other users
    where both are of the same rows.
    """
    from mdaf_core.analysis import two_runs
    from mdaf_core.runs.tracking import get_run

    this, that = get_run(run), get_run(other)
    found = two_runs.differences(this, that)
    value = {
        "run_id": this.run_id,
        "other_run_id": that.run_id,
        "differs": found,
        "said": two_runs.said(found),
        "metrics": two_runs.metric_differences(this, that),
    }
    emit(value, lambda: _diff_text(value))


def _diff_text(value: dict[str, Any]) -> str:
    lines = [f"Run {value['run_id'][:8]} beside run {value['other_run_id'][:8]}. {value['said']}", ""]
    if value["differs"]:
        rows = [(one.part, one.what, _word(one.this), _word(one.other)) for one in value["differs"]]
        lines += [table(rows, ("of", "what", "this run", "other run")), ""]
    metrics = value["metrics"]
    if metrics:
        rows = [
            (m.split, m.title, *map(number, (m.this, m.other, *((d.estimate, d.low, d.high) if d else (None,) * 3))))
            for m in metrics
            for d in (m.difference,)
        ]
        lines += [table(rows, ("rows", "metric", "this run", "other run", "difference", "low", "high"))]
        covers = sorted({m.difference.covers for m in metrics if m.difference})
        lines += [f"95% intervals cover {'; '.join(covers)}."] if covers else []
        lines += dict.fromkeys(m.missing for m in metrics if m.missing)
    return "\n".join(lines)


@app.command()
def predictions(
    run: RunId,
    out: Annotated[Path, typer.Option(help="File to write: .csv or .parquet.")],
    split: Annotated[EvaluatedSplit, typer.Option(help="Rows.")] = "test",
) -> None:
    """Write a run's predictions.

    Row, user, label, probability, logit, g where the model has one, and the fields' values.
    """
    from mdaf_core.analysis.one_run import write_predicted_rows
    from mdaf_core.runs.tracking import get_run

    rows = write_predicted_rows(get_run(run), split, out)
    emit({"file": str(out), "rows": rows}, lambda: f"{rows:,} rows written to {out}.")


@app.command()
def again(
    run: RunId,
    settings: Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE", help="What is changed.")],
    name: Annotated[str | None, typer.Option(help="Name of the changed configuration.")] = None,
) -> None:
    """Run a configuration again with a change.

    It becomes a further configuration of the run's study, with the study's seeds, so that the two can be compared.
    """
    from mdaf_core.runs.tracking import get_run
    from mdaf_core.studies import changing

    record = get_run(run)
    if record.study == SINGLE_RUNS:
        raise UsageError(
            f"Run {record.run_id[:8]} belongs to no study. `python -m mdaf_core train {record.preset} --data "
            f"{record.dataset} --seed {record.seed} --set …` trains it again."
        )
    config = changing.changed_configuration(record.study, record.configuration, settings, name)
    study = changing.add_configuration(record.study, config)
    emit(
        {"study": study.id, "configuration": config.name, "seeds": study.seeds},
        lambda: f"{config.name} is a configuration of study {study.id} now: {plural(len(study.seeds), 'run')} queued.",
    )
