"""Which runs repeat one another: those of one configuration, one a seed."""

from __future__ import annotations

from collections.abc import Sequence

from mdaf_core.runs.tracking import RunRecord


def newest_by_seed(runs: Sequence[RunRecord]) -> dict[int, RunRecord]:
    """Finished runs by seed, sorted; of repeats of a seed only the newest counts (a repeat is no further seed)."""
    by_seed: dict[int, RunRecord] = {}
    for run in sorted(runs, key=lambda r: r.started):
        if run.state == "finished" and run.metrics("test") is not None:
            by_seed[run.seed] = run
    return dict(sorted(by_seed.items()))


def by_configuration(runs: Sequence[RunRecord]) -> dict[str, dict[int, RunRecord]]:
    """Finished runs by configuration and seed; configurations in order of their first start."""
    names = list(dict.fromkeys(run.configuration for run in sorted(runs, key=lambda r: r.started)))
    groups = {name: newest_by_seed([r for r in runs if r.configuration == name]) for name in names}
    return {name: group for name, group in groups.items() if group}
