"""The Launch page's forecast against what is then measured: `python -m benchmarks.forecast --data small`.

For each preset: the forecast of memory and of an epoch, then a run of one epoch in a process of its own. Of long
histories with `--set training.max_history=1000`, and once more with `--set training.history_encoding=stream`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.measure import parser, report
from mdaf_core.base.settings import get_settings
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.runs.presets import get_preset
from mdaf_core.studies.estimate import count, estimate
from mdaf_core.studies.pace import measure


def run(preset: str, data: str, settings: list[str]) -> dict[str, Any]:
    """A finished run, as the command line prints it, in a store of its own."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "datasets").symlink_to(get_settings().datasets_dir.resolve())
        command = [sys.executable, "-m", "mdaf_core", "train", preset, "--data", data, "--json"]
        command += [part for setting in settings for part in ("--set", setting)]
        environment = {**os.environ, "MDAF_HOME": folder}
        return json.loads(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)


def main() -> None:
    arguments = parser(__doc__, steps=1)
    arguments.add_argument("--data", default="small", help="prepared data set")
    arguments.add_argument("--presets", default="dcnv2,autoint,bst,mamba4rec-v2,mdaf-full")
    arguments.add_argument("--set", dest="settings", action="append", metavar="KEY=VALUE", help="a setting of all")
    args = arguments.parse_args()
    dataset = PreparedDataset.open(args.data)
    settings = [f"training.max_epochs={args.steps}", *(args.settings or [])]
    result: dict[str, Any] = {}
    head = ["preset", "forecast, s", "measured, s", "ratio", "forecast, GB", "measured, GB", "ratio"]
    rows: list[list[Any]] = [head]
    for preset in args.presets.split(","):
        config = get_preset(preset).with_overrides(settings)
        cost = count(config, dataset).model_copy(update={"pace": measure(config, dataset, get_settings().job_threads)})
        forecast = estimate(config, dataset, cost)
        found = run(preset, args.data, settings)
        seconds, memory = found["wall_seconds"], found["peak_memory_mb"] * 2**20
        assert forecast.memory_bytes is not None
        ratios = forecast.seconds / seconds, forecast.memory_bytes / memory
        rows.append(
            [preset, forecast.seconds, seconds, ratios[0], forecast.memory_bytes / 1e9, memory / 1e9, ratios[1]]
        )
        result[preset] = {"time": ratios[0], "memory": ratios[1]}
    report(result, {"Forecast and measured": rows}, args.json)


if __name__ == "__main__":
    main()
