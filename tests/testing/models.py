"""Models as somebody might write them in a file of their own, with places where a bug, or its clean twin, is put."""

from __future__ import annotations

from dataclasses import dataclass, field
from textwrap import dedent, indent

HEAD = """
from __future__ import annotations

from typing import Literal

import math, random, time, zlib
import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from mdaf_core.data.batches.loader import Batch
from mdaf_core.models.base import CTRModel, GatedModel, ModelSettings, Output
from mdaf_core.models.layers import MLP, FieldVectors, Table
from mdaf_core.ops.causal_conv import causal_conv1d
from mdaf_core.ops.segments import *
from mdaf_core.ops.slices import slice_mean

#TOP
"""

STATIC = (
    HEAD
    + '''
class PlantedConfig(ModelSettings):
    """A small tower on the fields of a row."""

    network = "Planted"
    reads_history = False

    kind: Literal["planted"] = "planted"
    dim: int = Field(8, ge=1, le=64, description="Width of each field's embedding.")
    #SETTINGS


class Planted(CTRModel):
    def __init__(self, config, features):
        super().__init__(features)
        self.fields = FieldVectors(features, config.dim, std=0.05)
        width = self.fields.count * config.dim
        self.tower = MLP(width, [16], 0.1)
        inputs, hidden = width, 16
        #INIT
        self.out = nn.Linear(hidden, 1)

    def forward(self, batch):
        batch = self.hide_ids(batch)
        x = self.fields(batch.categorical_BF, batch.numeric_BG).flatten(1)
        #BEFORE
        h = self.tower(x)
        #AFTER
        logit = self.out(h).squeeze(1)
        #LOGIT
        return Output(logit)

    #METHODS
'''
)

HISTORY = (
    HEAD
    + '''
class PlantedConfig(ModelSettings):
    """The mean of the events and the target."""

    network = "Planted"

    kind: Literal["planted"] = "planted"
    dim: int = Field(8, ge=1, le=64, description="Width of each field's embedding.")
    #SETTINGS


#CLASSES


class Planted(CTRModel):
    def __init__(self, config, features):
        super().__init__(features)
        if not features.history:
            from mdaf_core.base.errors import StudioError
            raise StudioError("This model reads histories, and the data have none.")
        self.item = list(features.categorical).index("item")
        self.table = Table([features.categorical["item"]], config.dim, 0.05)
        self.fields = FieldVectors(features, config.dim, std=0.05)
        dim = config.dim
        #INIT
        self.tower = MLP((2 + self.fields.count) * dim, [16], 0.1)
        self.out = nn.Linear(16, 1)

    def pool(self, event_TD, target_BD, batch):
        return segment_mean(event_TD, batch.cu_seqlens)

    def forward(self, batch):
        batch = self.hide_ids(batch)
        cu = batch.cu_seqlens
        event_TD = self.table(batch.history["item"].unsqueeze(1)).squeeze(1)
        target_BD = self.table(batch.categorical_BF[:, [self.item]]).squeeze(1)
        #BEFORE
        pooled_BD = self.pool(event_TD, target_BD, batch)
        #AFTER
        fields_BD = self.fields(batch.categorical_BF, batch.numeric_BG).flatten(1)
        h = self.tower(torch.cat([pooled_BD, target_BD, fields_BD], 1))
        logit = self.out(h).squeeze(1)
        #LOGIT
        return Output(logit)

    #METHODS
'''
)

GATED = (
    HEAD
    + '''
class PlantedConfig(ModelSettings):
    """Fields and the mean of the events, weighed by a gate."""

    network = "Planted"

    kind: Literal["planted"] = "planted"
    dim: int = Field(8, ge=1, le=64, description="Width of the branches.")
    #SETTINGS

    @property
    def lacks_gate(self):
        return ""


class Planted(GatedModel):
    def __init__(self, config, features):
        super().__init__(features)
        self.table = Table([features.categorical["item"]], config.dim, 0.05)
        self.fields = FieldVectors(features, config.dim, std=0.05)
        self.static_map = nn.Linear(self.fields.count * config.dim, config.dim)
        self.sequential_map = nn.Linear(config.dim, config.dim)
        self.gate_net = nn.Linear(2 * config.dim, 1)
        self.head = nn.Sequential(nn.Linear(config.dim, 8), nn.ReLU(), nn.Linear(8, 1))

    def gate(self, static_BD, sequential_BD):
        return torch.sigmoid(self.gate_net(torch.cat([static_BD, sequential_BD], 1)))

    def branches(self, batch):
        batch = self.hide_ids(batch)
        event_TD = self.table(batch.history["item"].unsqueeze(1)).squeeze(1)
        fields_BD = self.fields(batch.categorical_BF, batch.numeric_BG).flatten(1)
        return self.static_map(fields_BD), self.sequential_map(segment_mean(event_TD, batch.cu_seqlens))

    def answer(self, static_BD, sequential_BD, gate_BK=None):
        g = self.gate(static_BD, sequential_BD) if gate_BK is None else gate_BK
        #ANSWER
        return self.head(torch.lerp(static_BD, sequential_BD, g)).squeeze(1)

    def fuse(self, static_BD, sequential_BD, gate_B=None):
        if gate_B is None:
            g = self.gate(static_BD, sequential_BD)
        else:
            g = gate_B if gate_B.dim() == 2 else gate_B.unsqueeze(1)
        #FUSE
        zero, one = torch.zeros_like(g), torch.ones_like(g)
        return Output(
            self.answer(static_BD, sequential_BD, g),
            gate_B=g.mean(1),
            logit_static_B=self.answer(static_BD, sequential_BD, zero),
            logit_sequential_B=self.answer(static_BD, sequential_BD, one),
        )

    def forward(self, batch, gate_B=None):
        return self.fuse(*self.branches(batch), gate_B)

    #METHODS
'''
)

BASES = {"static": STATIC, "history": HISTORY, "gated": GATED}


@dataclass(frozen=True)
class Plant:
    """A bug in a model's file, beside its clean twin.

    Attributes:
        name: what it is; base: the model it is put into; check: the check that must name it.
        bug, clean: code by the place it is put at; `old -> new` places replace text of the base.
        says: a text that the finding must hold: the module, parameter, method or input it is about.
    """

    name: str
    base: str
    check: str
    bug: dict[str, str]
    clean: dict[str, str] = field(default_factory=dict)
    says: str = ""

    def source(self, clean: bool = False) -> str:
        return written(self.base, self.clean if clean else self.bug)


def written(base: str, code: dict[str, str]) -> str:
    """The file with code at its places; a place that is no marker is text of the base to be replaced."""
    text = BASES[base]
    for place, lines in code.items():
        marker = f"#{place}"
        if place.isupper() and marker in text:
            start = text.index(marker)
            margin = " " * (start - text.rindex("\n", 0, start) - 1)
            text = text.replace(marker, indent(dedent(lines).strip("\n"), margin).lstrip(), 1)
        else:
            assert place in text, place
            text = text.replace(place, lines)
    return text
