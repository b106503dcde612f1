#!/usr/bin/env bash
# category_encoders 2.11.2, HashingEncoder, "a multivariate hashing implementation" for columns of categories, as ids are.
#
# One would guess that a value is hashed with the name of its column, as scikit-learn's FeatureHasher does with records
# ("user=7"), so that a user and an item with the same number are two things; and that some of the places are each column's.
#
# Seen: all columns share the places, and a value is hashed without its column. A row of user 7 and item 8 equals one of user
# 8 and item 7, whatever the number of places; where ids are numbers from 1 on, as in MovieLens, every user shares a place with
# the item of the same number. Prefix the values with their column first.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check category_encoders==2.11.2 scikit-learn==1.9.1 pandas==3.1.1 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import category_encoders
import pandas as pd
from sklearn.feature_extraction import FeatureHasher

rows = pd.DataFrame({"user": ["7", "8"], "item": ["8", "7"]})


def are_equal(frame, places):
    encoder = category_encoders.HashingEncoder(n_components=places, max_process=1)
    one, other = encoder.fit_transform(frame).to_numpy().tolist()
    return one == other


print("category_encoders", category_encoders.__version__)
for places in (8, 64, 1024):
    named = rows.apply(lambda column: column.name + "=" + column)
    print(f"{places} places: (user 7, item 8) and (user 8, item 7) are equal: {are_equal(rows, places)};", end=" ")
    print(f"with the column's name before each value: {are_equal(named, places)}")
    assert are_equal(rows, places)
assert not are_equal(named, 1024)
one, other = FeatureHasher(1024).fit_transform(rows.to_dict("records")).toarray()
print("scikit-learn's FeatureHasher:", (one == other).all())
assert (one != other).any()
PYTHON
