#!/usr/bin/env bash
# catboost 1.2.10 (numpy 1.26.4), catboost.utils.eval_metric with group_id, the metrics by group that ranking models are tuned on:
# QueryAUC, MRR, MAP, RecallAt, NDCG.
#
# In a log most pages or users have no click, and nothing can be ranked there. One would guess that such a group is left out,
# or at least that all metrics of one library treat it alike: the AUC of meaningless scores is then a half, of perfect ones 1.
#
# Seen: it counts as 0 for QueryAUC, MRR and MAP, and as 1 for NDCG and RecallAt. Of 1,000 groups, 31% with a click, scores that
# mean nothing have a QueryAUC of 0.15, as if they ranked backwards, and an NDCG of 0.83, as if they were good; perfect scores
# have a QueryAUC of 0.31. Of the groups with a click alone it is 0.49 and 1. So these figures cannot be set beside those of other
# data or another library, and on a day with fewer clicks the same model has the worse QueryAUC and the better NDCG.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check numpy==1.26.4 pandas==2.3.3 scipy==1.17.1 six==1.17.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps catboost==1.2.10 graphviz  # no plots
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import catboost
import numpy as np
from catboost.utils import eval_metric

rng = np.random.default_rng(0)
clicks = rng.random((1000, 10)) < 0.037  # groups of ten impressions
chance = rng.normal(size=clicks.shape)
has_click = clicks.any(1)
METRICS = ("QueryAUC", "MRR", "MAP:top=10", "RecallAt:top=5", "NDCG")


def figures(scores, groups):
    labels, values = clicks[groups].astype(int).ravel(), scores[groups].astype(float).ravel()
    group_id = np.repeat(np.arange(groups.sum()), clicks.shape[1])
    return {metric: round(eval_metric(labels, values, metric, group_id=group_id)[0], 3) for metric in METRICS}


print("catboost", catboost.__version__, "- share of groups with a click", share := has_click.mean())
everywhere = np.ones_like(has_click)
for name, scores in {"meaningless": chance, "perfect": clicks}.items():
    all_groups, clicked, none = (figures(scores, groups) for groups in (everywhere, has_click, ~has_click))
    print(f"{name} scores: all groups {all_groups}\n  with a click {clicked}\n  without one {none}")
    assert none == dict(zip(METRICS, (0, 0, 0, 1, 1), strict=True))
    for metric in METRICS:
        assert np.isclose(all_groups[metric], share * clicked[metric] + (1 - share) * none[metric], atol=0.002)
PYTHON
