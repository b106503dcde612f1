"""What other users' logs say of a target, against its definition: pair by pair, in float64."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
import torch

from mdaf_core.base.errors import StudioError
from mdaf_core.data.batches.loader import Batch, Kept
from mdaf_core.data.store.schema import FIRST_ID
from mdaf_core.models import co_occurrence
from mdaf_core.models.co_occurrence import FOLDS, NEWEST, SMOOTHING, WINDOW, CoOccurrence
from mdaf_core.models.mamba4rec import Mamba4RecConfig
from mdaf_core.models.registry import build_model
from mdaf_core.models.weights import load_model, save_weights
from mdaf_core.testing.data import GeneratedData
from tests.models.batches import ONLY_NUMERIC, USUAL

DATA = GeneratedData()
FEATURES = DATA.meta.features()


def counted(data: GeneratedData = DATA) -> CoOccurrence:
    part = CoOccurrence(data.meta.features())
    part.count(data)
    return part.eval()


def logs(data: GeneratedData) -> dict[int, list[int]]:
    """The categories that training rows of each user can read, oldest first."""
    rows, category = data.rows("train"), data.events["category"]
    found: dict[int, list[int]] = {}
    for user, start, end in zip(rows.columns["user"], rows.history_start, rows.history_end, strict=True):
        log = category[start:end].tolist()
        found[int(user)] = max(found.get(int(user), []), log, key=len)
    return found


def by_hand(data: GeneratedData, batch: Batch) -> np.ndarray:
    """As `CoOccurrence` says: every pair of every log, and every event of every row."""
    n: dict[tuple[int, int, int], float] = defaultdict(float)
    for user, log in logs(data).items():
        for i, a in enumerate(log):
            for w, b in enumerate(log[i + 1 : i + 1 + WINDOW], start=1):
                if a != b and min(a, b) >= FIRST_ID:
                    n[user % FOLDS, a, b] += 1 / w
                    n[user % FOLDS, b, a] += 1 / w
    names, found = list(FEATURES.categorical), []
    for row in range(len(batch)):
        user, target = (int(batch.categorical_BF[row, names.index(name)]) for name in ("user", "category"))
        others = defaultdict(float)
        for (fold, a, b), count in n.items():
            if user < FIRST_ID or fold != user % FOLDS:
                others[a, b] += count
        r: dict[int, float] = defaultdict(float)
        for (a, _), count in others.items():
            r[a] += count
        begin, end = batch.cu_seqlens[row : row + 2].tolist()
        newest = batch.history["category"][begin:end].tolist()[::-1][:NEWEST]
        told = []
        for k, d in enumerate(newest, start=1):
            if d >= FIRST_ID and target >= FIRST_ID and d != target:
                told.append((k, others[d, target], r[d] * r[target] / sum(r.values())))
        if not told:
            found.append([0.0] * 6)
            continue
        lift = [math.log((o + SMOOTHING) / (e + SMOOTHING)) for _, o, e in told]
        weight = [1 / k for k, _, _ in told]
        near, observed, expected = (
            sum(w * x for w, x in zip(weight, xs, strict=True)) / sum(weight)
            for xs in (lift, [o for _, o, _ in told], [e for _, _, e in told])
        )
        five = [x for x, (k, _, _) in zip(lift, told, strict=True) if k <= 5]
        together = math.log((observed + SMOOTHING) / (expected + SMOOTHING))
        found.append([near, sum(lift) / len(lift), max(lift), together, lift[0], max(five, default=0.0)])
    return np.array(found)


@pytest.mark.parametrize("split", ["train", "val"])
def test_against_the_definition(split) -> None:  # type: ignore[no-untyped-def]
    batch = DATA.batch(split, np.arange(60))
    user_B = batch.categorical_BF[:, list(FEATURES.categorical).index("user")]
    user_B[:3] = 1  # unknown: all users are others
    expected, part = by_hand(DATA, batch), counted()
    assert np.abs(expected).max() > 0.2
    np.testing.assert_allclose(part.ratios(batch), expected, atol=2e-5)
    part.train()  # a user that is hidden while training is told nothing
    expected[user_B < FIRST_ID] = 0
    np.testing.assert_allclose(part.ratios(batch), expected, atol=2e-5)


def test_windows_shared_events_and_kept_ones_tell_the_same() -> None:
    part, index = counted(), DATA.by_user("val", 40)
    own, shared = DATA.batch("val", index, 60), DATA.shared_batch("val", index, 60)
    assert torch.equal(part.ratios(own), part.ratios(shared))
    begin, end = own.cu_seqlens[-2:].tolist()
    identity_TH = torch.stack([own.history[name] for name in FEATURES.history], dim=1)[begin:end]
    last = {"categorical_BF": own.categorical_BF[-1:], "label_B": own.label_B[-1:]}
    kept = replace(own, **last, kept=Kept(torch.zeros(end - begin, 4), identity_TH, identity_TH[-1:]))
    assert torch.equal(part.ratios(own)[-1:], part.ratios(kept))


def test_a_row_is_told_of_other_users_alone() -> None:
    """Whatever a training row's own user did, before or later, the row is told the same."""
    batch, column = DATA.batch("train"), list(FEATURES.categorical).index("user")
    changed, rows = GeneratedData(), DATA.rows("train")
    longest = (rows.history_end - rows.history_start).argmax()
    user, begin, end = (int(rows.columns[name][longest]) for name in ("user", "history_start", "history_end"))
    changed._events = {name: values.copy() for name, values in changed.events.items()}
    changed._events["category"][begin:end] = FIRST_ID + np.arange(end - begin) % 3
    before, after = counted().ratios(batch), counted(changed).ratios(batch)
    same_part = batch.categorical_BF[:, column] % FOLDS == user % FOLDS
    torch.testing.assert_close(before[same_part], after[same_part], rtol=0, atol=1e-5)
    assert (before[~same_part] - after[~same_part]).abs().max() > 0.01


def test_what_was_counted_is_kept_with_the_weights(tmp_path) -> None:  # type: ignore[no-untyped-def]
    small = {"hidden_dim": 8, "item_dim": 4, "category_dim": 4, "hidden_units": [8], "blocks": 1}
    config = Mamba4RecConfig(co_occurrence=True, **small)
    model = build_model(config, FEATURES)
    batch = DATA.batch("test")
    before = model.eval()(batch).logit_B
    co_occurrence.count(model, DATA)
    expected = model(batch).logit_B
    assert not torch.allclose(before, expected)
    save_weights(model, tmp_path / "weights.safetensors")
    assert torch.equal(load_model(config, FEATURES, tmp_path / "weights.safetensors")(batch).logit_B, expected)


def test_the_pairs_that_count_most_are_kept(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    whole = counted()
    monkeypatch.setattr(co_occurrence, "MOST_PAIRS", 50)
    part = counted()
    assert len(part.pair_P) == 51  # and the one that stands for none
    assert part.count_P[1:].min() >= whole.count_P.sort(descending=True).values[50]
    assert torch.equal(part.sum_FV, whole.sum_FV)
    assert torch.equal(part.pair_P, part.pair_P.sort().values)


def test_what_it_needs_is_said() -> None:
    with pytest.raises(StudioError, match="role user"):
        CoOccurrence(replace(USUAL, user=None))
    with pytest.raises(ValueError, match="target_aware"):
        Mamba4RecConfig(co_occurrence=True, pooling="last", target_aware=False)
    with pytest.raises(StudioError, match="no histories"):
        build_model(Mamba4RecConfig(co_occurrence=True), ONLY_NUMERIC)
