"""What every model is: settings, with what is true of it, and a network that maps a `Batch` to logits, with its own
loss."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from mdaf_core.base.errors import StudioError
from mdaf_core.models.space import COMMON, Space

DropoutRate = Annotated[float, Field(ge=0.0, lt=1.0, description="Share of hidden units dropped while training.")]
HiddenUnits = Annotated[list[Annotated[int, Field(ge=1, le=8192)]], Field(max_length=8)]


class ModelSettings(BaseModel):
    """Base of all configurations: what can be set (`--set model.<name>=…`, the launch form) and what the program must
    know of the model. Everything that depends on a fact asks for it by name. What a new model does not declare is what
    costs least if it is wrong: a model that says nothing is given histories.

    Attributes:
        kind: its name in settings, files and tables; a base of other configurations has none.
        network: name of the `CTRModel` that is built, in the same file.
        reads_history: it reads the events of a history: it is given them, and refused on data that have none. A network
            that declares False finds none in its batches.
        grown: trees, grown by `training.gbdt`, instead of a network; they have no epochs.
    """

    model_config = ConfigDict(extra="forbid", validate_assignment=True, allow_inf_nan=False)

    network: ClassVar[str] = ""
    reads_history: ClassVar[bool] = True
    grown: ClassVar[bool] = False

    kind: str = ""

    @property
    def lacks_gate(self) -> str:
        """Why it has no weight g of a sequential branch, as the end of a sentence; empty where it has one."""
        return "has one branch only, so there is no g"

    @property
    def causal(self) -> bool:
        """Whether its network takes batches that hold each event once (`Batch.slices`): what it makes of an event
        depends on nothing later. A model that says nothing is given each row's own events."""
        return False

    @property
    def reads_users(self) -> bool:
        """Whether it tells a row's own user from others, and is refused on data that have no field for users."""
        return False

    @property
    def reads_outcomes(self) -> bool:
        """Whether it is told what came of the events before a row, where the data record it."""
        return False

    @property
    def lacks_state(self) -> str:
        """Why a user's state cannot be kept from event to event, as the end of a sentence; empty where it can
        (`HistoryEncoder.begin`)."""
        return "declares no state to keep" if self.reads_history else "reads no history, so there is nothing to keep"

    @property
    def gated(self) -> bool:
        """Whether its network is a `GatedModel`, whose outputs have g."""
        return not self.lacks_gate

    def space(self) -> Space:
        """What a search tries, by the names of settings: of a model that says nothing, of those it shares with others.
        What is tried of how it is trained comes on top (`RunConfig.space`)."""
        return {name: values for name, values in COMMON.items() if name in type(self).model_fields}

    def declared(self, fact: str) -> Any:
        """The class that `network` (or, of a history model, `encoder`) names, from the file that names it.

        Raises:
            StudioError: that file has no such name.
        """
        owner = next(c for c in type(self).__mro__ if fact in vars(c))
        name, file = getattr(self, fact), sys.modules[owner.__module__]
        try:
            return getattr(file, name)
        except AttributeError:
            said = f"{owner.__name__} has {fact} = {name!r}"
            raise StudioError(f"{said}, and {file.__file__} defines no {name}.") from None


@dataclass(frozen=True)
class Preset:
    """A configuration to start from. A model's file lists its own as `PRESETS`.

    Attributes:
        title: one line for people.
        training: what differs from the usual training settings (`runs.config.TrainingConfig`).
    """

    name: str
    title: str
    model: ModelSettings
    training: Mapping[str, Any] = field(default_factory=dict)


RARE_IDS: Mapping[str, Any] = {"embedding_decay": 2e-3}
"""A penalty on ids that keeps those seen once or twice from being learned by heart. By validation AUC on UserBehavior
(docs/results.md); neutral where ids are frequent. `null` is the report's recipe."""


def divides(part: str, divisor: int, whole: str, number: int) -> None:
    """Raise ValueError, as a validator of settings does, if `number` is no multiple of `divisor`."""
    if number % divisor:
        raise ValueError(f"{whole} ({number}) must be a multiple of {part} ({divisor})")


import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mdaf_core.data.batches.loader import Batch
from mdaf_core.data.store.schema import UNKNOWN, FeatureSpec
from mdaf_core.models.layers import Table


@dataclass
class Output:
    """What a forward pass returns; B rows.

    Attributes:
        logit_B: the prediction.
        parts: further logits that enter the loss, by name (DCNv3: `deep`, `shallow`, (B,); DIEN's of pairs of events).
        gate_B: g in [0, 1], the weight of the sequential branch, where there is one (mean over dimensions for vectors).
        logit_static_B, logit_sequential_B: the logit with g set to 0 and to 1.
        gate_BD: g by dimension, where the fusion has a gate a dimension.
    """

    logit_B: Tensor
    parts: dict[str, Tensor] | None = None
    gate_B: Tensor | None = None
    logit_static_B: Tensor | None = None
    logit_sequential_B: Tensor | None = None
    gate_BD: Tensor | None = None


