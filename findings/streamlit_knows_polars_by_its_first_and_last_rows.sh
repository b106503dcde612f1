#!/usr/bin/env bash
# streamlit 1.67.0, st.cache_data on a function of a data frame or a series: polars 2.1.0, beside pandas 3.1.1.
#
# Arguments are hashed, and a function that was asked the same before gives the answer of before. Of large frames it is a sample of the rows
# that is hashed; from 50,000 rows on one would guess a risk, below it none, whichever library the frame is of.
#
# Seen: of Polars the first ten and the last ten rows count. Every row is hashed, but the hashes are joined by to_string() of an Arrow array,
# which leaves out the middle. A table of 30 runs, of which the fifteenth was trained again, keeps its old mean; of 1,000 rows any 980
# may change. With pandas every change is seen. A series behaves as a frame does; other columns, types or numbers of rows are noticed.
# Give the function what identifies the data (a path and its time, a version), or hash_funcs for polars.DataFrame.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    streamlit==1.67.0 polars==2.1.0 pandas==3.1.1 numpy==2.4.6 pyarrow==25.0.1
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import logging

import numpy as np
import pandas as pd
import polars as pl
import streamlit as st

# Outside of an app it notes at each call that there is none.
logging.getLogger("streamlit.runtime.caching.cache_data_api").setLevel(logging.ERROR)


@st.cache_data(show_spinner=False)
def mean(rows):
    return float((rows if isinstance(rows, pl.Series) else rows["auc"]).mean())


kinds = {
    "polars.DataFrame": lambda auc: pl.DataFrame({"run": np.arange(len(auc)), "auc": auc}),
    "polars.Series": lambda auc: pl.Series("auc", auc),
    "pandas.DataFrame": lambda auc: pd.DataFrame({"run": np.arange(len(auc)), "auc": auc}),
}


def unseen(make, rows):
    """The rows whose change leaves the cached mean as it was."""
    st.cache_data.clear()
    auc = np.full(rows, 0.75)
    before = mean(make(auc))
    found = []
    for row in range(rows):
        changed = auc.copy()
        changed[row] = 0.5
        if mean(make(changed)) == before:
            found.append(row)
    return found


print("streamlit", st.__version__, "polars", pl.__version__, "- rows that may change without a new answer")
for kind, make in kinds.items():
    for rows in (20, 30, 1_000):
        found = unseen(make, rows)
        print(f"  {kind} of {rows}: {len(found)}" + (f", {found[0]} to {found[-1]}" if found else ""))
        assert found == ([] if kind == "pandas.DataFrame" else list(range(10, rows - 10))), (kind, rows)

st.cache_data.clear()
runs = pl.DataFrame({"run": range(30), "auc": [0.75] * 30})
again = runs.with_columns(auc=pl.when(pl.col("run") == 14).then(0.45).otherwise("auc"))
said = mean(runs), mean(again)
print(f"mean AUC of 30 runs {runs['auc'].mean():.3f}, said {said[0]:.3f}; with one trained again {again['auc'].mean():.3f}, said {said[1]:.3f}")
assert said[0] == said[1] and abs(again["auc"].mean() - 0.74) < 1e-9
PYTHON
