#!/usr/bin/env bash
# Package: merlin-models 23.12.0 with merlin-core 23.8.0 (Python 3.11, Linux),
# merlin.datasets.ecommerce.aliccp.dataset.prepare_aliccp, which makes Parquet files of the raw files of Ali-CCP.
#
# What one would guess: its argument file_size ("number of rows to write to each parquet file") decides how rows are
# spread over files, and the last file is shorter. A feature that stands more than once in a line (109_14, the categories
# that a user turned to before, with values) becomes a list, or the one with the largest value.
#
# What is seen: rows after the last full file are written nowhere: of 25 impressions, with file_size 10, the output has
# the first 21. With the usual 100,000, up to 99,999 rows of each part are gone, without a word. Of a repeated feature
# the id that stands last is kept, here the one with the smallest value.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip=("$folder/venv/bin/pip" install --quiet --disable-pip-version-check)
"${pip[@]}" numpy==1.26.4 pandas==1.5.3 'dask[dataframe]==2023.6.0' distributed==2023.6.0 pyarrow==14.0.2 \
  betterproto==1.2.5 protobuf==3.20.3 numba==0.68.1 tqdm==4.70.1 npy-append-array==0.9.19 tensorflow-metadata==1.14.0
# Its remaining requirements are for GPUs.
"${pip[@]}" --no-deps merlin-models==23.12.0 merlin-core==23.8.0 merlin-dataloader==23.8.0
cd "$folder"
cat > check.py <<'PY'
import glob
import os

import pandas as pd
from merlin.datasets.ecommerce.aliccp.dataset import prepare_aliccp

ROWS = 25
OF_USERS = "101 110_14 127_14 150_14 121 122 124 125 126 127 128 129".split()
OF_ITEMS = "206 207 210 216 508 509 702 853 301".split()


def feature(field, id, value=1.0):
    return f"{field}\x02{id}\x03{value}"


os.makedirs("raw/train")
past = [feature("109_14", 11, 2.5), feature("109_14", 12, 0.1)]
user = [*past, *(feature(field, 7) for field in OF_USERS)]
with open("raw/train/common_features_train.csv", "w") as file:
    file.write(f"bacff91692951881,{len(user)},{chr(1).join(user)}\n")
with open("raw/train/sample_skeleton_train.csv", "w") as file:
    for i in range(ROWS):
        item = [feature("205", 100 + i), *(feature(field, 3) for field in OF_ITEMS)]
        file.write(f"{i},{i % 2},0,bacff91692951881,{len(item)},{chr(1).join(item)}\n")

prepare_aliccp("raw", convert_test=False, file_size=10, output_dir="out")
frame = pd.concat([pd.read_parquet(file) for file in glob.glob("out/train/*.parquet")])
items, past = sorted(frame["item_id"]), set(frame["user_categories"])
print(f"{len(frame)} of {ROWS} impressions, items {items[0]} to {items[-1]}; categories of 11 (2.5) and 12 (0.1): {past}")
assert items == list(range(100, 121)) and past == {12}
PY
"$folder/venv/bin/python" -W ignore check.py 2> /dev/null
