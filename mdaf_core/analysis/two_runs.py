"""Two runs beside each other: what went into them that differs, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from mdaf_core.analysis import one_run
from mdaf_core.analysis.sampling import row_sampling
from mdaf_core.analysis.significance import Estimate, interval
from mdaf_core.base.errors import StudioError
from mdaf_core.base.words import listed
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.data.store.schema import EVALUATED, Split
from mdaf_core.metrics.registry import metrics
from mdaf_core.runs.metric_values import metric_value
from mdaf_core.runs.predictions import difference_of_rows
from mdaf_core.runs.provenance import earlier_words, fingerprint
from mdaf_core.runs.tracking import RunRecord

Part = Literal["data", "settings", "seed", "code", "machine"]
PARTS: tuple[Part, ...] = get_args(Part)
_MACHINE = ("platform", "processor", "cores", "threads", "threads_of_kernels", "device", "scan", "products")
NOT_OF_THE_MODEL = ("seed", "dataset")  # what the store keeps among a run's settings


@dataclass(frozen=True)
class Differs:
    """What is not the same of two runs; None where one has no such thing, or it was not recorded."""

    part: Part
    what: str
    this: Any
    other: Any


@dataclass(frozen=True)
class MetricDifference:
    """A metric of both runs on one split.

    Attributes:
        this, other: its values; None where it is undefined.
        difference: this minus other with its 95% interval over other users (rows, where there are none), of these two
            trained models: another seed is not covered. None where it is not known.
        missing: why there is no interval.
    """

    split: Split
    key: str
    title: str
    this: float | None
    other: float | None
    difference: Estimate | None
    missing: str


def differences(run: RunRecord, other: RunRecord) -> list[Differs]:
    """What differs of data, settings, seed, code with its packages, and machine, as both were recorded."""
    mine, theirs = _parts(run), _parts(other)
    if run.fingerprint != other.fingerprint:
        for parts, one in ((mine, run), (theirs, other)):
            parts["data"] |= _prepared(one)
    return [
        Differs(part, what, mine[part].get(what), theirs[part].get(what))
        for part in PARTS
        for what in dict.fromkeys([*mine[part], *theirs[part]])
        if mine[part].get(what) != theirs[part].get(what)
    ]


def _parts(run: RunRecord) -> dict[Part, dict[str, Any]]:
    known = one_run.provenance(run)
    earlier = "; ".join(earlier_words(known))
    settings = {k: v for k, v in one_run.settings(run).items() if k not in NOT_OF_THE_MODEL}
    return {
        "data": {"data set": run.dataset, "fingerprint": run.fingerprint},
        "settings": settings,
        "seed": {"seed": run.seed},
        "code": {"code": known.get("code")} | known.get("versions", {}) | ({"earlier": earlier} if earlier else {}),
        "machine": {name: known.get(name) for name in _MACHINE},
    }


def _prepared(run: RunRecord) -> dict[str, Any]:
    """How the run's data were prepared, where the data set is here as it was."""
    try:
        dataset = PreparedDataset.open(run.dataset)
    except StudioError:
        return {}
    if fingerprint(dataset) != run.fingerprint:
        return {}
    meta = dataset.meta
    return (
        {"source": meta.source}
        | {f"option {name}": value for name, value in meta.options.items()}
        | {f"split, {name}": value for name, value in meta.split.items()}
        | {f"rows, {name}": counts.rows for name, counts in meta.splits.items()}
        | {"users": meta.users, "fields": ", ".join(field.name for field in meta.fields)}
    )


def said(found: Sequence[Differs]) -> str:
    """What differs, as a sentence: the first thing to know of two figures that differ."""
    parts = [part for part in PARTS if any(one.part == part for one in found)]
    if not parts:
        return "Nothing that was recorded differs."
    if parts == ["seed"]:
        return "The seed alone differs: this is what one training differs from another by."
    same = [part for part in PARTS[:2] if part not in parts]
    return f"What differs: {listed(parts)}." + (f" The same: {' and '.join(same)}." if same else "")


def metric_differences(run: RunRecord, other: RunRecord) -> list[MetricDifference]:
    """Every metric of two finished runs on both splits; of runs on the same rows with intervals. Empty where one has
    not finished. The first time it reads the predictions, which takes a moment for each metric."""
    out = []
    for split in EVALUATED if run.result is not None and other.result is not None else ():
        refused = _rows_differ(run, other, split)
        for key, metric in metrics().items():
            mine, theirs = (metric_value(one, split, key) for one in (run, other))
            estimate, missing = None, refused or mine.reason or theirs.reason
            if not missing and mine.value is not None and theirs.value is not None:
                sampling = row_sampling([[run, other]], split, key)
                missing = sampling.refused or sampling.missing or ""
                if sampling.component is not None:
                    covers = f"{sampling.covers(1)}, with these trained models"
                    estimate = interval(mine.value - theirs.value, [sampling.component], covers)
            out.append(MetricDifference(split, key, metric.title, mine.value, theirs.value, estimate, missing))
    return out


def _rows_differ(run: RunRecord, other: RunRecord, split: Split) -> str:
    try:
        return difference_of_rows(run, other, split) or ""
    except StudioError as error:
        return str(error)


def nearest(run: RunRecord, runs: Sequence[RunRecord], most: int = 200) -> list[RunRecord]:
    """Finished runs to stand beside a run, the likeliest first: on its data set, of its configuration, with its seed,
    and of these the newest; at most `most`."""

    def apart(other: RunRecord) -> tuple[bool, bool, bool, float]:
        return (
            other.dataset != run.dataset,
            other.configuration != run.configuration,
            other.seed != run.seed,
            -other.started,
        )

    found = [one for one in runs if one.state == "finished" and one.run_id != run.run_id]
    return sorted(found, key=apart)[:most]
