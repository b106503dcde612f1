#!/usr/bin/env bash
# vowpalwabbit 9.11.9, its hashing of features, on ids that are numbers.
#
# It is known for the hashing trick: a feature's weight stands at the hash of its name, modulo the size of the table (2^18). One
# would guess that collisions are by chance: of a thousand ids in 262,144 places, about two meet.
#
# Seen: a name of digits is not hashed but taken as that number, modulo the size of the table. Ids that differ by a multiple of
# the size meet always, however few there are. A thousand ids that hold something in their upper bits (shop << 16, say) have
# four weights among them. With a letter before the number, or --hash all, each has its own.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check vowpalwabbit==9.11.9 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import vowpalwabbit
from vowpalwabbit import Workspace

rng = np.random.default_rng(0)
shop = rng.integers(0, 1000, 20_000)
click = np.where(rng.random(20_000) < 0.5 * rng.random(1000)[shop], 1, -1)


def different(options, name):
    """How many of the thousand ids get a prediction of their own."""
    model = Workspace(f"--loss_function logistic --quiet {options}")
    for label, one in zip(click, shop):
        model.learn(f"{label} |shop {name(one)}")
    found = {model.predict(f"|shop {name(one)}") for one in range(1000)}
    model.finish()
    return len(found)


print("vowpalwabbit", vowpalwabbit.__version__, "- predictions of 1,000 ids that differ:")
packed = different("", lambda one: one << 16)
lettered = different("", lambda one: f"s{one << 16}")
hashed = different("--hash all", lambda one: one << 16)
plain = different("", lambda one: one)
print(f"numbers 0 to 999: {plain}; the same << 16: {packed}; with a letter before: {lettered}; --hash all: {hashed}")
assert packed == 4 and plain > 990 and lettered > 990 and hashed > 990
PYTHON
