"""Preparing raw files of any size: `python -m benchmarks.prepare user-behavior --rows 20000000`.

Writes raw files in the published format (`benchmarks/raw_data.py`), prepares them by the program's own preparation in a
process of its own, and says how long that took (seconds on the clock and of CPU) and how much memory it held. With
--pandas ROWS, also on so many rows: the program, and pandas as one would write it by hand, for the ratio.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks import raw_data, raw_parts
from benchmarks.measure import memory_kib, parser, report

WRITERS: dict[str, Callable[..., Path]] = raw_data.WRITERS | {
    "mind": raw_parts.write_mind,
    "ebnerd": raw_parts.write_ebnerd,
    "ali-ccp": raw_parts.write_ali_ccp,
    "amazon-reviews": raw_parts.write_amazon_reviews,
    "reczoo": raw_parts.write_reczoo,
}
NO_LIMIT = 1 << 60


class Watch:
    """Samples this process's memory while it lives: the most at any time, and by stage."""

    def __init__(self) -> None:
        self.stage, self.stages = "start", {}  # type: str, dict[str, list[float]]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Watch:
        self.start, self.cpu = time.perf_counter(), time.process_time()
        self._since, self._cpu_since = self.start, self.cpu
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._stop.set()
        self._thread.join()
        self.enter("")

    def enter(self, stage: str) -> None:
        """What is measured from now on belongs to `stage`."""
        if stage != self.stage:
            now, cpu = time.perf_counter(), time.process_time()
            entry = self._entry()
            entry[0] += now - self._since
            entry[3] += cpu - self._cpu_since
            self.stage, self._since, self._cpu_since = stage, now, cpu

    def _entry(self) -> list[float]:
        return self.stages.setdefault(self.stage, [0.0, 0.0, 0.0, 0.0])

    def _run(self) -> None:
        while not self._stop.wait(0.02):
            entry = self._entry()
            entry[1] = max(entry[1], memory_kib("VmRSS") / 1e6)
            entry[2] = max(entry[2], memory_kib("RssAnon") / 1e6)

    def result(self) -> dict[str, Any]:
        own = max((entry[2] for entry in self.stages.values()), default=0.0)
        return {
            "seconds": time.perf_counter() - self.start,
            "CPU seconds": time.process_time() - self.cpu,
            "peak memory, GB": memory_kib("VmHWM") / 1e6,
            "of it without mapped files, GB": own,
            "stages": {
                name: {
                    "seconds": entry[0],
                    "CPU seconds": entry[3],
                    "peak memory, GB": entry[1],
                    "without mapped files, GB": entry[2],
                }
                for name, entry in self.stages.items()
                if entry[0] > 0
            },
        }


def ours(source: str, path: Path, home: Path, options: dict[str, Any]) -> dict[str, Any]:
    """Prepare as the command line does: audit and statistics included."""
    os.environ["MDAF_HOME"] = str(home)
    from mdaf_core.data.audit.report import stored_audit
    from mdaf_core.data.formats.base import parse_options
    from mdaf_core.data.formats.registry import get_source
    from mdaf_core.data.prepare.pipeline import prepare
    from mdaf_core.data.prepare.resources import estimate

    with Watch() as watch:
        dataset = prepare(
            source, path=path, name="measured", options=options, memory_limit=NO_LIMIT,
            progress=lambda _share, message: watch.enter(message.partition(":")[0].partition(", about")[0]),
        )  # fmt: skip
    found = watch.result()
    rows = sum(counts.rows for counts in dataset.meta.splits.values())
    audit = stored_audit(dataset)
    chosen = parse_options(get_source(source), options).at(path)
    need = estimate(get_source(source), path, chosen)
    return found | {
        "estimated memory, GB": need.memory / 1e9 if need else None,
        "estimated disk, GB": need.disk / 1e9 if need else None,
        "rows": rows,
        "rows a second": rows / found["seconds"],
        "bytes on disk": sum(file.stat().st_size for file in dataset.path.rglob("*") if file.is_file()),
        "audit": {status: len(audit.with_status(status)) for status in ("pass", "warn", "fail")},
    }


def pandas_user_behavior(path: Path, out: Path) -> int:
    """The same columns, codes and history slices (task conversion, split by time), without audit and statistics."""
    import numpy as np
    import pandas as pd

    names = ["user", "item", "category", "behavior", "timestamp"]
    frame = pd.read_csv(path, header=None, names=names)
    frame = frame[frame["timestamp"].between(1_511_539_200, 1_512_316_799)].reset_index(drop=True)
    frame["label"] = (frame["behavior"] != "pv").astype("uint8")
    local = pd.to_datetime(frame["timestamp"], unit="s", utc=True).dt.tz_convert("Asia/Shanghai")
    frame["hour"], frame["dayofweek"] = local.dt.hour, local.dt.dayofweek + 1
    cuts = frame["timestamp"].quantile([0.8, 0.9], interpolation="lower").to_numpy()
    frame["split"] = np.searchsorted(cuts, frame["timestamp"])
    frame["user_index"] = pd.factorize(frame["user"], sort=True)[0]
    events = frame[["user_index", "timestamp", "item", "category"]].sort_values(["user_index", "timestamp"])
    events.to_feather(out / "events.feather", compression="uncompressed")
    # A row's history: its user's events before its time. Rank within the user, ties at their first.
    rank = frame.groupby("user_index")["timestamp"].rank("min").astype("int64") - 1
    first = np.searchsorted(events["user_index"].to_numpy(), frame["user_index"].to_numpy())
    frame["history_start"], frame["history_end"] = first, first + rank
    return _write_pandas(frame, ["item", "category", "user", "hour", "dayofweek"], 1, out)


