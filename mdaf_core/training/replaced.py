"""What a trained model says of rows with a part replaced: g, a branch's vector, the history.

Each answer that is drawn at random is drawn several times. Kept is not every logit but what of it enters an AUC and its
jackknife over users, averaged over the draws (`answer_columns`): both are linear in it, so that the difference from the
mean AUC over all draws can be tested, and averaged over seeds, from these columns.

All answers are functions of the model's answers alone: a model whose branches are scaled and whose gate and head undo
that, so that it predicts the same, has the same columns but for `g` itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mdaf_core.metrics.auc import placements
from mdaf_core.metrics.values import Undefined, clusters, pairs_within
from mdaf_core.training.draws import BRANCH_DRAWS, DRAWS, HISTORY_DRAWS, REPRESENTATIVES, draws_of

Answer = Callable[[Tensor, Tensor, Tensor | None], Tensor]
Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Fused:
    """A trained model as its two branches and what makes one logit of them.

    Attributes:
        vectors: rows (indices, (B,)) → the static and the sequential branch's vectors, (B, D) each.
        answer: vectors (B, D) and g, (B, 1) or (B, D), or None for the gate's own → logits (B,).
        gate: g of all rows as the gate gives it, (N, 1) or (N, D); None where there is no gate.
    """

    vectors: Callable[[NDArray[np.int64]], tuple[Tensor, Tensor]]
    answer: Answer
    gate: Tensor | None


def another_row(rng: np.random.Generator, rows: int) -> NDArray[np.int64]:
    """(N,) a random permutation that leaves no row (of two or more) in its place."""
    order = rng.permutation(rows)
    donor = np.empty(rows, np.int64)
    donor[order] = np.roll(order, 1)
    return donor


def another_row_of_user(rng: np.random.Generator, user: NDArray[np.integer]) -> NDArray[np.int64]:
    """(N,) as `another_row` within each user; the only row of a user keeps its place."""
    order = np.lexsort((rng.random(len(user)), user))
    starts = np.flatnonzero(np.r_[True, user[order][1:] != user[order][:-1]])
    before = np.arange(-1, len(user) - 1)
    before[starts] = np.r_[starts[1:], len(user)] - 1  # the first of a user follows its last
    donor = np.empty(len(user), np.int64)
    donor[order] = order[before]
    return donor


def another_users_row(rng: np.random.Generator, user: NDArray[np.integer]) -> NDArray[np.int64]:
    """(N,) a row of another user for each row, at random; another row where there is one user alone."""
    donor = another_row(rng, len(user))
    if len(user) and (user == user[0]).all():
        return donor
    same = np.flatnonzero(user[donor] == user)
    while len(same):
        donor[same] = rng.integers(0, len(user), len(same))
        same = same[user[donor[same]] == user[same]]
    return donor


def answer_columns(
    name: str, label: NDArray[Any], logits_KN: NDArray[Any], user: NDArray[np.integer] | None
) -> Columns:
    """What of K answers enters the mean of their AUCs and its error over users, (N,), averaged over the answers:
    `placement_<name>`, each row's placement, and with users `wins_<name>`, the pairs won within the row's user.

    Raises:
        Undefined: one label only.
    """
    y, cluster = label.astype(np.bool_), None if user is None else clusters(user)
    value = np.zeros(len(y))
    wins = np.zeros(0 if cluster is None else int(cluster.max()) + 1)
    for logit in logits_KN.astype(np.float64):
        value += placements(y, logit)[0]
        if cluster is not None:
            wins += pairs_within(y, logit, cluster).twice / 2
    columns: Columns = {f"placement_{name}": (value / len(logits_KN)).astype(np.float32)}
    if cluster is not None:
        columns[f"wins_{name}"] = (wins / len(logits_KN)).astype(np.float32)[cluster]
    return columns


@torch.inference_mode()
def branch_columns(
    model: Fused,
    label: NDArray[Any],
    logit: NDArray[np.float64],
    user: NDArray[np.integer] | None,
    batch_size: int = 2048,
    seed: int = 0,
) -> Columns:
    """Answers with a branch's vector or with g replaced, as columns (N,).

    Columns of answers drawn several times are those of `answer_columns`: `static_only` and `sequential_only`, the other
    branch's vector being another row's;
    `contribution_static` and `contribution_sequential`, the branches' Shapley values (two players, a missing one
    replaced by another row's; Shapley 1953, Lundberg & Lee 2017) on the logit scale: they add up to the logit minus the
    mean logit.

    With a gate: `g_shuffled` (another row's g) and `g_within_user` (another row's of the same user; only with users),
    both drawn; `logit_g_median` (one g for all rows, by dimension), and the answer without what g and the
    branches say only together (analysis of variance of functions, Hoeffding 1948): `logit_branches`, g averaged out,
    and `logit_g_additive`, that plus the main effect of g, the branches averaged out.

    Args:
        label, logit: (N,) of the rows, the model's prediction.
        user: (N,) or None.
        seed: of the draws.
    """
    rows = len(label)
    rng = np.random.default_rng(seed)
    shuffles = [another_row(rng, rows) for _ in range(DRAWS)]
    within = [] if user is None else [another_row_of_user(rng, user) for _ in range(DRAWS)]
    order = rng.permutation(rows)  # batches of random rows: a batch's rows stand in for all rows
    branch_draws = draws_of(rows, BRANCH_DRAWS)
    out = {name: np.empty((branch_draws, rows), np.float32) for name in ("static_only", "sequential_only")}
    gate = model.gate
    if gate is not None:
        out |= {"g_shuffled": np.empty((len(shuffles), rows), np.float32)}
        out |= {"g_within_user": np.empty((len(within), rows), np.float32)} if within else {}
        out |= {name: np.empty((1, rows), np.float64) for name in ("g_median", "branches", "main_of_g")}
        median_K = gate.sort(dim=0).values[(rows - 1) // 2]  # a g that occurs: the same whatever the scale of g
        representative = _evenly_by(gate.mean(1).numpy())
        given_RK, (static_RD, sequential_RD) = gate[representative], model.vectors(representative)

    for batch in np.array_split(order, -(-rows // batch_size)):
        static_BD, sequential_BD = model.vectors(batch)
        device, size = static_BD.device, len(batch)
        for k, offset in enumerate(_offsets(rng, size, branch_draws)):
            out["static_only"][k, batch] = _np(model.answer(static_BD, sequential_BD.roll(offset, 0), None))
            out["sequential_only"][k, batch] = _np(model.answer(static_BD.roll(offset, 0), sequential_BD, None))
        if gate is None:
            continue

        def given(
            gate_BK: Tensor, static_BD: Tensor = static_BD, sequential_BD: Tensor = sequential_BD
        ) -> NDArray[np.float32]:
            return _np(model.answer(static_BD, sequential_BD, gate_BK.to(static_BD.device)))

        for name, donors in (("g_shuffled", shuffles), ("g_within_user", within)):
            for k, donor in enumerate(donors):
                out[name][k, batch] = given(gate[donor[batch]])
        out["g_median"][0, batch] = given(median_K.expand(size, -1))
        out["branches"][0, batch] = np.mean([given(g.expand(size, -1)) for g in given_RK], axis=0, dtype=np.float64)
        mine_BK = gate[batch].to(device)
        foreign = zip(static_RD, sequential_RD, strict=True)
        out["main_of_g"][0, batch] = np.mean(
            [_np(model.answer(s.expand(size, -1), q.expand(size, -1), mine_BK)) for s, q in foreign],
            axis=0,
            dtype=np.float64,
        )
    return _as_columns(out, label, logit, user)


def _as_columns(
    out: Columns, label: NDArray[Any], logit: NDArray[np.float64], user: NDArray[np.integer] | None
) -> Columns:
    alone = (out[f"{name}_only"].mean(0, dtype=np.float64) for name in ("static", "sequential"))
    columns: Columns = {f"contribution_{name}": part for name, part in _shapley(logit, *alone).items()}
    if "branches" in out:
        branches, main = out["branches"][0], out["main_of_g"][0]
        columns |= {"logit_g_median": out["g_median"][0], "logit_branches": branches}
        columns["logit_g_additive"] = branches + main - main.mean()
    try:
        for name in ("static_only", "sequential_only", "g_shuffled", "g_within_user"):
            if name in out:
                columns |= answer_columns(name, label, out[name], user)
    except Undefined:  # one label only: there is no AUC to lose
        pass
    return columns


def _shapley(
    logit: NDArray[np.float64], static: NDArray[np.float64], sequential: NDArray[np.float64]
) -> dict[str, NDArray[np.float32]]:
    """(N,) each branch's part in the logit, from the mean logits with one branch of the row and another's other one."""
    shared = logit - logit.mean()
    return {
        "static": ((shared + static - sequential) / 2).astype(np.float32),
        "sequential": ((shared + sequential - static) / 2).astype(np.float32),
    }


def parts_of(
    answer: Answer, static_ND: Tensor, sequential_ND: Tensor, logit_N: Tensor, draws: int, seed: int = 0
) -> dict[str, NDArray[np.float32]]:
    """`contribution_static` and `contribution_sequential` of `branch_columns`, (N,), of these rows among themselves."""
    rng = np.random.default_rng(seed)
    order = torch.from_numpy(rng.permutation(len(logit_N))).to(static_ND.device)
    static_ND, sequential_ND = static_ND[order], sequential_ND[order]
    offsets = _offsets(rng, len(order), draws)
    with_static = np.stack([_np(answer(static_ND, sequential_ND.roll(k, 0), None)) for k in offsets])
    with_sequential = np.stack([_np(answer(static_ND.roll(k, 0), sequential_ND, None)) for k in offsets])
    alone = (answers_KN.mean(0, dtype=np.float64) for answers_KN in (with_static, with_sequential))
    back = torch.argsort(order).cpu().numpy()
    return {name: part[back] for name, part in _shapley(_np(logit_N[order]).astype(np.float64), *alone).items()}


def history_columns(
    ask: Callable[[NDArray[np.int64] | None], NDArray[np.float64]],
    label: NDArray[Any],
    user: NDArray[np.integer],
    seed: int = 0,
) -> Columns:
    """`other_history` as `answer_columns`, each row with the history of another user's row, and `logit_no_history`.

    Args:
        ask: logits (N,) of the rows with the histories of the rows given, or with empty ones (None).
        user: (N,); all alike where rows have no user.
    """
    rng = np.random.default_rng(seed)
    columns: Columns = {"logit_no_history": ask(None)}
    times = draws_of(len(label), HISTORY_DRAWS)
    try:
        placements(label, columns["logit_no_history"])
    except Undefined:
        return columns
    answers = np.stack([ask(another_users_row(rng, user)) for _ in range(times)])
    return columns | answer_columns("other_history", label, answers, user)


def _evenly_by(value: NDArray[Any]) -> NDArray[np.int64]:
    """Rows evenly spaced in the order of `value`."""
    places = (np.arange(REPRESENTATIVES) + 0.5) / REPRESENTATIVES * len(value)
    return np.argsort(value, kind="stable")[places.astype(np.int64)]


def _offsets(rng: np.random.Generator, size: int, draws: int) -> list[int]:
    """By how much to shift a batch of random rows so that each row meets another one; 0 where there is no other."""
    if size < 2:
        return [0] * draws
    return [int(offset) for offset in 1 + rng.choice(size - 1, draws, replace=draws > size - 1)]


def _np(logit_B: Tensor) -> NDArray[np.float32]:
    return logit_B.float().cpu().numpy()
