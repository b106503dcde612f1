#!/usr/bin/env bash
# Packages: polars 2.1.0, pyarrow 25.0.1 (Python 3.11, Linux).
#
# What one would guess: a column of ids of 20 digits, such as `id` of Avazu's train.csv (10000169349117863715), is read
# as UInt64, where they fit (pandas does so), or as text; and a Parquet file that Polars wrote of it is read by pyarrow.
#
# What is seen: pl.read_csv makes Int128 of it. write_parquet writes it without a word, and pyarrow cannot even read the
# schema of that file ("Integers with more than 64 bits not implemented"), nor any other column of it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0 pyarrow==25.0.1
cd "$folder"
cat > check.py <<'PY'
import polars as pl
import pyarrow as pa
import pyarrow.parquet

with open("train.csv", "w") as file:
    file.write("id,click\n10000169349117863715,0\n1000009418151094273,1\n")
frame = pl.read_csv("train.csv")
print("pl.read_csv:", frame.schema)
assert frame.schema["id"] == pl.Int128
assert frame["id"].max() < 2**64  # a UInt64 would hold them
frame.write_parquet("train.parquet")
assert pl.read_parquet("train.parquet").equals(frame)
for name, read in {
    "read_schema": lambda: pa.parquet.read_schema("train.parquet"),
    "read_table of click alone": lambda: pa.parquet.read_table("train.parquet", columns=["click"]),
}.items():
    try:
        found = read()
    except pa.ArrowNotImplementedError as error:
        print(f"pyarrow, {name}: {error}")
    else:
        raise SystemExit(f"pyarrow, {name}: {found}")
PY
"$folder/venv/bin/python" check.py
