"""A file of scores, or a table in memory, as columns with a word for where each row stands."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from mdaf_core.base.errors import BadInputError
from mdaf_core.data.reading.blocks import check_file
from mdaf_core.data.reading.files import expand, find
from mdaf_core.data.reading.table_file import HINT, read_head

EXPECTED = "a CSV, TSV or Parquet file, JSON lines, or an .npy or .npz file of numbers"
SCORE, SPLIT = "score", "split"
"""Columns of what has no names of its own: an array's."""
SPLIT_WORDS = {
    **dict.fromkeys(("val", "valid", "validation", "dev", "eval"), "val"),
    "test": "test",
    **dict.fromkeys(("train", "training"), "train"),
}
"""How a split is named, in files and here."""
_MOST_BYTES = 8 << 30  # of an array, unpacked
_PICKLED = (
    "The file holds Python objects (a pickle), which are not opened: reading one runs what is in it. Save the scores "
    "as plain numbers: numpy.save(file, scores.astype('float64')), or to_parquet of a data frame."
)


@dataclass(frozen=True)
class ScoreTable:
    """Scores as they were given.

    Attributes:
        name: of the file, without its folder; sha256: of its bytes ('' in memory).
        columns: their names; named: whether they are the file's own.
        read: the named ones, of text files as text, empty values null.
        where: what a position in the frame is called: `line 17`, `row 17`.
    """

    name: str
    columns: list[str]
    read: Callable[[list[str]], pl.DataFrame]
    where: Callable[[int], str]
    sha256: str = ""
    named: bool = True


def open_table(source: Path | str | Any, name: str | None = None) -> ScoreTable:
    """A file by its path, or a Polars or pandas frame, a mapping of columns, or an array of scores.

    Args:
        name: what a file is called that lies under another name (an upload).

    Raises:
        BadInputError: it is none of these, or cannot be read.
    """
    if isinstance(source, str | Path):
        return _open_file(expand(Path(source)), name)
    if isinstance(source, np.ndarray):
        return _in_memory(_of_array(source, "the array"), named=bool(source.dtype.names))
    try:
        frame = source if isinstance(source, pl.DataFrame) else _frame(source)
    except (TypeError, ValueError, pl.exceptions.PolarsError) as error:
        raise BadInputError(
            f"This is no table of scores ({str(error)[:200]}): give a data frame or an array."
        ) from None
    return _in_memory(frame, named=True)


def _frame(source: Any) -> pl.DataFrame:
    if hasattr(source, "iloc"):  # pandas: an index with a name is a column
        named = source.index.names != [None] and not set(source.index.names) & set(source.columns)
        return pl.from_pandas(source.reset_index() if named else source)
    if isinstance(source, Mapping):
        return pl.DataFrame({str(key): np.asarray(values) for key, values in source.items()})
    raise TypeError(f"a {type(source).__name__}")


def _in_memory(frame: pl.DataFrame, named: bool, name: str = "a table in memory", sha256: str = "") -> ScoreTable:
    if not len(frame):
        raise BadInputError(f"There are no scores in {name}: one a row is needed.")
    return ScoreTable(name, frame.columns, frame.select, lambda at: f"row {at + 1:,}", sha256, named)


def _open_file(path: Path, name: str | None) -> ScoreTable:
    check_file(path, EXPECTED)
    shown = name or path.name
    with find(path).file.open("rb") as file:
        start = file.read(6)
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if start == b"\x93NUMPY":
        frame, named = _npy(path)
        return _in_memory(frame, named, shown, digest)
    if start.startswith(b"PK") and path.suffix.lower() != ".zip" and _all_arrays(path):
        frame, named = _npz(path)
        return _in_memory(frame, named, shown, digest)
    if start[:1] == b"\x80" and start[1:2] <= b"\x05":
        raise BadInputError(_PICKLED, path)
    found = read_head(path, 20)
    word = "row" if found.kind == "parquet" else "line"

    def read(used: list[str]) -> pl.DataFrame:
        try:
            frame = found.read(used)
        except BadInputError as error:  # whose reader is that of preparing
            words = error.problem.replace(HINT, "Correct the file: a score is needed for every row.")
            raise BadInputError(words, error.path, error.line, error.text) from None
        if found.text:  # Polars gives a column without a name one of its own
            frame.columns = used
        return frame

    return ScoreTable(shown, found.columns(), read, lambda at: f"{word} {found.line(at):,}", digest, not found.names)


