#!/usr/bin/env bash
# Packages: polars 2.1.0 (Python 3.11, Linux).
#
# What one would guess: a time format that names an hour and no minute, such as %y%m%d%H for Avazu's 14102105, is read
# as Python reads it: the minute is 0. With strict=False, what is not of the format is null.
#
# What is seen: Polars takes no such format at all, and raises with strict=False too: "Please either specify both hour
# and minute, or neither". Without the hour, or with minutes appended to format and text, it reads them.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0
cd "$folder"
cat > check.py <<'PY'
from datetime import datetime

import polars as pl

hours = pl.Series(["14102105"])
print("Python:", datetime.strptime(hours[0], "%y%m%d%H"))
for strict in (True, False):
    try:
        found = hours.str.to_datetime("%y%m%d%H", strict=strict)
    except pl.exceptions.ComputeError as error:
        print(f"Polars, strict={strict}:", str(error).split("\n")[0])
        assert "both hour and minute" in str(error)
    else:
        raise SystemExit(f"Polars, strict={strict}: {found}")
assert pl.Series(["141021"]).str.to_datetime("%y%m%d")[0] == datetime(2014, 10, 21)
assert (hours + "00").str.to_datetime("%y%m%d%H%M")[0] == datetime(2014, 10, 21, 5)
PY
"$folder/venv/bin/python" check.py
