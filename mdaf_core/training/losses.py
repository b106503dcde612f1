"""Targets of the training loss."""

from __future__ import annotations

from torch import Tensor


def smooth_targets(label_B: Tensor, smoothing: float) -> Tensor:
    """Labels moved towards one half: 0 → s/2, 1 → 1 − s/2 (Szegedy et al. 2016, arXiv:1512.00567, section 7).

    With the report's s = 0.05 the targets are 0.025 and 0.975.
    """
    return label_B * (1.0 - smoothing) + smoothing / 2
