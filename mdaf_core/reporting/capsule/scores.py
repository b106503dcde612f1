"""Predictions of a study's runs in little space: rows, users and labels once, each run's log-odds; no value is lost."""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from mdaf_core.base.errors import StudioError
from mdaf_core.data.store.schema import Split
from mdaf_core.metrics.values import sigmoid
from mdaf_core.runs.predictions import COLUMNS, REPLACED_COLUMNS, load_predictions

CARRIED = ("row_id", "user", "label", "history_length", "logit")
"""Of `COLUMNS`: a probability follows from its log-odds, and times are nobody else's business."""
Columns = dict[str, NDArray[Any]]
MOST_BYTES = 2 << 30  # unpacked: a file from elsewhere must not fill the memory


def columns_of(run_id: str, split: Split, *, gates: bool) -> Columns:
    """The carried columns of a run's predictions, and with `gates` those of its branches, each (N,).

    Raises:
        StudioError: the run has no predictions that can be read.
    """
    frame = load_predictions(run_id, split)
    names = [*CARRIED, *(name for name in REPLACED_COLUMNS if gates and name in frame.columns)]
    return {name: frame[name].to_numpy() for name in names}


def frame_of(columns: Mapping[str, NDArray[Any]]) -> pl.DataFrame:
    """Predictions as a run keeps them; times are 0."""
    frame = pl.DataFrame({name: np.asarray(values) for name, values in columns.items()})
    made = {"probability": sigmoid(columns["logit"]), "timestamp": np.zeros(len(frame), np.int64)}
    rest = [name for name in frame.columns if name not in COLUMNS]
    return frame.with_columns(**made).select(*COLUMNS, *rest)


def digest(values: NDArray[Any]) -> str:
    """SHA-256 of a column's type and values."""
    return hashlib.sha256(values.dtype.str.encode() + np.ascontiguousarray(values).tobytes()).hexdigest()


def sealed(values: NDArray[Any]) -> str:
    """A column's `digest`, and two sums by which `restored` finds one changed value: of all values as whole numbers of
    so many bytes, and of these numbers times their places from 1. In hexadecimal."""
    bytes_NK = np.ascontiguousarray(values).view(np.uint8).reshape(len(values), values.itemsize).astype(np.int64)
    of_bytes = bytes_NK.sum(0), np.einsum("n,nk->k", np.arange(1, len(values) + 1), bytes_NK)
    sums = (sum(int(one) << 8 * k for k, one in enumerate(each)) for each in of_bytes)
    return " ".join([digest(values), *(f"{one:x}" for one in sums)])


def restored(values: NDArray[Any], seal: str) -> NDArray[Any] | None:
    """A column as it was before one of its values was changed; None where that was not all.

    The second sum changed by as many times the change of the first as the value's place says; the digest decides.

    Args:
        seal: the column as it was, `sealed`.
    """
    (_, *mine), (whole, *then) = sealed(values).split(), seal.split()
    change, placed = (int(a, 16) - int(b, 16) for a, b in zip(mine, then, strict=True))
    row = placed // change - 1 if change else -1
    if not 0 <= row < len(values):
        return None
    value = int.from_bytes(values[row].tobytes(), "little") - change
    if not 0 <= value < 1 << 8 * values.itemsize:
        return None
    out = values.copy()
    out[row] = np.frombuffer(value.to_bytes(values.itemsize, "little"), values.dtype)[0]
    return out if digest(out) == whole else None


def pack(runs: Mapping[str, Columns]) -> bytes:
    """Run → its columns as bytes. Columns that runs share are kept once."""
    parts: dict[str, bytes] = {}
    kept: dict[str, list[str | int]] = {}
    of_run: dict[str, dict[str, str]] = {}
    for run, columns in runs.items():
        for name, values in columns.items():
            key = digest(values)
            of_run.setdefault(run, {})[name] = key
            if key not in parts:
                small = _smaller(values)
                bytes_NK = np.ascontiguousarray(small).view(np.uint8).reshape(len(small), small.itemsize)
                parts[key] = bytes_NK.T.tobytes()  # a byte's place in each number together: they are alike
                kept[key] = [small.dtype.str, values.dtype.str, len(values)]
    head = json.dumps({"runs": of_run, "columns": kept}).encode()
    return zlib.compress(struct.pack("<Q", len(head)) + head + b"".join(parts.values()), 9)


def unpack(content: bytes) -> dict[str, Columns]:
    """What `pack` was given.

    Raises:
        StudioError: it was cut short or altered.
    """
    try:
        reader = zlib.decompressobj()
        raw = reader.decompress(content, MOST_BYTES)
        if not reader.eof:
            raise ValueError("it ends too early, or is larger than 2 GB")
        (length,) = struct.unpack_from("<Q", raw)
        head, at = json.loads(raw[8 : 8 + length]), 8 + length
        columns: Columns = {}
        for key, (small, whole, count) in head["columns"].items():
            size = np.dtype(small).itemsize
            bytes_KN = np.frombuffer(raw, np.uint8, size * count, at).reshape(size, count)
            columns[key] = np.ascontiguousarray(bytes_KN.T).view(np.dtype(small)).reshape(count).astype(np.dtype(whole))
            at += size * count
        return {run: {name: columns[key] for name, key in names.items()} for run, names in head["runs"].items()}
    except (zlib.error, struct.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StudioError(f"they are cut short or altered ({error})") from None


def _smaller(values: NDArray[Any]) -> NDArray[Any]:
    """The same numbers in the narrowest type that holds them all."""
    kinds: Iterable[str] = ("<f4",) if values.dtype.kind == "f" else ("|u1", "<u2", "<u4", "<i4")
    for kind in kinds:
        with np.errstate(over="ignore", invalid="ignore"):
            small = values.astype(kind)
        if small.itemsize < values.itemsize and np.array_equal(
            small.astype(values.dtype), values, equal_nan=values.dtype.kind == "f"
        ):
            return small
    return values.astype(values.dtype.newbyteorder("<"))
