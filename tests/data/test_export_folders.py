"""Rows for FuxiCTR and in LIBSVM's format: read back as those programs do, and compared with what our models read."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

import numpy as np
import polars as pl
import pytest
import yaml

from mdaf_core.base.errors import UsageError
from mdaf_core.data.prepare.pipeline import prepare
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.data.store.export_folders import FOLDERS
from mdaf_core.data.store.schema import SPLITS, UNKNOWN

ODD = ["plain", "a^b", "50%", 'com,ma "quoted"', "two\nlines", "__PAD__", "%unknown", "rare", "ünï", " blank "]
FILES = {"train": "train.csv", "val": "valid.csv", "test": "test.csv"}


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    """Ids with everything that ends a field, a number that is missing at times, a name that FuxiCTR cannot have."""
    folder, rng = tmp_path_factory.mktemp("odd"), np.random.default_rng(0)
    n = 300
    item = [ODD[i] for i in rng.choice([0, 1, 2, 3, 4, 5, 6, 8, 9], n)]
    item[3], item[-1] = "rare", "never trained"
    frame = pl.DataFrame(
        {
            "user": [f"u{i}" for i in rng.integers(0, 9, n)],
            "item": item,
            "time": 1_700_000_000 + 60 * np.arange(n),
            "clicked": rng.integers(0, 2, n),
            "type": [("t^1", "t2", "")[i] for i in rng.integers(0, 3, n)],
            "price": [None if i % 7 == 0 else float(i) for i in range(n)],
        }
    )
    frame.write_parquet(folder / "log.parquet")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MDAF_HOME", str(folder / "home"))
        options = {"label": "clicked", "user": "user", "item": "item", "timestamp": "time", "min_count": 2}
        options |= {"categorical": ["type"], "numeric": ["price"]}
        return prepare("table", path=folder / "log.parquet", name="odd", options=options)


def codes_of(dataset: PreparedDataset, field: str, words: list[str]) -> list[int]:
    """Codes of what stands in a CSV file, by the rule that the file of settings states."""
    known = dict(dataset.vocabulary(field).select("id", "code").iter_rows())
    special = {"%unknown": UNKNOWN, "%missing": known.get("", UNKNOWN)}
    return [special[word] if word in special else known[unquote(word)] for word in words]


@pytest.mark.parametrize("most", [3, 50])
def test_fuxictr_reads_what_our_models_read(odd: PreparedDataset, tmp_path: Path, most: int) -> None:
    folder = tmp_path / "it's a folder"
    assert FOLDERS["fuxictr"](odd, folder, max_history=most) == 300
    (name, config), *others = yaml.safe_load((folder / "dataset_config.yaml").read_text("utf-8")).items()
    assert name == "odd" and not others and config["min_categr_count"] == 1
    columns = {column["name"]: column for column in config["feature_cols"]}
    kinds = {name: column["type"] for name, column in columns.items()}
    assert kinds.pop("row_id") == "meta" and not columns["row_id"]["remap"]
    assert kinds == dict.fromkeys(["user", "item", "type_", "hour", "dayofweek", "price_missing"], "categorical") | {
        "price": "numeric",
        "history_item": "sequence",
    } and columns["history_item"]["share_embedding"] == "item"  # fmt: skip
    longest = 0
    for split in SPLITS:
        assert config[{"train": "train_data", "val": "valid_data", "test": "test_data"}[split]] == str(
            folder / FILES[split]
        )
        rows = odd.rows(split)
        # As FuxiCTR reads: types as described, nulls of texts filled with ''.
        types = {"str": pl.String, "int": pl.Int64, "float": pl.Float64}
        schema = {c["name"]: types[c["dtype"]] for c in [*config["feature_cols"], config["label_col"]]}
        read = pl.read_csv(folder / FILES[split], schema_overrides=schema).with_columns(pl.col(pl.String).fill_null(""))
        assert read["row_id"].to_list() == rows.row_id.tolist() and read["label"].to_list() == rows.label.tolist()
        for field, column in {"user": "user", "item": "item", "type": "type_"}.items():
            assert codes_of(odd, field, read[column].to_list()) == rows.columns[field].tolist(), field
        number = rows.columns["price"]
        assert read["price"].cast(pl.Float32).to_list() == np.nan_to_num(number).tolist()
        assert [bool(int(flag)) for flag in read["price_missing"]] == np.isnan(number).tolist()
        for at, text in enumerate(read["history_item"].to_list()):
            end = rows.history_end[at]
            events = odd.events["item"][max(rows.history_start[at], end - most) : end]
            assert codes_of(odd, "item", text.split("^") if text else []) == events.tolist()
            longest = max(longest, len(events))
    assert columns["history_item"]["max_len"] == longest and columns["history_item"]["padding"] == "pre"
    models = yaml.safe_load((folder / "model_config.yaml").read_text("utf-8"))
    assert set(models) == {"Base", "DCNv2", "DIN"} and isinstance(models["Base"]["learning_rate"], float)
    assert models["DIN"]["din_sequence_field"] == ["history_item"]


def test_libsvm_is_read_by_scikit_learn(odd: PreparedDataset, tmp_path: Path) -> None:
    from sklearn.datasets import load_svmlight_file

    assert FOLDERS["libsvm"](odd, tmp_path / "out", max_history=4) == 300
    index = pl.read_csv(tmp_path / "out" / "index.csv").with_columns(pl.col("id").fill_null(""))
    assert index["index"].to_list() == list(range(1, len(index) + 1))
    where = {(f, of, what, text): i - 1 for i, f, of, what, text in index.iter_rows()}
    assert len(where) == len(index)
    ids = {field: odd.vocabulary(field)["id"].to_list() for field in odd.meta.categorical}

    def cell(field: str, of: str, code: int) -> int:
        text = "" if code == UNKNOWN else ids[field][code - 2]
        return where[field, of, "unknown" if code == UNKNOWN else "id" if text else "missing", text]

    for split in SPLITS:
        rows = odd.rows(split)
        read, label = load_svmlight_file(tmp_path / "out" / f"{split}.libsvm", n_features=len(index), zero_based=False)
        assert label.tolist() == rows.label.tolist()
        expected = np.zeros((len(rows), len(index)))
        for at in range(len(rows)):
            for field in ids:
                expected[at, cell(field, "row", rows.columns[field][at])] += 1
            number = rows.columns["price"][at]
            what, value = ("missing", 1) if np.isnan(number) else ("number", number)
            expected[at, where["price", "row", what, ""]] = value
            end = rows.history_end[at]
            for code in odd.events["item"][max(rows.history_start[at], end - 4) : end]:
                expected[at, cell("item", "history", code)] += 1
        np.testing.assert_array_equal(read.toarray().astype(np.float32), expected.astype(np.float32))


@pytest.mark.parametrize("form", FOLDERS)
def test_a_folder_that_holds_something_stays(odd: PreparedDataset, tmp_path: Path, form: str) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="there already"):
        FOLDERS[form](odd, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
