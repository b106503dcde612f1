"""Factorial studies: their configurations, and what is refused."""

from __future__ import annotations

import pytest

from mdaf_core.analysis.sequential import UntilDecided
from mdaf_core.base.errors import UsageError
from mdaf_core.runs.presets import get_preset
from mdaf_core.studies import launch
from mdaf_core.studies.definitions import design, get_definition
from mdaf_core.studies.factorial import build, parse_component

OFF = {"gate": ["model.fusion=concat"], "loss": ["model.branch_loss_weight=0"]}


def test_every_combination_is_a_configuration():
    configs, found = build(get_preset("mdaf-full"), OFF)
    assert [c.name for c in configs] == [
        "mdaf-full",
        "mdaf-full-no-loss",
        "mdaf-full-no-gate",
        "mdaf-full-no-gate-loss",
    ]
    assert found.levels["mdaf-full-no-gate"] == [-1, 1]
    assert (configs[3].model.fusion, configs[3].model.branch_loss_weight) == ("concat", 0)
    half, told = design(get_definition("factorial"))
    assert len(half) == 8 and told.words == "2^(4-1)" and half[0].name == "mdaf-full"
    assert len(design(get_definition("factorial"), halvings=0)[0]) == 16


@pytest.mark.parametrize("text", ["gate", "gate:", ":x=1", "gate:x"])
def test_a_component_is_a_name_and_settings(text):
    with pytest.raises(UsageError, match="looks like"):
        parse_component(text)
    assert parse_component("gate: model.fusion=concat, model.dropout=0") == (
        "gate", ["model.fusion=concat", "model.dropout=0"],
    )  # fmt: skip


def test_what_is_no_design_is_refused():
    with pytest.raises(UsageError, match="changes nothing"):
        build(get_preset("mdaf-full"), {"gate": ["model.fusion=gate"]})
    with pytest.raises(UsageError, match="no factorial"):
        design(get_definition("demo"))
    configs, found = build(get_preset("mdaf-full"), OFF)
    with pytest.raises(UsageError, match="take the same seeds"):
        launch.run_configurations(
            definition="factorial", dataset="tiny", configs=configs, seeds=[1], reference="mdaf-full", factorial=found,
            until=UntilDecided(),
        )  # fmt: skip
    with pytest.raises(UsageError, match="of one preset"):
        design(get_definition("factorial"), ["mdaf-full", "lr"])
