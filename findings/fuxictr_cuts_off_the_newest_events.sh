#!/usr/bin/env bash
# Package: fuxictr 2.3.10 (Python 3.11, Linux; polars 1.44.2), FeatureProcessor, sequences longer than `max_len`.
#
# What one would guess: a history that is too long loses its oldest events, as pad_sequences of Keras does by default
# (truncating="pre"), whose equal its own pad_sequences says it is. Where `max_len` is not given, nothing is cut off.
#
# What is seen: `padding` says both where zeros stand and where a sequence is cut, and its default for sequence columns is
# "post": of a history in the order of time, which is how its own data sets are written, the newest events are lost and the
# oldest stay. Without `max_len` the longest sequence of the training rows is the limit, so that longer histories of
# test rows, which are later, lose their newest events too. padding="pre" keeps them.
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
    file.write("history,click\nmon^tue^wed,0\nmon,1\n,1\n")
later = "mon^tue^wed^thu^fri"  # oldest first


def kept(**options):
    column = {"name": "history", "active": True, "dtype": "str", "type": "sequence", **options}
    processor = FeatureProcessor(
        feature_cols=[column], label_col={"name": "click", "dtype": "float"}, dataset_id="rows", data_root="."
    )
    processor.fit(processor.preprocess(processor.read_data("train.csv")))
    words = {code: word for word, code in processor.processor_dict["history::tokenizer"].vocab.items()}
    found = [words[code] for code in processor.transform({"history": [later]})["history"][0]]
    print(f"{later} with {options or 'the defaults'}: {found}")
    return found


assert kept(max_len=2) == ["mon", "tue"]
assert kept() == ["mon", "tue", "wed"]
assert kept(max_len=3, padding="pre") == ["wed", "__OOV__", "__OOV__"]
PY
"$folder/venv/bin/python" check.py
