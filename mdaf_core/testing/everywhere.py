"""What holds for the whole process and that no model may change: other runs, and the examination, go on in it."""

from __future__ import annotations

from typing import Any

import torch

from mdaf_core.ops.kernels import set_threads


def process_wide() -> dict[str, Any]:
    """Settings of torch that hold for everything in the process, by the name of what sets them."""
    return {
        "torch.set_default_dtype": torch.get_default_dtype(),
        "torch.set_grad_enabled": torch.is_grad_enabled(),
        "torch.set_num_threads": torch.get_num_threads(),
        "torch.use_deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
        "torch.autograd.set_detect_anomaly": torch.is_anomaly_enabled(),
    }


def put_back(before: dict[str, Any]) -> None:
    """These settings again."""
    torch.set_default_dtype(before["torch.set_default_dtype"])
    torch.set_grad_enabled(before["torch.set_grad_enabled"])
    torch.use_deterministic_algorithms(before["torch.use_deterministic_algorithms"])
    torch.autograd.set_detect_anomaly(before["torch.autograd.set_detect_anomaly"])
    if torch.get_num_threads() != before["torch.set_num_threads"]:
        set_threads(before["torch.set_num_threads"])


def changed_everywhere(before: dict[str, Any]) -> list[str]:
    """A sentence for each setting that is another one now; it is put back."""
    now = process_wide()
    put_back(before)
    return [
        f"The model leaves {name}({now[name]}) behind, which holds for everything in the process, such as the runs "
        "after it: leave it out, or use it in a `with` block."
        for name in before
        if now[name] != before[name]
    ]
