"""Predictions of new rows: from a file to a file, or from a frame to a frame."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq
from pydantic import BaseModel, Field

from mdaf_core.base.errors import BadInputError, UsageError
from mdaf_core.base.files import writing
from mdaf_core.base.progress import Progress, no_progress, with_time_left
from mdaf_core.data.apply.columns import GrowingColumns
from mdaf_core.data.apply.new_rows import Coder, NewRows
from mdaf_core.data.apply.reading import NewFile
from mdaf_core.data.store.schema import IDENTITY
from mdaf_core.metrics import registry
from mdaf_core.predicting.predictor import Predictor
from mdaf_core.runs.results import SplitMetrics
from mdaf_core.runs.split_metrics import split_metrics
from mdaf_core.training.predict import SCORES

OWN_COLUMNS = ("row", "label", "probability", *SCORES)
ENDINGS = (".parquet", ".csv")
_READ, _SCORED = 0.4, 0.95


class Prediction(BaseModel):
    """What was predicted, and what is to be known of it."""

    model: str
    dataset: str
    out: str = ""
    rows: int
    columns: list[str]
    unknown: dict[str, int] = Field({}, description="Rows whose id the model does not know, by field; without 0.")
    labelled: int = Field(0, description="Rows with a label.")
    metrics: SplitMetrics | None = Field(None, description="On the rows with a label, where there are some.")
    notes: list[str] = Field([], description="On histories and on what could not be told, as sentences.")

    def lines(self) -> list[str]:
        """What is to be known of it, for people."""
        lines = [
            f"{name}: unknown to the model in {count:,} rows ({count / self.rows:.1%})"
            for name, count in self.unknown.items()
        ]
        if self.metrics is not None:
            named = [(one.words, self.metrics.value(key)) for key, one in registry.metrics().items()]
            shown = ", ".join(f"{words} {value:.4f}" for words, value in named if value is not None)
            lines.append(f"On {self.labelled:,} rows with a label: {shown or 'no metric has a value'}")
        return lines + self.notes


def predict_file(
    predictor: Predictor,
    path: Path,
    out: Path,
    *,
    beside: Path | None = None,
    skip_bad_rows: bool = False,
    progress: Progress | None = None,
) -> Prediction:
    """Predict the rows of a file; see docs/predicting.md.

    The file is read piece by piece, rows and histories lie on disk beside `out` meanwhile, and `out` appears when it is
    complete, one row a row of the input and in its order.

    Args:
        path: rows as the data set's source has them, or one table with the names of its fields.
        out: a .parquet or .csv file.
        beside: folder with the source's other files, where `path` holds rows alone.
        skip_bad_rows: leave out what cannot be read instead of refusing the file.

    Raises:
        UsageError: `out` cannot be such a file, or the path is none for this data set.
        BadInputError: what is wrong with the input, with its line.
        StudioError: the disk is full, or a file of the model is damaged.
    """
    if out.suffix.lower() not in ENDINGS:
        raise UsageError(f"{out.name}: predictions are written as {' or '.join(ENDINGS)}; name such a file.")
    if out.is_dir() or not out.parent.is_dir():
        raise UsageError(f"{out} cannot be written: it is a folder, or its folder does not exist.")
    report = with_time_left(progress or no_progress)
    with predictor.plugins(), writing(out), _scratch(out.parent) as scratch:
        rows, facts = _code(
            predictor, NewFile(predictor.known.meta, path, scratch / "in", beside, skip_bad_rows), report
        )
        temporary = scratch / f"out{out.suffix.lower()}"
        found = _predict(predictor, rows, scratch / "scores", facts, report)
        with _writer(temporary) as write:
            for number, frame in enumerate(found.frames()):
                report(_SCORED, f"Writing {out.name}: piece {number + 1}")
                write(frame)
        temporary.replace(out)
        report(1.0, f"Predicted {len(rows):,} rows")
        return found.prediction.model_copy(update={"out": str(out)})


def predict_frame(predictor: Predictor, frame: Any) -> tuple[pl.DataFrame, Prediction]:
    """Predict the rows of a frame: as those of a Parquet file with its columns.

    Args:
        frame: of Polars or pandas, or anything that `polars.DataFrame` takes.

    Returns:
        Predictions, one row a row and in its order; columns as in `predict_file`'s output.

    Raises:
        BadInputError: as `predict_file`; the line is the row, from 1.
    """
    with predictor.plugins(), _scratch(None) as scratch:
        path = scratch / "frame.parquet"
        _as_polars(frame).write_parquet(path)
        try:
            file = NewFile(predictor.known.meta, path, scratch / "in")
            rows, facts = _code(predictor, file, no_progress)
        except BadInputError as error:
            if error.path is None or Path(error.path) != path:
                raise
            where = "" if error.line is None else f"Row {error.line}: "
            raise BadInputError(where + error.problem, "The frame", text=error.text) from None
        found = _predict(predictor, rows, scratch / "scores", facts, no_progress)
        return pl.concat(list(found.frames())), found.prediction


def predict_like(predictor: Predictor, frame: Any) -> tuple[Any, Prediction]:
    """As `predict_frame`; the predictions are a frame of the library that `frame` is of, with its index in pandas."""
    found, said = predict_frame(predictor, frame)
    if type(frame).__module__.partition(".")[0] != "pandas":
        return found, said
    pandas = found.to_pandas()
    pandas.index = frame.index
    return pandas, said


def _as_polars(frame: Any) -> pl.DataFrame:
    if isinstance(frame, pl.LazyFrame):
        return frame.collect()
    if isinstance(frame, pl.DataFrame):
        return frame
    try:
        return pl.DataFrame(frame)
    except (TypeError, ValueError, pl.exceptions.PolarsError) as error:
        raise UsageError(f"This is no frame of columns ({str(error)[:200]}): take one of Polars or pandas.") from None


def _code(predictor: Predictor, file: NewFile, report: Progress) -> tuple[NewRows, NewFile]:
    file.scratch.mkdir()
    coder = Coder(predictor.known, file.scratch / "coded", predictor.max_history)
    for raw in file.read(lambda share, words: report(_READ * share, words)):
        coder.add(raw)
    report(_READ, "Joining histories")
    return coder.finish(), file


class _Found:
    """Predicted rows, on disk."""

    def __init__(self, rows: NewRows, scores: dict[str, np.ndarray], names: dict[str, str], prediction: Prediction):
        self._rows, self._scores, self._names, self.prediction = rows, scores, names, prediction

    def frames(self) -> Iterator[pl.DataFrame]:
        """Frames of the output, in order: `row`, what tells rows apart, `label` where there are some, predictions."""
        begin, label = 0, self._rows.columns["label"]
        for shown in self._rows.shown():
            piece = slice(begin, begin + len(shown))
            begin = piece.stop
            logit = self._scores["logit"][piece]
            columns = {self._names.get(name, name): shown[name] for name in shown.columns}
            if self.prediction.labelled:
                given = pl.Series(np.asarray(self._rows.labelled[piece]))
                own = pl.Series(np.asarray(label[piece]))
                columns["label"] = pl.select(pl.when(given).then(own)).to_series()
            columns["probability"] = np.exp(-np.logaddexp(0.0, -logit))
            yield pl.DataFrame(columns | {name: np.asarray(values[piece]) for name, values in self._scores.items()})


def _predict(predictor: Predictor, rows: NewRows, scratch: Path, file: NewFile, report: Progress) -> _Found:
    done = GrowingColumns(scratch)
    for batch in predictor.answers(rows):
        done.add(batch)
        share = _READ + (_SCORED - _READ) * done.length / len(rows)
        report(share, f"Predicting: {done.length:,} of {len(rows):,} rows")
    scores = done.arrays()
    meta, labelled = predictor.known.meta, np.asarray(rows.labelled)
    metrics = None
    if labelled.any():
        user = rows.columns["user_index"][labelled] if meta.has_user else None
        metrics = split_metrics(rows.columns["label"][labelled], scores["logit"][labelled], user)
    names = file.shown_names(OWN_COLUMNS)
    prediction = Prediction(
        model=predictor.title,
        dataset=meta.name,
        rows=len(rows),
        columns=[],
        unknown={name: count for name, count in rows.unknown.items() if count},
        labelled=int(np.count_nonzero(labelled)),
        metrics=metrics,
        notes=list(_notes(predictor, rows, file)),
    )
    found = _Found(rows, scores, names, prediction)
    prediction.columns = next(found.frames()).columns
    return found


def _notes(predictor: Predictor, rows: NewRows, file: NewFile) -> Iterator[str]:
    meta, known = predictor.known.meta, predictor.known
    if not meta.history_fields or meta.ready_made_history:
        return
    already = f" ({rows.known_events:,} more are in the log already)" if rows.known_events else ""
    yield f"Histories: {rows.log_events:,} events of the log, {rows.new_events:,} of the file{already}."
    unlabelled = len(rows) - int(np.count_nonzero(rows.labelled))
    if unlabelled and file.source.event_rule(file.options) == "positives":
        yield f"{unlabelled:,} rows have no label: they are in no later row's history, which holds positive rows alone."
    held = known.events_of(np.zeros(1, np.int64))
    told_apart = [name for name in meta.history_fields if name + IDENTITY in held]
    lost = [name for name in told_apart if not len(known.unseen(name))]
    if lost:
        yield (
            f"The data set was prepared before ids that training rows do not hold were kept by name: whether such a "
            f"{lost[0]} is one of its user's history cannot be told. Prepare it again and train again."
        )


@contextmanager
def _scratch(beside: Path | None) -> Iterator[Path]:
    """A hidden folder that is removed whatever happens."""
    folder = Path(tempfile.mkdtemp(prefix=".mdaf-predict-", dir=beside))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _writer(path: Path) -> Iterator[Any]:
    """What writes frames to a file, one below the other."""
    if path.suffix == ".csv":
        with path.open("wb") as file:

            def write_csv(frame: pl.DataFrame) -> None:
                frame.write_csv(file, include_header=file.tell() == 0)

            yield write_csv
        return
    writer: pq.ParquetWriter | None = None

    def write(frame: pl.DataFrame) -> None:
        nonlocal writer
        table = frame.to_arrow()
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table.cast(writer.schema))

    try:
        yield write
    finally:
        if writer is not None:
            writer.close()
