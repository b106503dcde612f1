#!/usr/bin/env bash
# Package: fuxictr 2.3.10 (Python 3.11, Linux; polars 1.44.2), FeatureProcessor, the encoding of a categorical column.
#
# What one would guess: a missing value (an empty field, `fill_na`) is a value of its own: its rows are in the training
# data, so it has an index that is trained, and `__OOV__` is the index of ids that were never seen, which no training row
# has. Padding, index 0, is of sequences.
#
# What is seen: the missing value is left out of the vocabulary and so encoded as `__OOV__`. An id that training rows do
# not hold gets the vector that was trained on missing values: with 60% of the training rows missing, a new id of the test
# rows is scored as if it were missing. In a sequence the same empty text is padding, and an unseen id is `__OOV__`.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check fuxictr==2.3.10 polars==1.44.2
cd "$folder"
cat > check.py <<'PY'
from importlib.metadata import version

from fuxictr.preprocess import FeatureProcessor

assert version("fuxictr") == "2.3.10"
with open("train.csv", "w") as file:
    file.write("campaign,history,click\n" + "".join(f"{c},a^b,{i % 2}\n" for i, c in enumerate(["x", "y"] * 2 + [""] * 6)))
processor = FeatureProcessor(
    feature_cols=[
        {"name": "campaign", "active": True, "dtype": "str", "type": "categorical"},
        {"name": "history", "active": True, "dtype": "str", "type": "sequence", "max_len": 2},
    ],
    label_col={"name": "click", "dtype": "float"}, dataset_id="rows", data_root=".",
)
processor.fit(processor.preprocess(processor.read_data("train.csv")))
vocabulary = processor.processor_dict["campaign::tokenizer"].vocab
found = processor.transform({"campaign": ["x", "", "new"], "history": ["a", "", "new"]})
print("vocabulary:", vocabulary)
print("campaign x, missing, new:", found["campaign"])
print("history a, empty, new:", found["history"].tolist())
assert "" not in vocabulary
_, missing, new = found["campaign"]
assert missing == new == vocabulary["__OOV__"]
assert found["history"][1].tolist() == [0, 0] and found["history"][2][0] != 0
PY
"$folder/venv/bin/python" check.py
