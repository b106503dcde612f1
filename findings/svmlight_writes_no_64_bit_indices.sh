#!/usr/bin/env bash
# Package: scikit-learn 1.9.1 with scipy 1.17.1 (Python 3.11, Linux), sklearn.datasets.dump_svmlight_file.
#
# What one would guess: it takes every sparse matrix that its parameter check takes ("sparse matrix"), as estimators do, and
# load_svmlight_file reads 64-bit indices.
#
# What is seen: a csr_array with 64-bit indices is refused from within, "Buffer dtype mismatch, expected 'int' but got
# 'long'", however small it is; and that is what scipy's coo_array gives for coordinates of numpy's own integers.
# coo_matrix, with the same arguments, makes them 32 bits wide, and is written.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1
cd "$folder"
cat > check.py <<'PY'
import io
from importlib.metadata import version

import numpy as np
from scipy.sparse import coo_array, coo_matrix
from sklearn.datasets import dump_svmlight_file

assert version("scikit-learn") == "1.9.1"
row, column = np.array([0, 1, 1]), np.array([2, 0, 1])


def write(kind, width):
    cells = kind((np.ones(3), (row.astype(width), column.astype(width))), shape=(2, 3)).tocsr()
    out = io.BytesIO()
    try:
        dump_svmlight_file(cells, [0, 1], out, zero_based=False)
        said = out.getvalue()
    except ValueError as error:
        said = f"ValueError: {error}"
    print(f"{kind.__name__} of {np.dtype(width)}: indices {cells.indices.dtype}, {said!r}")
    return said


assert write(coo_array, np.int32) == write(coo_matrix, np.int64) == b"0 3:1\n1 1:1 2:1\n"
assert "expected 'int' but got 'long'" in write(coo_array, np.int64)
PY
"$folder/venv/bin/python" check.py
