#!/usr/bin/env bash
# torchmetrics 1.9.0 (torch 2.13.0), MetricCollection, which keeps the metrics of a validation together.
#
# Metrics that need the same counts share them ("compute groups"): precision and recall, say. One would guess that which ones do follows from
# what they are, so that recall at two thresholds is two things, and that a collection gives what its metrics give alone.
#
# Seen: it follows from the counts after the first batch. Where these are equal by chance the metrics are one from then on, also after
# reset(), and all have the value of the first, without a word. Clicks are rare: a first batch without a prediction between two thresholds
# is enough, as of a model that has just begun or of a part of the log with unpopular ads. Recall at 0.1 and at 0.5 are then both 0.516,
# where the second alone is 0.081; with the batches in another order they are right. compute_groups=False keeps them apart.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torchmetrics==1.9.0 torch==2.13.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import torch
import torchmetrics
from torchmetrics.classification import BinaryRecall

torch.manual_seed(0)


def batch(spread):
    click = (torch.rand(1_000) < 0.1).int()
    return torch.sigmoid(-3.5 + spread * (torch.randn(1_000) + click)), click


validation = [batch(0.2), *(batch(1.5) for _ in range(19))]  # the first batch: nothing is predicted above 0.1
assert validation[0][0].max() < 0.1


def metrics():
    return {"at_10_percent": BinaryRecall(threshold=0.1), "at_50_percent": BinaryRecall(threshold=0.5)}


def measured(metric, batches):
    for predicted, click in batches:
        metric.update(predicted, click)
    return metric.compute()


def together(batches, collection=None, **options):
    found = measured(collection or torchmetrics.MetricCollection(metrics(), **options), batches)
    return {name: round(value.item(), 3) for name, value in sorted(found.items())}


alone = {name: round(measured(metric, validation).item(), 3) for name, metric in metrics().items()}
used = torchmetrics.MetricCollection(metrics())
found = {
    "collection": together(validation, used),
    "other order": together(validation[::-1]),
    "compute_groups=False": together(validation, compute_groups=False),
}
used.reset()
found["after reset(), other order"] = together(validation[::-1], used)
print("torchmetrics", torchmetrics.__version__, "- recall, alone:", alone)
for name, values in found.items():
    print(f"  {name}: {values}")
assert alone["at_10_percent"] > 5 * alone["at_50_percent"] > 0
assert found["collection"] == found["after reset(), other order"] == dict.fromkeys(alone, alone["at_10_percent"])
assert found["other order"] == found["compute_groups=False"] == alone
PYTHON
