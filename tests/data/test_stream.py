"""Batches that hold each event once against those in which each row has its own."""

from __future__ import annotations

import numpy as np
import pytest

from mdaf_core.data.batches.loader import BatchLoader
from mdaf_core.data.batches.stream import GRID, StreamLoader, beginnings


@pytest.mark.parametrize("most", [1, 7, 50])
def test_each_row_reads_what_it_reads_in_a_batch_of_its_own(tiny, most):
    index_B = np.random.default_rng(most).permutation(len(tiny.rows("train")))[:200]
    alone = BatchLoader(tiny, "train", 200, max_history=most).gather(index_B)
    shared = StreamLoader(tiny, "train", 200, max_history=most).gather(index_B)
    assert shared.slices is not None
    assert len(shared.slices.identity_TH) <= len(alone.equal_TH) or most == 1
    for name in ("label_B", "categorical_BF", "numeric_BG", "row_id_B", "user_B", "timestamp_B", "lengths_B"):
        np.testing.assert_array_equal(getattr(shared, name), getattr(alone, name))
    np.testing.assert_allclose(shared.match_BM, alone.match_BM, rtol=1e-6)
    for b in range(200):
        own = slice(alone.cu_seqlens[b], alone.cu_seqlens[b + 1])
        read = slice(shared.slices.begin_B[b], shared.slices.end_B[b])
        for name, codes_T in alone.history.items():
            np.testing.assert_array_equal(shared.history[name][read], codes_T[own])
        target_H, ids_TH = shared.slices.target_BH[b], shared.slices.identity_TH[read]
        np.testing.assert_array_equal((ids_TH == target_H) & (target_H > 1), alone.equal_TH[own])


def test_slices_lie_within_one_users_events(tiny):
    batch = StreamLoader(tiny, "test", 10**6).gather(np.arange(len(tiny.rows("test"))))
    assert batch.slices is not None
    filled = batch.lengths_B.numpy() > 0
    begin, end, cu = (x.numpy() for x in (batch.slices.begin_B, batch.slices.end_B, batch.cu_seqlens))
    sequence = np.searchsorted(cu, begin, side="right") - 1
    assert (end[filled] <= cu[sequence[filled] + 1]).all()
    assert (begin[filled] >= cu[sequence[filled]]).all()


@pytest.mark.parametrize("block", [1, 5, 1000])
def test_a_pass_in_blocks_has_every_row_once_and_repeats_itself(tiny, block):
    loader = StreamLoader(tiny, "train", 64, shuffle_seed=(3, 1), block=block)
    order = loader.order()
    np.testing.assert_array_equal(np.sort(order), np.arange(len(tiny.rows("train"))))
    np.testing.assert_array_equal(order, loader.order())
    assert not np.array_equal(order, StreamLoader(tiny, "train", 64, shuffle_seed=(3, 2), block=block).order())
    rows = tiny.rows("train")
    first = np.asarray(rows.history_start)[order]
    same_user = first[1:] == first[:-1]
    if block == 1000:  # all rows of a user follow each other, but for the cut of the shift
        assert same_user.mean() > 0.5 * (1 - len(np.unique(first)) / len(first))


def test_where_encoding_begins_depends_on_the_row_alone_and_leaves_it_its_history():
    end = np.arange(0, 10_000)
    for most in (1, 50, 3000):
        begin = beginnings(np.zeros_like(end), end, most)
        assert (end - begin >= np.minimum(end, most)).all()
        assert (end - begin <= max(GRID, most) + most).all()
        assert (begin % max(GRID, most) == 0).all()


@pytest.mark.parametrize("block", [1, 3, 16, 10_000])
def test_rows_drawn_together_are_the_mean_size_of_blocks(tiny, block):
    user_N, in_order = np.asarray(tiny.rows("train").history_start), StreamLoader(tiny, "train", 256).order()
    place_N = np.argsort(in_order)

    def blocks(seed: int) -> int:
        """Stretches of a pass that a user's next row does not continue."""
        order = StreamLoader(tiny, "train", 256, shuffle_seed=(seed,), block=block).order()
        follows = np.diff(place_N[order]) == 1
        return 1 + int((~follows | (np.diff(user_N[order]) != 0)).sum())

    together = StreamLoader(tiny, "train", 256, block=block).drawn_together
    assert together == pytest.approx(len(user_N) / np.mean([blocks(seed) for seed in range(40)]), rel=0.02)
    assert BatchLoader(tiny, "train", 256).drawn_together == 1
    assert StreamLoader(tiny, "train", 256, block=block, rows=np.arange(0)).drawn_together == 1
