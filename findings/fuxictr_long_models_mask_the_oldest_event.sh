#!/usr/bin/env bash
# Package: fuxictr 2.3.10 (Python 3.11, Linux; torch 2.13.0, polars 1.44.2), model_zoo.LongCTR: SIM, ETA, TWIN.
#
# What one would guess: the short-term part attends to the newest `short_seq_len` events of a history, and where there are
# fewer, to all of them; padding alone is masked.
#
# What is seen: it attends to one event fewer (of 10 the newest 9), and the mask is one event out of step: events are cut
# from a sequence that ends with the target, the mask from one that does not, both by [-short_seq_len:-1]. Of a history
# that is shorter the oldest event is masked as if it were padding. The only event of a history is never attended to:
# with all positions masked, the softmax gives each the same weight, and the event's value enters as a ninth of itself.
# (Where all histories of a batch are shorter, the two lengths differ and it stops with an error.)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check fuxictr==2.3.10 polars==1.44.2 torch==2.13.0
cd "$folder"
cat > check.py <<'PY'
from collections import OrderedDict
from importlib.metadata import version

import pandas as pd
import torch
from fuxictr.features import FeatureMap
from model_zoo.LongCTR.ETA import ETA
from model_zoo.LongCTR.longctr_dataloader import LongCTRDataLoader
from model_zoo.LongCTR.SIM import SIM
from model_zoo.LongCTR.TWIN import TWIN

assert version("fuxictr") == "2.3.10" and torch.__version__.startswith("2.13.0")
EVENTS, ITEMS, WINDOW = [60, 3, 1], 100, 10
pd.DataFrame({"item_index": range(ITEMS), "item": range(ITEMS)}).to_parquet("items.parquet")
pd.DataFrame({"full_item_seq": [list(range(1, n + 1)) for n in EVENTS]}).to_parquet("users.parquet")
rows = pd.DataFrame({"click": [1, 0, 1], "user_index": [0, 1, 2], "seq_len": EVENTS, "item_index": [90, 91, 92]})
rows.to_parquet("rows.parquet")

features = FeatureMap("rows", ".")
features.labels, features.default_emb_dim = ["click"], 8
features.features = OrderedDict(
    {name: {"type": "meta", "source": ""} for name in ("user_index", "seq_len", "item_index")},
    item={"type": "categorical", "source": "item", "vocab_size": ITEMS, "padding_idx": 0},
)
batches = LongCTRDataLoader(features, "rows", "users.parquet", "items.parquet", 3, num_workers=0, max_len=60)

for kind in (SIM, ETA, TWIN):
    torch.manual_seed(1)
    model = kind(features, embedding_dim=8, short_seq_len=WINDOW, optimizer="adam", loss="binary_crossentropy",
                 verbose=0, model_root=".", metrics=["AUC"])  # fmt: skip
    seen = {}

    def keep(attention, given, output, seen=seen):
        _, seen["events"], seen["mask"] = given
        seen["attention"], seen["output"] = attention, output

    model.short_attention.register_forward_hook(keep)
    model.predict(batches)
    events, mask, attention = seen["events"], seen["mask"], seen["attention"]
    given = (events != 0).any(-1).sum(1).tolist()
    left = mask.sum(1).int().tolist()
    only = attention.W_o(attention.W_v(events[2, -1]))
    share = float((seen["output"][2] @ only / (only @ only)).detach())
    print(f"{kind.__name__}: of {EVENTS} events {given} are in the window of {WINDOW}, {left} of them are not masked; "
          f"of the only one {share:.4f} enters")  # fmt: skip
    assert given == [9, 3, 1] and left == [9, 2, 0]
    assert abs(share - 1 / 9) < 1e-5
PY
"$folder/venv/bin/python" check.py
