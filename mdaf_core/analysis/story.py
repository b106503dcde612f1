"""One row as people read it: what was shown, what the user did before, and what of it moved the prediction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, Field

from mdaf_core.analysis.effects import branch_loss_of
from mdaf_core.analysis.gates import without_gate
from mdaf_core.analysis.rows import BRANCH_PARTS, local_times, readable
from mdaf_core.base.entries import LARGEST
from mdaf_core.base.errors import DamagedFileError, StudioError, UsageError
from mdaf_core.base.words import plural
from mdaf_core.data.store.dataset import PreparedDataset, Rows
from mdaf_core.data.store.describe import MISSING_WORD, describe_outcomes
from mdaf_core.data.store.schema import FIRST_ID, Split
from mdaf_core.metrics.values import sigmoid
from mdaf_core.models.base import CTRModel, GatedModel
from mdaf_core.plugins import Plugin, loaded
from mdaf_core.runs import files
from mdaf_core.runs.config import RunConfig
from mdaf_core.runs.predictions import dataset_of, load_predictions
from mdaf_core.runs.tracking import RunRecord, artifact

if TYPE_CHECKING:
    from mdaf_core.data.batches.loader import Batch

RESPONSE_POINTS = 21
_EVENTS_ASKED, _FEWEST_ASKED, _EVENTS_AT_ONCE = 500_000, 50, 50_000
"""Of a row without each of its events: encoded in all, for at least so many of the newest, and in one batch."""
STATIC, SEQUENTIAL = "static branch alone", "sequential branch alone"
SMALL_EFFECT = 0.001
EXTRAPOLATED = (
    "No loss on the branches was trained: what one branch alone says is an extrapolation of the head, which never saw "
    "its vector unmixed."
)
_NUMBERS = ("logit", "probability", "g", "logit_static", "logit_sequential", *BRANCH_PARTS)


class StoryEvent(BaseModel):
    """One event of the history. Effects: the prediction as it is minus the prediction without this event."""

    place: int = Field(description="1 is the newest.")
    when: str | None = Field(None, description="Local time of the data set.")
    seconds_before: int | float | None = None
    fields: dict[str, str]
    same: list[str] = Field([], description="Fields in which it equals the row.")
    outcome: str | None = Field(None, description="What came of it, where the data set records that.")
    effect_logit: float | None = None
    effect_probability: float | None = None
    effect_g: float | None = None


class WhatIf(BaseModel):
    """The prediction with g set to a value."""

    name: str
    g: float
    logit: float
    probability: float


class RowStory(BaseModel):
    """A row, its history, and what its prediction is made of. None and empty lists: see `notes`."""

    run_id: str
    configuration: str
    split: Split
    row_id: int
    user: str | None
    when: str | None
    label: int
    label_meaning: str
    true_probability: float | None
    fields: dict[str, str]
    logit: float
    probability: float
    g: float | None = None
    logit_static: float | None = None
    logit_sequential: float | None = None
    branch_loss: bool | None = Field(None, description="Whether branch logits were trained; if not they extrapolate.")
    contribution_static: float | None = Field(None, description="Part of the branch in the log-odds, beside others'.")
    contribution_sequential: float | None = None
    what_if: list[WhatIf] = []
    response: list[WhatIf] = Field([], description="The prediction over the whole range of g.")
    history: list[StoryEvent] = Field([], description="Newest first.")
    history_recorded: int = Field(0, description="Events before the row in the data set; the model reads the newest.")
    notes: list[str] = []


def row_story(run: RunRecord, split: Split, row_id: int) -> RowStory:
    """Everything about one row; re-predicts it without each of its newest history events where a model can.

    Raises:
        UsageError: the split has no such row, or the run no predictions.
        StudioError: the data set is gone or has changed since.
    """
    frame = load_predictions(run.run_id, split)
    position = (frame["row_id"] == row_id).arg_max() if len(frame) and 0 <= row_id <= LARGEST else None
    if position is None or frame["row_id"][position] != row_id:
        raise UsageError(f"The {split} split of run {run.run_id[:8]} has no row {row_id}.")
    dataset = dataset_of(run, split)
    config = files.load_config(artifact(run.run_id, "config.json"))
    prediction = frame.row(position, named=True)
    meta, rows = dataset.meta, dataset.rows(split)
    story = RowStory(
        run_id=run.run_id,
        configuration=run.configuration,
        split=split,
        row_id=row_id,
        user=dataset.users[prediction["user"]] if meta.has_user else None,
        when=local_times(dataset, rows.timestamp[position : position + 1])[0] if meta.has_calendar else None,
        label=prediction["label"],
        label_meaning=meta.label,
        true_probability=None if rows.true_probability is None else float(rows.true_probability[position]),
        fields=_fields(dataset, split, position),
        history=_history(dataset, split, position, config.training.max_history),
        history_recorded=int(rows.history_end[position] - rows.history_start[position]),
        branch_loss=branch_loss_of(run),
        **{name: prediction.get(name) for name in _NUMBERS},
    )
    reason = without_gate(run)
    if reason:
        story.notes.append(reason)
    elif story.g is not None:
        one = ("median", frame["g"].median()) if "logit_g_median" in frame.columns else ("mean", frame["g"].mean())
        settings = (
            ("g as it is", story.g, story.logit),
            (STATIC, 0.0, prediction["logit_static"]),
            (SEQUENTIAL, 1.0, prediction["logit_sequential"]),
            (f"g at its {one[0]}", one[1], prediction[f"logit_g_{one[0]}"]),
        )
        story.what_if = [_what_if(name, g, logit) for name, g, logit in settings]
        if story.branch_loss is False:
            story.notes.append(EXTRAPOLATED)
    _add_occlusion(story, run, config, dataset, position)
    return story


def sentences(story: RowStory) -> list[str]:
    """The story in words: what the model says, what the two branches say, which events spoke for and against."""
    truth = "" if story.true_probability is None else f"; the true probability is {story.true_probability:.1%}"
    out = [f"The model gives {story.probability:.1%}{truth}."]
    said = {w.name: w.probability for w in story.what_if}
    if story.contribution_static is not None and story.contribution_sequential is not None:
        parts = f"{story.contribution_static:+.2f}, the sequential branch by {story.contribution_sequential:+.2f}"
        parts = parts.replace("-", "−")
        out.append(f"Beside other rows' vectors, the static branch moves its log-odds by {parts}.")
    if story.g is not None and said:
        name, one = list(said.items())[-1]
        unseen = " (extrapolated)" if story.branch_loss is False else ""
        out.append(
            f"g = {story.g:.2f}; {name} it would be {one:.1%}. Alone{unseen}, the static branch says "
            f"{said[STATIC]:.1%}, the sequential one {said[SEQUENTIAL]:.1%}."
        )
    known = [(e.effect_probability, e) for e in story.history if e.effect_probability is not None]
    if known:
        least, against = min(known, key=lambda pair: pair[0])
        most, spoke = max(known, key=lambda pair: pair[0])
        if max(most, -least) < SMALL_EFFECT:
            out.append("No single event of the history moves this by a tenth of a percentage point.")
        if most >= SMALL_EFFECT:
            out.append(f"Most for it spoke {_name_event(spoke)}: without it, {100 * most:.1f} points less.")
        if -least >= SMALL_EFFECT:
            out.append(f"Most against it: {_name_event(against)}, {-100 * least:.1f} points more without it.")
    return out


def _name_event(event: StoryEvent) -> str:
    before = "" if event.seconds_before is None else f", {_duration(event.seconds_before)} before"
    same = f", the same {' and '.join(event.same)}" if event.same else ""
    return f"event {event.place} ({', '.join(event.fields.values())}{same}{before})"


def _seconds(units: int, ticks: int) -> int | float:
    """A span of time in seconds; a fraction where there is one."""
    return units // ticks if units % ticks == 0 else units / ticks


def _duration(seconds: int | float) -> str:
    for length, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= length:
            return plural(round(seconds / length), unit)
    return f"{seconds:.3g} second{'' if seconds == 1 else 's'}"


def _what_if(name: str, g: Any, logit: float) -> WhatIf:
    return WhatIf(name=name, g=float(g), logit=logit, probability=float(sigmoid(logit)))


def _fields(dataset: PreparedDataset, split: Split, position: int) -> dict[str, str]:
    columns = dataset.rows(split).columns
    out = {}
    for field in dataset.meta.fields:
        value = columns[field.name][position]
        if field.kind == "numeric":
            out[field.name] = MISSING_WORD if np.isnan(value) else f"{field.numbers(value):g}"
        else:
            out[field.name] = readable(dataset, field.name, np.array([value]))[0]
    return out


def _history(dataset: PreparedDataset, split: Split, position: int, most: int) -> list[StoryEvent]:
    meta, rows = dataset.meta, dataset.rows(split)
    if not meta.history_fields:
        return []
    end = int(rows.history_end[position])
    start = max(int(rows.history_start[position]), end - most)
    codes = {name: dataset.events[name][start:end] for name in meta.history_fields}
    texts = {name: readable(dataset, name, values) for name, values in codes.items()}
    stamps = dataset.events["timestamp"][start:end]
    outcomes = describe_outcomes(dataset, slice(start, end)).get("outcome")
    timed = meta.has_calendar and meta.has_event_times
    when = local_times(dataset, stamps) if timed and end > start else []
    events = []
    for i in reversed(range(end - start)):
        same = [n for n in codes if codes[n][i] >= FIRST_ID and codes[n][i] == rows.columns[n][position]]
        events.append(
            StoryEvent(
                place=end - start - i,
                when=when[i] if timed else None,
                seconds_before=_seconds(int(rows.timestamp[position] - stamps[i]), meta.ticks) if timed else None,
                fields={name: values[i] for name, values in texts.items()},
                same=same,
                outcome=outcomes[i] if outcomes is not None else None,
            )
        )
    return events


def _add_occlusion(story: RowStory, run: RunRecord, config: RunConfig, dataset: PreparedDataset, position: int) -> None:
    """Effects of single events and the response to g, from the model itself."""
    if config.imported:
        story.notes.append("These predictions were imported: without the model it cannot be asked what events do.")
        return
    if config.model.grown:
        story.notes.append("Effects of single events need a neural network; this is LightGBM on counts.")
        return
    try:
        path = artifact(run.run_id, "weights.safetensors")
    except UsageError:
        story.notes.append("The run's weights are gone, so it cannot be asked what single events do.")
        return
    if not config.model.reads_history:
        story.notes.append(f"{run.configuration} does not read the history, so no event of it has an effect.")
        return
    import torch

    try:
        model = _load_model(path, path.stat().st_mtime_ns, dataset.path, loaded())
    except DamagedFileError:
        story.notes.append(
            "The run's weights are damaged, or were trained by another version of this model: it cannot be asked what "
            "single events do. Train it again."
        )
        return
    except StudioError as error:  # a plug-in's model, and its source is not at hand as it was
        story.notes.append(str(error))
        return
    logits, gates, branches = [], [], None
    with _one_thread(), torch.inference_mode():
        for batch in _without_each_event(model, dataset, story.split, position, config):
            if isinstance(model, GatedModel):
                vectors = model.branches(batch)
                output, branches = model.fuse(*vectors), branches or vectors
            else:
                output = model(batch)
            logits.append(output.logit_B)
            gates.append(output.gate_B)
        logit = torch.cat(logits).double().numpy()
        g = None if gates[0] is None else torch.cat(gates).double().numpy()  # type: ignore[arg-type]
        if isinstance(model, GatedModel) and g is not None:
            assert branches is not None
            grid = torch.linspace(0, 1, RESPONSE_POINTS)
            static_BD, sequential_BD = (branch[:1].expand(len(grid), -1) for branch in branches)
            answers = model.fuse(static_BD, sequential_BD, grid).logit_B
            pairs = zip(grid.tolist(), answers.tolist(), strict=True)
            story.response = [_what_if("", value, answer) for value, answer in pairs]
    if abs(logit[0] - story.logit) > 1e-3:
        story.notes.append(
            f"The model now gives the logit {logit[0]:.4f} where {story.logit:.4f} was recorded: its weights, or the "
            "machine's arithmetic, are not those of the run."
        )
    probability = sigmoid(logit)
    if len(logit) <= len(story.history):
        story.notes.append(f"Effects are of the newest {len(logit) - 1:,} events: each takes a history read anew.")
    for i, event in enumerate(story.history[: len(logit) - 1], start=1):  # newest first; variant i leaves out event i
        event.effect_logit = float(logit[0] - logit[i])
        event.effect_probability = float(probability[0] - probability[i])
        event.effect_g = None if g is None else float(g[0] - g[i])


@contextmanager
def _one_thread() -> Iterator[None]:
    """So small a batch gains nothing from threads, and loses seconds where training jobs hold the cores."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@lru_cache(maxsize=2)
