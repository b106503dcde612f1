"""A state that goes on with each event: the same as reading the whole history at once, however it is cut."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mdaf_core.data.batches.loader import Kept, Slices
from mdaf_core.models.bst import BSTConfig
from mdaf_core.models.gru import GRUConfig
from mdaf_core.models.hstu import HSTUConfig
from mdaf_core.models.mamba2 import Mamba2Config
from mdaf_core.models.mamba3 import Mamba3Config
from mdaf_core.models.mamba4rec import Mamba4RecConfig
from mdaf_core.models.mdaf import MDAFConfig
from mdaf_core.models.mean import MeanConfig
from mdaf_core.models.registry import build_model
from mdaf_core.models.sasrec import SASRecConfig
from mdaf_core.ops import carried
from mdaf_core.runs.presets import get_preset, preset_names
from tests.models.batches import HISTORY_WITHOUT_ITEM, RICH, USUAL, random_batch

SMALL = {"hidden_dim": 32, "item_dim": 8, "category_dim": 8, "hidden_units": [16]}
CONFIGS = {
    "target": Mamba4RecConfig(**SMALL),
    "mean": Mamba4RecConfig(pooling="mean", target_aware=False, match_features=False, dt_rank="scalar", **SMALL),
    "last": Mamba4RecConfig(pooling="last", ffn=True, blocks=3, **SMALL),
    "mean-target-aware": Mamba4RecConfig(pooling="mean", conv_width=2, state_dim=3, **SMALL),
    "odd-width": Mamba4RecConfig(**SMALL | {"hidden_dim": 20}),
    "whole-vectors": Mamba4RecConfig(**SMALL | {"hidden_dim": 64}),
    "whole-vectors-scalar": Mamba4RecConfig(dt_rank="scalar", conv_width=2, **SMALL | {"hidden_dim": 64}),
    "mdaf": MDAFConfig(sequential=Mamba4RecConfig(**SMALL)),
    "mdaf-vector": MDAFConfig(fusion="gate-vector", sequential=Mamba4RecConfig(pooling="mean", **SMALL)),
}
every_model = pytest.mark.parametrize("name", CONFIGS)
OTHERS = {
    f"encoder-{c.kind}": c
    for c in (
        MeanConfig(**SMALL),
        GRUConfig(**SMALL),
        SASRecConfig(**SMALL),
        HSTUConfig(**SMALL),
        Mamba2Config(**SMALL),
        Mamba3Config(**SMALL),
    )
} | {
    "told-more": MDAFConfig(
        normalise=True,
        sequential=Mamba4RecConfig(time_aware=True, gap_inputs=True, recent_matches=4, **SMALL),
    )
}


def build(name: str, features=USUAL, dtype=torch.float64):  # type: ignore[no-untyped-def]
    torch.manual_seed(3)
    model = build_model((CONFIGS | OTHERS)[name], features)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.to(dtype).eval()


def user(features, events: int, candidates: int = 5, most: int = 50, seed: int = 0):  # type: ignore[no-untyped-def]
    """Candidates of one user as a batch that holds the user's events once, of which each reads the newest `most`."""
    log = random_batch(features, [events], seed)
    history, gap_T = log.history, log.gap_T
    rows = random_batch(features, [0] * candidates, seed + 1)
    columns = [list(features.categorical).index(name) for name in features.history]
    begin_B, end_B = torch.full((candidates,), max(events - most, 0)), torch.full((candidates,), events)
    identity_TH = torch.stack(list(history.values()), dim=1)
    slices = Slices(begin_B, end_B, identity_TH, rows.categorical_BF[:, columns].contiguous())
    cu = torch.tensor([0, events], dtype=torch.int32)
    return replace(rows, history=history, gap_T=gap_T, cu_seqlens=cu, slices=slices)


def kept(batch, output_TD, most: int = 50):  # type: ignore[no-untyped-def]
    """The same candidates with the outputs in the place of the events."""
    none = {name: codes[:0] for name, codes in batch.history.items()}
    state = Kept(output_TD[-most:], batch.slices.identity_TH[-most:], batch.slices.target_BH)
    return replace(batch, history=none, slices=None, cu_seqlens=batch.cu_seqlens[:1], kept=state)


def read(model, batch, cuts):  # type: ignore[no-untyped-def]
    """Outputs, and the state, of a history read in parts."""
    history, gap_T = batch.history, batch.gap_T.to(next(model.parameters()).dtype)
    state, parts = model.begin(), []
    for begin, end in zip([0, *cuts], [*cuts, None], strict=True):
        part = {name: codes[begin:end] for name, codes in history.items()}
        parts.append(model.read(part, gap_T[begin:end], state))
    return torch.cat(parts), state


