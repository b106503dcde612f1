#!/usr/bin/env bash
# Package: fuxictr 2.3.10 (Python 3.11, Linux; torch 2.13.0, polars 1.44.2), model_zoo.LongCTR: SIM and its loader.
#
# What one would guess: the search keeps the `topk` events of a history that score highest for the target, all of them
# where there are fewer; padding is never kept, and what a trained model says of a row is a matter of that row. In the
# same folder it is so of ETA, TWIN and MIRRN, which give padding a score below all others before they search.
#
# What is seen: SIM multiplies scores by the mask, so that padding scores 0 and comes before all events whose score is
# below 0, about half of them. The loader pads to the longest history of the batch: alone, a row of 40 events has all
# of them read by the search (topk 50); beside a row of 200 it loses those below 0, and its prediction changes. A row's
# score depends on which rows stand beside it, on the size of the batch and on the order of the rows.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check fuxictr==2.3.10 polars==1.44.2 torch==2.13.0
cd "$folder"
cat > check.py <<'PY'
from collections import OrderedDict
from importlib.metadata import version

import numpy as np
import pandas as pd
import torch
from fuxictr.features import FeatureMap
from model_zoo.LongCTR.ETA import ETA
from model_zoo.LongCTR.longctr_dataloader import LongCTRDataLoader
from model_zoo.LongCTR.SIM import SIM

assert version("fuxictr") == "2.3.10" and torch.__version__.startswith("2.13.0")
ITEMS, EVENTS = 500, {"short": 40, "long": 200}
draw = np.random.default_rng(1)
pd.DataFrame({"item_index": range(ITEMS), "item": range(ITEMS)}).to_parquet("items.parquet")
pd.DataFrame({"full_item_seq": [draw.integers(1, ITEMS, n) for n in EVENTS.values()]}).to_parquet("users.parquet")
rows = pd.DataFrame({"click": [1, 0], "user_index": [0, 1], "seq_len": list(EVENTS.values()), "item_index": [7, 8]})
rows[:1].to_parquet("alone.parquet")
rows.to_parquet("beside.parquet")

features = FeatureMap("rows", ".")
features.labels, features.default_emb_dim = ["click"], 8
features.features = OrderedDict(
    {name: {"type": "meta", "source": ""} for name in ("user_index", "seq_len", "item_index")},
    item={"type": "categorical", "source": "item", "vocab_size": ITEMS, "padding_idx": 0},
)


def show(kind):
    """Of the row with 40 events, alone and beside the other: how many of them are found, and its prediction."""
    torch.manual_seed(1)
    model = kind(features, embedding_dim=8, topk=50, short_seq_len=10, optimizer="adam", loss="binary_crossentropy",
                 verbose=0, model_root=".", metrics=["AUC"])  # fmt: skip
    torch.nn.init.normal_(model.embedding_layer.embedding_layer.embedding_layers["item"].weight[1:])
    found, scores = [], []
    model.long_attention.register_forward_pre_hook(lambda _, given: found.append(int(given[2][0].sum())))
    for place in ("alone", "beside"):
        batches = LongCTRDataLoader(features, place, "users.parquet", "items.parquet", 2, num_workers=0, max_len=200)
        scores.append(round(float(model.predict(batches)[0]), 6))
    return list(zip(found, scores, strict=True))


(eta_alone, eta_beside), (sim_alone, sim_beside) = show(ETA), show(SIM)
print(f"ETA, events found and prediction: alone {eta_alone}, beside a longer history {eta_beside}")
print(f"SIM, events found and prediction: alone {sim_alone}, beside a longer history {sim_beside}")
assert eta_alone == eta_beside and eta_alone[0] == 40
assert sim_alone[0] == 40 and 10 < sim_beside[0] < 30 and abs(sim_alone[1] - sim_beside[1]) > 1e-4
PY
"$folder/venv/bin/python" check.py
