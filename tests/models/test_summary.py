"""Parameter counts, multiply-adds and memory."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from mdaf_core.base.errors import StudioError
from mdaf_core.data.batches.shapes import Shape
from mdaf_core.data.store.schema import FeatureSpec
from mdaf_core.models.autoint import AutoIntConfig
from mdaf_core.models.bst import BSTConfig
from mdaf_core.models.dcnv3 import DCNv3Config
from mdaf_core.models.mamba4rec import Mamba4RecConfig
from mdaf_core.models.mdaf import MDAFConfig
from mdaf_core.models.registry import build_model
from mdaf_core.models.summary import count_parameters, multiply_adds, uncounted_by_torch
from mdaf_core.runs.presets import get_preset, preset_names
from mdaf_core.training.step_memory import training_bytes
from tests.models.batches import RICH, USUAL

REPORT = FeatureSpec.from_vocabulary({"item": 335164, "category": 5480, "user": 577482, "hour": 24, "dayofweek": 7})
NEURAL = [name for name in preset_names() if get_preset(name).model.kind != "gbdt"]


def test_the_report_count() -> None:
    parameters = count_parameters(get_preset("mamba4rec-v2-report").model, REPORT)
    assert parameters.total == 31_190_545
    assert parameters.embedding == 335_164 * 64 + 5_480 * 32 + (577_482 + 24 + 7) * 16
    block = 256 + 128 * 512 + 256 * 4 + 256 + 256 * 33 + 256 * 16 + 256 + 256 * 128
    mlp = 176 * 256 + 256 + 256 * 128 + 128 + 128 * 64 + 64 + 64 + 1
    assert parameters.dense == 96 * 128 + 128 + 2 * block + 256 + mlp


def test_standard_block_adds_the_step_projection() -> None:
    scalar = count_parameters(Mamba4RecConfig(dt_rank="scalar"), REPORT).dense
    standard = count_parameters(Mamba4RecConfig(), REPORT).dense
    assert standard - scalar == 2 * (256 * 7 + 8 * 256 + 256)


@pytest.mark.parametrize("name", NEURAL)
@pytest.mark.parametrize("features", [USUAL, RICH], ids=["usual", "rich"])
def test_counts_are_those_of_the_built_model(name, features) -> None:
    config = get_preset(name).model
    model = build_model(config, features)
    parameters = count_parameters(config, features)
    assert parameters.total == sum(p.numel() for p in model.parameters())
    assert parameters.total == parameters.embedding + parameters.dense
    per_id = build_model(config, FeatureSpec(**{**vars(features), "categorical": _one_more_id(features)}))
    added = sum(p.numel() for p in per_id.parameters()) - parameters.total
    assert 0 < added < parameters.embedding


def _one_more_id(features: FeatureSpec) -> dict[str, int]:
    return {name: size + (name == "item") for name, size in features.categorical.items()}


def test_counting_allocates_nothing() -> None:
    state = torch.random.get_rng_state()
    huge = FeatureSpec.from_vocabulary({"item": 10**9, "category": 10**6, "user": 10**9})
    assert count_parameters(get_preset("mdaf-full").model, huge).total > 10**11
    assert torch.equal(state, torch.random.get_rng_state())


def test_gbdt_has_no_parameters_to_count() -> None:
    with pytest.raises(StudioError, match="LightGBM"):
        count_parameters(get_preset("gbdt").model, USUAL)


def test_multiply_adds_by_hand() -> None:
    dcnv3 = DCNv3Config(embedding_dim=16, linear_layers=2, exponential_layers=3)
    assert multiply_adds(dcnv3, REPORT, 0) == 5 * 80 * 40 + 2 * 80
    autoint = AutoIntConfig(layers=1, hidden_units=[10], dropout=0.0)
    assert multiply_adds(autoint, REPORT, 0) == 5 * 16 * 4 * 32 + 2 * 25 * 32 + 80 * 10 + (5 * 32 + 10)
    mlp = 176 * 256 + 256 * 128 + 128 * 64 + 64
    event = 96 * 128 + 2 * (128 * 512 + 256 * (4 + 4 * 16 + 3) + 256 * 33 + 256 * 128)
    report = get_preset("mamba4rec-v2-report").model
    assert multiply_adds(report, REPORT, 0) == mlp
    assert multiply_adds(report, REPORT, 7) == mlp + 7 * event
    assert multiply_adds(report, REPORT, 7.25) == round(mlp + 7.25 * event)
    length = 9  # tokens: eight events and the target
    bst = length * (96 * 128 + 128 * 256) + 2 * 128 * 128 + 2 * 128 * 512 + 2 * length * 128
    top = (128 + 96 + 48 + 17 * 10) * 256 + 256 * 128 + 128 * 64 + 64
    assert multiply_adds(BSTConfig(), REPORT, 8) == bst + top


def test_a_recurrent_layer_is_counted() -> None:
    """nn.LSTM on the CPU is one fused operator: four gates, each of the input and of the state before."""
    lstm, steps = torch.nn.LSTM(5, 7, batch_first=True), torch.zeros(3, 11, 5)
    with FlopCounterMode(display=False, custom_mapping=uncounted_by_torch()) as counter, torch.no_grad():
        lstm(steps)
    assert counter.get_total_flops() / 2 == 3 * 11 * 4 * 7 * (5 + 7)


def test_memory_covers_weights_and_grows_with_the_batch() -> None:
    config = MDAFConfig()
    # Large, so without a gradient of their size: items, context fields with the user, the static branch's fields.
    sizes = REPORT.categorical
    large_tables = 64 * sizes["item"] + 16 * (sizes["user"] + sizes["hour"] + sizes["dayofweek"])
    large_tables += 16 * sum(sizes.values())
    weights = 16 * count_parameters(config, REPORT).total - 4 * large_tables
    small, large = (_bytes(config, rows, rows, 7) for rows in (1024, 4096))
    assert weights < small < large
    assert large - weights == pytest.approx(4 * (small - weights), rel=1e-6)
    assert _bytes(config, 1024, 1024, 50) > 3 * (small - weights) + weights
    assert _bytes(config, 1024, 4096, 7) < large


def _bytes(config: MDAFConfig, rows: int, evaluated: int, length: int) -> int:
    return training_bytes(config, REPORT, *(Shape(n, n * length, length) for n in (rows, evaluated)))


def test_reading_the_registry_does_not_load_torch() -> None:
    code = "import sys, mdaf_core.models.registry, mdaf_core.models.summary; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
