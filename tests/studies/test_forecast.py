"""The forecast of memory against what a run in a process of its own then takes; time is `benchmarks/forecast.py`'s."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from mdaf_core.base.settings import PROJECT_ROOT
from mdaf_core.runs.presets import get_preset
from mdaf_core.studies.estimate import count, estimate


@pytest.mark.parametrize("preset", ["dcnv2", "mamba4rec-v2"])
def test_memory_is_foreseen_within_30_percent(tiny, preset: str) -> None:
    config = get_preset(preset)
    forecast = estimate(config, tiny, count(config, tiny)).memory_bytes
    command = [sys.executable, "-m", "mdaf_core", "train", preset, "--data", "tiny", "--json"]
    command += ["--set", "training.max_epochs=1", "--set", "training.warmup_epochs=0"]
    for _ in range(2):  # the first run of a fresh copy may compile kernels, which takes memory of its own
        done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, check=True)
        measured = json.loads(done.stdout)["peak_memory_mb"] * 2**20
        if 0.7 < forecast / measured < 1.3:
            return
    pytest.fail(f"forecast {forecast / 1e9:.2f} GB, measured {measured / 1e9:.2f} GB")
