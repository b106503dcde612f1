"""Who likes what: a vector of the user times one of the category, an input of the history models that ask for it."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from mdaf_core.data.store.schema import FIRST_ID, FeatureSpec
from mdaf_core.models.affinity import STD
from mdaf_core.models.bst import BSTConfig
from mdaf_core.models.din import DINConfig
from mdaf_core.models.history import SequenceConfig, build_encoder
from mdaf_core.models.mamba4rec import Mamba4RecConfig
from mdaf_core.models.registry import build_model
from mdaf_core.runs.config import TrainingConfig
from mdaf_core.training.optimizer import build_optimizer
from tests.models.batches import NO_CATEGORY, NO_HISTORY, RICH, USUAL, random_batch

KINDS = [BSTConfig, DINConfig, Mamba4RecConfig]
LENGTHS = [3, 0, 7, 1]


@pytest.mark.parametrize(
    ("features", "field"), [(USUAL, "category"), (RICH, "genre"), (NO_CATEGORY, "item")], ids=["usual", "rich", "items"]
)
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_product_of_user_and_category(kind: type[SequenceConfig], features: FeatureSpec, field: str) -> None:
    torch.manual_seed(0)
    encoder = build_encoder(kind(affinity=True), features).eval()
    batch, seen = random_batch(features, LENGTHS, first_code=FIRST_ID), []
    encoder.mlp.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    users, categories = (table.weight for table in encoder.affinity.tables)
    names = list(features.categorical)
    with torch.no_grad():
        encoder(batch)
        rows = batch.categorical_BF.tolist()
        expected = torch.stack([users[r[names.index("user")]] * categories[r[names.index(field)]] for r in rows])
    width = expected.shape[1]
    places = [p for p in range(seen[0].shape[1] - width + 1) if torch.equal(seen[0][:, p : p + width], expected)]
    assert len(places) == 1 and 0.5 * STD**2 < expected.std() < 2 * STD**2
    plain = build_encoder(kind(), features)
    assert encoder.mlp.layers[0].in_features - plain.mlp.layers[0].in_features == width


def test_its_vectors_are_penalised_as_weights_and_move_at_the_rate_of_tables() -> None:
    model = build_model(Mamba4RecConfig(affinity=True), USUAL)
    training = TrainingConfig(weight_decay=1e-5, embedding_decay=1e-2, learning_rate=0.01)
    of = {id(p): g for g in build_optimizer(model, training, 3.0).param_groups for p in g["params"]}
    own = [of[id(table.weight)] for table in model.encoder.affinity.tables]
    items = of[id(model.encoder.tables[0].weight)]
    assert len(of) == len(list(model.parameters()))
    assert [(g["weight_decay"], g["lr"]) for g in (*own, items)] == [(1e-5, 0.03), (1e-5, 0.03), (1e-2, 0.03)]


def test_data_without_users_are_read_without() -> None:
    bare = FeatureSpec.from_vocabulary({"item": 40, "category": 9})
    assert bare.user is None and NO_HISTORY.user is None
    assert build_encoder(Mamba4RecConfig(affinity=True), bare).affinity is None


def test_a_model_blind_to_the_target_is_refused() -> None:
    with pytest.raises(ValidationError, match="affinity reads the target"):
        Mamba4RecConfig(affinity=True, target_aware=False, pooling="mean")
