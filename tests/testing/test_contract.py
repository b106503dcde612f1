"""The contract of a model, over all presets: narrow, since what it asks does not depend on widths."""

from __future__ import annotations

import pytest

from mdaf_core.models.base import ModelSettings
from mdaf_core.runs.presets import get_preset, preset_names
from mdaf_core.testing import assert_contract
from mdaf_core.testing.settings import limits, with_setting

NARROW = {"hidden_dim": 16, "fusion_dim": 16, "gate_hidden": 8, "hidden_units": [16], "item_dim": 8, "category_dim": 8,
          "attention_dim": 16, "state_dim": 4, "blocks": 1, "embedding_dim": 8, "static_dim": 8,
          "second_hidden_units": [16], "fm_hidden_units": [16], "block_dim": 16}  # fmt: skip
"""What makes a model quick where it has such a setting."""


def narrow(config: ModelSettings) -> ModelSettings:
    for path, _, value in list(limits(config)):
        wanted = NARROW.get(path.rpartition(".")[2])
        if wanted is not None and wanted != value:
            config = with_setting(config, path, wanted) or config
    return config


def different() -> list[str]:
    """Presets, without those whose model is another one's."""
    models: list[ModelSettings] = []
    names = []
    for name in preset_names():
        model = get_preset(name).model
        if model not in models:
            models.append(model)
            names.append(name)
    return names


@pytest.mark.parametrize("preset", different())
def test_every_preset_keeps_the_contract(preset: str) -> None:
    assert_contract(narrow(get_preset(preset).model))


def test_a_term_that_is_flat_here_is_not_detached() -> None:
    """Tri-BCE has hinges: of DCNv3 as it is, one network's loss is below the whole's on the batch that is looked at."""
    assert_contract(get_preset("dcnv3").model, "loss")
