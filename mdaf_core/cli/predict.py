"""`predict` and `save`: a trained run, used."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mdaf_core.base.errors import UsageError
from mdaf_core.base.files import size_below
from mdaf_core.cli.output import ProgressLines, emit

RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="A run's id or its beginning, or a study with the two options below.")
]
ConfigurationOption = Annotated[str | None, typer.Option("--configuration", help="Of a study: which configuration.")]
SeedOption = Annotated[int | None, typer.Option("--seed", help="Of a study: which seed.")]


def predict(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN|DIR", help="A run's id or its beginning, a study with the two options below, or a saved model."
        ),
    ],
    path: Annotated[
        Path,
        typer.Option(help="Rows to predict: as the data set's source has them, or a table with its fields' names."),
    ],
    out: Annotated[Path, typer.Option("--out", help="File to write: .parquet or .csv.")],
    configuration: ConfigurationOption = None,
    seed: SeedOption = None,
    beside: Annotated[
        Path | None, typer.Option(help="Folder with the source's other files, where PATH holds rows alone.")
    ] = None,
    skip_bad_rows: Annotated[
        bool, typer.Option("--skip-bad-rows", help="Leave out rows that cannot be read, instead of refusing the file.")
    ] = False,
) -> None:
    """Predict new rows with a trained run, or with a saved model.

    Raw ids, read as when the data set was prepared; ids the model does not know become unknown. Labels are optional.
    """
    from mdaf_core.predicting.predict import predict_file
    from mdaf_core.predicting.predictor import find_run, open_run
    from mdaf_core.predicting.saved import INDEX, load

    folder = Path(run).expanduser()
    if (folder / INDEX).exists() or (folder.is_dir() and len(folder.parts) > 1):
        if configuration is not None or seed is not None:
            raise UsageError(f"{run} is a folder, which holds one model: leave --configuration and --seed out.")
        predictor = load(folder).predictor
    else:
        predictor = open_run(find_run(run, configuration, seed))
    found = predict_file(predictor, path, out, beside=beside, skip_bad_rows=skip_bad_rows, progress=ProgressLines())
    emit(found, lambda: _text(found))


def save(
    run: RunArgument,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder.")],
    configuration: ConfigurationOption = None,
    seed: SeedOption = None,
    without_log: Annotated[
        bool, typer.Option("--without-log", help="Leave the event log out: histories will hold new rows alone.")
    ] = False,
) -> None:
    """Save a run's model as a folder that needs no run store.

    Weights, configuration, vocabularies, scaling, the event log, and how to load it elsewhere.
    """
    from mdaf_core.predicting.predictor import find_run
    from mdaf_core.predicting.saved import save_run

    index = save_run(find_run(run, configuration, seed), folder, with_log=not without_log)
    size = size_below(folder)
    value = {"folder": str(folder), "bytes": size} | index.model_dump(mode="json")
    emit(value, lambda: f"{folder}: {len(index.files) + 1} files, {size / 1e6:,.1f} MB. See its README.md.")


def _text(found: Any) -> str:
    first = f"{found.out}: {found.rows:,} rows by {found.model}; columns {', '.join(found.columns)}"
    return "\n".join([first, *found.lines()])
