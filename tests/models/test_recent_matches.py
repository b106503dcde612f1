"""Which of the newest events have the target's ids: told the same of windows, of shared events and of kept ones."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mdaf_core.data.batches.loader import Kept, Slices
from mdaf_core.data.store.schema import FIRST_ID
from mdaf_core.models.layered import recent_matches
from tests.models.batches import RICH, USUAL, random_batch


def by_hand(batch, features, newest: int) -> torch.Tensor:  # type: ignore[no-untyped-def]
    """Row by row, event by event."""
    found = torch.zeros(len(batch), newest, len(features.history), dtype=torch.bool)
    for row in range(len(batch)):
        begin, end = batch.cu_seqlens[row : row + 2].tolist()
        for place, event in enumerate(range(end - 1, max(begin, end - newest) - 1, -1)):
            for field, name in enumerate(features.history):
                code = int(batch.categorical_BF[row, list(features.categorical).index(name)])
                found[row, place, field] = code >= FIRST_ID and int(batch.history[name][event]) == code
    return found


@pytest.mark.parametrize("features", [USUAL, RICH], ids=["usual", "three-fields"])
@pytest.mark.parametrize("lengths", [[3, 0, 50, 1, 7, 0], [0, 0], [0, 20]])
def test_all_ways_of_reading_tell_the_same(features, lengths) -> None:  # type: ignore[no-untyped-def]
    batch = random_batch(features, lengths)
    expected = by_hand(batch, features, 5)
    assert torch.equal(recent_matches(batch, 5), expected)

    identity_TH = torch.stack(list(batch.history.values()), dim=1)
    columns = [list(features.categorical).index(name) for name in features.history]
    target_BH = batch.categorical_BF[:, columns]
    begin_B, end_B = batch.cu_seqlens[:-1].long(), batch.cu_seqlens[1:].long()
    shared = replace(batch, slices=Slices(begin_B, end_B, identity_TH, target_BH))
    assert torch.equal(recent_matches(shared, 5), expected)

    begin, end = int(begin_B[-1]), int(end_B[-1])  # the last row's events, kept, and that row alone
    own = {"label_B": batch.label_B[-1:], "slices": None}
    kept = replace(batch, **own, kept=Kept(torch.zeros(end - begin, 4), identity_TH[begin:end], target_BH[-1:]))
    assert torch.equal(recent_matches(kept, 5), expected[-1:])
