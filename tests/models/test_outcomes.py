"""What came of past events: an input of every history model that asks for it, and of no other."""

from __future__ import annotations

import pytest
import torch

from mdaf_core.data.store.schema import OUTCOME
from mdaf_core.models.registry import build_model
from mdaf_core.runs.presets import get_preset
from mdaf_core.testing.data import OUTCOMES, GeneratedData, clone

ASKING = ["model.outcomes=true"]
MODELS = {
    "bst": ASKING, "dien": ASKING, "din": ASKING, "eta": ASKING, "gru": ASKING, "hstu": ASKING, "mamba2": ASKING,
    "mamba3": ASKING, "mamba4rec-v2": ASKING, "mean": ASKING, "sasrec": ASKING, "sim": ASKING,
    "mdaf-full": ["model.sequential.outcomes=true"], "mdaf-bst": ["model.sequential.outcomes=true"],
}  # fmt: skip


@pytest.fixture(scope="module")
def data() -> GeneratedData:
    return GeneratedData()


def _built(preset: str, settings: list[str], data: GeneratedData) -> torch.nn.Module:
    torch.manual_seed(3)
    return build_model(get_preset(preset).with_overrides(settings).model, data.meta.features()).eval()


@pytest.mark.parametrize("preset", MODELS)
def test_it_is_read_where_asked_for_and_nowhere_else(preset: str, data: GeneratedData) -> None:
    batch = data.batch("val", max_history=20)
    assert len(batch.history[OUTCOME].unique()) == len(OUTCOMES) + 1
    other = clone(batch, history=batch.history | {OUTCOME: (batch.history[OUTCOME] + 1) % (len(OUTCOMES) + 1)})
    with torch.no_grad():
        told, untold = _built(preset, MODELS[preset], data), _built(preset, [], data)
        assert torch.equal(untold(batch).logit_B, untold(other).logit_B)
        assert torch.equal(told(batch).logit_B, told(other).logit_B)  # silent at the start
        for parameter in told.parameters():
            parameter.add_(0.03 * torch.randn_like(parameter))
        full = batch.lengths_B > 0
        assert (told(batch).logit_B != told(other).logit_B)[full].float().mean() > 0.8
        assert torch.equal(told(batch).logit_B[~full], told(other).logit_B[~full])


def test_data_that_do_not_record_it_are_read_without(data: GeneratedData) -> None:
    plain = GeneratedData()
    plain.meta.outcomes = []
    model = _built("mamba4rec-v2", ASKING, plain)
    assert model.encoder.outcomes is None and OUTCOME not in plain.batch("val").history
    assert torch.isfinite(model(plain.batch("val")).logit_B).all()