def _load_model(weights: Path, _mtime: int, dataset: Path, _plugins: tuple[Plugin, ...]) -> CTRModel:
    from mdaf_core.models.weights import load_model

    config = files.load_config(weights.parent / "config.json")
    return load_model(config.model, PreparedDataset(dataset).meta.features(), weights)


def _without_each_event(
    model: CTRModel, dataset: PreparedDataset, split: Split, position: int, config: RunConfig
) -> Iterator[Batch]:
    """Batches that hold L + 1 rows: the row as it is, then without its newest event, without the second newest, …

    Of a long history as many of the newest as `_EVENTS_ASKED` allows. The variants are rows over an event log made of
    their histories, so that the usual loader computes all inputs.
    """
    from mdaf_core.data.batches.stream import beginnings
    from mdaf_core.data.batches.variants import view_of
    from mdaf_core.training.batches import loader_for

    rows = dataset.rows(split)
    end, most = int(rows.history_end[position]), config.training.max_history
    first = int(rows.history_start[position])
    if config.streams:  # from where the shortest variant's encoding begins
        start = int(beginnings(np.array(first), np.array(max(end - 1, first)), most))
    else:
        start = max(first, end - most)
    length = end - start
    asked = min(length, most, max(_FEWEST_ASKED, _EVENTS_ASKED // max(length, 1)))
    kept = [np.arange(length), *(np.delete(np.arange(length), length - i) for i in range(1, asked + 1))]
    step = max(1, _EVENTS_AT_ONCE // max(length, 1))
    for begin in range(0, len(kept), step):
        some = kept[begin : begin + step]
        bounds = np.cumsum([0, *(len(events) for events in some)])
        order = start + np.concatenate(some)
        variants = Rows(
            {name: np.repeat(column[position : position + 1], len(some)) for name, column in rows.columns.items()}
            | {"history_start": bounds[:-1], "history_end": bounds[1:]}
        )
        log = {name: column[order] for name, column in dataset.events.items()}
        view = view_of(dataset, variants, log)
        yield loader_for(model, view, split, config.training, len(some)).gather(np.arange(len(some)))
