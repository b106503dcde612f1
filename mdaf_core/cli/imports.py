"""`import predictions`, `import results`: models that were trained elsewhere, by their predictions or figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from mdaf_core.cli.options import EvaluatedSplit
from mdaf_core.cli.output import emit
from mdaf_core.cli.results import results

app = typer.Typer(help="Take in predictions or results of models trained elsewhere.", no_args_is_help=True)


By = Literal["row-id", "ids", "position"]
"""What tells which score is of which row."""


Scale = Literal["probability", "logit"]
"""What scores are."""


@app.callback()
def _group() -> None:
    """Take in predictions or results of models trained elsewhere."""


@app.command()
def predictions(
    file: Annotated[Path, typer.Argument(help="CSV, TSV, Parquet, JSON lines, .npy or .npz.")],
    name: Annotated[str, typer.Option(help="What the model is called, e.g. fuxictr-dcnv2.")],
    data: Annotated[str | None, typer.Option(help="Prepared data set the predictions are of.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of its training; seeds of a name are repeats.")] = None,
    study: Annotated[
        str | None,
        typer.Option(help="Study to add it to; default: the newest of imported runs on these data; new: a new one."),
    ] = None,
    split: Annotated[EvaluatedSplit | None, typer.Option(help="Rows the file is of; default: recognised.")] = None,
    val: Annotated[Path | None, typer.Option(help="File of the validation rows; FILE is of test rows then.")] = None,
    by: Annotated[
        By | None,
        typer.Option(help="What tells rows: row-id, ids (user, item, time), position; default: recognised."),
    ] = None,
    scale: Annotated[Scale | None, typer.Option(help="What scores are; default: recognised, and said.")] = None,
    score: Annotated[str | None, typer.Option(help="Column of scores, where its name does not tell.")] = None,
    label: Annotated[str | None, typer.Option(help="Column of labels, to be checked; none: there are none.")] = None,
    row_id: Annotated[str | None, typer.Option(help="Column of row ids.")] = None,
    user: Annotated[str | None, typer.Option(help="Column of raw user ids.")] = None,
    item: Annotated[str | None, typer.Option(help="Column of raw item ids.")] = None,
    time: Annotated[str | None, typer.Option(help="Column of times.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what is recognised, and keep nothing.")] = False,
) -> None:
    """Import predictions of a model that was trained elsewhere, as a run.

    They are matched with the data set's rows by row id (`data export` gives them), by raw user, item and time, or by
    position. Rows missing, there twice, unknown or with another label are refused. The run is a configuration like
    others, marked (imported); what is not known of it (curves, cost, g) is said.
    """
    from mdaf_core.data.store.dataset import PreparedDataset
    from mdaf_core.runs.importing.columns import Chosen
    from mdaf_core.runs.importing.examine import examine
    from mdaf_core.studies import imports
    from mdaf_core.studies.store import Study

    chosen = Chosen(
        score=score,
        label=label,
        row_id=row_id,
        user=user,
        item=item,
        time=time,
        by=by,
        scale=scale,
    )
    target = imports.target_study(data, study)
    imports.check_free(target, name, seed)
    dataset = PreparedDataset.open(target.dataset if isinstance(target, Study) else target)
    sources = imports.sources_of(file, split, val)
    found = examine(sources, dataset, chosen)
    value: dict[str, Any] = {
        "data": dataset.name,
        "name": name,
        "seed": seed,
        "splits": {one: part.scores.model_dump() for one, part in found.parts.items()},
        "metrics": {one: part.metrics.model_dump() for one, part in found.parts.items()},
        "sentences": found.sentences(),
    }
    if dry_run:
        emit(value, lambda: "\n".join([*found.sentences(), "Nothing was kept (--dry-run)."]))
        return
    kept = imports.keep_in_study(found, target, name, seed)
    value |= {"study": kept.study.id, "run_id": kept.result.run_id, "configuration": kept.result.configuration}
    which = f"seed {seed}" if seed is not None else "seed not known: it counts as one training"
    emit(
        value,
        lambda: "\n".join(
            [
                *kept.sentences,
                f"Imported as {kept.result.configuration}, {which}, into study {kept.study.id} "
                f"(run {kept.result.run_id[:8]}). Further seeds and models: --study {kept.study.id}.",
            ]
        ),
    )


app.command()(results)
