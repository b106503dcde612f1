"""The set of configurations that may be the best: its statistic, what it holds, when there is none."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.best_set import study as simulated
from mdaf_core.analysis.best import (
    Trained,
    _largest_lead,
    _seed_variances,
    _shared,
    _standard_errors,
    best_set,
    p_of_best,
)
from mdaf_core.analysis.significance import shared_by_seeds
from tests.analysis.test_comparison import rows, study


def test_the_statistic_is_the_largest_lead_over_its_standard_error():
    rng = np.random.default_rng(0)
    x, e = rng.normal(size=(3, 4)), rng.normal(size=(3, 4, 9))
    expected = []
    for i in range(3):
        leads = []
        for j in set(range(3)) - {i}:
            error = e[j] - e[i]
            users = shared_by_seeds(error @ error.T) if (error @ error.T).sum() > np.trace(error @ error.T) else 0.0
            leads.append((x[j] - x[i]).mean() / np.sqrt((x[j] - x[i]).var(ddof=1) / 4 + users))
        expected.append(max(leads))
    found = _largest_lead(x.mean(1)[None], _standard_errors(x, _shared(e)))[0]
    assert found == pytest.approx(expected, rel=1e-12)


def test_variances_of_configurations_leave_out_what_a_seed_does_to_all():
    rng = np.random.default_rng(1)
    spread = np.array([1.0, 1.0, 2.0, 4.0])
    x = spread[:, None] * rng.normal(size=(4, 4000)) + 10 * rng.normal(size=4000)
    assert _seed_variances(x) == pytest.approx(spread**2, rel=0.1, abs=0.4)
    assert _seed_variances(x[:2]) == pytest.approx([1.0, 1.0], rel=0.1)


def test_the_best_is_held_as_often_as_is_said():
    """Eight that are equal: each is held in 95% of studies; benchmarks/best_set.py counts a thousand of each kind."""
    rng = np.random.default_rng(2)
    held = np.mean([(p_of_best(simulated(rng, 4, 0.5, 0.0, False), 300) >= 0.05).mean() for _ in range(60)])
    assert 0.91 < held < 0.985


def test_it_is_held_as_often_where_two_seeds_hardly_tell_how_they_vary():
    """Three equal ones, two seeds, users who matter little beside them: 2 degrees of freedom for what matters most."""
    rng = np.random.default_rng(21)
    left_out = []
    for _ in range(1500):
        errors = 0.1 * rng.normal(size=(3, 1, 300)) + 0.3 * rng.normal(size=(3, 2, 300))
        values = 0.1 * rng.normal(size=(3, 1)) + 0.5 * rng.normal(size=(3, 2))
        left_out.append(p_of_best(Trained(values, errors / np.sqrt(300), 300), 500) < 0.05)
    assert 0.015 < np.mean(left_out) < 0.055


def test_the_leader_always_stays_and_who_is_far_behind_does_not():
    rng = np.random.default_rng(3)
    p = p_of_best(simulated(rng, 6, 0.1, 5.0, False, configurations=4), 500)
    assert p[0] == 1.0 and (p[1:] < 0.05).all()
    same = Trained(np.tile(rng.normal(size=(1, 3)), (2, 1)), np.tile(rng.normal(size=(1, 3, 20)), (2, 1, 1)), 20)
    assert (p_of_best(same, 100) == 1.0).all()  # twins: nothing is ahead of anything


def test_of_a_study(make_run):
    runs = study(make_run, {"like": 0.2, "good": 0.21, "bad": 4.0}, seeds=(1, 2, 3, 4))
    label, truth, user = rows()
    runs += [make_run("once", 1, label, truth, user), make_run("other", 1, label, truth, user, fingerprint="e" * 16)]
    runs.append(make_run("other", 2, label, truth, user, fingerprint="e" * 16))
    found = best_set(runs)
    assert [one.configuration for one in found.candidates][-1] == "bad" and set(found.members) == {"like", "good"}
    assert found.candidates[0].behind == 0 and found.candidates[0].p == 1.0
    assert found.seeds == [1, 2, 3, 4] and set(found.left_out) == {"once", "other"}
    assert "like and good" in found.sentence or "good and like" in found.sentence
    assert "a selected comparison" in found.sentence
    assert best_set(runs) == found  # as it was kept
    losses = best_set(runs, metric="logloss")
    assert losses.candidates[0].mean < losses.candidates[-1].mean  # lower is better
    alone = best_set([run for run in runs if run.seed == 1])
    assert alone.members == [] and "two seeds" in alone.sentence
    clear = best_set([run for run in runs if run.configuration in ("good", "bad")])
    assert clear.members == ["good"] and clear.sentence.startswith("good is the best of these 2 by AUC")
