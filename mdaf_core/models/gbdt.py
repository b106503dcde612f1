"""LightGBM: trees on encodings of the fields. `training.gbdt` grows them; there is no network."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mdaf_core.models.base import ModelSettings, Preset
from mdaf_core.models.space import Range, Space


class GBDTConfig(ModelSettings):
    """LightGBM on smoothed target encodings (computed without leaking) and counts from a history, if there is one."""

    reads_history = False
    grown = True

    kind: Literal["gbdt"] = "gbdt"
    num_leaves: int = Field(31, ge=2, le=1024, description="Leaves a tree.")
    learning_rate: float = Field(0.05, gt=0, le=1, description="Shrinkage of each tree.")
    max_rounds: int = Field(400, ge=1, le=10000, description="Trees at most; early stopping ends sooner.")
    min_data_in_leaf: int = Field(50, ge=1, description="Rows a leaf at least.")
    smoothing: float = Field(20.0, ge=0, description="Rows of prior mixed into each target encoding.")
    match_features: bool = Field(True, description="Counts and recency of the target's ids in the history.")
    outcomes: bool = Field(
        False,
        description="What came of the events, where the data records it (bought or only viewed, the stars given), is "
        "counted beside the match features.",
    )

    @property
    def reads_outcomes(self) -> bool:
        return self.outcomes and self.match_features

    def space(self) -> Space:
        return {
            "num_leaves": Range(low=7, high=255, log=True, whole=True),
            "learning_rate": Range(low=0.01, high=0.3, log=True),
            "min_data_in_leaf": Range(low=10, high=500, log=True, whole=True),
            "smoothing": Range(low=1, high=200, log=True),
        }


PRESETS = (Preset("gbdt", "LightGBM on target encodings and history counts", GBDTConfig()),)