class CTRModel(nn.Module):
    """Base of all neural models.

    Attributes:
        features: names and sizes of the inputs the model was built for.
        unknown_rate: while training, this share of ids is unknown in a batch.
        rare_rates: while training, each id of these fields is unknown with a probability of its own, (V,), if that is
            more.
        reads_history, gated, causal: as its configuration declares (`ModelSettings`); `build_model` sets them.
    """

    def __init__(self, features: FeatureSpec):
        super().__init__()
        self.features = features
        self.unknown_rate = 0.0
        self.rare_rates: Mapping[str, Tensor] = {}
        self.reads_history, self.gated, self.causal = True, False, False

    def forward(self, batch: Batch) -> Output:
        raise NotImplementedError

    def loss(self, output: Output, target_B: Tensor) -> Tensor:
        """Scalar training loss; `target_B` are (smoothed) targets in [0, 1]. Default: mean binary cross-entropy."""
        return F.binary_cross_entropy_with_logits(output.logit_B, target_B)

    def begin(self) -> Any:
        """What a model that keeps a state (`ModelSettings.lacks_state`) carries of a user before the first event."""
        raise NotImplementedError

    def read(self, history: dict[str, Tensor], gap_T: Tensor, state: Any) -> Tensor:
        """What the model makes of a user's next events, (T, D): the outputs that `Batch.kept` takes. `state` moves on
        behind them; a call costs the same however many events came before. Without gradients.

        Args:
            history: field → (T,) int64 codes, oldest first.
            gap_T: as `Batch.gap_T`; 0 for the first event after `begin`.
            state: of `begin`; each user has one.
        """
        raise NotImplementedError

    def hide_ids(self, batch: Batch) -> Batch:
        """While training, the batch with some ids replaced by 'unknown', in targets and histories (`unknown_rate`,
        `rare_rates`).

        As with ids that are new, it stays known which events have the target's.
        """
        if not self.training or (self.unknown_rate == 0 and not self.rare_rates):
            return batch
        columns, history = [], dict(batch.history)
        for column, (name, size) in enumerate(self.features.categorical.items()):
            drawn_V = torch.rand(size, device=batch.categorical_BF.device)
            hidden_V = drawn_V < self.unknown_rate
            if name in self.rare_rates:
                hidden_V |= drawn_V < self.rare_rates[name].to(drawn_V.device)
            codes_B = batch.categorical_BF[:, column]
            columns.append(codes_B.masked_fill(hidden_V[codes_B], UNKNOWN))
            if name in history:
                history[name] = history[name].masked_fill(hidden_V[history[name]], UNKNOWN)
        return replace(batch, categorical_BF=torch.stack(columns, dim=1), history=history) if columns else batch

    def events_read(self, max_history: int) -> int:
        """Newest events of a history that are worth gathering where at most `max_history` are allowed."""
        return max_history if self.reads_history else 0

    def embedding_parameters(self) -> list[Tensor]:
        """The weights of all embedding tables, which grow with the vocabularies."""
        return [module.weight for module in self.modules() if isinstance(module, Table)]


class GatedModel(CTRModel):
    """A model of two branches, mixed for each row by g where its configuration says it is gated: what replacing g, a
    branch's vector, and each branch alone are asked of."""

    def branches(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The static and the sequential branch's vectors, (B, D) each."""
        raise NotImplementedError

    def fuse(self, static_BD: Tensor, sequential_BD: Tensor, gate_B: Tensor | None = None) -> Output:
        """Predict from the branches' vectors; with `gate_B`, (B,) or (B, D), as if g had these values."""
        raise NotImplementedError

    def answer(self, static_BD: Tensor, sequential_BD: Tensor, gate_BK: Tensor | None = None) -> Tensor:
        """The logit alone, (B,), from the branches' vectors, which may be of different rows.

        Args:
            gate_BK: g given, (B, 1) or (B, D); None: the gate reads both vectors.
        """
        raise NotImplementedError


def smooth_targets(label_B: Tensor, smoothing: float) -> Tensor:
    """Targets of the training loss: labels moved towards one half, 0 → s/2, 1 → 1 − s/2 (Szegedy et al. 2016,
    arXiv:1512.00567, section 7). With the report's s = 0.05 they are 0.025 and 0.975.
    """
    return label_B * (1.0 - smoothing) + smoothing / 2
