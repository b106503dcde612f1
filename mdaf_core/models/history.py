"""What the history models share: embeddings of events, target and context, and the MLP that joins them."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from mdaf_core.models.base import DropoutRate, HiddenUnits, ModelSettings


class SequenceConfig(ModelSettings):
    """What all history models share: the embeddings of events and of the static fields, and the MLP on top.

    Attributes:
        encoder: name of the `HistoryEncoder` that turns events into a vector, in the same file.
    """

    network = "HistoryModel"
    encoder: ClassVar[str] = ""

    item_dim: int = Field(64, ge=1, le=512, description="Width of the item embedding.")
    category_dim: int = Field(32, ge=1, le=512, description="Width of the category embedding.")
    static_dim: int = Field(16, ge=1, le=512, description="Width of each other field's embedding.")
    hidden_dim: int = Field(128, ge=4, le=1024, description="Width of the sequence model.")
    hidden_units: HiddenUnits = Field([256, 128, 64], description="MLP on top.")
    match_features: bool = Field(True, description="Same item or category in the history: how often, how recently.")
    co_occurrence: bool = Field(
        False,
        description="Whether the target's category goes with those of the newest events, in other users' logs; of data "
        "without categories, its item.",
    )
    outcomes: bool = Field(
        False,
        description="What came of each event, where the data records it (bought or only viewed, the stars given), is "
        "an input of it, and counted beside the match features.",
    )
    affinity: bool = Field(
        False,
        description="Who likes what: a vector of the user times one of the target's category (of data without "
        "categories, its item), dimension by dimension, is an input.",
    )
    dropout: DropoutRate = 0.3

    @property
    def reads_outcomes(self) -> bool:
        return self.outcomes

    @property
    def reads_users(self) -> bool:
        return self.co_occurrence


from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from mdaf_core.data.batches.gather import match_names
from mdaf_core.data.batches.loader import Batch
from mdaf_core.data.batches.outcomes import outcome_names
from mdaf_core.data.store.schema import OUTCOME, FeatureSpec
from mdaf_core.models.affinity import Affinity
from mdaf_core.models.base import CTRModel, Output
from mdaf_core.models.co_occurrence import CoOccurrence
from mdaf_core.models.layers import MLP, FieldVectors, ReLU, Table, spread

# Vectors of events and target enter products and need some scale; context vectors start almost silent.
EVENT_STD = 0.05
CONTEXT_STD = 0.01
# Match features enter spread over so many knots: what a recency means need not rise or fall with it.
MATCH_KNOTS = 17


def event_widths(config: SequenceConfig, features: FeatureSpec) -> list[int]:
    """Width of the embedding of each history field, by its role."""
    roles = {features.item: config.item_dim, features.category: config.category_dim}
    return [roles.get(name, config.static_dim) for name in features.history]


class HistoryEncoder(nn.Module):
    """Maps a batch to one vector a row: [pooled history ‖ target ‖ context ‖ match features] → MLP.

    Events and target share one embedding table a field, so that the same id is the same vector on both sides. A
    subclass turns events into the pooled vector (`pool`).

    Args:
        config: widths, dropout, match features.
        features: the data set's fields; it must have histories.
        target_aware: whether the target's own fields enter. If not, item and category are left out even where the
            history does not record them.
        pooled_dim: width of what `pool` returns.

    Attributes:
        activation: what makes the MLP's activation of a width; ReLU where a subclass says nothing.
        event_dim: width of an event's (and the target's) embedding, its fields side by side.
        out_dim: width of the representation.
    """

    activation: Callable[[int], nn.Module] = ReLU

    def __init__(self, config: SequenceConfig, features: FeatureSpec, target_aware: bool, pooled_dim: int):
        super().__init__()
        self.target_aware, self.match_features = target_aware, config.match_features
        self.history = features.history
        self.columns = [list(features.categorical).index(name) for name in features.history]
        self.widths = event_widths(config, features)
        self.tables = nn.ModuleList(
            Table([features.categorical[name]], width, EVENT_STD)
            for name, width in zip(features.history, self.widths, strict=True)
        )
        self.event_dim = sum(self.widths)
        self.outcomes = None
        if config.outcomes and features.outcomes:  # silent at the start: events begin as those of their ids
            self.outcomes = nn.Embedding(features.outcomes + 1, self.event_dim, padding_idx=0)
            nn.init.zeros_(self.outcomes.weight)
        blind = () if target_aware else (features.item, features.category)
        context = [name for name in features.context if name not in blind]
        self.context = FieldVectors(features, config.static_dim, CONTEXT_STD, names=context)
        inputs = pooled_dim + self.context.count * config.static_dim
        inputs += self.event_dim if target_aware else 0
        inputs += MATCH_KNOTS * len(match_names(features.history)) if config.match_features else 0
        self.counts_outcomes = config.match_features and self.outcomes is not None
        if self.counts_outcomes:
            inputs += MATCH_KNOTS * len(outcome_names(features.history, range(features.outcomes)))
        self.affinity = Affinity(features, config.category_dim) if config.affinity and features.user else None
        inputs += config.category_dim if self.affinity is not None else 0
        self.co_occurrence = CoOccurrence(features) if config.co_occurrence else None
        inputs += self.co_occurrence.out_dim if self.co_occurrence is not None else 0
        self.mlp = MLP(inputs, config.hidden_units, config.dropout, type(self).activation)
        self.out_dim = self.mlp.out_dim

    def pool(self, event_TE: Tensor, target_BE: Tensor | None, batch: Batch) -> Tensor:
        """The history as one vector a row, (B, pooled_dim); defined for empty histories too."""
        raise NotImplementedError

    def begin(self) -> Any:
        """See `CTRModel.begin`."""
        raise NotImplementedError

    def read(self, history: dict[str, Tensor], gap_T: Tensor, state: Any) -> Tensor:
        """See `CTRModel.read`."""
        raise NotImplementedError

    def embed(self, history: dict[str, Tensor]) -> Tensor:
        """Embeddings of events alone, (T, event_dim)."""
        found = [t(history[name].unsqueeze(1)).squeeze(1) for name, t in zip(self.history, self.tables, strict=True)]
        return self.with_outcomes(torch.cat(found, dim=1), history)

    def with_outcomes(self, event_TE: Tensor, history: dict[str, Tensor]) -> Tensor:
        """The events, told what came of them."""
        return event_TE if self.outcomes is None else event_TE + self.outcomes(history[OUTCOME])

    def look_up(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Embeddings of the events (T, event_dim) and, where the model sees it, of the target (B, event_dim)."""
        events, targets = [], []
        for column, name, table in zip(self.columns, self.history, self.tables, strict=True):
            codes, count = batch.history[name], len(batch.history[name])
            if self.target_aware:  # one gather: the backward pass then fills one gradient of the table's size, not two
                target_B = batch.categorical_BF[:, column]
                codes = torch.cat([codes, target_B]) if count else target_B
            vectors = table(codes.unsqueeze(1)).squeeze(1)
            events.append(vectors[:count])
            targets.append(vectors[count:])
        event_TE = self.with_outcomes(torch.cat(events, dim=1), batch.history)
        return event_TE, torch.cat(targets, dim=1) if self.target_aware else None

    def forward(self, batch: Batch) -> Tensor:
        """The representation (B, out_dim)."""
        event_TE, target_BE = self.look_up(batch)
        return self.represent(self.pool(event_TE, target_BE, batch), target_BE, batch)

    def represent(self, pooled_BD: Tensor, target_BE: Tensor | None, batch: Batch) -> Tensor:
        """The representation from the pooled history."""
        parts = [pooled_BD]
        if target_BE is not None:
            parts.append(target_BE)
        parts.append(self.context(batch.categorical_BF, batch.numeric_BG).flatten(1))
        if self.affinity is not None:
            parts.append(self.affinity(batch))
        if self.match_features:
            parts.append(spread(batch.match_BM, MATCH_KNOTS).flatten(1))
        if self.counts_outcomes:
            parts.append(spread(batch.outcome_BK, MATCH_KNOTS).flatten(1))
        if self.co_occurrence is not None:
            parts.append(self.co_occurrence(batch))
        return self.mlp(torch.cat(parts, dim=1))


def build_encoder(config: SequenceConfig, features: FeatureSpec) -> HistoryEncoder:
    """The part of a history model that turns a batch into one vector a row."""
    encoder: HistoryEncoder = config.declared("encoder")(config, features)
    return encoder


class HistoryModel(CTRModel):
    """The configuration's encoder and one linear layer to the logit."""

    def __init__(self, config: SequenceConfig, features: FeatureSpec):
        super().__init__(features)
        self.encoder = build_encoder(config, features)
        self.out = nn.Linear(self.encoder.out_dim, 1)

    def forward(self, batch: Batch) -> Output:
        return Output(self.out(self.encoder(self.hide_ids(batch))).squeeze(1))

    def begin(self) -> Any:
        return self.encoder.begin()

    def read(self, history: dict[str, Tensor], gap_T: Tensor, state: Any) -> Tensor:
        return self.encoder.read(history, gap_T, state)
