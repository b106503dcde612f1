"""Fill an artifacts folder with finished runs, and measure how long the pages take to re-run over it.

    python -m benchmarks.many_runs --home /tmp/many            200 runs in three studies, then Overview, Curves, Compare
    python -m benchmarks.many_runs --home /tmp/many --fill     only fill: look at it with MDAF_HOME=/tmp/many make run

The runs are made up (known means, noisy predictions that rank accordingly), written through the run store as training
writes them.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("overview", "curves", "compare")
SEEDS = (42, 43, 44, 45, 46)


def fill(runs: int, rows: int) -> None:
    """Half of the runs in one study, the rest in two."""
    from mdaf_core.runs.presets import preset_names
    from tests.reporting.example_study import make_study

    for title, share in (("Large study", 2), ("Study two", 4), ("Study three", 4)):
        count = max(1, runs // share // len(SEEDS))
        names = [*preset_names(), *(f"mdaf-variant-{i}" for i in range(count))][:count]
        make_study(names, SEEDS, title=title, rows=rows)
        print(f"{title}: {count} configurations × {len(SEEDS)} seeds", flush=True)


def measure(page: str, study: str, repeats: int) -> tuple[float, list[float]]:
    """Seconds of the first run of a page and of `repeats` re-runs, in this process."""
    from streamlit.testing.v1 import AppTest

    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=300)
    app.switch_page(f"pages/{page}.py")
    app.query_params["study"] = study
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        app.run()
        times.append(time.perf_counter() - start)
        problems = [e.value for e in app.error] + [e.value for e in app.exception]
        if problems:
            raise SystemExit(f"{page}: {problems[0]}")
    return times[0], times[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True, help="artifacts folder; filled unless it holds studies")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--rows", type=int, default=2000, help="rows of each prediction file")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--fill", action="store_true", help="do not measure")
    options = parser.parse_args()
    os.environ["MDAF_HOME"] = str(options.home.resolve())
    os.environ.pop("MLFLOW_TRACKING_URI", None)

    from mdaf_core.runs import tracking
    from mdaf_core.studies.store import list_studies

    if not list_studies():
        fill(options.runs, options.rows)
    if options.fill:
        return
    study = next(s.id for s in list_studies() if s.title == "Large study")
    print(f"{len(tracking.list_runs())} runs in the store; study {study}")
    slow = False
    for page in PAGES:
        first, again = measure(page, study, options.repeats)
        slow |= statistics.median(again) >= 1.0
        print(
            f"{page:10} first {first:6.2f} s   re-run median {statistics.median(again):.3f} s, worst {max(again):.3f} s"
        )
    raise SystemExit(int(slow))


if __name__ == "__main__":
    main()
