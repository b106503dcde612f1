"""What an epoch says of gate and branches: the figures of the rows themselves."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mdaf_core.data.batches.loader import BatchLoader
from mdaf_core.models.mamba4rec import Mamba4RecConfig
from mdaf_core.models.mdaf import MDAFConfig
from mdaf_core.models.registry import build_model
from mdaf_core.training.replaced import parts_of
from mdaf_core.training.trainer import GateEpoch

SMALL = {"item_dim": 8, "category_dim": 8, "hidden_dim": 16, "static_dim": 4, "hidden_units": [16], "blocks": 1}


@pytest.mark.parametrize("fusion", ["gate", "concat"])
@torch.inference_mode()
def test_of_all_batches(tiny, fusion):
    torch.manual_seed(1)
    model = build_model(MDAFConfig(fusion=fusion, sequential=Mamba4RecConfig(**SMALL)), tiny.meta.features()).eval()
    rows = len(tiny.rows("val"))
    epoch, outputs, drawn = GateEpoch(model, rows), [], torch.get_rng_state()
    for batch in BatchLoader(tiny, "val", 700):
        outputs.append(epoch.answer(batch))
        torch.testing.assert_close(outputs[-1].logit_B, model(batch).logit_B)
    found = epoch.metrics()
    assert torch.equal(torch.get_rng_state(), drawn)
    if fusion == "gate":
        gate = torch.cat([output.gate_B for output in outputs]).numpy()
        assert found["gate_mean"] == pytest.approx(gate.mean()) and found["gate_low"] < found["gate_high"]
        assert ((gate >= found["gate_low"]) & (gate <= found["gate_high"])).mean() == pytest.approx(0.9, abs=0.01)
    assert found["part_static"] > 0 and found["part_sequential"] > 0
    assert sum(len(kept[2]) for kept in epoch._kept) == len(range(0, rows, epoch.every)) <= 2_000


def test_parts_add_up_and_are_of_their_branch():
    """A logit that is a sum: each part is its branch's summand, less its mean."""
    rng = np.random.default_rng(0)
    static, sequential = (torch.from_numpy(rng.normal(size=(300, 1))) for _ in range(2))
    logit = (static + 2 * sequential).squeeze(1)
    parts = parts_of(lambda s, q, _: (s + 2 * q).squeeze(1), static, sequential, logit, 200)
    np.testing.assert_allclose(parts["static"] + parts["sequential"], logit - logit.mean(), atol=1e-5)
    np.testing.assert_allclose(parts["static"], (static - static.mean()).squeeze(1), atol=0.35)
    assert np.corrcoef(parts["sequential"], sequential.squeeze(1))[0, 1] > 0.999
