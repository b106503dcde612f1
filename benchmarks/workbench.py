"""A store of 1,000 studies and 20,000 runs, and how long pages and commands take over it.

    python -m benchmarks.workbench --home /tmp/thousand                fills the folder where it is empty, then measures
    python -m benchmarks.workbench --home /tmp/thousand --fill         only fills

Method. One study of 4 configurations × 5 seeds is written through the run store as training writes it (made-up
predictions, `tests.reporting.example_study`); the others are copies of it, in the store's tables, in the queue and on
disk, under ids of their own, on 20 data sets. Each page is opened in a process of its own that has loaded its libraries
and read nothing (`cold`), then run again; memory is that process's largest. Listing all runs by MLflow's own search, as
the program did before, stands beside the same by `runs.tracking.rows`, in one process, so that the ratio is of one run.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time
import uuid
from contextlib import closing
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CONFIGURATIONS, SEEDS, DATASETS = ("mdaf-full", "mdaf-static", "dcnv2", "lr"), (42, 43, 44, 45, 46), 20
PAGES = ("studies", "overview", "compare")


def fill(home: Path, studies: int) -> None:
    """One study as it is made, and copies of it."""
    from mdaf_core.queue import store as queue
    from mdaf_core.studies.store import create_study
    from mdaf_core.studies.trainings import training_job
    from tests.reporting.example_study import make_study

    first = make_study(CONFIGURATIONS, SEEDS, title="Study 0", rows=2000)
    made = [first]
    for number in range(1, studies):
        made.append(
            create_study(
                title=f"Study {number}", definition="own", dataset=f"data-{number % DATASETS:02}",
                configurations=first.configurations, seeds=SEEDS, reference=first.reference,
            )
        )  # fmt: skip
    runs = _copy_runs(home / "mlflow.db", first.id, [study.id for study in made])
    for (study, old), new in runs.items():
        if old != new:
            _copy_folder(home / "runs", old, new, study)
    trainings = [
        training_job(study.id, config, study.dataset, seed)
        for study in made
        for config in study.configurations
        for seed in SEEDS
    ]
    queue.add(trainings)
    _end_jobs()


def _end_jobs() -> None:
    """All jobs finished, each with its run."""
    from mdaf_core.queue import store as queue
    from mdaf_core.runs import tracking
    from mdaf_core.studies.trainings import Place, key

    ended = [(r.run_id, key(Place(r.study, r.configuration, r.seed))) for r in tracking.list_runs()]
    with queue.transaction() as db:
        db.execute("UPDATE jobs SET state = 'finished', started = created, ended = created + 60")
        db.executemany("UPDATE jobs SET run_id = ? WHERE kind = 'train' AND key = ?", ended)


def _copy_runs(path: Path, study: str, copies: list[str]) -> dict[tuple[str, str], str]:
    """The study's experiment and runs again for each of `copies`; returns (copy, old id) → new id."""
    new: dict[tuple[str, str], str] = {}
    with closing(sqlite3.connect(path)) as db, db:
        experiment = db.execute("SELECT * FROM experiments WHERE name = ?", (study,))
        names = [column[0] for column in experiment.description]
        facts = dict(zip(names, experiment.fetchone(), strict=True))
        rows: dict[str, tuple[list[str], list[tuple[Any, ...]]]] = {}
        for table in ("runs", "tags", "params", "metrics", "latest_metrics"):
            found = db.execute(
                f"SELECT * FROM {table} WHERE run_uuid IN (SELECT run_uuid FROM runs WHERE experiment_id = ?)",
                (facts["experiment_id"],),
            )
            rows[table] = [column[0] for column in found.description], found.fetchall()
        ids = [dict(zip(rows["runs"][0], row, strict=True))["run_uuid"] for row in rows["runs"][1]]
        new |= {(study, old): old for old in ids}
        for number, copy in enumerate(name for name in copies if name != study):
            mine = {old: uuid.uuid4().hex for old in ids}
            new |= {(copy, old): mine[old] for old in ids}
            fresh = facts | {"experiment_id": 1_000_000 + number, "name": copy}
            db.execute(f"INSERT INTO experiments VALUES ({', '.join('?' * len(fresh))})", list(fresh.values()))
            fingerprint = f"{number % DATASETS:016x}"
            for table, (columns, values) in rows.items():
                changed = []
                for row in values:
                    one = dict(zip(columns, row, strict=True))
                    if "experiment_id" in one:
                        one["experiment_id"] = fresh["experiment_id"]
                    one["run_uuid"] = mine[one["run_uuid"]]
                    if table == "tags" and one["key"] == "mdaf.fingerprint":
                        one["value"] = fingerprint
                    changed.append(list(one.values()))
                db.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(columns))})", changed)
    return new


