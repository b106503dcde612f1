#!/usr/bin/env bash
# fuxictr 2.3.10, autotuner.enumerate_params: what names the experiments and data sets of a search.
#
# A search names each of its experiments BASE_001_1234abcd and, where data settings are searched, each data set
# BASE_1234abcd: by the MD5 of its settings. Result lines carry nothing else that tells settings apart, so one would guess
# that other settings have another hash.
#
# Seen: the hash is of the settings' characters in sorted order. Two settings that are made of the same characters share
# it: min_categr_count of 12 and of 21 are one data set id, the second takes the first's place, and a search over both
# prepares and trains on one of them, twice, under the first's number too. Experiments keep their running number, so that
# only number and hash together tell them apart.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps fuxictr==2.3.10
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check PyYAML==6.0.2 h5py numpy pandas polars pyarrow tqdm scikit-learn
cd "$folder"
cat > search.yaml <<'YAML'
base_expid: FM_base
dataset_id: tiny
model_config:
    FM_base: {model: FM, dataset_id: TBD, model_id: FM, debug_mode: False, embedding_dim: 12, learning_rate: 0.1, seed: 1}
dataset_config:
    tiny: {data_format: csv, data_root: ./, train_data: train.csv, min_categr_count: 1}
tuner_space:
    embedding_dim: [12, 21]
    min_categr_count: [12, 21]
YAML
"$folder/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version
from pathlib import Path

import yaml
from fuxictr.autotuner import enumerate_params

folder = Path(enumerate_params("search.yaml"))
data = yaml.safe_load((folder / "dataset_config.yaml").read_text())
runs = yaml.safe_load((folder / "model_config.yaml").read_text())
print("fuxictr", version("fuxictr"))
print("data sets:", {name: found["min_categr_count"] for name, found in data.items()})
print("experiments:", {name: found["embedding_dim"] for name, found in runs.items()})
assert len(data) == 1 and next(iter(data.values()))["min_categr_count"] == 21, data  # of 12 and 21
assert len(runs) == 2 and len({name.rsplit("_", 1)[1] for name in runs}) == 1, runs
assert {found["embedding_dim"] for found in runs.values()} == {12, 21}
PYTHON