@every_model
@pytest.mark.parametrize("events", [0, 1, 2, 3, 4, 70])
@torch.inference_mode()
def test_scores_are_those_of_the_forward_pass(name, events) -> None:
    model, batch = build(name), user(USUAL, events)
    outputs, _ = read(model, batch, range(1, events))
    torch.testing.assert_close(model(kept(batch, outputs)).logit_B, model(batch).logit_B, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize(("events", "cuts"), [(0, []), (1, []), (70, [1, 20, 21])])
@torch.inference_mode()
def test_scores_of_other_encoders(name, events, cuts) -> None:
    model, batch = build(name), user(USUAL, events)
    outputs, _ = read(model, batch, cuts)
    torch.testing.assert_close(model(kept(batch, outputs)).logit_B, model(batch).logit_B, rtol=1e-9, atol=1e-9)


@every_model
@given(st.lists(st.integers(0, 40), max_size=5).map(sorted), st.integers(0, 99))
@settings(max_examples=8)
@torch.inference_mode()
def test_any_cut_of_a_history_gives_the_same_state(name, cuts, seed) -> None:
    model, batch = build(name), user(USUAL, 40, seed=seed)
    whole, state = read(model, batch, [])
    parts, other = read(model, batch, cuts)
    torch.testing.assert_close(parts, whole, rtol=1e-9, atol=1e-9)
    for mine, theirs in zip(other, state, strict=True):
        torch.testing.assert_close(mine.h, theirs.h, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(mine.before_KD, theirs.before_KD, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("dtype", "close"), [(torch.float64, 1e-9), (torch.float32, 2e-5)])
@torch.inference_mode()
def test_two_thousand_events_one_by_one(dtype, close) -> None:
    model, batch = build("target", dtype=dtype), user(USUAL, 2000, most=300)
    whole, _ = read(model, batch, [])
    parts, _ = read(model, batch, range(1, 2000))
    torch.testing.assert_close(parts, whole, rtol=close, atol=close)
    answers = model(kept(batch, parts, 300)).logit_B
    torch.testing.assert_close(answers, model(batch).logit_B, rtol=close, atol=close)


@pytest.mark.parametrize("features", [RICH, HISTORY_WITHOUT_ITEM], ids=["rich", "category-only"])
@torch.inference_mode()
def test_other_fields(features) -> None:
    model, batch = build("target", features), user(features, 9, most=4)
    outputs, _ = read(model, batch, [5])
    torch.testing.assert_close(model(kept(batch, outputs, 4)).logit_B, model(batch).logit_B, rtol=1e-9, atol=1e-9)


@torch.inference_mode()
def test_the_kernels_are_the_recurrence_as_it_is_written(monkeypatch) -> None:
    model, batch = build("target"), user(USUAL, 30)
    fast, state = read(model, batch, [7])
    monkeypatch.setattr(carried, "implementation", lambda device: "reference")
    slow, other = read(model, batch, [7])
    torch.testing.assert_close(fast, slow, rtol=1e-10, atol=1e-10)
    for mine, theirs in zip(state, other, strict=True):  # the kernels keep 64 channels side by side
        h_DN = mine.h.view(-1, theirs.h.shape[1], 64).transpose(1, 2).reshape(theirs.h.shape)
        torch.testing.assert_close(h_DN, theirs.h, rtol=1e-10, atol=1e-10)


@torch.inference_mode()
def test_users_do_not_share_a_state() -> None:
    model, batch = build("target"), user(USUAL, 6)
    alone, _ = read(model, batch, [3])
    state, other = model.begin(), model.begin()
    gap_T = batch.gap_T.double()
    first = model.read({name: codes[:3] for name, codes in batch.history.items()}, gap_T[:3], state)
    model.read({name: codes.flip(0) for name, codes in batch.history.items()}, gap_T, other)
    second = model.read({name: codes[3:] for name, codes in batch.history.items()}, gap_T[3:], state)
    torch.testing.assert_close(torch.cat([first, second]), alone, rtol=0, atol=0)


def test_what_keeps_no_state_says_why() -> None:
    for name in preset_names():
        model = get_preset(name).model
        assert bool(model.lacks_state) != model.causal, name
    assert "target" in MDAFConfig(sequential=BSTConfig()).lacks_state
    assert "no history" in get_preset("lr").model.lacks_state
