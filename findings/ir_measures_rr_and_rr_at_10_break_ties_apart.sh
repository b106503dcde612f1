#!/usr/bin/env bash
# ir_measures 0.4.3 with pytrec_eval-terrier 0.5.11: calc_aggregate([RR, RR@10, Success@1, …], clicks, scores).
#
# Each user is shown ten ads and clicks one. RR@10 leaves out what stands below the tenth place, so of ten ads one would guess that it is
# RR; that it is 1 exactly where Success@1 is; and that where scores are equal, one call has one order for all its measures.
#
# Seen: a cut-off makes it another program's measure, and the two break ties in opposite ways. RR, Success, P, AP and nDCG put the ad
# whose id is the largest as a text first among equal scores, RR@k the one whose id is the smallest. For a model that has one score for all,
# and clicks on ad i00, RR@10 is 1 and RR is 0.1; on ad i09, RR is 1, RR@5 is 0 and RR@10 0.1. Ids are often in the order of time
# or of how frequent an ad is, so rounded scores move both measures, one up and one down: of two models one is better in RR and the other in
# RR@10. And RR reads scores as float32: scores that differ in the ninth digit are ties.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check ir_measures==0.4.3 pytrec_eval-terrier==0.5.11 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version

import numpy as np
from ir_measures import AP, RR, P, Success, calc_aggregate, nDCG

ADS = [f"i{ad:02d}" for ad in range(10)]
MEASURES = [RR, RR @ 10, RR @ 5, Success @ 1, P @ 1, AP, nDCG @ 10]
print("ir_measures", version("ir_measures"))


def measured(clicked, scores):
    """clicked: the ad that each user clicked; scores: a line of ten a user."""
    clicks = {f"u{user}": {ad: int(ad == ADS[one]) for ad in ADS} for user, one in enumerate(clicked)}
    run = {f"u{user}": dict(zip(ADS, map(float, line))) for user, line in enumerate(scores)}
    return {str(measure): round(value, 4) for measure, value in calc_aggregate(MEASURES, clicks, run).items()}


first, last = (measured([ad], [[0.5] * 10]) for ad in (0, 9))
print("one score for all; clicked i00:", first)
print("one score for all; clicked i09:", last)
assert first["RR@10"] == 1 and first["RR"] == 0.1 and first["Success@1"] == first["P@1"] == 0
assert last["RR"] == last["Success@1"] == last["AP"] == last["nDCG@10"] == 1 and last["RR@10"] == 0.1 and last["RR@5"] == 0

# Ads are numbered by how often they are clicked; the scores are good ones, the second model's are rounded.
rng = np.random.default_rng(0)
rate = 0.3 / np.arange(1, 11)
clicked = rng.choice(10, 2_000, p=rate / rate.sum())
scores = rng.normal(0.05, 0.01, (2_000, 10))
scores[np.arange(2_000), clicked] += 0.008
exact, rounded = measured(clicked, scores), measured(clicked, scores.round(2))
print("scores as they are:", exact)
print("two decimals:      ", rounded)
assert exact["RR"] == exact["RR@10"]
assert rounded["RR@10"] > exact["RR@10"] + 0.02 and rounded["RR"] < exact["RR"] - 0.02

close = measured([0], [[0.120000001] + [0.12] * 9])
print("i00 leads by 1e-9 and is clicked:", close)
assert close["RR"] == 0.1 and close["RR@10"] == 1
PYTHON
