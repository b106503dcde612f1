"""Rare ids are unknown while training, the rarer the oftener."""

from __future__ import annotations

from collections import Counter

import torch

from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.data.store.schema import UNKNOWN
from mdaf_core.models.registry import build_model
from mdaf_core.runs.presets import get_preset
from mdaf_core.training.trainer import rare_rates
from tests.models.batches import USUAL, random_batch


def test_the_probability_falls_with_the_rows_of_an_id(tiny: PreparedDataset) -> None:
    rates = rare_rates(tiny, 0.5)
    assert list(rates) == list(tiny.meta.categorical) and rare_rates(tiny, 0) == {}
    for name, size in tiny.meta.categorical.items():
        rows = Counter(tiny.rows("train").columns[name].tolist())
        expected = [0.5 / max(rows[code], 1) for code in range(size)]
        torch.testing.assert_close(rates[name], torch.tensor(expected))


def test_ids_are_hidden_as_often_as_that() -> None:
    torch.manual_seed(0)
    model, batch = build_model(get_preset("lr").model, USUAL), random_batch(USUAL, [1] * 400, first_code=2)
    rate_V = torch.linspace(0, 1, USUAL.categorical["item"])
    model.rare_rates = {"item": rate_V}
    assert model.eval().hide_ids(batch) is batch
    model.train()
    hidden_BF = sum((model.hide_ids(batch).categorical_BF == UNKNOWN).double() for _ in range(500)) / 500
    codes_B = batch.categorical_BF[:, list(USUAL.categorical).index("item")]
    torch.testing.assert_close(hidden_BF[:, 0], rate_V[codes_B].double(), rtol=0, atol=0.1)
    assert not hidden_BF[:, 1:].any()
    model.unknown_rate = 0.5  # whichever is more
    often_BF = sum((model.hide_ids(batch).categorical_BF == UNKNOWN).double() for _ in range(500)) / 500
    torch.testing.assert_close(often_BF[:, 0], rate_V[codes_B].double().clamp(min=0.5), rtol=0, atol=0.1)
