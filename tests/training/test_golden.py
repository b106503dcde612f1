"""Losses of the first 20 steps of every model, as they were when written down: a change of speed changes no result.

Sums may be formed in another order on another machine or by a faster kernel, so losses may differ by 1e-5 of their
value, a few roundings of float32; anything more is a change of the mathematics. Where one is wanted, write them anew:

    python -m tests.training.test_golden
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from mdaf_core.models.base import smooth_targets
from mdaf_core.models.registry import build_model
from mdaf_core.runs.presets import get_preset, preset_names
from mdaf_core.training.optimizer import build_optimizer, clip_gradients
from tests.models.batches import USUAL, random_batch

PATH = Path(__file__).with_name("golden_losses.json")
SAME_MODEL = {"mdaf-static", "mdaf-sequential", "mamba4rec-v1"}  # as dcnv3, mamba4rec-v2
NEURAL = [n for n in preset_names() if get_preset(n).model.kind != "gbdt" and n not in SAME_MODEL]
LENGTHS = [5, 0, 12, 1, 50, 3, 8, 2]
STEPS = 20


def losses(preset: str) -> list[float]:
    config = get_preset(preset)
    torch.manual_seed(1)
    model = build_model(config.model, USUAL).train()
    optimizer = build_optimizer(model, config.training)
    found = []
    for step in range(STEPS):
        batch = random_batch(USUAL, LENGTHS, seed=step % 4)
        loss = model.loss(model(batch), smooth_targets(batch.label_B, config.training.label_smoothing))
        optimizer.zero_grad()
        loss.backward()
        clip_gradients(model, config.training.gradient_clip)
        optimizer.step()
        found.append(float(loss.detach()))
    return found


@pytest.mark.parametrize("preset", NEURAL)
def test_losses_are_what_they_were(preset: str) -> None:
    golden = json.loads(PATH.read_text("utf-8"))[preset]
    found = losses(preset)
    assert found == pytest.approx(golden, rel=1e-5)


if __name__ == "__main__":
    PATH.write_text(json.dumps({preset: losses(preset) for preset in NEURAL}, indent=1) + "\n", "utf-8")
