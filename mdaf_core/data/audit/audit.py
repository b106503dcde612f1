"""Can this data set be trusted? Checks recomputed from the files alone, whoever wrote them."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import polars as pl
import pyarrow as pa
from pydantic import BaseModel, Field

from mdaf_core.base.errors import DamagedFileError, StudioError
from mdaf_core.base.files import write_json
from mdaf_core.data.formats.base import Progress, no_progress
from mdaf_core.data.store.dataset import PreparedDataset

Status = Literal["pass", "warn", "fail"]


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


def audit_dataset(dataset: PreparedDataset, progress: Progress = no_progress) -> Audit:
    """Run every check on the written files. Nothing that the preparation computed is taken on trust."""
    from mdaf_core.data.audit import run_checks

    try:
        checks = run_checks(dataset, progress)
    except (DamagedFileError, OSError, pa.ArrowException, pl.exceptions.PolarsError, LookupError, ValueError) as error:
        checks = [
            Check(
                id="integrity",
                title="Files as written",
                status="fail",
                number=1,
                sentence=f"The data set's files cannot be read ({type(error).__name__}: {error}).",
                todo="Prepare the data set again.",
            )
        ]
    return Audit(dataset=dataset.name, created=datetime.now(UTC).isoformat(timespec="seconds"), checks=checks)


def refresh_audit(dataset: PreparedDataset) -> Audit:
    """Audit again and store the result."""
    audit = audit_dataset(dataset)
    write_json(dataset.path / "audit.json", audit.model_dump(mode="json"))
    return audit


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


def failed(dataset: PreparedDataset) -> list[Check]:
    """The failed checks of the stored audit. A launch needs each of them acknowledged by its `id`."""
    return stored_audit(dataset).with_status("fail")


def content_hashes(folder: Path) -> dict[str, str]:
    """sha256 of every Arrow file of a prepared data set, by its path inside the folder."""
    found = {}
    for path in sorted(folder.rglob("*.arrow")):
        with path.open("rb") as file:
            found[path.relative_to(folder).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def altered_files(recorded: dict[str, str], actual: dict[str, str]) -> list[str]:
    """Paths whose hashes differ, or that are in one of the two alone."""
    return sorted(path for path in recorded.keys() | actual.keys() if recorded.get(path) != actual.get(path))


def check_unaltered(dataset: PreparedDataset) -> None:
    """Read all files and compare them with what the preparation wrote.

    Raises:
        StudioError: names the files that were altered or are missing.
    """
    recorded = dataset.meta.fingerprint.get("content", {})
    altered = altered_files(recorded, content_hashes(dataset.path)) if recorded else []
    if altered:
        raise StudioError(
            f"Data set {dataset.name!r} is not as it was prepared: {', '.join(altered)} changed or missing. "
            "Prepare it again; results on it could not be compared with others."
        )
