#!/usr/bin/env bash
# Package: fuxictr 2.3.10 (Python 3.11, Linux; torch 2.13.0, polars 1.44.2), `use_features` and `share_embedding`.
#
# What one would guess: `use_features` says which of the encoded columns a model reads, in whatever order; a history with
# `share_embedding: item` has the item's vectors, which start as all embeddings do (normal, deviation 1e-4).
#
# What is seen: the order decides. Where the history is named before the item, or without it, nothing is shared and nothing
# said: the history gets a table of its own, which training moves apart from the item's, and which keeps torch's start
# (normal, deviation 1), ten thousand times as large, since tables that should be shared are left out when starting.
# (In `feature_cols` the same order is refused when the data are encoded.)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check fuxictr==2.3.10 polars==1.44.2 torch==2.13.0
cd "$folder"
cat > check.py <<'PY'
from importlib.metadata import version

import torch
from fuxictr.features import FeatureMap
from fuxictr.preprocess import FeatureProcessor
from fuxictr.pytorch.layers import FeatureEmbeddingDict

assert version("fuxictr") == "2.3.10" and torch.__version__.startswith("2.13.0")
ITEMS = [f"i{number}" for number in range(500)]
with open("train.csv", "w") as file:
    file.write("item,history,click\n" + "".join(f"{a},{a}^{b},1\n" for a, b in zip(ITEMS, reversed(ITEMS))))
sequence = {"type": "sequence", "max_len": 2, "share_embedding": "item"}
processor = FeatureProcessor(
    feature_cols=[
        {"name": "item", "active": True, "dtype": "str", "type": "categorical"},
        {"name": "history", "active": True, "dtype": "str", **sequence},
    ],
    label_col={"name": "click", "dtype": "float"}, dataset_id="rows", data_root=".",
)  # fmt: skip
processor.fit(processor.preprocess(processor.read_data("train.csv")))


def show(names):
    """Whether the history has the item's table, and the deviation of what it starts with."""
    torch.manual_seed(1)
    features = FeatureMap("rows", "rows")
    features.load("rows/feature_map.json", {"use_features": names})
    tables = FeatureEmbeddingDict(features, 16).embedding_layers
    shared = "item" in tables and tables["history"] is tables["item"]
    start = float(tables["history"].weight[1:].detach().std())
    print(f"use_features {names}: shared {shared}, the history's vectors start with deviation {start:.1e}")
    return shared, start


shared, start = show(["item", "history"])
assert shared and abs(start / 1e-4 - 1) < 0.1
for names in (["history", "item"], ["history"]):
    shared, start = show(names)
    assert not shared and abs(start - 1) < 0.1
PY
"$folder/venv/bin/python" check.py