def _all_arrays(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return bool(archive.namelist()) and all(name.endswith(".npy") for name in archive.namelist())
    except (zipfile.BadZipFile, OSError):
        return False


def _npy(path: Path) -> tuple[pl.DataFrame, bool]:
    with path.open("rb") as file:
        array = _load(file.read(_MOST_BYTES), path)
    return _of_array(array, path), bool(array.dtype.names)


def _npz(path: Path) -> tuple[pl.DataFrame, bool]:
    """The arrays as columns; arrays named after splits below one another, with the split beside them."""
    arrays: dict[str, np.ndarray] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if info.file_size > _MOST_BYTES:
                    raise BadInputError(f"The array {info.filename!r} unpacks to {info.file_size / 1e9:.0f} GB.", path)
                arrays[info.filename.removesuffix(".npy")] = _load(archive.read(info), path)
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, EOFError) as error:
        raise BadInputError(f"The .npz file cannot be read ({error}): write it again.", path) from None
    splits = {key: SPLIT_WORDS[key.lower()] for key in arrays if key.lower() in SPLIT_WORDS}
    if splits and len(splits) == len(arrays):
        if len(set(splits.values())) < len(splits):
            raise BadInputError(f"Two of its arrays are of the same split: {', '.join(splits)}.", path)
        parts = [
            _of_array(arrays[key], path).select(pl.last().alias(SCORE)).with_columns(pl.lit(split).alias(SPLIT))
            for key, split in splits.items()
        ]
        return pl.concat(parts), False
    frames = {key: _of_array(array, path) for key, array in arrays.items()}
    sizes = {key: len(frame) for key, frame in frames.items()}
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"{key} {size:,}" for key, size in sizes.items())
        raise BadInputError(f"Its arrays differ in length ({listed}): keep those that have one number a row.", path)
    return pl.DataFrame({key: frame.to_series(-1) for key, frame in frames.items()}), len(frames) > 1


def _load(content: bytes, path: Path) -> np.ndarray:
    try:
        found = np.load(io.BytesIO(content), allow_pickle=False)
    except ValueError as error:
        if "allow_pickle" in str(error) or "pickled" in str(error):
            raise BadInputError(_PICKLED, path) from None
        raise BadInputError(f"The array cannot be read ({error}): write it again.", path) from None
    except (EOFError, OSError) as error:
        raise BadInputError(f"The array cannot be read ({error}): write it again.", path) from None
    return np.asarray(found)


def _of_array(array: np.ndarray, where: Path | str) -> pl.DataFrame:
    """(N,) or (N, 1) scores; (N, 2) probabilities of both classes; named fields as columns."""
    path = where if isinstance(where, Path) else None
    if array.dtype.names:
        return pl.DataFrame({name: np.ascontiguousarray(array[name]) for name in array.dtype.names})
    if array.dtype.kind not in "fiub":
        raise BadInputError(f"The array holds {array.dtype}, not numbers: save the scores as float64.", path)
    if array.dtype == np.float16 or array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    if array.ndim == 2 and array.shape[1] == 2 and len(array) and np.allclose(array.sum(1), 1, atol=1e-3):
        array = array[:, 1]  # as scikit-learn's predict_proba has them
    if array.ndim == 2 and 1 in array.shape:
        array = array.reshape(-1)
    if array.ndim != 1:
        shape = " × ".join(map(str, array.shape)) or "a single number"
        raise BadInputError(f"The array is {shape}: one score a row is needed, an array of shape (rows,).", path)
    return pl.DataFrame({SCORE: np.ascontiguousarray(array)})
