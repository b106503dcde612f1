"""What an imported run is: predictions of another program's model, and what of it is therefore not known."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from mdaf_core.models.base import ModelSettings

IMPORTED = "imported"
_MARK = f" ({IMPORTED})"


class ImportedModel(ModelSettings):
    """A model that was trained elsewhere: its predictions were imported, nothing else of it is known."""

    reads_history = False  # whether it does is not known; nothing is given to it
    kind: Literal["imported"] = "imported"
    of: str = Field(description="What the model is called by whoever trained it.")

    @property
    def lacks_gate(self) -> str:
        return "was imported as predictions, so no g is known, and there are no weights to ask"


class SplitScores(BaseModel):
    """How the predictions of one split came in."""

    file: str = Field(description="Name of the file, without its folder.")
    sha256: str = Field("", description="Of the file's bytes; empty where the scores came as a table in memory.")
    rows: int
    score: str = Field(description="Column or array the scores were in.")
    scale: Literal["probability", "logit"]
    scale_because: str = Field(description="How it is known that they are that, as a sentence.")
    matched: str = Field(description="What told which score is of which row.")
    labels_checked: bool = Field(description="Whether the file held labels, which were compared with the data's.")
    infinite: int = Field(0, description="Probabilities of exactly 0 or 1, whose log-odds would be infinite.")
    distinct: int = Field(description="Distinct scores; equal ones count half in an AUC.")
    notes: list[str] = []


class ImportedScores(BaseModel):
    """What a run's result keeps of its import."""

    seed_known: bool
    imported: str = Field(description="ISO 8601, UTC.")
    splits: dict[str, SplitScores]


def marked_name(name: str) -> str:
    """The name of an imported configuration: the mark is part of it, so that no table, chart or caption can lack it."""
    return name if name.endswith(_MARK) else name + _MARK


def settings_of(dump: dict[str, Any]) -> dict[str, Any]:
    """The settings in a configuration's dump: without its names, and of an imported one without a training."""
    left_out = {"name", "preset", *(["training"] if dump["model"]["kind"] == IMPORTED else [])}
    return {key: value for key, value in dump.items() if key not in left_out}
