"""Weights of a trained model on disk, as safetensors."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mdaf_core.base.files import new_file, reading
from mdaf_core.data.store.schema import FeatureSpec
from mdaf_core.models.base import CTRModel, ModelSettings
from mdaf_core.models.registry import build_model, read
from mdaf_core.plugins import kept


def save_weights(model: nn.Module, path: Path) -> None:
    """Write a model's weights aside, then put them in place; what two names share is written twice."""
    weights: dict[str, Tensor] = {}
    held = set()
    for name, tensor in model.state_dict().items():
        plain = tensor.detach().cpu().contiguous()
        place = plain.untyped_storage().data_ptr()
        weights[name] = plain.clone() if place in held else plain
        held.add(place)
    with new_file(path) as aside:
        save_file(weights, aside)


def load_model(config: ModelSettings, features: FeatureSpec, weights: Path, device: str = "cpu") -> CTRModel:
    """A trained model in evaluation mode.

    Raises:
        StudioError: it is of a plug-in that is not named, or not as it was (see `plugins.kept.as_trained`).
        DamagedFileError: the file is not of this model, or is damaged.
    """
    with kept.as_trained(weights.parent):
        model = build_model(read(config.model_dump()), features)
    with reading(weights, "Train the run again."):
        model.load_state_dict(load_file(weights))
    return model.to(device).eval()
