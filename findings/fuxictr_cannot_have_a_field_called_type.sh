#!/usr/bin/env bash
# Package: fuxictr 2.3.10 with torch 2.13.0 (Python 3.11, Linux; polars 1.44.2), FeatureEmbedding.
#
# What one would guess: a field's name is text, and any column of a table can be a field; `type` (of an article, an
# advertisement, a device) is a usual one.
#
# What is seen: the data are encoded under any name, and the model is refused when it is built: the embeddings are kept in a
# torch.nn.ModuleDict, whose keys become attributes. A key that is an attribute already is refused (KeyError, "attribute
# 'type' already exists"); so are `keys`, `values`, `items`, `update`, `float`, `half`, `double`, `train`, `eval`, `apply` and
# some fifty more, and any name with a dot.
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
from fuxictr.pytorch.layers import FeatureEmbedding

assert version("fuxictr") == "2.3.10" and torch.__version__.startswith("2.13.0")


def build(name):
    with open("train.csv", "w") as file:
        file.write(f"{name},click\nvideo,0\ntext,1\n")
    processor = FeatureProcessor(
        feature_cols=[{"name": name, "active": True, "dtype": "str", "type": "categorical"}],
        label_col={"name": "click", "dtype": "float"}, dataset_id="rows", data_root=".",
    )
    processor.fit(processor.preprocess(processor.read_data("train.csv")))
    features = FeatureMap("rows", "rows")
    features.load("rows/feature_map.json", {})
    try:
        shape = tuple(FeatureEmbedding(features, 4)({name: torch.tensor([1, 2])}).shape)
    except KeyError as error:
        shape = f"KeyError: {error.args[0]}"
    print(f"{name}: {shape}")
    return shape


assert build("kind") == (2, 1, 4)
assert "attribute 'type' already exists" in build("type")
assert "attribute 'update' already exists" in build("update")
assert "can't contain" in build("ad.type")
taken = [name for name in dir(torch.nn.ModuleDict()) if not name.startswith("_")]
print(len(taken), "names without an underscore at their beginning are taken")
PY
"$folder/venv/bin/python" check.py
