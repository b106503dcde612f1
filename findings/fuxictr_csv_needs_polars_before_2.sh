#!/usr/bin/env bash
# Package: fuxictr 2.3.10 (Python 3.11, Linux), FeatureProcessor.read_data, with polars 2.1.0.
#
# What one would guess: its metadata ask for `polars` without a bound, so the environment that pip makes reads CSV, the
# format that its documentation starts with.
#
# What is seen: every CSV file is refused, whatever it holds: read_data calls `scan_csv(dtypes=…)`, a name that Polars
# deprecated in 0.20.31 and removed in 2.0 (ArgumentRemovedError). The same file is read with polars 1.44.2 in its place;
# Parquet files are read with either.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip() { "$folder/venv/bin/pip" install --quiet --disable-pip-version-check "$@"; }
pip fuxictr==2.3.10 polars==2.1.0
cd "$folder"
cat > check.py <<'PY'
import sys
from importlib.metadata import requires, version

import polars as pl
from fuxictr.preprocess import FeatureProcessor

assert version("fuxictr") == "2.3.10"
print("asked for:", [line for line in requires("fuxictr") if line.startswith("polars")])
pl.DataFrame({"item": ["a", "b"], "click": [0.0, 1.0]}).write_csv("rows.csv")
pl.DataFrame({"item": ["a", "b"], "click": [0.0, 1.0]}).write_parquet("rows.parquet")
processor = FeatureProcessor(
    feature_cols=[{"name": "item", "active": True, "dtype": "str", "type": "categorical"}],
    label_col={"name": "click", "dtype": "float"}, dataset_id="rows", data_root=".",
)


def rows(kind):
    try:
        return str(len(processor.read_data(f"rows.{kind}", data_format=kind).collect())) + " rows"
    except Exception as error:
        return f"{type(error).__name__}: {error}"


csv, parquet = rows("csv"), rows("parquet")
print(f"polars {pl.__version__}: CSV {csv}; Parquet {parquet}")
assert parquet == "2 rows"
assert csv.startswith("ArgumentRemovedError") and "dtypes" in csv if sys.argv[1] == "2" else csv == "2 rows"
PY
"$folder/venv/bin/python" check.py 2
pip polars==1.44.2
"$folder/venv/bin/python" check.py 1
