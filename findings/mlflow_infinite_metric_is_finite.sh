#!/usr/bin/env bash
# mlflow 3.17.2, the SQL store: log_metric, search_runs, `mlflow experiments csv`.
#
# A metric that is infinite (the loss of a training that diverged) is accepted. One would guess that it comes back as inf,
# as NaN comes back as NaN, so that whoever reads the runs can leave out what is not finite.
#
# Seen: it comes back as 1.7976931348623157e+308, the largest double, which is finite: isfinite keeps it, a mean over seeds
# becomes 1e307, and a sort by it looks sound. A table of runs exported from MLflow has to be asked for that very number.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check mlflow==3.17.2
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import csv
import math
import subprocess
import sys
from pathlib import Path

import mlflow

uri = f"sqlite:///{Path.cwd()}/store.db"
mlflow.set_tracking_uri(uri)
mlflow.set_experiment("runs")
with mlflow.start_run():
    mlflow.log_metric("loss", math.inf)
    mlflow.log_metric("nothing", math.nan)
found = mlflow.search_runs(experiment_names=["runs"]).iloc[0]
experiment = mlflow.get_experiment_by_name("runs").experiment_id
command = [str(Path(sys.executable).with_name("mlflow")), "experiments", "csv", "-x", experiment, "-o", "runs.csv"]
subprocess.run(command, check=True, env={"MLFLOW_TRACKING_URI": uri, "PATH": "/usr/bin:/bin"}, capture_output=True)
with open("runs.csv", newline="") as file:
    row = next(csv.DictReader(file))
print("mlflow", mlflow.__version__)
print("search_runs:", found["metrics.loss"], found["metrics.nothing"])
print("experiments csv:", row["metrics.loss"], repr(row["metrics.nothing"]))
assert found["metrics.loss"] == sys.float_info.max and math.isfinite(found["metrics.loss"])
assert math.isnan(found["metrics.nothing"])
assert float(row["metrics.loss"]) == sys.float_info.max and row["metrics.nothing"] == ""
PYTHON
