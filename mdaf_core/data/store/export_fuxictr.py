"""Rows of a data set as FuxiCTR 2.3.10 reads them: three CSV files, their description, and models to begin with."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from mdaf_core.base.files import new_folder, write_text, writing
from mdaf_core.data.store.columns import free_name
from mdaf_core.data.store.dataset import PreparedDataset, Rows
from mdaf_core.data.store.export import check_new, histories, slices, words_of
from mdaf_core.data.store.schema import FIRST_ID, MAX_HISTORY, SPLITS, Split

FILES: dict[Split, str] = {"train": "train.csv", "val": "valid.csv", "test": "test.csv"}
UNKNOWN_WORD, MISSING_WORD = "%unknown", "%missing"
_ITS_OWN = ("__PAD__", "__OOV__")  # what FuxiCTR's vocabularies call padding and unknown ids
_NOTE = """\
# Written by MDAF Studio. Rows, in its order, and inputs are those of its own models, to be trained by FuxiCTR 2.3.10:
# - ids: raw. Those without a code (rare by min_count, or not in training rows) are "%unknown", missing ones "%missing",
#   and both are ids like others; so min_categr_count stays 1. In ids % is written %25 and ^ is written %5E.
# - numbers: as models read them (the data set's scaling), 0 where missing, which a column NAME_missing says.
# - histories: the newest events before the row, oldest first, joined by ^; empty: none. padding "pre" cuts off the
#   oldest where max_len is shortened (FuxiCTR's own default, "post", cuts off the newest).
# - row_id: no input (meta). A score beside its row_id comes back with `import predictions`.
"""


def export_fuxictr(
    dataset: PreparedDataset,
    folder: Path,
    *,
    max_history: int = MAX_HISTORY,
    progress: Callable[[float, str], None] | None = None,
) -> int:
    """Write all rows, in the data set's order, into a new folder that FuxiCTR trains on.

    Files: `train.csv`, `valid.csv` and `test.csv`; `dataset_config.yaml`, which says on top how ids, numbers and
    histories are written; `model_config.yaml` with DCNv2 and, where there are histories, DIN. Paths in them are
    absolute: `run_expid.py` of FuxiCTR's models changes its folder. Fields that FuxiCTR cannot have by their names get
    others, which a comment states.

    Args:
        max_history: newest events of each row.

    Returns:
        The number of rows.

    Raises:
        UsageError: the folder is there and not empty.
        StudioError: the disk refuses it.
    """
    check_new(folder)
    folder = folder.expanduser().absolute()
    meta = dataset.meta
    total, done = sum(counts.rows for counts in meta.splits.values()), 0
    parts = {split: dataset.rows(split) for split in SPLITS}
    columns = _Columns(dataset, parts, max_history)
    with writing(folder), new_folder(folder) as aside:
        for split, rows in parts.items():
            with (aside / FILES[split]).open("wb") as file:
                for frame in columns.frames(rows):
                    frame.write_csv(file, include_header=not file.tell())
                    done += len(frame)
                    if progress:
                        progress(done / max(total, 1), f"{done:,} of {total:,} rows written")
        write_text(aside / "dataset_config.yaml", _dataset_config(dataset.name, folder, columns))
        write_text(aside / "model_config.yaml", _model_config(dataset, folder, columns))
    return done


class _Columns:
    """What the columns of the CSV files are.

    Attributes:
        names: field → its column; history field → `histories[field]`; numeric field with missing values → `missing`.
        max_len: events of the longest history that is written, 1 at least.
    """

    def __init__(self, dataset: PreparedDataset, parts: dict[Split, Rows], most: int):
        meta = dataset.meta
        self.dataset, self.most = dataset, most if meta.history_fields else 0
        taken = _refused_names() | {"row_id", "label"}
        self.names = {field.name: _free(field.name, taken) for field in meta.fields}
        self.missing = {
            name: _free(f"{self.names[name]}_missing", taken)
            for name in meta.numeric
            if any(np.isnan(rows.columns[name]).any() for rows in parts.values())
        }
        self.histories = {name: _free(f"history_{self.names[name]}", taken) for name in meta.history_fields}
        longest = max(
            (int((rows.history_end - rows.history_start).max(initial=0)) for rows in parts.values()), default=0
        )
        self.max_len = max(1, min(most, longest))
        self.words = {name: _words(dataset, name) for name in meta.categorical}

    def frames(self, rows: Rows) -> Iterator[pl.DataFrame]:
        for at in slices(rows, self.most):
            columns = {"row_id": pl.Series(np.array(rows.row_id[at])), "label": pl.Series(np.array(rows.label[at]))}
            for field, name in self.names.items():
                if field in self.words:
                    columns[name] = words_of(rows.columns, field, at, self.words[field])
                    continue
                number = pl.Series(np.array(rows.columns[field][at]))
                columns[name] = number.fill_nan(0.0)
                if field in self.missing:
                    columns[self.missing[field]] = number.is_nan().cast(pl.UInt8)
            if self.most:
                lists = histories(self.dataset, rows, at, self.most, self.words)
                columns |= {name: lists[field].list.join("^") for field, name in self.histories.items()}
            yield pl.DataFrame(columns)

    def described(self) -> list[dict[str, Any]]:
        """`feature_cols`. A column that others share embeddings with comes before them."""
        found: list[dict[str, Any]] = [
            {"name": "row_id", "active": True, "dtype": "int", "type": "meta", "remap": False}
        ]
        for field, name in self.names.items():
            kind = ("str", "categorical") if field in self.words else ("float", "numeric")
            found.append({"name": name, "active": True, "dtype": kind[0], "type": kind[1]})
        found += [
            {"name": name, "active": True, "dtype": "str", "type": "categorical"} for name in self.missing.values()
        ]
        for field, name in self.histories.items():
            sequence = {
                "splitter": "^",
                "max_len": self.max_len,
                "padding": "pre",
                "share_embedding": self.names[field],
            }
            found.append({"name": name, "active": True, "dtype": "str", "type": "sequence", **sequence})
        return found


def _words(dataset: PreparedDataset, field: str) -> pl.Series:
    """What stands for each code of a field; those that tell unseen ids apart have none."""
    ids = dataset.vocabulary(field)["id"]
    escaped = ids.str.replace_all("%", "%25", literal=True).str.replace_all("^", "%5E", literal=True)
    escaped = pl.select(
        pl.when(ids == "")
        .then(pl.lit(MISSING_WORD))
        .when(ids.is_in(_ITS_OWN))
        .then("%5F" + escaped.str.slice(1))
        .otherwise(escaped)
    ).to_series()
    return pl.concat([pl.Series([UNKNOWN_WORD] * FIRST_ID), escaped])


def _refused_names() -> set[str]:
    """Names that PyTorch takes for no module, which FuxiCTR makes of each field: `type`, `keys`, …"""
    from torch.nn import ModuleDict

    return set(dir(ModuleDict()))


def _free(name: str, taken: set[str]) -> str:
    """A column's name of letters, digits and `_` that is not taken, which it is then."""
    plain = re.sub(r"[^A-Za-z0-9_]+", "_", name)
    found = free_name(plain if re.match(r"[A-Za-z]", plain) else f"field_{plain.strip('_')}", taken)
    taken.add(found)
    return found


