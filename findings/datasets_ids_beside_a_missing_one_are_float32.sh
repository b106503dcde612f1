#!/usr/bin/env bash
# datasets 5.2.0 (pyarrow 25.0.1, numpy 2.4.6), Dataset.with_format("numpy") of a whole-number column in which some are missing.
#
# A table does not change its type for a missing number: the column stays int64. As NumPy has no missing whole number, one would guess
# float64, which pandas takes and which holds ids exactly up to 2^53, or an error; and that a column has one type in all batches.
#
# Seen: a batch in which one id is missing becomes float32, which holds every whole number only up to 16,777,216: of 1,000 ads numbered
# from 40,000,000 on, 251 are left, and three rows in four have the number of another ad. A batch without a missing one is int64 with
# the right numbers, so the same ad has one number in one batch and another in the next. An iterable data set does the same; the formats
# of pandas (float64) and polars do not. Fill what is missing before the format is set.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check datasets==5.2.0 pyarrow==25.0.1 numpy==2.4.6 pandas==3.1.1 polars==2.1.0
cd "$folder"
HF_HUB_OFFLINE=1 HF_HOME="$folder/home" "$folder/venv/bin/python" - <<'PYTHON'
import datasets
import numpy as np
from datasets import Dataset

ADS, FIRST = 1_000, 40_000_000
ads = list(range(FIRST, FIRST + ADS))
log = Dataset.from_dict({"ad": [*ads, None, *ads]})
print("datasets", datasets.__version__, "-", log.features["ad"])
assert log.features["ad"].dtype == "int64"

whole = log.with_format("numpy")["ad"][:]
known = whole[~np.isnan(whole)]
print(f"all rows: {whole.dtype}, {len(np.unique(known))} of {ADS} ads, {np.mean(known != [*ads, *ads]):.0%} of the rows have another ad's number")
assert whole.dtype == np.float32 and len(np.unique(known)) == 251 and np.mean(known != [*ads, *ads]) > 0.5

for name, batches in {
    "batches": log.with_format("numpy").iter(batch_size=ADS),
    "batches of an iterable": log.to_iterable_dataset().with_format("numpy").iter(batch_size=ADS),
}.items():
    first, second, _ = (batch["ad"] for batch in batches)
    print(f"{name}: ad {ads[1]} is {first[1]} ({first.dtype}), then {second[2]:.0f} ({second.dtype})")
    assert first.dtype == np.int64 and first[1] == ads[1] and second.dtype == np.float32 and second[2] == ads[0]

for form in ("pandas", "polars"):
    column = log.with_format(form)[:]["ad"]
    print(f"{form}: {column.dtype}, {column.drop_nulls().n_unique() if form == 'polars' else column.nunique()} ads")
    assert (column.drop_nulls().n_unique() if form == "polars" else column.nunique()) == ADS
PYTHON
