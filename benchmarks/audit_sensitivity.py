"""What the audit finds of planted leaks, and says of clean data: `python -m benchmarks.audit_sensitivity`.

Logs of 400 to 20,000 rows (`tests/data/leaks`) are prepared and audited; `--seeds` draws each anew. A leak counts as
failed or warned of where the check that is to find it says so, whatever else is said. `--rows N` audits a log of N
rows besides.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.measure import memory_kib, parser, report
from mdaf_core.data.audit.audit import audit_dataset
from mdaf_core.data.prepare.pipeline import prepare
from tests.data.leaks import CLEAN, LEAKS, Leak
from tests.data.leaks.base import BASE, MAPPING, log


def _audited(leak: Leak, seed: int) -> dict[str, Any]:
    """What is said of one log: the gravest status of the checks that are to find it, and what else is no pass."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MDAF_HOME"] = str(Path(folder) / "home")
        checks = {check.id: check for check in audit_dataset(leak.prepare(Path(folder), seed)).checks}
    said = {id: check.status for id, check in checks.items() if check.status != "pass"}
    expected = {said[id] for id in leak.ids if id in said}
    status = "failed" if "fail" in expected else "warned" if expected else "missed"
    others = sorted(id for id in said if id not in leak.ids)
    return {"kind": leak.kind, "log": str(leak), "seed": seed, "status": status, "others": others}


def _large(rows: int) -> dict[str, Any]:
    """CPU seconds and memory of an audit of so many rows."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MDAF_HOME"] = str(Path(folder) / "home")
        log(0, rows=rows, users=rows // 25, items=rows // 50).write_parquet(Path(folder) / "log.parquet")
        options = MAPPING | BASE | {"timezone": "Asia/Shanghai"}
        dataset = prepare("table", path=Path(folder) / "log.parquet", name="large", options=options)
        start = time.process_time()
        audit_dataset(dataset)
        return {"rows": rows, "cpu_seconds": time.process_time() - start, "peak_mib": memory_kib("VmHWM") / 1024}


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--seeds", type=int, default=1, help="draws of each log (default 1)")
    made.add_argument("--rows", type=int, default=0, help="also audit a log of so many rows")
    args = made.parse_args()
    planted = [_audited(leak, seed) for leak in LEAKS for seed in range(args.seeds)]
    clean = [_audited(leak, seed) for leak in CLEAN for seed in range(args.seeds)]
    counts = pl.DataFrame(planted).group_by("kind", maintain_order=True).agg(pl.col("log").n_unique(), pl.col("status"))
    table: list[list[Any]] = [["kind of leak", "variants", "failed", "warned", "missed"]]
    for kind, variants, statuses in counts.rows():
        found = Counter(statuses)
        table.append([kind, variants, found["failed"], found["warned"], found["missed"]])
    total = Counter(row["status"] for row in planted)
    table.append(["all", len(LEAKS), total["failed"], total["warned"], total["missed"]])
    false = [row for row in clean if row["others"]]
    said: list[list[Any]] = [["clean logs", "audits", "with an alarm"], [len(CLEAN), len(clean), len(false)]]
    tables: dict[str, Sequence[Sequence[Any]]] = {"Planted leaks, by audits": table, "Clean logs": said}
    result: dict[str, Any] = {"planted": planted, "clean": clean}
    if args.rows:
        result["large"] = _large(args.rows)
        tables["A large log"] = [list(result["large"]), list(result["large"].values())]
    missed = [f"{row['log']} (seed {row['seed']})" for row in planted if row["status"] == "missed"]
    alarms = [f"{row['log']} (seed {row['seed']}): {', '.join(row['others'])}" for row in false]
    report(result, tables, args.json)
    if not args.json:
        print("\nMissed: " + ("; ".join(missed) or "none") + ".\nAlarms: " + ("; ".join(alarms) or "none") + ".")


if __name__ == "__main__":
    main()
