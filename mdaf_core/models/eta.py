"""ETA: events whose hash is near the target's (Chen et al. 2021, arXiv:2108.04468)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mdaf_core.models.base import RARE_IDS, Preset
from mdaf_core.models.searched import SearchedConfig


class ETAConfig(SearchedConfig):
    """ETA (Chen et al. 2021, arXiv:2108.04468): events that are near the target by SimHash, and attention over them."""

    encoder = "ETAEncoder"

    kind: Literal["eta"] = "eta"
    bits: int = Field(32, ge=1, le=256, description="Bits of an event's hash.")


PRESETS = (Preset("eta", "ETA: events near the target by hash are searched out", ETAConfig(), RARE_IDS),)


import torch
from torch import Tensor

from mdaf_core.data.batches.loader import Batch
from mdaf_core.data.store.schema import FeatureSpec
from mdaf_core.models.searched import SearchedEncoder, newest
from mdaf_core.ops.segments import segment_ids


class ETAEncoder(SearchedEncoder):
    """The search: the events whose hash has most bits in common with the target's, newer ones first among equals.

    A bit is the sign of ⟨r, embedding⟩ with r a fixed random vector (SimHash, Charikar 2002): the share of equal bits
    estimates the angle between two embeddings. Hashes follow the embeddings as they are learned; no gradient passes
    them.
    """

    def __init__(self, config: ETAConfig, features: FeatureSpec):
        super().__init__(config, features)
        self.planes_EM: Tensor
        self.register_buffer("planes_EM", torch.randn(self.event_dim, config.bits))

    @torch.no_grad()
    def search(self, batch: Batch) -> Tensor:
        event_TE, target_BE = self.look_up(batch)
        assert target_BE is not None
        event_TM, target_BM = (vectors @ self.planes_EM > 0 for vectors in (event_TE, target_BE))
        equal_T = (event_TM == target_BM[segment_ids(batch.cu_seqlens)]).sum(1)
        return newest(torch.ones_like(equal_T, dtype=torch.bool), equal_T, batch.cu_seqlens, self.found)
