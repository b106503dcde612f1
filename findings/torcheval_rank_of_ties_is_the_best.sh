#!/usr/bin/env bash
# torcheval 0.0.7 (torch 2.13.0), torcheval.metrics.functional.hit_rate and reciprocal_rank.
#
# Both say where the clicked candidate stands among those shown. One would guess that candidates of equal score share a place
# (the mean one, or the worst), or that their order in the list decides, as it does for whoever sorts: a model that scores all
# candidates alike then has a reciprocal rank near that of chance.
#
# Seen: an equal candidate counts as below the clicked one, whichever place it has. A model that gives 1,000 candidates the same score has
# a hit rate at 1 and a reciprocal rank of 1, which is perfect; so has one whose scores are all NaN. A model whose scores were rounded to
# two decimals gains over itself. Scores that saturate (sigmoid in half precision, hashed buckets, trees of few leaves) are rewarded.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torcheval==0.0.7 torch==2.13.0 numpy
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import torch
from torcheval.metrics.functional import hit_rate, reciprocal_rank

clicked = torch.arange(1000)
for name, score in (("all alike", torch.zeros(1000, 1000)), ("all NaN", torch.full((1000, 1000), torch.nan))):
    hit, rank = hit_rate(score, clicked, k=1).mean().item(), reciprocal_rank(score, clicked).mean().item()
    print(f"{name}: hit rate at 1 {hit:.3f}, mean reciprocal rank {rank:.3f}; by chance 0.001 and 0.007")
    assert hit == rank == 1.0

score = torch.rand(1000, 1000, generator=torch.Generator().manual_seed(1))
score[clicked, clicked] += 0.3
exact, rounded = (reciprocal_rank(one, clicked).mean().item() for one in (score, (score * 100).round() / 100))
print(f"mean reciprocal rank of the scores {exact:.4f}, of the same rounded to two decimals {rounded:.4f}")
assert rounded > exact
PYTHON
