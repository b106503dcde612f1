#!/usr/bin/env bash
# polars 2.1.0: sum, cum_sum, sum over groups, in windows and of lists; list.len, len and value_counts.
#
# A count is a UInt32 in Polars: of rows, of a group, of a list's elements. Integers of 8 and 16 bits are widened before they
# are added (pl.Expr.sum names them), so one would guess that those of 32 bits are too, or that a sum which does not fit is
# an error, as a cast that does not fit is. NumPy, of the same column, adds in 64 bits.
#
# Seen: sums of 32-bit integers stay in 32 bits and wrap around at 2^32 (signed ones below zero), in every form and in both
# engines, without a word; the mean of the same column is right. Three million rows with histories of 2,000 events hold
# 6,000,000,000 events; Polars says 1,705,032,704, and the running sum, from which offsets of packed histories are made,
# falls back on its way. Offsets of 16-bit numbers would have been right. Cast to Int64 before adding.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import polars as pl

ROWS, LENGTH = 3_000_000, 2_000
print("polars", pl.__version__)
one = pl.DataFrame({"user": [0], "history": [list(range(LENGTH))]})
kinds = {
    "list.len": one.select(pl.col("history").list.len()).dtypes[0],
    "len of a group": one.group_by("user").len().schema["len"],
    "value_counts": one["user"].value_counts().schema["count"],
}
print("counts are:", kinds)
assert set(kinds.values()) == {pl.UInt32}


def sums(kind):
    events = pl.repeat(LENGTH, ROWS, dtype=kind, eager=True).alias("events")
    frame = pl.DataFrame({"split": events * 0, "events": events})
    total = pl.col("events").sum()
    return {
        "sum": events.sum(),
        "cum_sum": events.cum_sum()[-1],
        "group_by": frame.group_by("split").agg(total)["events"][0],
        "over": frame.select(total.over("split"))["events"][0],
        "list.sum": events.implode().list.sum()[0],
        "streaming": frame.lazy().select(total).collect(engine="streaming").item(),
    }, events


true = ROWS * LENGTH
for kind in (pl.UInt32, pl.Int32, pl.UInt16, pl.Int64):
    found, events = sums(kind)
    print(f"{kind}: {found}")
    assert int(events.mean()) == LENGTH and int(events.to_numpy().sum()) == true
    wrapped = true % 2**32
    expected = true if kind in (pl.UInt16, pl.Int64) else wrapped - 2**32 * (kind == pl.Int32 and wrapped >= 2**31)
    assert set(found.values()) == {expected}, (kind, expected)
    assert events.cum_sum().is_sorted() == (kind in (pl.UInt16, pl.Int64))
PYTHON
