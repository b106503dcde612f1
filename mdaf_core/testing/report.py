"""What an examination found, and where it is kept: by the content of the examined file. No torch here."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, ValidationError

from mdaf_core.base.files import write_text
from mdaf_core.base.settings import get_settings

ORDER = (
    "builds", "settings", "data", "inputs", "ids", "gradients", "loss", "label", "batch", "later", "causal", "padding",
    "bookkeeping", "state", "answers", "seed", "weights", "process", "resume", "history", "gate", "cost", "memory",
)  # fmt: skip
"""Names of all checks in the order in which they are made: what explains most comes first."""

State = Literal["pass", "fail", "not applicable"]


class Finding(BaseModel):
    """What one check says of a model."""

    check: str
    title: str
    state: State
    sentences: list[str] = Field(
        [], description="Each fault by itself: what, where, what to do; or why not applicable."
    )
    notes: list[str] = Field([], description="What deserves a look and is no fault.")
    seconds: float = 0.0


class Examination(BaseModel):
    """What an examination found of one model."""

    model: str = Field(description="The model's kind, or the preset's name.")
    findings: list[Finding]
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        return not self.failed

    @property
    def failed(self) -> list[str]:
        """Names of the checks that failed."""
        return [finding.check for finding in self.findings if finding.state == "fail"]


def keep(found: Examination, digest: str) -> None:
    """Keep what was found of a model in a file of this content (sha256)."""
    write_text(_path(digest, found.model), found.model_dump_json())


def kept(digest: str, kind: str) -> Examination | None:
    """What was found of the model of this kind in a file of this content; None: not examined."""
    try:
        return Examination.model_validate_json(_path(digest, kind).read_bytes())
    except (OSError, ValidationError):
        return None


def _path(digest: str, kind: str) -> Path:
    name = sha256(f"{digest} {kind}".encode()).hexdigest()[:40]
    return get_settings().cache_dir / "examinations" / f"{name}.json"