def _dataset_config(name: str, folder: Path, columns: _Columns) -> str:
    renamed = [f"# - {_text(field)} is {new} here.\n" for field, new in columns.names.items() if field != new]
    places = {
        "data_root": "encoded",
        "train_data": FILES["train"],
        "valid_data": FILES["val"],
        "test_data": FILES["test"],
    }
    lines = [f"  {key}: {_text(str(folder / file))}\n" for key, file in places.items()]
    features = [f"    - {_text(column)}\n" for column in columns.described()]
    label = _text({"name": "label", "dtype": "float"})
    return "".join([
        _NOTE, *renamed, f"{_text(name)}:\n", *lines, "  data_format: csv\n", "  min_categr_count: 1\n",
        "  feature_cols:\n", *features, f"  label_col: {label}\n",
    ])  # fmt: skip


def _model_config(dataset: PreparedDataset, folder: Path, columns: _Columns) -> str:
    base = {
        "model_root": str(folder / "checkpoints"), "num_workers": 1, "verbose": 1, "early_stop_patience": 2,
        "save_best_only": True, "eval_steps": None, "debug_mode": False, "group_id": None, "use_features": None,
        "feature_specs": None, "feature_config": None, "task": "binary_classification", "loss": "binary_crossentropy",
        "metrics": ["AUC", "logloss"], "monitor": "AUC", "monitor_mode": "max", "optimizer": "adam",
        "learning_rate": 1e-3, "batch_size": 1024, "embedding_dim": 16, "embedding_regularizer": 0,
        "net_regularizer": 0, "net_dropout": 0, "batch_norm": False, "epochs": 20, "shuffle": True, "seed": 2019,
    }  # fmt: skip
    models: dict[str, dict[str, Any]] = {
        "DCNv2": {
            "model_structure": "parallel", "use_low_rank_mixture": False, "low_rank": 32, "num_experts": 4,
            "stacked_dnn_hidden_units": [256, 128], "parallel_dnn_hidden_units": [256, 128],
            "dnn_activations": "relu", "num_cross_layers": 3,
        }
    }  # fmt: skip
    if columns.histories:
        models["DIN"] = {
            "dnn_hidden_units": [256, 128], "dnn_activations": "relu", "attention_hidden_units": [64],
            "attention_hidden_activations": "Dice", "attention_output_activation": None, "attention_dropout": 0,
            "din_target_field": [columns.names[field] for field in columns.histories],
            "din_sequence_field": list(columns.histories.values()), "din_use_softmax": False,
            "feature_specs": [{"name": name, "feature_encoder": None} for name in columns.histories.values()],
        }  # fmt: skip
    lines = ["Base:\n", *(f"  {key}: {_text(value)}\n" for key, value in base.items())]
    for model, settings in models.items():
        own = {"model": model, "dataset_id": dataset.name, **settings}
        lines += [f"\n{model}:\n", *(f"  {key}: {_text(value)}\n" for key, value in own.items())]
    return "".join(lines)


def _text(value: Any) -> str:
    """A value in YAML 1.1, which JSON is a part of but for floats, which need a point, and what ends lines there."""
    if isinstance(value, float):
        return f"{value:.1e}"
    text = json.dumps(value, ensure_ascii=False)
    return "".join(char if char.isprintable() else f"\\U{ord(char):08x}" for char in text)
