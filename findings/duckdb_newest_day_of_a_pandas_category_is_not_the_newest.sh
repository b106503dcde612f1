#!/usr/bin/env bash
# duckdb 2.0.1 asking a frame of pandas 3.1.1 whose days are a category, as pandas.read_parquet gives them of a folder of parts that pandas
# wrote: max, min, ORDER BY and comparisons.
#
# The last day is the test set: WHERE day = (SELECT max(day) FROM log). Days like 2026-11-30 are texts in the order of time, and the
# category is not an ordered one; pandas refuses max() of it for that reason. One would guess that DuckDB compares the texts, or refuses too.
#
# Seen: it makes an ENUM of the category and orders by its codes, which are in the order in which the parts brought their days. A day
# that the first part lacks comes after all of its days: where that is the 12th, the "newest" day of November is the 12th, and 18 later days
# are trained on. Against a text the same column is compared as text: day > '2026-11-12' finds the 18 days, with '2026-11-12' being
# the maximum. From the files themselves DuckDB gives the 30th. Cast to VARCHAR before max and ORDER BY.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==2.0.1 pandas==3.1.1 numpy==2.4.6 pyarrow==25.0.1
mkdir "$folder/log"
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import duckdb
import pandas as pd

november = [f"2026-11-{day:02}" for day in range(1, 31)]
# Users are spread over two parts; those of the first were not there on the 12th.
for part, days in enumerate([[day for day in november if day != "2026-11-12"], november]):
    rows = pd.DataFrame({"day": pd.Series(days * 10).astype("category"), "click": 0})
    rows.to_parquet(f"log/part-{part}.parquet")
log = pd.read_parquet("log")
assert len(log) == 590 and not log["day"].cat.ordered


def one(query):
    return duckdb.sql(query).fetchall()[0][0]


found = {
    "max(day) of the frame": one("SELECT max(day)::VARCHAR FROM log"),
    "the first by ORDER BY day DESC": one("SELECT day::VARCHAR FROM log ORDER BY log.day DESC LIMIT 1"),
    "max(day::VARCHAR)": one("SELECT max(day::VARCHAR) FROM log"),
    "max(day) of the files": one("SELECT max(day)::VARCHAR FROM 'log/*.parquet'"),
}
print("duckdb", duckdb.__version__, "pandas", pd.__version__)
for name, day in found.items():
    print(f"  {name}: {day}")
later = "SELECT count(DISTINCT day) FROM log WHERE day > "
as_text, by_code = one(later + "'2026-11-12'"), one(later + "(SELECT max(day) FROM log)")
print(f"  days later than '2026-11-12': {as_text}; later than max(day): {by_code}")
assert [*found.values()] == ["2026-11-12", "2026-11-12", "2026-11-30", "2026-11-30"]
assert (as_text, by_code) == (18, 0)
try:
    log["day"].max()
except TypeError as error:
    print("  pandas:", str(error).splitlines()[0])
else:
    raise AssertionError("pandas has a maximum")
PYTHON
