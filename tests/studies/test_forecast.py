"""The forecast of memory against what a run in a process of its own then takes; time is `benchmarks/forecast.py`'s."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from mdaf_core.base.settings import PROJECT_ROOT
from mdaf_core.runs.config import RunConfig
from mdaf_core.runs.presets import get_preset
from mdaf_core.studies import estimate as estimate_of
from mdaf_core.studies.estimate import Estimate, count, estimate


@pytest.mark.parametrize("preset", ["dcnv2", "mamba4rec-v2"])
def test_memory_is_foreseen_within_30_percent(tiny, preset: str) -> None:
    shorter = [] if preset == "dcnv2" else ["training.max_history=20"]  # an epoch of whole ones takes half a minute
    config = get_preset(preset).with_overrides(shorter)
    forecast = estimate(config, tiny, count(config, tiny)).memory_bytes
    command = [sys.executable, "-m", "mdaf_core", "train", preset, "--data", "tiny", "--json"]
    command += ["--set", "training.max_epochs=1", "--set", "training.warmup_epochs=0"]
    command += [part for setting in shorter for part in ("--set", setting)]
    for _ in range(2):  # the first run of a fresh copy may compile kernels, which takes memory of its own
        done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, check=True)
        measured = json.loads(done.stdout)["peak_memory_mb"] * 2**20
        if 0.7 < forecast / measured < 1.3:
            return
    pytest.fail(f"forecast {forecast / 1e9:.2f} GB, measured {measured / 1e9:.2f} GB")


def test_what_does_not_fit_is_said_with_what_to_do(monkeypatch) -> None:
    monkeypatch.setattr(estimate_of, "machine_memory", lambda: 16 * 10**9)
    sequential, bst = (get_preset(name) for name in ("mdaf-sequential", "bst"))

    def said(config: RunConfig, size: float) -> str:
        return estimate_of.too_large(config, Estimate(seconds=1, measured=True, memory_bytes=size))

    assert said(sequential, 15e9) == ""
    words = said(sequential, 20e9)
    assert "is foreseen to take 20.0 GB of memory, and this machine has 16.0 GB" in words
    assert "training.history_encoding=stream" in words and "batch_size" in words
    assert "stream" not in said(bst, 20e9) and "max_history below 50" in said(bst, 20e9)
    assert "stream," not in said(sequential.with_overrides(["training.history_encoding=stream"]), 20e9)
    assert "max_history" not in said(get_preset("dcnv2"), 20e9)
