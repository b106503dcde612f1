#!/usr/bin/env bash
# Packages: pyarrow 25.0.1, pandas 3.1.1 (Python 3.11, Linux).
#
# What one would guess: pandas is optional for pyarrow and is loaded where it is asked for (`to_pandas`, `from_pandas`).
# A program without a data frame, which writes a list of two numbers, does not pay for it.
#
# What is seen: where pandas is installed, pa.array([1, 2]) loads all of it, an empty list and a given type too, and so
# do pa.scalar(1) and RecordBatch.from_pylist. pa.nulls, and a table of such columns, do not. Where pandas is not
# installed the same calls give the same values.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pyarrow==25.0.1
cd "$folder"
cat > check.py <<'PY'
import subprocess
import sys

calls = (
    "pa.array([1, 2])", "pa.array([])", "pa.array([1, 2], type=pa.int64())", "pa.scalar(1)",
    "pa.RecordBatch.from_pylist([{'a': 1}])", "pa.nulls(2)", "pa.table({'a': pa.nulls(2)})",
)
seen = {}
for call in calls:
    code = f"import sys\nimport pyarrow as pa\nassert 'pandas' not in sys.modules\n{call}\nprint('pandas' in sys.modules)"
    seen[call] = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    print(f"{call}: pandas loaded: {seen[call]}")
expected = {call: str(sys.argv[1] == "installed" and "nulls" not in call) for call in calls}
assert seen == expected, expected
PY
echo "without pandas"
"$folder/venv/bin/python" check.py missing
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pandas==3.1.1
echo "with pandas"
"$folder/venv/bin/python" check.py installed
