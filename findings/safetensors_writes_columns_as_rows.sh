#!/usr/bin/env bash
# safetensors 0.8.0 (numpy 2.4.6), safetensors.numpy.save and save_file of arrays that lie in memory column by column.
#
# Its documentation asks for contiguous, dense arrays, which such an array is (F_CONTIGUOUS): a transposed table, what
# DataFrame.to_numpy() and scikit-learn's PCA give. One would guess that it is written value by value as numpy.save does, or
# refused as safetensors.torch refuses a transposed tensor ("non contiguous").
#
# Seen: the memory is written as it lies, under the array's shape, and read back row by row: same shape, same type, same sum,
# other places. Of a table of vectors whose columns were computed and joined in pandas every ad gets a mixture of the others'
# numbers, without a word. 0.7.0 wrote it rightly. It is an open issue (825). numpy.ascontiguousarray before saving avoids it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check safetensors==0.8.0 numpy==2.4.6 pandas==3.1.1
cd "$folder"
cat >saved.py <<'PYTHON'
import io

import numpy as np
import pandas as pd
import safetensors
from safetensors.numpy import load_file, save_file

ads = pd.DataFrame({f"v{place}": np.arange(4) + place / 10 for place in range(3)}).to_numpy()  # ad 2 is 2.0, 2.1, 2.2
assert ads.flags["F_CONTIGUOUS"] and not ads.flags["C_CONTIGUOUS"]
save_file({"ads": ads, "rows": np.ascontiguousarray(ads)}, "ads.safetensors")
read = load_file("ads.safetensors")
np.save(buffer := io.BytesIO(), ads)
buffer.seek(0)
assert np.array_equal(read["rows"], ads) and np.array_equal(np.load(buffer), ads)
right = np.array_equal(read["ads"], ads)
print("safetensors", safetensors.__version__, "- ad 2 is", ads[2].tolist(), "and is read as", read["ads"][2].tolist())
assert read["ads"].shape == ads.shape and np.isclose(read["ads"].sum(), ads.sum())
assert right == (safetensors.__version__ == "0.7.0"), right
PYTHON
"$folder/venv/bin/python" saved.py
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check safetensors==0.7.0
"$folder/venv/bin/python" saved.py
