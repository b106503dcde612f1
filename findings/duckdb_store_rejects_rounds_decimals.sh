#!/usr/bin/env bash
# Package: duckdb 2.0.1 (Python 3.11, Linux).
#
# What one would guess: read_csv with explicit column types and store_rejects=true lists every line whose values are not
# of these types in reject_errors, so that a BIGINT column of a log holds what the file holds or the line is a reject.
#
# What is seen: 1.5, 2.5 and -0.6 in a BIGINT column are rounded (2, 3, -1), 1e3, 1_000 and 0x10 are read as 1000, 1000
# and 16, an empty line in the middle and one delimiter too many at the end of a line are passed over, and none of them
# is a reject; a word (x7) in the same column is. A line is judged by the selected columns alone: the same word is no
# reject where its column is not selected. So an id or a Unix time with a fraction becomes another id or time, and the
# table of rejects does not say that a file is strictly well-formed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==2.0.1
cd "$folder"
cat > check.py <<'PY'
import duckdb

LINES = ["7,a", "1.5,a", "2.5,a", "-0.6,a", "1e3,a", "1_000,a", "0x10,a", "", "8,a,", "x7,a", "9,a"]
with open("log.csv", "w") as file:
    file.write("\n".join(LINES) + "\n")

def read(columns):
    con = duckdb.connect()
    rows = con.execute(
        f"select {columns} from read_csv('log.csv', columns={{'id': 'BIGINT', 'word': 'VARCHAR'}}, header=false, "
        "delim=',', quote='', escape='', auto_detect=false, store_rejects=true)"
    ).fetchall()
    rejects = con.execute("select line, csv_line from reject_errors order by line").fetchall()
    return [row[0] for row in rows], rejects

ids, rejects = read("id")
print("ids read:", ids)
print("rejects: ", rejects)
_, of_word = read("word")
print("rejects where only the other column is selected:", of_word)
assert duckdb.__version__ == "2.0.1"
assert ids == [7, 2, 3, -1, 1000, 1000, 16, 8, 9], ids
assert rejects == [(10, "x7,a")], rejects
assert of_word == [], of_word
PY
"$folder/venv/bin/python" check.py
