"""A trained model as a folder that needs no run store: JSON, safetensors (or LightGBM's text) and Parquet, no code."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pydantic import BaseModel

from mdaf_core.base.errors import DamagedFileError, StudioError, UsageError
from mdaf_core.base.files import new_folder, read_json, reading, write_json, write_text, writing
from mdaf_core.data.apply.known import Saved, save_known
from mdaf_core.plugins.kept import FOLDER, as_trained, kept_in
from mdaf_core.predicting.predict import Prediction, predict_like
from mdaf_core.predicting.predictor import (
    Predictor,
    dataset_of,
    find_run,
    neural_answers,
    open_run,
    tree_answers,
    weights_of,
)
from mdaf_core.runs import files, provenance
from mdaf_core.runs.tracking import RunRecord, artifact

FORMAT = 1
INDEX, CONFIG, DATA, ENCODINGS = "model.json", "config.json", "data", "encodings.parquet"
_REMEDY = "Save the model again (`mdaf save RUN DIR`), or take a whole copy of its folder."


class Index(BaseModel):
    """`model.json`: what was saved, and the sha256 of every other file."""

    format: int = FORMAT
    run_id: str
    study: str
    configuration: str
    seed: int
    dataset: str
    fingerprint: str
    weights: str
    with_log: bool
    prior: float | None = None
    versions: dict[str, str] = {}
    code: str = ""
    saved: str = ""
    files: dict[str, str] = {}


class SavedModel:
    """A model loaded from a folder.

    Attributes:
        index: what was saved; predictor: its answers.
    """

    def __init__(self, folder: Path, index: Index, predictor: Predictor):
        self.folder, self.index, self.predictor = folder, index, predictor
        self.last: Prediction | None = None

    def __repr__(self) -> str:
        return f"SavedModel({self.predictor.title!r} on {self.index.dataset!r})"

    def predict(self, frame: Any) -> Any:
        """Predictions for the rows of a frame, one row a row and in its order.

        Columns: `row`; user, item and time where rows have them; `label` where some have one; `probability`, `logit`,
        and for gated models `g`, `logit_static`, `logit_sequential`. What else is to be known (unknown ids, metrics)
        is in `last` afterwards.

        Args:
            frame: of Polars or pandas, with the columns that docs/predicting.md names.

        Returns:
            A frame of the same library; its index, where pandas has one, is kept.

        Raises:
            BadInputError: a column is missing or a value is none of its kind; with the row.
        """
        found, self.last = predict_like(self.predictor, frame)
        return found


def save_run(run: RunRecord, folder: Path, with_log: bool = True) -> Index:
    """Write a run's model to a new folder, whole or not at all.

    Args:
        with_log: also write the data set's event log and the raw ids of its users. Without it, histories hold the new
            rows' own events alone, and models that read histories predict otherwise.

    Raises:
        UsageError: the folder holds something, or the run has no model.
        StudioError: its data set is gone or another; the disk is full.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} holds something already: name a new folder.")
    with as_trained(run.directory):
        dataset, config = dataset_of(run), files.load_config(artifact(run.run_id, CONFIG))
        weights = weights_of(run, config)
    index = Index(
        run_id=run.run_id,
        study=run.study,
        configuration=run.configuration,
        seed=run.seed,
        dataset=run.dataset,
        fingerprint=run.fingerprint,
        weights=weights.name,
        with_log=with_log and bool(dataset.meta.history_fields) and not dataset.meta.ready_made_history,
        versions=provenance.versions(),
        code=provenance.code_version(),
        saved=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    with writing(folder), new_folder(folder) as new:
        (new / weights.name).write_bytes(weights.read_bytes())
        write_json(new / CONFIG, config.model_dump(mode="json"))
        (new / DATA).mkdir()
        save_known(dataset, new / DATA, index.with_log)
        if config.model.grown:
            from mdaf_core.training.gbdt import Encodings

            index.prior = _write_encodings(Encodings.of(dataset), new / ENCODINGS)
        if kept_in(run.directory):
            shutil.copytree(run.directory / FOLDER, new / FOLDER)
        write_text(new / "load_me.py", _LOAD_ME)
        write_text(new / "README.md", _readme(index, dataset.meta.title))
        index.files = {name: _sha256(new / name) for name in _inside(new)}
        write_json(new / INDEX, index.model_dump(mode="json"))
    return index


def archive(run: RunRecord, with_log: bool = True) -> bytes:
    """`save_run`'s folder as a .zip; it is held in memory."""
    with tempfile.TemporaryDirectory() as scratch:
        save_run(run, Path(scratch) / "model", with_log)
        return Path(shutil.make_archive(f"{scratch}/model", "zip", f"{scratch}/model")).read_bytes()


def load(folder: Path | str, run_plugin: bool = False) -> SavedModel:
    """Open a saved model. No code of the folder is run.

    Args:
        run_plugin: run the plug-in that the folder holds, where its model is one: read it first.

    Raises:
        UsageError: it is no such folder.
        DamagedFileError: a file is missing, or is not as it was saved.
        StudioError: it was saved by a later version, or its model is a plug-in that is not named.
    """
    folder = Path(folder).expanduser()
    if not (folder / INDEX).is_file():
        raise UsageError(f"{folder} holds no saved model: there is no {INDEX} in it. `mdaf save RUN DIR` makes one.")
    with reading(folder / INDEX, _REMEDY):
        index = Index.model_validate(read_json(folder / INDEX, _REMEDY))
    if index.format != FORMAT:
        raise StudioError(f"{folder} has format {index.format}, this version reads {FORMAT}: use a later version.")
    for name, digest in index.files.items():
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            raise DamagedFileError(folder / INDEX, f"it names {name}, which is outside of the folder", _REMEDY)
        if not path.is_file():
            raise DamagedFileError(path, "it is missing", _REMEDY)
        if _sha256(path) != digest:
            raise DamagedFileError(path, "it is not as it was saved", _REMEDY)
    plugins = partial(as_trained, folder, run_plugin)
    weights = folder / Path(index.weights).name
    with plugins():
        config, known = files.load_config(folder / CONFIG), Saved(folder / DATA)
        if config.model.grown:
            answers = tree_answers(config, weights, _read_encodings(folder / ENCODINGS, index.prior))
        else:
            answers = neural_answers(config, known, weights)
    title = f"{index.configuration}, seed {index.seed} (run {index.run_id[:8]}, saved)"
    return SavedModel(folder, index, Predictor(config, known, title, answers, plugins))


def predict(model: RunRecord | Path | str, frame: Any) -> Any:
    """Predictions for the rows of a frame, see `SavedModel.predict`.

    Args:
        model: a run, its id or the beginning of it, or the folder of a saved model.
    """
    if isinstance(model, RunRecord):
        return predict_like(open_run(model), frame)[0]
    if (Path(model) / INDEX).exists():
        return load(model).predict(frame)
    return predict_like(open_run(find_run(str(model))), frame)[0]


def _write_encodings(encodings: Any, path: Path) -> float:
    frames = [
        pl.DataFrame({"clicks": encodings.clicks[name], "rows": encodings.rows[name]})
        .with_row_index("code")
        .select(pl.lit(name).alias("field"), "code", "clicks", "rows")
        for name in encodings.rows
    ]
    schema = {"field": pl.String, "code": pl.UInt32, "clicks": pl.Float64, "rows": pl.Float64}
    (pl.concat(frames) if frames else pl.DataFrame(schema=schema)).write_parquet(path)
    return float(encodings.prior)


def _read_encodings(path: Path, prior: float | None) -> Any:
    from mdaf_core.training.gbdt import Encodings

    clicks: dict[str, np.ndarray] = {}
    rows: dict[str, np.ndarray] = {}
    with reading(path, _REMEDY):
        for (name,), part in pl.read_parquet(path).group_by("field", maintain_order=True):
            part = part.sort("code")
            clicks[str(name)], rows[str(name)] = part["clicks"].to_numpy(), part["rows"].to_numpy()
    return Encodings(0.5 if prior is None else prior, clicks, rows)


def _inside(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def _sha256(path: Path) -> str:
    with reading(path, _REMEDY), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


_LOAD_ME = '''"""Predict the rows of a CSV or Parquet file: python load_me.py new.csv scores.csv"""

import sys
from pathlib import Path

import polars as pl

import mdaf_core as mdaf

rows = Path(sys.argv[1])
model = mdaf.load(Path(__file__).resolve().parent)
frame = pl.read_parquet(rows) if rows.suffix == ".parquet" else pl.read_csv(rows, infer_schema=False)
scores = model.predict(frame)
scores.write_csv(sys.argv[2])
print(f"{len(scores):,} rows; ids that the model does not know: {model.last.unknown or 'none'}")
'''


def _readme(index: Index, title: str) -> str:
    history = (
        "`data/events.parquet` is the event log that histories are taken from, `data/users.parquet` its raw users.\n"
        if index.with_log
        else "No event log is in it: histories hold the events of the new rows alone.\n"
    )
    versions = "\n".join(f"- {name} {version}" for name, version in index.versions.items())
    return f"""# {index.configuration}, seed {index.seed}

Run {index.run_id} of study {index.study}, trained on {index.dataset} ({title}); saved {index.saved}.

    pip install mdaf-studio
    python load_me.py new.csv scores.csv
    mdaf predict . --path new.csv --out scores.parquet

`{index.weights}` are the weights, `config.json` the model and its training, `data/` the vocabularies and the scaling of
numbers (`dataset.json`). {history}
Saved with
{versions}
"""
