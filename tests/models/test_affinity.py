"""Who likes what: the target's vector times a map of the context's, an input of the history models that ask for it."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from mdaf_core.data.store.schema import FIRST_ID, FeatureSpec
from mdaf_core.models.bst import BSTConfig
from mdaf_core.models.din import DINConfig
from mdaf_core.models.history import SequenceConfig, build_encoder
from mdaf_core.models.mamba4rec import Mamba4RecConfig
from tests.models.batches import RICH, USUAL, random_batch

KINDS = [BSTConfig, DINConfig, Mamba4RecConfig]
LENGTHS = [3, 0, 7, 1]


@pytest.mark.parametrize("features", [USUAL, RICH], ids=["usual", "with-numbers"])
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_product_of_target_and_context_beside_all_else(
    kind: type[SequenceConfig], features: FeatureSpec
) -> None:
    torch.manual_seed(0)
    encoder = build_encoder(kind(affinity=True), features).eval()
    batch, seen = random_batch(features, LENGTHS, first_code=FIRST_ID), []
    encoder.mlp.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        encoder(batch)
        _, target_BE = encoder.look_up(batch)
        context_BC = encoder.context(batch.categorical_BF, batch.numeric_BG).flatten(1)
        expected = torch.stack([(encoder.affinity.weight @ c) * t for c, t in zip(context_BC, target_BE, strict=True)])
    width = expected.shape[1]
    places = [p for p in range(seen[0].shape[1] - width + 1) if torch.allclose(seen[0][:, p : p + width], expected)]
    assert len(places) == 1 and (expected != 0).all()
    plain = build_encoder(kind(), features)
    assert encoder.mlp.layers[0].in_features - plain.mlp.layers[0].in_features == width


def test_without_a_context_there_is_nothing_to_multiply() -> None:
    bare = FeatureSpec.from_vocabulary({"item": 40, "category": 9})
    assert build_encoder(Mamba4RecConfig(affinity=True), bare).affinity is None


def test_a_model_blind_to_the_target_is_refused() -> None:
    with pytest.raises(ValidationError, match="affinity multiplies the target's vector"):
        Mamba4RecConfig(affinity=True, target_aware=False, pooling="mean")
