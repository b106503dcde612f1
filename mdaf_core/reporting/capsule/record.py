"""What a capsule says that predictions do not tell: the study, its plan and data, how its runs were trained."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, Field

from mdaf_core.analysis.items import Items
from mdaf_core.analysis.margins import Margin
from mdaf_core.analysis.plan import Conditions
from mdaf_core.base.errors import StudioError
from mdaf_core.base.version import __version__
from mdaf_core.data.audit.report import Audit
from mdaf_core.data.store.schema import DatasetMeta, Split
from mdaf_core.reporting import conditions
from mdaf_core.reporting.conditions import Condition
from mdaf_core.reporting.material import Material
from mdaf_core.runs.results import RunResult, SplitMetrics
from mdaf_core.runs.tracking import RunRecord
from mdaf_core.studies.results import PLANNED
from mdaf_core.studies.store import Study

FORMAT = 2
_OF_PROVENANCE = (
    "code", "versions", "platform", "processor", "cores", "threads", "device", "scan", "dataset", "plugins",
    "earlier",
)  # fmt: skip
CLOSE = 1e-9  # of a metric computed again: sums may be formed in another order by another version of a library


class CarriedRun(BaseModel):
    """One run as its store knows it, and what its training left, without predictions."""

    facts: dict[str, Any] = Field(description="The fields of `RunRecord`.")
    result: RunResult | None = None
    command: str = Field("", description="Trains it again.")


class Record(BaseModel):
    """All of a capsule but its predictions. JSON-ready."""

    format: int = FORMAT
    created: str = Field(description="ISO 8601, UTC.")
    program: dict[str, Any]
    anonymous: bool = False
    study: Study
    split: Split
    metric: str
    margin: Margin | str | None = Field(description=f"{PLANNED!r}: the plan's.")
    conditions: Conditions | None
    items: Items | None
    data: DatasetMeta | None
    audit: Audit | None
    budgets: list[Condition] = Field([], description="How settings were chosen, and how many were tried.")
    ledger: list[dict[str, Any]]
    changed: dict[str, list[tuple[str, Any]]] = Field({}, description="Settings that differ from the preset.")
    runs: list[CarriedRun]
    gates: bool = Field(True, description="Whether the predictions hold the branches' answers.")
    beside: str = Field("", description="Name of the file with the predictions, where they are not inside.")

    def records(self) -> list[RunRecord]:
        """The runs as the store gives them."""
        return [RunRecord(**run.facts) for run in self.runs]

    @property
    def scored(self) -> list[CarriedRun]:
        """The finished runs whose predictions are carried."""
        return [run for run in self.runs if run.result is not None]


def take(material: Material) -> Record:
    """The record of a study as it stands.

    Raises:
        UsageError: none of its runs has finished.
    """
    from mdaf_core.reporting.paper.bundle import changed_settings, describe
    from mdaf_core.runs.provenance import code_version, versions

    material.require_runs()
    study, found = material.study, material.comparison
    meta, audit = conditions.data_of(study, material.records)
    said = {run["run_id"]: run["command"] for run in describe(material)["runs"]}
    changed: dict[str, list[tuple[str, Any]]] = {}
    for config in study.trained:
        try:
            changed[config.name] = changed_settings(config)
        except StudioError:  # the preset is of a plug-in that is not at hand
            changed[config.name] = []
    return Record(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        program={
            "version": __version__, "code": code_version(),
            "versions": versions("altair", "vl-convert-python", "numpy", "polars", "scipy"),
        },
        study=study, split=material.split, metric=material.metric, margin=material.margin,
        conditions=found.conditions, items=found.items,
        data=None if meta is None else meta.model_copy(update={"path": "", "examples": {}}),
        audit=None if audit is None else audit.model_copy(
            update={"checks": [check.model_copy(update={"examples": []}) for check in audit.checks]}
        ),
        budgets=[one for one in material.conditions if one.kind == "budget"],
        ledger=material.ledger.to_dicts(),
        changed=changed,
        runs=[_carried(run, said.get(run.run_id, "")) for run in material.records],
    )  # fmt: skip


def _carried(run: RunRecord, command: str) -> CarriedRun:
    result = run.result
    if result is not None:
        provenance = {key: value for key, value in result.provenance.items() if key in _OF_PROVENANCE}
        if "plugins" in provenance:
            provenance["plugins"] = [{"sha256": one["sha256"]} for one in provenance["plugins"]]
        result = result.model_copy(update={"provenance": provenance})
    return CarriedRun(facts={k: v for k, v in asdict(run).items()}, result=result, command=command)


def different(kept: SplitMetrics, found: SplitMetrics) -> dict[str, tuple[float, float]]:
    """Metrics that a run's file holds otherwise than its predictions give them: name → (kept, found)."""
    out = {}
    for key, value in found.model_dump(exclude={"definitions", "undefined"}).items():
        held = kept.value(key)
        if value is None or held is None or kept.definitions.get(key) != found.definitions.get(key):
            continue
        if abs(held - value) > CLOSE * max(1.0, abs(held)):
            out[key] = (float(held), float(value))
    return out
