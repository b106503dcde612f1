#!/usr/bin/env bash
# Package: polars 2.1.0 (Python 3.11, Linux).
#
# What one would guess: adding a column to a frame leaves the others as they are; columns are immutable and shared. So a
# frame of many mapped files, concatenated without rechunk, stays mapped.
#
# What is seen: where one column comes in one piece and the others in many, the next with_columns brings every column into
# one piece: all are copied into memory, though none of them was asked for. Without that column, or with it in pieces of
# the same lengths, nothing is copied.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install polars==2.1.0
"$folder/venv/bin/python" - <<'PY'
import polars as pl

PIECES, ROWS = 20, 1000
pieces = [pl.DataFrame({"a": range(ROWS), "b": range(ROWS)}) for _ in range(PIECES)]
plain = pl.concat(pieces, rechunk=False)
lengths = plain["a"].chunk_lengths()
whole = pl.Series("part", ["train"]).new_from_index(0, len(plain))
alike = pl.concat([whole.slice(0, length).rechunk() for length in lengths], rechunk=False)


def after(frame: pl.DataFrame) -> int:
    """Pieces of the column `a` once a column that has nothing to do with it was added."""
    return frame.with_columns(c=pl.col("b") + 1)["a"].n_chunks()


found = {
    "no further column": after(plain),
    "one in pieces of the same lengths": after(plain.with_columns(alike)),
    "one in one piece": after(plain.with_columns(whole)),
}
for words, count in found.items():
    print(f"{words}: the untouched column has {count} pieces of {PIECES}")
raise SystemExit(list(found.values()) != [PIECES, PIECES, 1])
PY
