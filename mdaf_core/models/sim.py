"""Search-based interest model with hard search (Pi et al. 2020, arXiv:2006.05639)."""

from __future__ import annotations

from typing import Literal

from mdaf_core.models.base import RARE_IDS, Preset
from mdaf_core.models.searched import SearchedConfig


class SIMConfig(SearchedConfig):
    """SIM, hard search (Pi et al. 2020, arXiv:2006.05639): events of the target's category, and attention over them."""

    encoder = "SIMEncoder"

    kind: Literal["sim"] = "sim"


PRESETS = (Preset("sim", "SIM: events of the target's category are searched out", SIMConfig(dropout=0.5), RARE_IDS),)


from torch import Tensor

from mdaf_core.data.batches.loader import Batch
from mdaf_core.data.store.schema import FeatureSpec
from mdaf_core.models.searched import SearchedEncoder, newest
from mdaf_core.ops.segments import positions


class SIMEncoder(SearchedEncoder):
    """The search: the newest events with the target's category, or of another field where the history has none."""

    def __init__(self, config: SIMConfig, features: FeatureSpec):
        super().__init__(config, features)
        wanted = features.category if features.category in features.history else features.history[0]
        self.field = features.history.index(wanted)

    def search(self, batch: Batch) -> Tensor:
        return newest(batch.equal_TH[:, self.field], positions(batch.cu_seqlens), batch.cu_seqlens, self.found)
