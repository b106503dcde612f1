"""Factorial designs and effects: designs of the textbooks, least squares, planted truth, what cannot be told apart."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.factorial import factorial as simulated
from mdaf_core.analysis.design import Design, combinations_of
from mdaf_core.analysis.factorial import contrasts, effects, factorial_effects, seeds_part
from mdaf_core.base.errors import UsageError
from tests.analysis.test_comparison import rows


def design(k, p=0):
    generators, runs = combinations_of(k, p)
    names = "abcdefgh"[:k]
    levels = {f"c{i}": list(run) for i, run in enumerate(runs)}
    return Design(factors={name: [f"x.{name}=0"] for name in names}, generators=generators, levels=levels)


@pytest.mark.parametrize(
    "k, p, resolution",
    [(3, 1, 3), (4, 1, 4), (5, 1, 5), (5, 2, 3), (6, 1, 6), (6, 2, 4), (7, 2, 4), (7, 3, 4), (7, 4, 3)],
)
def test_fractions_have_the_resolution_of_the_textbook(k, p, resolution):
    """Box, Hunter & Hunter, Statistics for Experimenters, table of two-level fractions."""
    found = design(k, p)
    assert found.resolution == resolution and len(found.levels) == 2 ** (k - p)
    assert next(iter(found.levels.values())) == [1] * k, "all on"
    table = np.array(list(found.levels.values()))
    assert (table.T @ table == len(table) * np.eye(k)).all()


def test_designs_that_cannot_be():
    for k, p in ((0, 0), (9, 0), (3, 2), (2, 1), (4, 4), (3, 5)):
        with pytest.raises(UsageError):
            combinations_of(k, p)
    assert design(2).resolution is None and design(2).words == "2^2" and design(5, 1).words == "2^(5-1)"


def test_effects_are_twice_the_coefficients_of_least_squares():
    for found in (design(3), design(5, 1)):
        names = list(found.levels)
        rng = np.random.default_rng(0)
        x = rng.normal(size=(len(names), 3))
        weights = contrasts(found, names)
        table = np.array([found.levels[n] for n in names], float)
        columns = np.stack([np.ones(len(names)), *(table[:, sorted(s)].prod(1) for s in weights)], 1)
        expected = 2 * np.linalg.lstsq(columns, x.mean(1), rcond=None)[0][1:]
        got = [one.estimate for one in effects(found, names, x, None, 0, "users", None)]
        assert got == pytest.approx(expected, abs=1e-12)
        assert len(got) == len(found.factors) * (len(found.factors) + 1) // 2


def test_what_cannot_be_told_apart_is_named():
    half = design(4, 1)  # 1 = abcd
    found = {
        one.effect: one.mixed_up for one in effects(half, list(half.levels), np.zeros((8, 2)), None, 0, "rows", None)
    }
    assert found["a × b"] == ["c × d"] and found["a"] == [] and "c × d" not in found
    third = design(3, 1)
    found = {e.effect: e.mixed_up for e in effects(third, list(third.levels), np.zeros((4, 2)), None, 0, "rows", None)}
    assert found == {"a": ["b × c"], "b": ["a × c"], "c": ["a × b"]}


def test_the_seeds_part_is_the_variance_of_an_effect():
    """However different the configurations' variances, and whatever a seed does to all of them."""
    rng = np.random.default_rng(1)
    spread = np.array([1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 3.0, 5.0])
    weight = contrasts(design(3), [f"c{i}" for i in range(8)])[frozenset({0, 1})]
    parts, estimates = [], []
    for _ in range(3000):
        x = spread[:, None] * rng.normal(size=(8, 3)) + 10 * rng.normal(size=3)
        part = seeds_part(x)
        parts.append(part.variance)
        assert 1 <= part.df <= 14
        estimates.append((weight @ x).mean())
    assert np.mean(parts) == pytest.approx(np.var(estimates), rel=0.08)
    assert np.mean(parts) == pytest.approx(4 * (spread**2).mean() / 8 / 3, rel=0.05)


def test_planted_effects_are_covered():
    found = simulated(60, 2, 5.0)
    assert 0.92 < found["covers"]["every effect"] < 0.98
    assert found["shown"]["d"] == 1.0 and found["shown"]["a"] <= 0.1


def test_of_a_study(make_run):
    label, truth, user = rows(600)
    full = design(2)
    runs = [
        make_run(
            name, seed, label, truth + (1.0 if a > 0 else 3.0) * np.random.default_rng([seed, i]).normal(size=600), user
        )
        for i, (name, (a, _)) in enumerate(full.levels.items())
        for seed in (1, 2, 3)
    ]
    found = factorial_effects(full, runs)
    assert [one.effect for one in found.effects] == ["a", "b", "a × b"] and (found.seeds, found.runs) == ([1, 2, 3], 12)
    assert [one.verdict for one in found.effects] == ["better", "not shown", "not shown"]
    by = {(r.configuration, r.seed): r.result.test.auc for r in runs}
    on, off = (np.mean([v for (n, _), v in by.items() if full.levels[n][0] == level]) for level in (1, -1))
    assert found.effects[0].estimate == pytest.approx(on - off)
    loss = factorial_effects(full, runs, metric="logloss").effects[0]
    assert loss.verdict == "better" and loss.estimate > 0  # lower is better: the sign is turned
    assert "every configuration" in factorial_effects(full, runs[:9]).missing
    one = factorial_effects(full, [run for run in runs if run.seed == 1])
    assert {e.verdict for e in one.effects} == {"one seed: no variance known"}
