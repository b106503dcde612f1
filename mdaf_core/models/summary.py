"""What a model costs, before it is trained: parameters, multiply-adds a row. Memory: `training/step_memory.py`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from mdaf_core.data.store.schema import FeatureSpec
from mdaf_core.models.base import ModelSettings
from mdaf_core.models.registry import build_model

_PROBE_ROWS = 64
_SHORT = 64  # events up to which multiply-adds are counted at the length itself


@dataclass(frozen=True)
class Parameters:
    """Numbers of parameters: all, those of embedding tables (one row an id), and the rest."""

    total: int
    embedding: int
    dense: int


def count_parameters(config: ModelSettings, features: FeatureSpec) -> Parameters:
    """Count without allocating.

    Raises:
        StudioError: as `build_model`.
    """
    model = unallocated(config, features)
    total = sum(p.numel() for p in model.parameters())
    embedding = sum(p.numel() for p in model.embedding_parameters())
    return Parameters(total, embedding, total - embedding)


def unallocated(config: ModelSettings, features: FeatureSpec) -> Any:
    """The model on torch's meta device: shapes without memory."""
    import torch

    with torch.device("meta"):
        return build_model(config, features)


def multiply_adds(
    config: ModelSettings, features: FeatureSpec, history_length: float, encoded: float | None = None
) -> int:
    """Multiply-adds of one row's forward pass with a history of this many events.

    Measured, not restated: a copy of the model with tiny vocabularies (they do not matter here) runs a few rows while
    matrix products and attention are counted; convolution, scan and target attention add their closed forms.
    Elementwise work and look-ups are left out. A fractional length interpolates between its neighbours; one above 64
    goes on from three shorter ones, for nothing that is counted grows faster than the square of the length.

    Args:
        encoded: events encoded for each row, where rows share them (a stream); None: each row its own.
    """
    if encoded is not None:
        return round(_shared_multiply_adds(config, features, history_length, encoded))
    if history_length > _SHORT:
        at = (_SHORT // 4, _SHORT // 2, _SHORT)
        cost = sum(
            _multiply_adds_at(config, features, own)
            * math.prod((history_length - other) / (own - other) for other in at if other != own)
            for own in at
        )
        return round(cost)
    low = math.floor(history_length)
    share = history_length - low
    cost = _multiply_adds_at(config, features, low)
    if share > 0:
        cost += share * (_multiply_adds_at(config, features, low + 1) - cost)
    return round(cost)


def _shared_multiply_adds(config: ModelSettings, features: FeatureSpec, length: float, encoded: float) -> float:
    """Of rows that all read one sequence: so much a row, a token, and a pair of both."""
    rows, tokens = _PROBE_ROWS // 2, 16
    once, more_rows, more_tokens = (
        _counted(config, features, [t], r) for r, t in ((rows, tokens), (2 * rows, tokens), (rows, 2 * tokens))
    )
    by_pair = (more_rows + more_tokens - 3 * once) / (rows * tokens)
    by_row = (more_rows - once) / rows - by_pair * tokens
    by_token = (more_tokens - once) / tokens - by_pair * rows
    return by_row + by_token * encoded + by_pair * length


def probe(config: ModelSettings, features: FeatureSpec, length: int) -> tuple[Any, Any]:
    """The model with vocabularies of three codes and a batch of `_PROBE_ROWS` rows with `length` events each."""
    return small_model(config, features), probe_batch(features, [length] * _PROBE_ROWS)


def small_model(config: ModelSettings, features: FeatureSpec) -> Any:
    """The model with vocabularies of three codes."""
    import torch

    with torch.random.fork_rng(devices=[]):
        return build_model(config, _small(features))


def _small(features: FeatureSpec) -> FeatureSpec:
    return replace(features, categorical={name: min(size, 3) for name, size in features.categorical.items()})


def probe_batch(features: FeatureSpec, lengths: Sequence[int], readers: int | None = None) -> Any:
    """A batch for `small_model`: sequences of these lengths, one a row; with `readers` each is read by so many rows."""
    import torch

    from mdaf_core.data.batches.gather import match_names
    from mdaf_core.data.batches.loader import Batch, Slices
    from mdaf_core.data.batches.outcomes import outcome_names

    rows, events = len(lengths) * (readers or 1), sum(lengths)
    fields, whole = len(features.history), torch.zeros(rows, dtype=torch.int64)
    cu = torch.tensor([0, *lengths]).cumsum(0)
    own, slices = events, None
    if readers is not None:
        own, within = 0, [cu[:-1].repeat_interleave(readers), cu[1:].repeat_interleave(readers)]
        ids = (torch.zeros(count, fields, dtype=torch.int64) for count in (events, rows))
        slices = Slices(*within, *ids)
    return Batch(
        label_B=torch.zeros(rows),
        categorical_BF=torch.zeros(rows, len(features.categorical), dtype=torch.int64),
        numeric_BG=torch.zeros(rows, len(features.numeric)),
        cu_seqlens=cu.to(torch.int32),
        history={name: torch.zeros(events, dtype=torch.int64) for name in features.event_sizes},
        history_age_T=torch.ones(own),
        gap_T=torch.ones(events),
        equal_TH=torch.zeros(own, fields, dtype=torch.bool),
        match_BM=torch.zeros(rows, len(match_names(features.history))),
        outcome_BK=torch.zeros(rows, len(outcome_names(features.history, range(features.outcomes)))),
        row_id_B=whole,
        user_B=whole,
        timestamp_B=whole,
        slices=slices,
    )


def _multiply_adds_at(config: ModelSettings, features: FeatureSpec, length: int) -> float:
    return _counted(config, features, [length] * _PROBE_ROWS) / _PROBE_ROWS


def _counted(config: ModelSettings, features: FeatureSpec, lengths: Sequence[int], readers: int | None = None) -> float:
    """Multiply-adds of a forward pass of `probe_batch`."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    model, batch = small_model(config, features), probe_batch(features, lengths, readers)
    model.train()  # as in training: MDAF's head runs for the branches only where their loss asks for it
    ran: set[Any] = set()
    priced = [module for module in model.modules() if hasattr(module, "multiply_adds_per_event")]
    for module in priced:
        module.register_forward_hook(lambda module, *_: ran.add(module))
    counter = FlopCounterMode(display=False, custom_mapping=uncounted_by_torch())
    # Attention as plain matrix products: the counter does not know the CPU's fused kernel.
    with torch.random.fork_rng(devices=[]), torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
        model(batch)
    # What rows share is asked for its closed form where it ran by event; by pair, an operator's own formula counts it.
    by_event = sum(module.multiply_adds_per_event() for module in priced if readers is None or module in ran)
    return counter.get_total_flops() / 2 + by_event * sum(lengths)


def uncounted_by_torch() -> dict[Any, Any]:
    """Operators that torch's counter has no formula for, with one: the CPU's fused recurrent layer (nn.LSTM)."""
    import torch

    def recurrent(inputs: Any, by_input: Any, by_state: Any, *_: Any, **__: Any) -> int:
        """Each step multiplies its input and the state before by a matrix each."""
        return 2 * math.prod(inputs[:-1]) * (math.prod(by_input) + math.prod(by_state))

    return {torch.ops.aten.mkldnn_rnn_layer: recurrent}
