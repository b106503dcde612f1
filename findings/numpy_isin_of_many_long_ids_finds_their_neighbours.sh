#!/usr/bin/env bash
# numpy 2.4.6: isin and intersect1d of int64 and uint64 ids.
#
# One source gives 64-bit ids as unsigned numbers (a hash, a database's unsigned column), another as signed ones (Parquet, JSON). NumPy 2
# compares the two exactly with ==. One would guess that isin asks the same question, and that its answer for an id does not depend on
# how many other ids are asked for.
#
# Seen: with few ids isin compares by ==, and is right. With many that are spread, both sides become float64, which tells ids of 60 bits
# apart only in steps of 256. Ids with the time in front, as many systems give them out, differ by 1 within a millisecond: of 5 new ads
# none is found among the known ones, of 20 all are, and the test set has no unknown ads. intersect1d is wrong with a single id on each
# side. pandas' isin and polars' is_in are right, and so is isin of one type.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 pandas==3.1.1 polars==2.1.0
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import pandas as pd
import polars as pl

rng = np.random.default_rng(0)
first = np.sort(rng.choice(10**9, 2_000, replace=False)) + 2**38  # milliseconds in which two ads were entered


def ids(ads: int, which: int) -> np.ndarray:
    return (first[:ads] << 22) + which


print("numpy", np.__version__, "- new ads found among as many known ones")
found = {}
for ads in (1, 5, 20, 2_000):
    known, new = ids(ads, 0).astype(np.uint64), ids(ads, 1)
    exact = {"==": int((new[:, None] == known).sum()), "pandas": int(pd.Series(new).isin(known).sum())}
    exact["polars"] = int(pl.Series(new).is_in(pl.Series(known).implode()).sum())
    found[ads] = int(np.isin(new, known).sum())
    print(f"  of {ads}: isin {found[ads]}, {exact}; intersect1d {len(np.intersect1d(new, known))}")
    assert not any(exact.values()) and not np.isin(new, known.astype(np.int64)).any()
    assert found[ads] == (0 if ads <= 5 else ads) and len(np.intersect1d(new, known)) == ads
PYTHON
