"""What a study will cost and what it changes. Part of the Launch page."""

from __future__ import annotations

import streamlit as st

from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.queue import api
from mdaf_core.queue.slots import at_once, job_threads, threads_for, threads_words
from mdaf_core.runs.config import RunConfig
from mdaf_core.runs.presets import get_preset
from mdaf_core.studies import estimate
from pages import shared

MEASURED, ROUGH = "≤", "\\~"


def costs(dataset: PreparedDataset, configs: list[RunConfig], seeds: int, counted: bool) -> None:
    """Parameters, time and memory of each configuration; polls until all are counted."""
    with shared.guard():
        runs = len(configs) * seeds
        counts = estimate.known_costs(configs, dataset, runs)
        if not counted and estimate.settled(configs, dataset, counts, runs):
            st.rerun()
        estimates = [
            None if cost is None else estimate.estimate(config, dataset, cost)
            for config, cost in zip(configs, counts, strict=True)
        ]
        rows = ["| Configuration | Parameters | A run | Memory |", "|:---|---:|---:|---:|"]
        for config, cost, one in zip(configs, counts, estimates, strict=True):
            if cost is None or one is None:
                rows.append(f"| {shared.plain(config.name)} | computing … | | |")
                continue
            memory = shared.MISSING if one.memory_bytes is None else f"{one.memory_bytes / 1e9:.1f}\u00a0GB"
            figures = (
                shared.fmt_count(cost.parameters),
                f"{MEASURED if one.measured else ROUGH}\u00a0{_coarse(one.seconds)}",
                memory,
            )
            rows.append(f"| {shared.plain(config.name)} | {' | '.join(figures)} |")
        st.markdown("\n".join(rows))
        for config, one in zip(configs, estimates, strict=True):
            if one is not None and (said := estimate.too_large(config, one)):
                st.warning(shared.plain(said), icon=":material/warning:")
        ahead = len(api.list_jobs(states=api.ACTIVE))
        jobs = "1 job that is" if ahead == 1 else f"{ahead} jobs that are"
        place = f"behind {jobs} queued or running" if ahead else "at once: the queue is empty"
        known = [one for one in estimates if one is not None]
        if len(known) == len(configs):
            threads = threads_for(runs)
            together = min(at_once(threads), runs)
            total = sum(one.seconds for one in known) * seeds / together
            st.caption(
                f"All {runs} runs: about **{_coarse(total)}** with {together} at a time, each on "
                f"{threads_words(job_threads(threads))}, if none stops early. "
                "≤: from steps measured here, or earlier runs of this kind of model; \\~: rough, neither is known yet."
            )
        st.caption(f"They start {place}.")


def _coarse(seconds: float) -> str:
    """A duration as coarse as an estimate is, on one line."""
    minutes = round(seconds / 60)
    if seconds < 90:
        text = f"{max(1, round(seconds))} s"
    elif minutes < 90:
        text = f"{minutes} min"
    else:
        text = f"{minutes / 60:.1f} h"
    return text.replace(" ", "\u00a0")


def changes(configs: list[RunConfig]) -> None:
    """What differs from the presets."""
    from mdaf_core.reporting.topics.comparison.frames import settings_differences

    shared.section("Changed from the presets")
    lines = []
    for config in configs:
        for row in settings_differences(get_preset(config.preset), config).iter_rows():
            lines.append(f"| {' | '.join(shared.plain(text) for text in (config.name, *row))} |")
    if lines:
        st.markdown("\n".join(["| Configuration | Setting | Preset | Here |", "|:---|:---|---:|---:|", *lines]))
    else:
        st.caption("Nothing: every configuration runs as its preset says.")
