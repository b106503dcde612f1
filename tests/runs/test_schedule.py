"""Learning rates, targets and early stopping against the report's stated figures and hand-made sequences."""

from __future__ import annotations

import pytest
import torch

from mdaf_core.models.base import smooth_targets
from mdaf_core.runs.config import TrainingConfig
from mdaf_core.runs.presets import get_preset
from mdaf_core.runs.results import EpochMetrics
from mdaf_core.runs.schedule import best_epoch, learning_rate, stop_reason


def epochs(*aucs: float | None) -> list[EpochMetrics]:
    return [EpochMetrics(epoch=i, lr=0.1, val_auc=a, val_logloss=0.5) for i, a in enumerate(aucs, start=1)]


def test_first_rates_of_mamba4rec_v2() -> None:
    config = get_preset("mamba4rec-v2").training
    rates = [round(learning_rate(e, config), 6) for e in range(1, 9)]
    assert rates == [0.0005, 0.001, 0.001, 0.000993, 0.000973, 0.00094, 0.000895, 0.000839]
    assert all(config.min_learning_rate < learning_rate(e, config) for e in range(1, 21))
    assert learning_rate(21, config) == pytest.approx(config.min_learning_rate)


def test_v1_rate_is_constant() -> None:
    config = get_preset("mamba4rec-v1").training
    assert {learning_rate(e, config) for e in range(1, 21)} == {1e-3}


@pytest.mark.parametrize("max_epochs", [1, 2, 3])
def test_short_trainings_have_finite_positive_rates(max_epochs: int) -> None:
    config = TrainingConfig(max_epochs=max_epochs)
    assert all(0 < learning_rate(e, config) <= 1e-3 for e in range(1, max_epochs + 1))


def test_smoothed_targets() -> None:
    smoothed = smooth_targets(torch.tensor([0.0, 1.0]), get_preset("mamba4rec-v2").training.label_smoothing)
    torch.testing.assert_close(smoothed, torch.tensor([0.025, 0.975]))


def test_early_stop_as_in_the_report() -> None:
    reported = epochs(0.5454, 0.5643, 0.5716, 0.5688, 0.5600, 0.5556, 0.5487, 0.5365)
    config = TrainingConfig()
    assert [stop_reason(reported[:n], config) is None for n in range(1, 9)] == [True] * 7 + [False]
    assert best_epoch(reported) == 3


def test_gains_below_min_delta_do_not_count() -> None:
    config = TrainingConfig(patience=2, min_delta=0.001)
    assert stop_reason(epochs(0.6, 0.6005, 0.6009), config)
    assert not stop_reason(epochs(0.6, 0.6005, 0.6011), config)
    assert best_epoch(epochs(0.6, 0.6005, 0.6005)) == 2


def test_undefined_validation_auc_falls_back_to_log_loss() -> None:
    sequence = epochs(None, None, None)
    sequence[1].val_logloss = 0.3
    assert best_epoch(sequence) == 2
    assert stop_reason(sequence, TrainingConfig(max_epochs=3)) == "All 3 epochs done."


def test_what_was_watched_is_named() -> None:
    """Validation rows with one label have no AUC: early stopping then watches the log loss, and says so."""
    config = TrainingConfig(patience=2, max_epochs=50)
    ranked = [EpochMetrics(epoch=i + 1, lr=1e-3, val_auc=0.6, val_logloss=0.5) for i in range(3)]
    one_label = [EpochMetrics(epoch=i + 1, lr=1e-3, val_auc=None, val_logloss=0.5) for i in range(3)]
    assert stop_reason(ranked, config) == "Early stop after epoch 3: 2 epochs without a higher validation AUC."
    assert stop_reason(one_label, config) == "Early stop after epoch 3: 2 epochs without a lower validation log loss."
