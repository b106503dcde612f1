#!/usr/bin/env bash
# Packages: pandas 2.3.3, polars 2.1.0, pyarrow 25.0.1 (Python 3.11, Linux), their readers of delimited text with a tab.
#
# What one would guess: MIND's news.tsv is parted by tabs and has no quoting; titles hold quotes as people write them. A
# title that begins with a quote which no one closes is at worst an error, since the line then has too few fields.
#
# What is seen: of six lines pandas and pyarrow return four rows, polars three, none of them raises and every row has its
# five fields: a quote at the beginning of a field is open until the next one, lines and tabs between them become
# part of the title, and articles are lost. The readers lose different articles. pandas' own engine in Python raises
# instead. Said that quotes mean nothing (quoting=3, quote_char=None, quote_char=False), all three return six rows.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pandas==2.3.3 polars==2.1.0 pyarrow==25.0.1 numpy==2.4.6
cd "$folder"
cat > check.py <<'PY'
import io

import pandas as pd
import polars as pl
from pyarrow import csv

TITLES = ["Plain", '"No end to it, he says', "Another", 'The "end" of it', 'Last one"', "After"]
TEXT = "".join(f"N{i}\tnews\tus\t{title}\tabstract\n" for i, title in enumerate(TITLES, 1)).encode()


def by_arrow(quote):
    parsing = csv.ParseOptions(delimiter="\t", quote_char=quote)
    table = csv.read_csv(io.BytesIO(TEXT), csv.ReadOptions(autogenerate_column_names=True), parsing)
    return table.column(0).to_pylist()


def by_pandas(**options):
    return pd.read_csv(io.BytesIO(TEXT), sep="\t", header=None, **options)[0].tolist()


def by_polars(quote):
    return pl.read_csv(io.BytesIO(TEXT), separator="\t", has_header=False, quote_char=quote)[:, 0].to_list()


usual = {"pandas": by_pandas(), "pyarrow": by_arrow('"'), "polars": by_polars('"')}
told = {"pandas": by_pandas(quoting=3), "pyarrow": by_arrow(False), "polars": by_polars(None)}
for name in usual:
    print(f"{name:8} of 6 articles: {usual[name]}; told that quotes mean nothing: {len(told[name])}")
assert usual == {"pandas": ["N1", "N2", "N5", "N6"], "pyarrow": ["N1", "N2", "N5", "N6"], "polars": ["N1", "N2", "N6"]}
assert all(found == [f"N{i}" for i in range(1, 7)] for found in told.values())
try:
    by_pandas(engine="python")
except pd.errors.ParserError as error:
    print("pandas, engine='python':", error)
else:
    raise SystemExit("pandas' engine in Python does not raise any more")
PY
"$folder/venv/bin/python" check.py
