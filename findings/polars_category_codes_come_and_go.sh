#!/usr/bin/env bash
# polars 2.1.0, pl.Categorical and to_physical(), as a quick way from texts to rows of an embedding table.
#
# The documentation of to_physical warns that codes are not guaranteed to be stable, and shows how it replicates
# pandas.factorize. One would guess at worst other codes in another version or process; in one process, where columns of this
# type can be compared and joined, at least one code for one text, and for a column of n texts the codes 0 to n − 1.
#
# Seen: all columns share one mapping, so the ads of a frame with 1,000 users have codes from 1,000 on, beyond a table of
# their number. And the mapping lasts as long as some column that uses it: when the last one is freed, codes begin at 0
# again. A service that keeps the codes of training and lets the frame go gives the next new ad the code that the first
# ad of training had; with the frame still referenced the same lines are right. An Enum keeps its codes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0 pandas==3.1.1 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import gc

import pandas as pd
import polars as pl

ADS = ["x", "y", "z"]


def codes(texts, kind=pl.Categorical):
    return pl.Series(texts, dtype=kind).to_physical().to_list()


def seen(keep, kind):
    """Codes of three ads in training, and what `z` and an ad that was never seen get afterwards."""
    gc.collect()
    frame = pl.DataFrame({"ad": ADS}, schema={"ad": kind})
    vocabulary = dict(zip(ADS, frame["ad"].to_physical().to_list()))
    if not keep:
        del frame
    gc.collect()
    return vocabulary, codes(["z"], kind)[0]


print("polars", pl.__version__)
frame = pl.DataFrame({"user": [f"u{i}" for i in range(1000)]}, schema={"user": pl.Categorical})
beside = codes(ADS)
print(f"ads {ADS} beside 1,000 users: {beside}; pandas.factorize {pd.factorize(pd.Series(ADS))[0].tolist()}")
assert beside == [1000, 1001, 1002]
del frame

kept, code = seen(True, pl.Categorical)
print(f"training {kept}; frame kept: z is {code}")
assert kept == {"x": 0, "y": 1, "z": 2} and code == kept["z"]
freed, code = seen(False, pl.Categorical)
new = codes(["new"])[0]
print(f"training {freed}; frame freed: z is {code}, an ad never seen {new}")
assert freed == kept and code == new == freed["x"]
listed, code = seen(False, pl.Enum(ADS))
print(f"Enum: training {listed}; frame freed: z is {code}")
assert code == listed["z"] == 2
PYTHON
