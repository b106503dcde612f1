"""The run store. The only folder that knows MLflow.

One MLflow experiment a study, one MLflow run a run. A run's artifacts (configuration, weights, predictions, result) are
written straight into `<home>/runs/<run_id>/artifacts`; with a tracking server they are uploaded there when the run ends
and fetched into the same place when another machine reads them.

`recording.py` writes a run down, `listing.py` finds runs, `records.py` says what one is and gets its files;
`connection.py` holds the client, `entries.py` is what MLflow is told, `rows.py` reads its tables; `database.py` makes
and checks the SQLite file, `restore.py` makes it again from the runs' own files (`runs/files.py`).
"""

from mdaf_core.runs.files import SINGLE_RUNS, RunState, run_directory
from mdaf_core.runs.tracking.connection import is_local, store_version
from mdaf_core.runs.tracking.database import StoreError
from mdaf_core.runs.tracking.listing import get_run, list_runs, list_runs_on, standings, studies_on
from mdaf_core.runs.tracking.recording import (
    close_or_finish,
    close_run,
    delete_run,
    finish_run,
    log_epoch,
    resume_run,
    start_run,
    tell_epochs,
)
from mdaf_core.runs.tracking.records import RunRecord, artifact, load_epochs, load_result

__all__ = [
    "SINGLE_RUNS",
    "RunRecord",
    "RunState",
    "StoreError",
    "artifact",
    "close_or_finish",
    "close_run",
    "delete_run",
    "finish_run",
    "get_run",
    "is_local",
    "list_runs",
    "list_runs_on",
    "load_epochs",
    "load_result",
    "log_epoch",
    "resume_run",
    "run_directory",
    "standings",
    "start_run",
    "store_version",
    "studies_on",
    "tell_epochs",
]
