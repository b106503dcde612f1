"""What a model says with a part replaced: donors, Shapley values by enumeration, and what no scale of g changes."""

from __future__ import annotations

import copy

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from mdaf_core.analysis.adaptivity import describe
from mdaf_core.analysis.effects import effects_of
from mdaf_core.analysis.margins import Margin
from mdaf_core.metrics.auc import placements
from mdaf_core.metrics.values import pairs_within
from mdaf_core.models.bst import BSTConfig
from mdaf_core.models.lr import LRConfig
from mdaf_core.models.mamba4rec import Mamba4RecConfig
from mdaf_core.models.mdaf import MDAFConfig
from mdaf_core.models.registry import build_model
from mdaf_core.runs.config import TrainingConfig
from mdaf_core.training import replaced
from mdaf_core.training.predict import predict
from mdaf_core.training.replaced import Fused

SMALL = {"item_dim": 4, "category_dim": 4, "hidden_dim": 8, "static_dim": 4, "hidden_units": [8], "blocks": 1}


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=40), st.integers(0, 2**32 - 1))
def test_donors_are_other_rows(users, seed):
    rng, user = np.random.default_rng(seed), np.array(users)
    rows = np.arange(len(user))
    any_row = replaced.another_row(rng, len(user))
    assert sorted(any_row) == rows.tolist() and (len(user) == 1 or (any_row != rows).all())
    within = replaced.another_row_of_user(rng, user)
    assert sorted(within) == rows.tolist() and (user[within] == user).all()
    several = np.bincount(user)[user] > 1
    assert ((within != rows) == several).all()
    other = replaced.another_users_row(rng, user)
    if len(set(users)) > 1:
        assert (user[other] != user).all()


def toy(rows: int = 11, seed: int = 0) -> tuple[Fused, np.ndarray, np.ndarray]:
    """Branches of three numbers, a gate that reads both, a head that is not linear; with labels and its logits."""
    random = torch.Generator().manual_seed(seed)
    static, sequential, w = (torch.randn(n, 3, generator=random, dtype=torch.float64) for n in (rows, rows, 3))

    def gate(s, q):
        return torch.sigmoid(s @ w[0] - 2 * q @ w[1]).unsqueeze(1)

    def answer(s, q, given):
        return torch.tanh(torch.lerp(s, q, gate(s, q) if given is None else given) @ w[2]) * 3

    fused = Fused(lambda index: (static[index], sequential[index]), answer, gate(static, sequential))
    logit = answer(static, sequential, None).numpy()
    return fused, np.arange(rows) % 3 == 0, logit


def test_shapley_values_are_those_of_all_other_rows():
    """With 11 rows the 10 draws are the 10 other rows: against both orders of two players, row by row."""
    fused, label, logit = toy()
    columns = replaced.branch_columns(fused, label, logit, None, batch_size=11)
    rows = np.arange(11)
    for i in rows:
        others = np.delete(rows, i)
        s, q = fused.vectors(np.full(10, i))
        s_other, q_other = fused.vectors(others)
        only_static = fused.answer(s, q_other, None).numpy().mean()
        only_sequential = fused.answer(s_other, q, None).numpy().mean()
        nothing = logit.mean()
        static = 0.5 * ((only_static - nothing) + (logit[i] - only_sequential))
        assert columns["contribution_static"][i] == pytest.approx(static, abs=1e-5)
    total = columns["contribution_static"] + columns["contribution_sequential"]
    assert total == pytest.approx(logit - logit.mean(), abs=1e-5)


