#!/usr/bin/env bash
# duckdb 2.0.1 and pyarrow 25.0.1 (pyarrow.dataset), questions about a column of floats in a Parquet file that pyarrow wrote.
#
# A file of predictions is looked through for NaN before metrics are taken of it: WHERE isnan(p). One would guess that a filter
# finds the same rows in the file as in the same table in memory, where DuckDB holds NaN to be the largest number.
#
# Seen: Parquet notes the least and the largest value of each part of a file, NaN left out, and both trust these notes. Of the
# file DuckDB says that no row is isnan(p) or p > 1, that every row lies between 0 and 1, that max(p) is 0.09 - and that avg(p) is
# NaN. count_if(isnan(p)) is 0 and count(*) FILTER (isnan(p)) is 1. Where all other rows are 0.25, p = 0.25 counts the NaN too.
# pyarrow.dataset finds no row that is_null(nan_is_null=True), nor one that is not p <= 1; pyarrow's table has one. A file that
# DuckDB wrote is read rightly, and so is this one with read_parquet(…, can_have_nan=true), and by Polars.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==2.0.1 pyarrow==25.0.1 polars==2.1.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

rates = np.linspace(0.01, 0.09, 1000)
rates[7] = np.nan
arrow = pa.table({"p": rates})
pq.write_table(arrow, "p.parquet")
same = pa.table({"p": np.where(np.isnan(rates), np.nan, 0.25)})
pq.write_table(same, "same.parquet")
duckdb.sql("COPY (FROM arrow) TO 'own.parquet'")


def ask(what, source, where="true"):
    return duckdb.sql(f"SELECT {what} FROM {source} WHERE {where}").fetchall()[0][0]


print("duckdb", duckdb.__version__, "- pyarrow", pa.__version__)
told, own = "read_parquet('p.parquet', can_have_nan=true)", "'own.parquet'"
for where, right in {"isnan(p)": 1, "p > 1": 1, "p BETWEEN 0 AND 1": 999}.items():
    rows = {source: ask("count(*)", source, where) for source in ("'p.parquet'", "arrow", own, told)}
    print(f"WHERE {where}:", rows)
    assert rows == {"'p.parquet'": 1000 if right == 999 else 0, "arrow": right, own: right, told: right}
for what in ("max(p)", "avg(p)", "count_if(isnan(p))", "count(*) FILTER (isnan(p))"):
    print(f"{what}:", {source: ask(what, source) for source in ("'p.parquet'", "arrow")})
assert ask("max(p)", "'p.parquet'") < 1 and np.isnan(ask("max(p)", "arrow")) and np.isnan(ask("avg(p)", "'p.parquet'"))
assert (ask("count_if(isnan(p))", "'p.parquet'"), ask("count(*) FILTER (isnan(p))", "'p.parquet'")) == (0, 1)
equal = ask("count(*)", "'same.parquet'", "p = 0.25"), ask("count(*)", "same", "p = 0.25")
print("p = 0.25 where all others are: file and table", equal)
assert equal == (1000, 999)

for name, where in {"is null or NaN": ds.field("p").is_null(nan_is_null=True), "not p <= 1": ~(ds.field("p") <= 1)}.items():
    rows = ds.dataset("p.parquet").to_table(filter=where).num_rows, arrow.filter(where).num_rows
    print(f"pyarrow, {name}: file and table", rows)
    assert rows == (0, 1)
assert pl.scan_parquet("p.parquet").filter(pl.col("p").is_nan()).collect().height == 1
PYTHON
