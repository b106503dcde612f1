"""What must hold for every model, over all presets."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from mdaf_core.base.errors import StudioError
from mdaf_core.data.store.schema import UNKNOWN, FeatureSpec
from mdaf_core.models.autoint import AutoIntConfig
from mdaf_core.models.base import CTRModel, ModelSettings
from mdaf_core.models.bst import BSTConfig
from mdaf_core.models.dcnv2 import DCNv2Config
from mdaf_core.models.dcnv3 import DCNv3Config
from mdaf_core.models.gdcn import GDCNConfig
from mdaf_core.models.mamba4rec import Mamba4RecConfig
from mdaf_core.models.masknet import MaskNetConfig
from mdaf_core.models.mdaf import MDAFConfig
from mdaf_core.models.registry import build_model
from mdaf_core.runs.presets import get_preset, preset_names
from tests.models.batches import (
    HISTORY_WITHOUT_ITEM,
    NO_CATEGORY,
    NO_HISTORY,
    ONLY_NUMERIC,
    RICH,
    USUAL,
    random_batch,
    take,
)

# Every neural preset, and the options that no preset uses.
CONFIGS: dict[str, ModelSettings] = {n: get_preset(n).model for n in preset_names() if get_preset(n).model.network}
CONFIGS |= {
    "autoint-no-tower": AutoIntConfig(hidden_units=[], layers=1),
    "dcnv2-stacked": DCNv2Config(structure="stacked"),
    "dcnv2-low-rank": DCNv2Config(low_rank=4),
    "dcnv2-no-tower": DCNv2Config(hidden_units=[]),
    "dcnv3-heads": DCNv3Config(num_heads=4),
    "gdcn-stacked": GDCNConfig(structure="stacked"),
    "masknet-serial": MaskNetConfig(structure="serial"),
    "bst-deep": BSTConfig(blocks=2, match_features=False, positions=5),
    "mamba4rec-ffn-last": Mamba4RecConfig(ffn=True, pooling="last"),
    "mamba4rec-scalar-target": Mamba4RecConfig(dt_rank="scalar", hidden_units=[]),
    "mdaf-no-branch-loss": MDAFConfig(branch_loss_weight=0.0),
    "mdaf-fixed-report": MDAFConfig(fusion="fixed", sequential=Mamba4RecConfig(pooling="mean", target_aware=False)),
}
LENGTHS = [3, 0, 50, 1, 7, 0, 12, 2]
every_model = pytest.mark.parametrize("name", CONFIGS)
every_layout = pytest.mark.parametrize(
    "features", [USUAL, RICH, NO_CATEGORY, HISTORY_WITHOUT_ITEM], ids=["usual", "rich", "no-category", "category-only"]
)


def build(name: str, features: FeatureSpec = USUAL, seed: int = 0, perturbed: bool = True) -> CTRModel:
    """The model; `perturbed` moves every parameter, so that nothing holds only because of how weights start."""
    torch.manual_seed(seed)
    model = build_model(CONFIGS[name], features)
    if perturbed:
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
    return model


@every_model
@every_layout
def test_gradients_are_finite_and_reach_every_parameter(name: str, features: FeatureSpec) -> None:
    model = build(name, features).train()
    for lengths in (LENGTHS, [0, 0, 0], [4], [0], [50, 1]):
        model.zero_grad()
        batch = random_batch(features, lengths)
        output = model(batch)
        loss = model.loss(output, batch.label_B)
        loss.backward()
        assert output.logit_B.shape == (len(lengths),)
        assert torch.isfinite(output.logit_B).all() and torch.isfinite(loss)
        for key, parameter in model.named_parameters():
            assert parameter.grad is None or torch.isfinite(parameter.grad).all(), key
    model.zero_grad()
    for seed in range(3):  # ReLU and dropout may silence a unit once
        batch = random_batch(features, LENGTHS * 4, seed=seed)
        model.loss(model(batch), batch.label_B).backward()
        dead = [
            key for key, parameter in model.named_parameters() if parameter.grad is None or not parameter.grad.any()
        ]
        if not dead:
            return
    pytest.fail(f"dead: {dead}")


@every_model
@pytest.mark.parametrize("features", [USUAL, RICH], ids=["usual", "rich"])
def test_packed_rows_equal_rows_alone_in_any_order(name: str, features: FeatureSpec) -> None:
    model = build(name, features).eval()
    batch = random_batch(features, LENGTHS)
    with torch.no_grad():
        together = model(batch).logit_B
        alone = torch.cat([model(take(batch, [row])).logit_B for row in range(len(batch))])
        order = [5, 2, 0, 7, 1, 6, 4, 3]
        shuffled = model(take(batch, order)).logit_B
    assert together.std() > 1e-3
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(shuffled, together[order], rtol=1e-5, atol=1e-5)


@every_model
def test_weights_survive_safetensors(name: str, tmp_path) -> None:
    model, other = build(name, seed=0).eval(), build(name, seed=1).eval()
    batch = random_batch(USUAL, LENGTHS)
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, tmp_path / "weights.safetensors")
    assert not torch.equal(model(batch).logit_B, other(batch).logit_B)
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert torch.equal(model(batch).logit_B, other(batch).logit_B)


@every_model
def test_same_seed_builds_the_same_model(name: str) -> None:
    first, second = build(name, seed=3).state_dict(), build(name, seed=3).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)


@every_model
def test_an_id_never_seen_in_training_adds_nothing(name: str) -> None:
    """Reserved codes of every table start at zero."""
    model = build(name, perturbed=False)
    tables = model.embedding_parameters()
    assert tables
    start = 0
    for size in USUAL.categorical.values():
        for table in tables:
            if len(table) == size:
                assert not table[:2].any()
            elif len(table) == sum(USUAL.categorical.values()):
                assert not table[start : start + 2].any()
        start += size


@every_model
def test_hidden_ids_change_training_only(name: str) -> None:
    model = build(name)
    model.unknown_rate = 0.5
    batch = random_batch(USUAL, [5] * 400, first_code=2)
    assert model.eval().hide_ids(batch) is batch
    hidden = model.train().hide_ids(batch)
    changed = hidden.categorical_BF != batch.categorical_BF
    assert (hidden.categorical_BF[changed] == UNKNOWN).all()
    assert 0.3 < changed.float().mean() < 0.7
    gone = set(batch.categorical_BF[changed[:, 0], 0].tolist())
    item = batch.history["item"]
    assert gone and ((hidden.history["item"] == UNKNOWN) == torch.tensor([i in gone for i in item.tolist()])).all()
    assert hidden.match_BM is batch.match_BM and hidden.equal_TH is batch.equal_TH


@every_model
def test_histories_are_gathered_where_they_are_read(name: str) -> None:
    model = build(name).eval()
    assert model.events_read(50) == (50 if CONFIGS[name].reads_history else 0)
    batch = random_batch(USUAL, [5] * 20)
    without = replace(
        batch,
        cu_seqlens=torch.zeros_like(batch.cu_seqlens),
        history={field: codes[:0] for field, codes in batch.history.items()},
        history_age_T=batch.history_age_T[:0],
        gap_T=batch.gap_T[:0],
        equal_TH=batch.equal_TH[:0],
        match_BM=torch.zeros_like(batch.match_BM),
    )
    assert torch.equal(model(batch).logit_B, model(without).logit_B) == (not model.reads_history)


@pytest.mark.parametrize("features", [NO_HISTORY, ONLY_NUMERIC], ids=["no-history", "only-numeric"])
@every_model
def test_data_without_histories(name: str, features: FeatureSpec) -> None:
    if CONFIGS[name].reads_history:
        with pytest.raises(StudioError, match="no histories"):
            build(name, features)
        return
    model = build(name, features)
    batch = random_batch(features, [0] * 20)
    loss = model.loss(model(batch), batch.label_B)
    loss.backward()
    assert torch.isfinite(loss)


@every_model
def test_data_without_fields(name: str) -> None:
    with pytest.raises(StudioError):
        build(name, FeatureSpec(categorical={}))


@every_model
def test_a_missing_number_is_not_a_number_of_zero(name: str) -> None:
    model = build(name, RICH).eval()
    batch = random_batch(RICH, LENGTHS)
    batch.numeric_BG.zero_()
    with torch.no_grad():
        zero = model(batch).logit_B
        batch.numeric_BG[:, 1] = torch.nan
        missing = model(batch).logit_B
    assert torch.isfinite(missing).all() and not torch.allclose(zero, missing)


@every_model
def test_learns_a_simple_rule(name: str) -> None:
    """Loss falls well below that of the base rate when the label follows from the hour."""
    model = build(name, perturbed=False).train()
    batch = random_batch(USUAL, [2, 0] * 32, first_code=2)
    target = (batch.categorical_BF[:, 3] % 2).float()
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(8):
        for _ in range(5):
            optimiser.zero_grad()
            model.loss(model(batch), target).backward()
            optimiser.step()
        with torch.no_grad():
            loss = torch.nn.functional.binary_cross_entropy_with_logits(model.eval()(batch).logit_B, target)
        if loss < 0.4:
            break
        model.train()
    assert loss < 0.4


def test_gbdt_is_refused_with_a_reason() -> None:
    with pytest.raises(StudioError, match="LightGBM"):
        build_model(get_preset("gbdt").model, USUAL)