def pandas_criteo(path: Path, out: Path) -> int:
    """The same buckets and codes, without audit and statistics."""
    import numpy as np
    import pandas as pd

    counts, ids = [f"I{i}" for i in range(1, 14)], [f"C{i}" for i in range(1, 27)]
    frame = pd.read_csv(path, sep="\t", header=None, names=["label", *counts, *ids])
    for name in counts:
        values = frame[name]
        large = np.floor(np.log(values.where(values > 2)) ** 2)
        text = "SP" + values.astype("Int64").astype("string")
        frame[name] = text.where(~(values > 2), large.astype("Int64").astype("string")).fillna("")
    frame[ids] = frame[ids].fillna("")
    frame["timestamp"] = np.arange(len(frame))
    frame["split"] = np.searchsorted([0.8 * len(frame), 0.9 * len(frame)], np.arange(len(frame)), side="right")
    return _write_pandas(frame, counts + ids, 10, out)


def _write_pandas(frame: Any, fields: list[str], min_count: int, out: Path) -> int:
    train = frame[frame["split"] == 0]
    for name in fields:
        seen = train[name].value_counts()
        known = seen[seen >= min_count].index.sort_values()
        codes = dict(zip(known, range(2, len(known) + 2), strict=True))
        frame[name] = frame[name].map(codes).fillna(1).astype("int32")
    for number, split in enumerate(("train", "val", "test")):
        part = frame[frame["split"] == number].sort_values("timestamp", kind="stable")
        part.reset_index().to_feather(out / f"{split}.feather", compression="uncompressed")
    return len(frame)


PANDAS: dict[str, Callable[[Path, Path], int]] = {
    "user-behavior": pandas_user_behavior,
    "criteo": pandas_criteo,
}


def by_pandas(source: str, path: Path, out: Path) -> dict[str, Any]:
    import pandas  # noqa: F401  (its import is not part of the time)

    with Watch() as watch:
        rows = PANDAS[source](path, out)
    found = watch.result()
    del found["stages"]
    return found | {"rows": rows, "rows a second": rows / found["seconds"]}


def alone(function: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """Run in a process of its own, so that its peak memory is its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(function, *arguments).result()


def main() -> None:
    arguments = parser(__doc__, steps=1)
    arguments.add_argument("source", choices=list(WRITERS))
    arguments.add_argument("--rows", type=int, default=2_000_000)
    arguments.add_argument("--events", type=int, help="taobao-ads: rows of behavior_log.csv (default: 27 a row)")
    arguments.add_argument("--pandas", type=int, default=0, metavar="ROWS", help="compare with pandas on so many rows")
    arguments.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="an option of the source")
    arguments.add_argument("--raw", type=Path, help="keep the raw files in this folder, and use those that are there")
    args = arguments.parse_args()
    options = dict(pair.split("=", 1) for pair in args.set)
    extra = {"events": args.events} if args.events is not None else {}

    if args.raw:
        args.raw.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=args.raw) as temporary:

        def raw(rows: int) -> Path:
            folder = (args.raw or Path(temporary)) / f"{args.source}-{rows}" / "-".join(map(str, extra.values()))
            if not folder.exists():
                folder.mkdir(parents=True)
                WRITERS[args.source](folder, rows, **extra)
            return folder

        result: dict[str, Any] = {"source": args.source, "options": options, "raw rows": args.rows}
        path = raw(args.rows)
        result["raw bytes"] = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
        for _ in range(args.steps):
            home = Path(tempfile.mkdtemp(dir=temporary))
            found = alone(ours, args.source, path, home, options)
            shutil.rmtree(home)
            if "program" not in result or found["seconds"] < result["program"]["seconds"]:
                result["program"] = found
        if args.pandas:
            if args.source not in PANDAS:
                arguments.error(f"there is no pandas preparation of {args.source}")
            path = raw(args.pandas)
            home = Path(tempfile.mkdtemp(dir=temporary))
            result["program, fewer rows"] = alone(ours, args.source, path, home, options)
            (home / "pandas").mkdir()
            if args.source == "user-behavior":
                path /= "UserBehavior.csv"
            elif args.source == "criteo":
                path /= "train.txt"
            result["pandas"] = alone(by_pandas, args.source, path, home / "pandas")

    found = result["program"]
    columns = ("seconds", "CPU seconds", "rows a second", "peak memory, GB", "of it without mapped files, GB")
    tables: dict[str, Any] = {
        f"{args.source}, {found['rows']:,} rows ({result['raw bytes'] / 1e9:.2f} GB of text)": [
            ["", *columns],
            *(
                [f"{who}, {result[who]['rows']:,} rows", *(result[who][column] for column in columns)]
                for who in ("program", "program, fewer rows", "pandas")
                if who in result
            ),
        ],
        "Estimated before": [
            ["memory without mapped files, GB", "disk, GB", "data set on disk, GB"],
            [found["estimated memory, GB"], found["estimated disk, GB"], found["bytes on disk"] / 1e9],
        ],
        "By stage": [
            ["stage", "seconds", "CPU seconds", "peak memory, GB", "without mapped files, GB"],
            *([name, *values.values()] for name, values in found["stages"].items()),
        ],
    }
    report(result, tables, args.json)


if __name__ == "__main__":
    main()
