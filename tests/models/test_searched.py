"""SIM and ETA: what is searched out, against loops, and the pooled vectors and gradients in float64."""

from __future__ import annotations

import math

import pytest
import torch

from mdaf_core.models.eta import ETAConfig
from mdaf_core.models.registry import build_model
from mdaf_core.models.searched import age_bucket
from mdaf_core.models.sim import SIMConfig
from tests.models.batches import HISTORY_WITHOUT_ITEM, NO_CATEGORY, RICH, USUAL, random_batch

LENGTHS = [30, 0, 2, 1, 12]
SIZES = {"hidden_dim": 6, "heads": 2, "item_dim": 3, "category_dim": 2, "static_dim": 2, "hidden_units": [4]}


def built(config, features):  # type: ignore[no-untyped-def]
    torch.manual_seed(0)
    model = build_model(config, features).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def chosen(model, config, batch):  # type: ignore[no-untyped-def]
    """Of each row the places in its history, from 0, that a search finds, by sorting."""
    event_TE, target_BE = model.encoder.look_up(batch)
    found = []
    for b, length in enumerate(LENGTHS):
        begin, scores = int(batch.cu_seqlens[b]), []
        for t in range(length):
            if isinstance(config, SIMConfig):
                if batch.equal_TH[begin + t, model.encoder.field]:
                    scores.append((0, t))
            else:
                bits = [v @ model.encoder.planes_EM > 0 for v in (event_TE[begin + t], target_BE[b])]
                scores.append((int((bits[0] == bits[1]).sum()), t))
        found.append(sorted(t for _, t in sorted(scores)[-config.found :]))
    return found


@pytest.mark.parametrize("features", [USUAL, RICH], ids=["usual", "rich"])
@pytest.mark.parametrize("kind", [SIMConfig, ETAConfig], ids=["sim", "eta"])
def test_what_is_pooled_is_the_definition(kind, features) -> None:
    config = kind(found=2, recent=2, **SIZES)
    model = built(config, features)
    encoder, batch = model.encoder, random_batch(features, LENGTHS, seed=2, first_code=2)
    batch.numeric_BG, batch.match_BM = batch.numeric_BG.double(), batch.match_BM.double()
    events = chosen(model, config, batch)
    assert {len(one) for one in events} >= {0, 2}
    event_TE, target_BE = encoder.look_up(batch)
    width, pooled = config.hidden_dim // config.heads, []
    for b, length in enumerate(LENGTHS):
        begin, v = int(batch.cu_seqlens[b]), target_BE[b]
        short = torch.zeros_like(v)
        for t in range(max(length - 2, 0), length):
            e = event_TE[begin + t]
            short = short + encoder.weigh.net(torch.cat([e, v, e - v, e * v]).unsqueeze(0))[0, 0] * e
        query, long = encoder.query(v), torch.zeros(config.hidden_dim, dtype=torch.float64)
        if events[b]:
            ages = [
                encoder.ages.weight[min(int(math.log(max(float(batch.history_age_T[begin + t]), 1)) / 0.3), 63)]
                for t in events[b]
            ]
            given = [
                encoder.key_value(torch.cat([event_TE[begin + t], age])) for t, age in zip(events[b], ages, strict=True)
            ]
            parts = []
            for h in range(config.heads):
                part = slice(h * width, (h + 1) * width)
                scores = torch.stack([query[part] @ one[: config.hidden_dim][part] / math.sqrt(width) for one in given])
                values = torch.stack([one[config.hidden_dim :][part] for one in given])
                parts.append(torch.softmax(scores, dim=0) @ values)
            long = torch.cat(parts)
        pooled.append(torch.cat([short, long]))
    expected = model.out(encoder.represent(torch.stack(pooled), target_BE, batch)).squeeze(1)
    got = model(batch).logit_B
    torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-10)
    parameters = list(model.parameters())
    for mine, theirs in zip(*(torch.autograd.grad(y.square().sum(), parameters) for y in (got, expected)), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("features", [NO_CATEGORY, HISTORY_WITHOUT_ITEM], ids=["no-category", "category-only"])
def test_hard_search_takes_the_field_that_there_is(features) -> None:
    model = built(SIMConfig(**SIZES), features)
    wanted = "category" if "category" in features.history else "item"
    assert features.history[model.encoder.field] == wanted


@torch.inference_mode()
def test_events_that_are_not_found_do_not_matter() -> None:
    model = built(SIMConfig(found=3, recent=2, **SIZES), USUAL)
    batch = random_batch(USUAL, [40], first_code=2)
    batch.match_BM = batch.match_BM.double()
    before = model(batch).logit_B
    unread = ~batch.equal_TH[:, model.encoder.field]
    unread[-2:] = False
    assert unread.sum() > 20
    batch.history["item"][unread] = 2
    batch.history_age_T[unread] *= 3
    assert torch.equal(model(batch).logit_B, before)


def test_buckets_of_age() -> None:
    age = torch.tensor([0.0, 1.0, 1.3, 1.4, 60.0, 86400.0, 1e12])
    expected = [min(int(math.log(max(a, 1)) / 0.3), 63) for a in age.tolist()]
    assert age_bucket(age).tolist() == expected