def test_placements_are_the_mean_over_draws():
    fused, label, logit = toy(40)
    columns = replaced.branch_columns(fused, label, logit, np.arange(40) // 4, batch_size=7, seed=3)
    rng = np.random.default_rng(3)
    donors = [replaced.another_row(rng, 40) for _ in range(replaced.DRAWS)]
    vectors = fused.vectors(np.arange(40))
    answers = [fused.answer(*vectors, fused.gate[donor]).numpy().astype(np.float32) for donor in donors]
    expected = np.mean([placements(label, answer)[0] for answer in answers], axis=0)
    assert columns["placement_g_shuffled"] == pytest.approx(expected, abs=1e-6)
    wins = np.mean([pairs_within(label, a.astype(float), np.arange(40) // 4).twice / 2 for a in answers], axis=0)
    assert columns["wins_g_shuffled"] == pytest.approx(wins[np.arange(40) // 4])
    again = replaced.branch_columns(fused, label, logit, np.arange(40) // 4, batch_size=7, seed=3)
    assert all((again[name] == columns[name]).all() for name in columns)


def test_g_and_branches_that_speak_each_for_itself_have_nothing_to_choose():
    """logit = branch + f(g): averaging g and the branches out apart leaves the logit as it is, but for a constant."""
    rng = np.random.default_rng(0)
    s, g = torch.tensor(rng.normal(size=(50, 1))), torch.tensor(rng.random((50, 1)))

    def answer(static, sequential, given):
        return (static + 3 * (static[:, 1:] if given is None else given) ** 2)[:, 0]

    both = torch.cat([s, g], 1)
    fused = Fused(lambda index: (both[index], both[index]), answer, g)
    logit = answer(both, both, g).numpy()
    columns = replaced.branch_columns(fused, rng.random(50) < 0.5, logit, None, batch_size=16)
    apart = columns["logit_g_additive"] - logit
    assert np.ptp(apart) == pytest.approx(0, abs=1e-5)


def test_one_row_and_one_label_leave_columns_without_placements():
    for rows in (1, 2):
        fused, _, logit = toy(rows)
        columns = replaced.branch_columns(fused, np.zeros(rows), logit, np.zeros(rows, int))
        assert not any(name.startswith("placement") for name in columns)
        assert all(len(column) == rows for column in columns.values())


# --- real models -----------------------------------------------------------------------------------------------------


class Direction(nn.Module):
    """A head that reads the direction of the fused vector alone, so that its length, and with it g, is free."""

    def __init__(self, head: nn.Module):
        super().__init__()
        self.head = head

    def forward(self, fused_BD: torch.Tensor) -> torch.Tensor:
        return self.head(F.normalize(fused_BD, dim=1))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory, give_tiny):
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("artifacts")
        patch.setenv("MDAF_HOME", str(home))
        yield give_tiny(home)


def frame_of(dataset, columns) -> pl.DataFrame:
    rows = dataset.rows("test")
    return pl.DataFrame({"user": np.asarray(rows.user), "label": np.asarray(rows.label), **columns})


def test_what_is_said_does_not_depend_on_the_scale_of_g(tiny):
    """Branches scaled by 32, the gate told so: the same predictions with mean g 0.5 or 0.03, and the same words."""
    torch.manual_seed(0)
    model = build_model(MDAFConfig(sequential=BSTConfig(**SMALL), fusion_dim=8), tiny.meta.features()).eval()
    model.head = Direction(model.head)
    with torch.no_grad():  # branches that say something, a gate that moves, around a half
        for layer in (model.static_map, model.sequential_map, model.fusion.net[0], model.fusion.net[2], model.out):
            layer.weight.mul_(3)
        model.fusion.net[2].bias -= torch.logit(model(next(iter_batches(tiny))).gate_B).median()
    scaled = copy.deepcopy(model)
    factor = 32.0
    with torch.no_grad():
        scaled.sequential_map.weight *= factor
        scaled.sequential_map.bias *= factor
        scaled.fusion.net[0].weight[:, 8:] /= factor
        scaled.fusion.net[2].bias -= np.log(factor)
    first, second = (predict(m, tiny, "test", TrainingConfig()) for m in (model, scaled))
    assert second["logit"] == pytest.approx(first["logit"], abs=1e-4)
    assert first["g"].mean() > 0.35 and second["g"].mean() < 0.1
    for name in ("contribution_static", "contribution_sequential", "logit_g_median", "logit_g_additive"):
        assert second[name] == pytest.approx(first[name], abs=1e-3), name
    words = []
    for columns in (first, second):
        logits = {name: np.round(column, 3) if name.startswith("logit") else column for name, column in columns.items()}
        effects = effects_of([frame_of(tiny, logits)], [1]).model_copy(update={"gated": True, "fusion": "gate"})
        effects.aucs.pop("g")  # the rank of g is the same; rounding may tie it
        words.append(describe(effects, Margin(size=20)))
    assert words[0].gate.verdict == words[1].gate.verdict and words[0].history.verdict == words[1].history.verdict
    for name, effect in words[0].effects.effects.items():
        assert words[1].effects.effects[name].test.estimate == pytest.approx(effect.test.estimate, abs=2e-4), name


def test_the_words_are_the_same_on_any_scale_of_g():
    """In float64, where the predictions are equal to the last digits: every sentence, figure by figure."""
    rows, random = 600, torch.Generator().manual_seed(5)
    static, sequential = (torch.randn(rows, 3, generator=random, dtype=torch.float64) for _ in range(2))
    right = torch.rand(rows, generator=random) < 0.5
    label = (torch.rand(rows, generator=random) < 0.4).numpy()
    sign = torch.tensor(2.0 * label - 1)
    static[:, 0], sequential[:, 0] = static[:, 0] + 2 * right * sign, sequential[:, 0] + 2 * ~right * sign
    static[:, 2] = torch.where(right, -1.0, 1.0)  # the gate reads which branch is right
    user = np.arange(rows) // 4
    told = []
    for factor in (1.0, 32.0):
        scaled = factor * sequential

        def gate(s, q, factor=factor):
            return torch.sigmoid(s[:, 2:] - np.log(factor))

        def answer(s, q, given, gate=gate):
            return F.normalize(torch.lerp(s, q, gate(s, q) if given is None else given), dim=1)[:, 0]

        g = gate(static, scaled)
        fused = Fused(lambda index, scaled=scaled: (static[index], scaled[index]), answer, g)
        logit = answer(static, scaled, None).numpy()
        columns = replaced.branch_columns(fused, label, logit, user)
        frame = pl.DataFrame({"user": user, "label": label, "logit": logit, "g": g[:, 0].numpy(), **columns})
        effects = effects_of([frame], [1]).model_copy(update={"gated": True, "fusion": "gate"})
        told.append((describe(effects, Margin(size=20)).model_dump(include={"gate", "branches", "notes"}), g.mean()))
    assert told[0][0] == told[1][0] and told[0][0]["gate"]["verdict"] == "adaptive"
    assert told[0][1] > 0.4 and told[1][1] < 0.06


def iter_batches(dataset):
    from mdaf_core.data.batches.loader import BatchLoader

    return iter(BatchLoader(dataset, "test", 2048))


@pytest.mark.parametrize("fusion", ["gate", "gate-vector", "fixed", "attention", "concat"])
def test_every_fusion_has_its_columns(tiny, fusion):
    torch.manual_seed(1)
    config = MDAFConfig(fusion=fusion, sequential=BSTConfig(**SMALL), fusion_dim=8)
    columns = predict(build_model(config, tiny.meta.features()), tiny, "test", TrainingConfig())
    history = {"logit_no_history", "placement_other_history"}
    branches = {"contribution_static", "contribution_sequential", "placement_static_only", "wins_sequential_only"}
    assert history | branches <= columns.keys()
    assert ("placement_g_within_user" in columns) == (fusion != "concat")
    assert all(np.isfinite(column).all() for column in columns.values())
    effects = effects_of([frame_of(tiny, columns)], [1])
    if fusion == "fixed":
        assert effects.constant and effects.effects["g_shuffled"].test.estimate == pytest.approx(0, abs=1e-9)
    assert ("choice" in effects.effects) == (fusion != "concat")


def test_history_models_and_others(tiny):
    torch.manual_seed(1)
    single = predict(build_model(Mamba4RecConfig(**SMALL), tiny.meta.features()), tiny, "test", TrainingConfig())
    assert single.keys() == {"logit", "logit_no_history", "placement_other_history", "wins_other_history"}
    assert predict(build_model(LRConfig(), tiny.meta.features()), tiny, "test", TrainingConfig()).keys() == {"logit"}


def test_another_history_is_read_as_if_it_were_the_rows(tiny):
    """The donor's events at the donor's ages, match features of the row's own target; nothing else changes."""
    from mdaf_core.data.batches.loader import BatchLoader
    from mdaf_core.data.batches.variants import view_of, with_histories_of

    rows = tiny.rows("test")
    donor = np.roll(np.arange(len(rows)), 100)
    given, empty = (
        BatchLoader(view_of(tiny, with_histories_of(rows, other)), "test", len(rows), max_history=50).gather(
            np.arange(len(rows))
        )
        for other in (donor, None)
    )
    own = next(iter_batches_of(tiny, len(rows)))
    assert torch.equal(given.categorical_BF, own.categorical_BF) and torch.equal(given.label_B, own.label_B)
    assert torch.equal(given.lengths_B, own.lengths_B[donor]) and (given.history_age_T > 0).all()
    code = given.categorical_BF[:, list(tiny.meta.features().categorical).index("category")]
    seen = [bool((given.history["category"][a:b] == c).any() and c > 1)
            for a, b, c in zip(given.cu_seqlens, given.cu_seqlens[1:], code, strict=False)]  # fmt: skip
    assert given.match_BM[:, 4].bool().tolist() == seen  # category_seen, after item's four
    assert int(empty.cu_seqlens[-1]) == 0 and not empty.match_BM.any()


def iter_batches_of(dataset, size):
    from mdaf_core.data.batches.loader import BatchLoader

    return iter(BatchLoader(dataset, "test", size, max_history=50))
