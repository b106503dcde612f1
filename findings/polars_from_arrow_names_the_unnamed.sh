#!/usr/bin/env bash
# Packages: polars 2.1.0, pyarrow 25.0.1 (Python 3.11, Linux).
#
# What one would guess: pl.from_arrow keeps the names of an Arrow table's columns, as pl.read_csv and pl.read_parquet
# keep those of a file. The first column of every CSV file that pandas writes with its index has the name "".
#
# What is seen: pl.read_csv and pl.read_parquet name that column "", and pl.from_arrow of the same table names it
# "column_0". A table read by pyarrow and handed to Polars has lost the column under the name its file has.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0 pyarrow==25.0.1
cd "$folder"
cat > check.py <<'PY'
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

with open("scores.csv", "w") as file:
    file.write(",score\n0,0.5\n1,0.25\n")
table = pa.csv.read_csv("scores.csv")
pa.parquet.write_table(table, "scores.parquet")
seen = {
    "pyarrow": table.column_names,
    "pl.read_csv": pl.read_csv("scores.csv").columns,
    "pl.read_parquet": pl.read_parquet("scores.parquet").columns,
    "pl.from_arrow": pl.from_arrow(table).columns,
}
for name, columns in seen.items():
    print(f"{name}: {columns}")
assert seen["pyarrow"] == ["", "score"]
assert seen["pl.from_arrow"] == ["column_0", "score"]
assert seen["pl.read_parquet"] == ["", "score"]
assert seen["pl.read_csv"] == ["", "score"]
PY
"$folder/venv/bin/python" check.py
