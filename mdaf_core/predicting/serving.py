"""One user at a time: candidates scored from a state that is kept, and that goes on with each event.

A state holds what the model carries behind the last event, and of the newest events that rows read the model's outputs,
ids and times. Its scores are those of the model's forward pass with `history_encoding=stream`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mdaf_core.base.errors import UsageError
from mdaf_core.data.batches.events import Events, targets
from mdaf_core.data.batches.gather import gaps, matches, own_columns
from mdaf_core.data.batches.loader import Batch, Kept, as_batch, as_tensors
from mdaf_core.data.batches.stream import grid, unread
from mdaf_core.data.store.dataset import PreparedDataset, Rows
from mdaf_core.data.store.schema import OUTCOME
from mdaf_core.models.base import CTRModel
from mdaf_core.runs.config import RunConfig


class Newest:
    """The newest `most` rows of all that were added, side by side in memory; adding costs the same at any length."""

    def __init__(self, most: int, like: Any):
        self.most, self._room, self._end = most, like[:0], 0

    def add(self, rows: Any) -> None:
        """Add rows, oldest first: an array or a tensor, as `like` was."""
        rows = rows[-self.most :]
        if self._end + len(rows) > len(self._room):
            held = self.rows()
            size = len(held) + len(rows) + min(len(held) + 64, self.most)
            shape = (size, *self._room.shape[1:])
            room = self._room.new_empty(shape) if isinstance(rows, Tensor) else np.empty(shape, self._room.dtype)
            room[: len(held)] = held
            self._room, self._end = room, len(held)
        self._room[self._end : self._end + len(rows)] = rows
        self._end += len(rows)

    def rows(self) -> Any:
        """They; a view."""
        return self._room[max(self._end - self.most, 0) : self._end]


def gather_kept(
    dataset: PreparedDataset,
    rows: Rows,
    index_B: np.ndarray,
    output_TD: Tensor,
    identity_TH: np.ndarray,
    time_T: np.ndarray,
    outcome_T: np.ndarray,
    match_events: int,
) -> Batch:
    """These rows as candidates for one user with these newest events, which a model has read (`CTRModel.read`).

    Their own fields and times are those of the rows; what the rows' own histories are does not matter.

    Args:
        match_events: how many events match features tell apart.
    """
    features, own = dataset.meta.features(), own_columns(dataset, rows, index_B)
    asked = targets(rows, index_B, features.history)
    begin_B, end_B = np.zeros(len(index_B), np.int64), np.full(len(index_B), len(time_T))
    ids, known = list(zip(identity_TH.T, asked, strict=True)), (outcome_T, time_T)
    read = known, begin_B, end_B, own["timestamp_B"], dataset.meta.ticks, match_events
    match_BM, outcome_BK = matches(ids, features.outcomes, *read)
    none, nothing = np.empty(0, np.int64), np.empty(0, np.float32)
    arrays = own | {
        "cu_seqlens": np.zeros(1, np.int32),
        "history": dict.fromkeys([*features.history, OUTCOME] if features.outcomes else features.history, none),
        "history_age_T": nothing,
        "gap_T": nothing,
        "equal_TH": np.empty((0, len(features.history)), np.bool_),
        "match_BM": match_BM,
        "outcome_BK": outcome_BK,
    }
    target_BH = torch.from_numpy(np.stack(asked, axis=1))
    return as_batch(arrays, kept=Kept(output_TD, torch.from_numpy(identity_TH), target_BH))


@dataclass
class _Reading:
    """A log as it was read from one event on: what the model carries, and its newest outputs."""

    begin: int
    carried: Any
    outputs: Newest


@dataclass
class State:
    """What is kept of one user. A row's history is encoded from a place that depends on its length
    (`stream.beginnings`): near the next such place there are two readings, of which the older one is read from.

    Attributes:
        length: events so far.
    """

    identity: Newest
    times: Newest
    outcomes: Newest
    length: int = 0
    readings: list[_Reading] = field(default_factory=list)


def lacks_state(config: RunConfig) -> str:
    """Why no state of a user can be kept for a run of this configuration, as the end of a sentence; empty where one
    can."""
    reason = config.model.lacks_state
    if not reason and not config.streams:
        return (
            "was trained on windows, which begin anew at another event for each row (training.history_encoding=stream "
            "has a state)"
        )
    return reason


class Server:
    """A trained model that answers for one user at a time.

    Args:
        model: in evaluation mode.
        dataset: what rows and events are of; rows' histories are not read.

    Raises:
        UsageError: a state cannot be kept for it, with the reason.
    """

    def __init__(self, model: CTRModel, config: RunConfig, dataset: PreparedDataset):
        if reason := lacks_state(config):
            raise UsageError(f"{config.name} {reason}: no state of a user can be kept.")
        self.model, self.dataset = model, dataset
        self.most = model.events_read(config.training.max_history)
        self.match_events = config.training.match_events or self.most

    @torch.inference_mode()
    def begin(self, events: Events | None = None) -> State:
        """A user's state behind these events; None: before the first."""
        none = Events.of(self.dataset, slice(0))
        identity, times, outcomes = (Newest(self.most, one) for one in (none.identity_TH, none.time_T, none.outcome_T))
        state = State(identity, times, outcomes)
        self._open(state, 0, none)
        if events is not None:
            self.append(state, events)
        return state

    @torch.inference_mode()
    def append(self, state: State, events: Events) -> None:
        """Let a state go on with the user's next events. One costs the same however many came before."""
        length, size = state.length + len(events), grid(self.most)
        first = int(unread(length, self.most))
        state.readings = [reading for reading in state.readings if reading.begin >= first]
        at = max(state.length, first)
        time_T = np.concatenate([state.times.rows()[-1:], events.time_T])
        gap_T = torch.from_numpy(gaps(time_T, np.array([0, len(time_T)]), self.dataset.meta.ticks)[-len(events) :])
        while at < length:
            if at % size == 0 and not any(reading.begin == at for reading in state.readings):
                self._open(state, at, events[:0])
            end = min(length, (at // size + 1) * size)
            part = slice(at - state.length, end - state.length)
            for reading in state.readings:
                own_T = gap_T[part].clone()
                own_T[: int(at == reading.begin)] = 0  # nothing before it
                reading.outputs.add(self.model.read(as_tensors(events[part].history), own_T, reading.carried))
            at = end
        state.identity.add(events.identity_TH)
        state.times.add(events.time_T)
        state.outcomes.add(events.outcome_T)
        state.length = length

    def _open(self, state: State, begin: int, none: Events) -> None:
        carried = self.model.begin()
        outputs = self.model.read(as_tensors(none.history), torch.empty(0), carried)
        state.readings.append(_Reading(begin, carried, Newest(self.most, outputs)))

    @torch.inference_mode()
    def score(self, state: State, rows: Rows, index_B: np.ndarray) -> Tensor:
        """Logits (B,) of these rows as candidates for the user.

        Args:
            rows: of the data set, or rows made like them: their own fields and times are read.
        """
        held = state.identity, state.times, state.outcomes
        newest = *(one.rows() for one in held), self.match_events
        batch = gather_kept(self.dataset, rows, index_B, state.readings[0].outputs.rows(), *newest)
        return self.model(batch).logit_B
