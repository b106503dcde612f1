"""What an audit says: its checks, as stored with a data set and shown to people."""

from __future__ import annotations

from typing import Any, Literal

import polars as pl
from pydantic import BaseModel, Field

from mdaf_core.base.errors import StudioError
from mdaf_core.data.store.dataset import PreparedDataset

Status = Literal["pass", "warn", "fail"]
GRADES: tuple[Status, ...] = ("pass", "warn", "fail")
"""By how grave it is: 0 to 2."""


class Check(BaseModel):
    """One question to the data and its answer."""

    id: str
    title: str
    status: Status
    number: float | None = Field(None, description="What was measured; None where it does not apply.")
    sentence: str
    details: dict[str, float] = Field({}, description="The same measure by split and field.")
    todo: str = Field("", description="What to do about it; empty where all is well.")
    examples: list[dict[str, Any]] = Field([], description="Up to 20 rows or ids that show it, as people read them.")

    @property
    def beside_results(self) -> bool:
        """Whether its advice is to say it beside results."""
        return "beside results" in self.todo.lower()


class Audit(BaseModel):
    """`audit.json` of a prepared data set."""

    dataset: str
    created: str
    checks: list[Check]

    def with_status(self, status: Status) -> list[Check]:
        return [check for check in self.checks if check.status == status]


def stored_audit(dataset: PreparedDataset) -> Audit:
    """The audit stored with the data set.

    Raises:
        StudioError: there is none, or it cannot be read.
    """
    try:
        return Audit.model_validate(dataset.audit)
    except ValueError:
        raise StudioError(
            f"Data set {dataset.name!r} has no audit that can be read: run `python -m mdaf_core data audit "
            f"{dataset.name}`."
        ) from None


def failed(dataset: PreparedDataset) -> list[Check]:
    """The failed checks of the stored audit. A launch needs each of them acknowledged by its `id`."""
    return stored_audit(dataset).with_status("fail")


def alone_frame(audit: Audit) -> pl.DataFrame:
    """One row an input, the best first: the AUC it reaches as the only score, by part."""
    found = next((check.details for check in audit.checks if check.id == "label-leak"), {})
    parts = {"val": "validation AUC", "test": "test AUC"}
    keys = [key.partition(" ") for key in found]
    inputs = list(dict.fromkeys(name for part, _, name in keys if part in parts and name))
    rows = [{"input": name} | {title: found.get(f"{part} {name}") for part, title in parts.items()} for name in inputs]
    schema = {"input": pl.String, **dict.fromkeys(parts.values(), pl.Float64)}
    return pl.DataFrame(rows, schema=schema).sort(
        "validation AUC", descending=True, nulls_last=True, maintain_order=True
    )


def example_frame(check: Check) -> pl.DataFrame:
    """The examples of a check as a table."""
    return pl.DataFrame(check.examples, infer_schema_length=None)
