#!/usr/bin/env bash
# mlflow-skinny 3.17.2 with sqlalchemy 2 (the SQL store): which value of a metric a run is shown with (run.data.metrics,
# search_runs, the pages' tables).
#
# A metric can be logged again at a step, for instance by a training that was interrupted and does an epoch again. One would
# guess that a run has the value that was logged last.
#
# Seen: it has the value of the largest step, whenever that was logged, of those the one with the newest time, and where the
# times (whole milliseconds) are the same too, the larger one, whatever came first. A training that is begun anew in the same
# run with fewer epochs keeps its old last value; two values of one step within a millisecond show the better AUC and the
# worse loss. The history holds all of them.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check mlflow-skinny==3.17.2 "sqlalchemy<3" alembic pandas
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import logging
from pathlib import Path

import mlflow
from mlflow import MlflowClient

logging.disable(logging.INFO)
client = MlflowClient(f"sqlite:///{Path.cwd()}/store.db")
run = client.create_run(client.create_experiment("runs")).info.run_id
now = 1_700_000_000_000
for name, value, step, when in [
    ("tie", 0.8, 1, now), ("tie", 0.7, 1, now),  # the later one is smaller
    ("again", 0.8, 1, now), ("again", 0.7, 1, now + 1),
    ("fewer_epochs", 0.8, 5, now), ("fewer_epochs", 0.7, 3, now + 1),
]:  # fmt: skip
    client.log_metric(run, name, value, timestamp=when, step=step)
shown = client.get_run(run).data.metrics
found = client.search_runs([client.get_run(run).info.experiment_id])[0].data.metrics
print("mlflow", mlflow.__version__)
for name in ("tie", "again", "fewer_epochs"):
    history = [(metric.step, metric.value) for metric in client.get_metric_history(run, name)]
    print(f"{name}: logged (step, value) {history}, shown {shown[name]}")
assert shown == found == {"tie": 0.8, "again": 0.7, "fewer_epochs": 0.8}
PYTHON
