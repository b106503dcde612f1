#!/usr/bin/env bash
# numpy 2.4.6, numpy.random.default_rng and SeedSequence, which all generators but the old RandomState are seeded through.
#
# A seed may be a list: default_rng([seed, run]) is the usual way to give every run, fold or worker of a study a stream of its own.
# One would guess that [1, 0] is another seed than 1, as [1, 1] is, and as it is for RandomState.
#
# Seen: a list is filled up with zeros, and so is a number: 1, [1, 0] and [1, 0, 0] are one stream, and 0, [] and [0, 0] are. The first run,
# whose number is 0, repeats what was drawn with the seed alone: where clicks were simulated with default_rng(1), "random" scores from
# default_rng([1, 0]) have AUC 0, every click below all other rows, while those of the runs after it have a half. A bootstrap, noise or
# negatives of run 0 follow the data in the same way. SeedSequence(1).spawn(…) gives other streams, and so does [run, seed] with a seed that
# is not 0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 scikit-learn==1.9.1 scipy==1.17.1
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
from sklearn.metrics import roc_auc_score

SEED, ROWS = 1, 20_000
clicks = np.random.default_rng(SEED).random(ROWS) < 0.05
streams = {
    **{f"default_rng([seed, {run}])": np.random.default_rng([SEED, run]) for run in range(4)},
    "default_rng([seed, 0, 0])": np.random.default_rng([SEED, 0, 0]),
    "default_rng([0, seed])": np.random.default_rng([0, SEED]),
    "the first that is spawned": np.random.default_rng(np.random.SeedSequence(SEED).spawn(1)[0]),
    "RandomState([seed, 0])": np.random.RandomState([SEED, 0]),
}
print("numpy", np.__version__, f"- {clicks.sum()} clicks in {ROWS} rows by default_rng({SEED}), AUC of random scores by")
auc = {name: roc_auc_score(clicks, stream.random(ROWS)) for name, stream in streams.items()}
for name, value in auc.items():
    print(f"  {name}: {value:.3f}")
repeats = {"default_rng([seed, 0])", "default_rng([seed, 0, 0])"}
assert all(auc[name] == 0 for name in repeats)
assert all(abs(value - 0.5) < 0.04 for name, value in auc.items() if name not in repeats)

# Every generator that SeedSequence seeds, not only the default one.
by_number, by_list = np.random.Philox(SEED).random_raw(5), np.random.Philox([SEED, 0]).random_raw(5)
assert (by_number == by_list).all()
draws = [np.random.default_rng(seed).integers(0, 2**62) for seed in (0, [], [0, 0])]
assert len(set(draws)) == 1
assert np.random.RandomState(SEED).random_sample() != np.random.RandomState([SEED, 0]).random_sample()
PYTHON