def _copy_folder(runs: Path, old: str, new: str, study: str) -> None:
    source, target = runs / old / "artifacts", runs / new / "artifacts"
    (target / "predictions").mkdir(parents=True)
    for name in (
        "config.json",
        "provenance.json",
        "epochs.json",
        "predictions/val.parquet",
        "predictions/test.parquet",
    ):
        os.link(source / name, target / name)
    for name, changes in (("result.json", {"run_id": new}), ("run.json", {"study": study})):
        (target / name).write_text(json.dumps(json.loads((source / name).read_text()) | changes))


def measure(page: str, study: str, repeats: int) -> dict[str, float]:
    """Seconds and seconds of CPU of a page's first run and of its re-runs, and the memory, of this process."""
    from streamlit.testing.v1 import AppTest

    from pages import shared

    shared.load_libraries()
    shared.warm_up = lambda: None
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=300)
    app.switch_page(f"pages/{page}.py")
    if page != "studies":
        app.query_params["study"] = study
    times, work = [], []
    for _ in range(repeats + 1):
        start, begun = time.perf_counter(), time.process_time()
        app.run()
        times.append(time.perf_counter() - start)
        work.append(time.process_time() - begun)
        problems = [e.value for e in app.error] + [e.value for e in app.exception]
        if problems:
            raise SystemExit(f"{page}: {problems[0]}")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    again, cpu_again = statistics.median(times[1:]), statistics.median(work[1:])
    return {"cold": times[0], "cold, CPU": work[0], "again": again, "again, CPU": cpu_again, "GB": memory}


def listing() -> dict[str, float]:
    """Seconds to read all runs: straight from the file, and by MLflow's client."""
    from mdaf_core.base.settings import get_settings
    from mdaf_core.runs.tracking import connection, database, rows
    from mdaf_core.runs.tracking.listing import _asked

    uri = get_settings().tracking_uri
    path = database.database_path(uri)
    assert path is not None
    connection.client()
    start = time.perf_counter()
    direct = rows.read(path)
    between = time.perf_counter()
    asked = _asked(uri, None)
    end = time.perf_counter()
    assert len(direct) == len(asked)
    return {
        "runs": len(direct),
        "rows": between - start,
        "MLflow": end - between,
        "ratio": (end - between) / (between - start),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True, help="artifacts folder; filled unless it holds studies")
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--fill", action="store_true", help="do not measure")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ["MDAF_HOME"] = str(options.home.resolve())
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    if options.part:
        part, study = options.part.split("/")
        print(json.dumps(listing() if part == "listing" else measure(part, study, options.repeats)))
        return
    if not (options.home / "studies").exists():
        fill(options.home.resolve(), options.studies)
    if options.fill:
        return
    shutil.rmtree(options.home / "cache", ignore_errors=True)
    study = f"own-data-{7 % DATASETS:02}-1"
    for part in (*PAGES, "listing"):
        command = [
            sys.executable,
            "-m",
            "benchmarks.workbench",
            "--home",
            str(options.home),
            "--part",
            f"{part}/{study}",
        ]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr[-1000:])
        found = json.loads(done.stdout.strip().splitlines()[-1])
        print(f"{part:10}", "  ".join(f"{name} {value:.2f}" for name, value in found.items()), flush=True)


if __name__ == "__main__":
    main()
