"""Is a prediction of its row alone, and of what was known before it?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields as fields_of

import torch
from torch import Tensor

from mdaf_core.data.batches.loader import Batch
from mdaf_core.models.base import CTRModel
from mdaf_core.testing.base import NotApplicable, apart, check, largest_difference, tolerance
from mdaf_core.testing.data import clone, others_replaced, take
from mdaf_core.testing.places import place_of_difference
from mdaf_core.testing.subject import Subject, ask, python_randomness, step_loss

MANY = (32, 64)
"""Rows, and how often they are repeated for a batch as large as those of an evaluation."""
WHOLE = 1000
"""More events than any user of the data has."""
REMEDY = "A row's prediction must be a function of its own fields and history."


@check("batch", "No row depends on other rows of its batch when evaluating.")
def batch(subject: Subject) -> Iterable[str]:
    """Rows alone, in smaller and larger batches, in another order, beside rows that are far from usual."""
    model, rows = subject.restored(moved=True), subject.batch()
    together = ask(model, rows)
    everything = range(len(rows))
    if whole := _mode_fault(model):
        yield whole

    try:
        alone = torch.cat([ask(model, take(rows, [row])) for row in everything[:24]])
    except Exception as error:
        yield f"{len(rows)} rows are predicted, and one row alone fails: {subject.said(error)} {REMEDY}"
        alone = together[:24]
    if gap := apart(together[:24], alone):
        yield f"A row alone is predicted otherwise than within {len(rows)} rows (by up to {gap:.2g}). {REMEDY}"
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0)).tolist()
    if gap := apart(together[order], ask(model, take(rows, order))):
        yield f"In another order of the batch rows are predicted otherwise (by up to {gap:.2g}). {REMEDY}"
    for size in (2, 7):
        parts = [ask(model, take(rows, list(everything[i : i + size]))) for i in range(0, 28, size)]
        if gap := apart(together[:28], torch.cat(parts)):
            yield (
                f"In batches of {size} rows are predicted otherwise than in one of {len(rows)} (by up to "
                f"{gap:.2g}). {REMEDY}"
            )
    few = subject.batch(rows=200)
    # Short ones: a model that compares all events of a batch with all must not be asked for gigabytes.
    few = take(few, few.lengths_B.argsort(stable=True)[: MANY[0]].tolist())
    many = take(few, list(range(len(few))) * MANY[1])
    if gap := apart(ask(model, few).repeat(MANY[1]), ask(model, many)):
        said = f"In a batch of {len(many)} rows they are predicted otherwise than in one of {len(few)}"
        yield f"{said} (by up to {gap:.2g}). {REMEDY}"
    kept_B = torch.zeros(len(rows), dtype=torch.bool)
    kept_B[len(rows) // 2 : len(rows) // 2 + 4] = True
    changed = others_replaced(rows, kept_B, subject.features)
    if gap := apart(together[kept_B], ask(model, changed)[kept_B]):
        place = place_of_difference(model, rows, changed, kept_B)
        yield f"Rows are predicted otherwise beside other rows (by up to {gap:.2g}): they meet {place}. {REMEDY}"


def _mode_fault(model: CTRModel) -> str:
    """Modules that are in training mode, or go there, while the model is evaluated."""
    training = [name or "the model itself" for name, module in model.named_modules() if module.training]
    if training:
        return f"After eval() {training[0]} is in training mode: an overridden train() or eval() must not keep it so."
    return ""


def _places(rows: Batch) -> list[int]:
    """Rows at which to begin changing what is behind: a few before which and from which on there are events, else the
    one in the middle."""
    filled_B = rows.lengths_B > 0
    between = (filled_B[1:] & filled_B[:-1]).nonzero().flatten() + 1
    return between[[len(between) // 2, len(between) // 4, -1]].tolist() if len(between) else [len(rows) // 2]


def _next_event_replaced(subject: Subject, rows: Batch, half: int) -> Batch:
    """The rows, the first event behind those before `half` replaced, and with it what rows from there on count."""
    last, changed = int(rows.cu_seqlens[half]), clone(rows)
    for name, codes_T in changed.history.items():
        codes_T[last] = 2 + (codes_T[last] - 1) % (subject.features.event_sizes[name] - 2)
    changed.history_age_T[last] = 1.0
    changed.gap_T[last] += 1e6
    changed.equal_TH[last] = ~changed.equal_TH[last]
    changed.match_BM[half:] = 1 - changed.match_BM[half:]
    changed.outcome_BK[half:] = 1 - changed.outcome_BK[half:]
    return changed


@check("later", "Nothing depends on events after the row.")
def later(subject: Subject) -> Iterable[str]:
    """Rows of a user stand one behind the other in the order of time: what comes behind a row's own events, the next
    row's, holds events later than the row. All that is behind is replaced, then the first event of it alone."""
    model, rows = subject.restored(moved=True), subject.batch()
    before = ask(model, rows)
    for half in _places(rows):
        kept_B = torch.arange(len(rows)) < half
        changed = others_replaced(rows, kept_B, subject.features, seed=1)
        if gap := apart(before[kept_B], ask(model, changed)[kept_B]):
            place = place_of_difference(model, rows, changed, kept_B)
            yield (
                f"Rows are predicted otherwise when the rows behind them, with later events of the same users, "
                f"change (by up to "
                f"{gap:.2g}), {place}. A row's events end before cu_seqlens[b + 1]; read nothing from there on."
            )
            break
        if not rows.history or int(rows.cu_seqlens[half]) == len(rows.history_age_T):
            continue
        nearest = _next_event_replaced(subject, rows, half)
        if gap := apart(before[:half], ask(model, nearest)[:half]):
            yield (
                f"A row is predicted otherwise when the event right behind its history changes (by {gap:.2g}), "
                f"{place_of_difference(model, rows, nearest, kept_B)}: an index or a mask is off by one at "
                f"cu_seqlens[b + 1]."
            )
            break
    for limit in (1, 5, 50, 200):
        reads = model.events_read(limit)
        if not isinstance(reads, int) or not 0 <= reads <= limit:
            yield (
                f"events_read({limit}) returns {reads!r}: return a whole number from 0 to {limit}, the most "
                f"that is allowed."
            )
            break


@check("causal", "What is declared causal reads nothing later in a user's log.")
def causal(subject: Subject) -> Iterable[str]:
    """A causal model may be given a user's log once, of which each row reads a slice (`Batch.slices`): behind the slice
    stand later events, which are replaced; and where each row's own events reach as far back, both must agree."""
    if not subject.config.causal:
        raise NotApplicable("It does not declare itself causal: each row is given its own events.")
    model = subject.restored(moved=True)
    chosen = subject.data.by_user("val", 48)
    shared = subject.data.shared_batch("val", chosen, WHOLE)
    before, own = ask(model, shared), ask(model, subject.data.batch("val", chosen, WHOLE))
    if (gap := largest_difference(before, own)) > 10 * tolerance(before, own):  # sums over a log, in another order
        yield (
            f"A user's log read once gives other predictions than each row's own events (by up to {gap:.2g}): a "
            f"row must read "
            "what its slice [begin_b, end_b) holds, and the encoder nothing but what came before."
        )
    assert shared.slices is not None
    end_B, sizes = shared.slices.end_B, subject.features.event_sizes
    for row in torch.unique(end_B, return_inverse=True)[1].argsort()[:: max(len(end_B) // 6, 1)].tolist():
        end = int(end_B[row])
        changed = clone(shared)
        assert changed.slices is not None
        for name, codes_T in changed.history.items():
            codes_T[end:] = 2 + (codes_T[end:] - 1) % (sizes[name] - 2)
        changed.slices.identity_TH[end:] += 1
        changed.gap_T[end:] += 1e6
        if gap := apart(before[row : row + 1], ask(model, changed)[row : row + 1]):
            place = place_of_difference(model, shared, changed, torch.arange(len(chosen)) == row)
            yield (
                f"A row is predicted otherwise when events of its user after it change (by {gap:.2g}), {place}: "
                f"declare causal "
                "only what makes of an event a function of it and those before."
            )
            break


@check("label", "No label reaches the input.")
def label(subject: Subject) -> Iterable[str]:
    """Labels are flipped: of all rows and of each row's neighbours, when evaluating and when training; and of rows that
    were seen before."""
    found: list[str] = []
    model, rows = subject.restored(moved=True), subject.batch()
    flipped = clone(rows, label_B=1 - rows.label_B)
    if gap := apart(ask(model, rows), ask(model, flipped)):
        one = clone(rows)
        one.label_B[0] = 1 - one.label_B[0]
        other = largest_difference(ask(model, rows)[1:], ask(model, one)[1:])
        own = largest_difference(ask(model, rows)[:1], ask(model, one)[:1])
        whose = "its own label" if own > other else "labels of other rows"
        found.append(
            f"In evaluation a prediction moves (by up to {gap:.2g}) when labels are flipped: it reads {whose}, "
            f"{place_of_difference(model, rows, flipped)}. Read batch.label_B nowhere but in the loss."
        )
    training = subject.restored(moved=True).train(), subject.restored(moved=True).train()
    rows = subject.batch("train")
    flipped = clone(rows, label_B=1 - rows.label_B)
    torch.manual_seed(0)
    first = training[0](clone(rows)).logit_B.detach()
    torch.manual_seed(0)
    second = training[1](clone(flipped)).logit_B.detach()
    if not found and (gap := apart(first, second)):
        found.append(
            f"While training a logit moves (by up to {gap:.2g}) when labels are flipped: what is learned is to "
            f"copy them. "
            "Read batch.label_B nowhere but in the loss."
        )
    if not found:
        found += _remembered(subject)
    return found


def _remembered(subject: Subject) -> Iterable[str]:
    """Labels of rows seen before, in evaluation or by forward and loss without a step, that later predictions use."""
    for evaluating in (True, False):
        answers = []
        for flip in (False, True):
            model = subject.restored(moved=True).train(not evaluating)
            rows = subject.batch("val" if evaluating else "train")
            given = clone(rows, label_B=1 - rows.label_B) if flip else rows
            if evaluating:
                ask(model, given)
            else:
                torch.manual_seed(0)
                step_loss(model, clone(given))
            answers.append(ask(model.eval(), rows))
        if gap := apart(*answers):
            when = "evaluating" if evaluating else "training (forward and loss, without a step)"
            yield (
                f"Labels seen before when {when} move later predictions of the same rows (by up to {gap:.2g}): "
                f"the model keeps "
                "them. A label may enter through the gradient of the loss alone."
            )


@check("bookkeeping", "Row numbers, user numbers and times are not read; the batch is left as it is.")
def bookkeeping(subject: Subject) -> Iterable[str]:
    """`row_id_B`, `user_B` and `timestamp_B` are for bookkeeping: rows are numbered in the order of their file, which
    may follow the label. What forward writes into a batch, the loss and the metrics would read."""
    found: list[str] = []
    rows = subject.batch()
    for name in ("row_id_B", "user_B", "timestamp_B"):
        order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))
        values = [getattr(rows, name)[order], getattr(rows, name) * 3 + 1, torch.zeros_like(getattr(rows, name))]
        for training, who in ((False, "The prediction"), (True, "While training the logit")):
            before = _logits(subject, rows, training)
            if any(apart(before, _logits(subject, clone(rows, **{name: value}), training)) for value in values):
                found.append(f"{who} reads batch.{name}, which is no input: use the fields of the data set.")
                break
    for training in (False, True):
        model, given = subject.restored().train(training), clone(rows)
        torch.manual_seed(0)
        with torch.set_grad_enabled(training):
            model(given)
        found += [
            f"forward changes batch.{name} in place{' while training' if training else ''}: the loss, the metrics and "
            "the next reader see what it wrote. Work on a copy (clone)."
            for name in _changed(rows, given)
            if not any(f"batch.{name} in place" in said for said in found)
        ]
    return found


def _logits(subject: Subject, rows: Batch, training: bool) -> Tensor:
    """Logits of a fresh copy of the model, in training mode or not, under one seed."""
    model = subject.restored(moved=True).train(training)
    torch.manual_seed(0)
    with torch.no_grad(), python_randomness(0):
        logit_B: Tensor = model(clone(rows)).logit_B
    return logit_B


def _changed(before: Batch, after: Batch) -> Iterable[str]:
    for field in fields_of(before):
        a, b = getattr(before, field.name), getattr(after, field.name)
        if a is None:
            continue
        pairs = [(a, b)] if isinstance(a, Tensor) else [(v, b.get(k)) for k, v in a.items()]
        if (isinstance(a, dict) and set(a) != set(b)) or any(
            y is None or x.shape != y.shape or not torch.equal(x.nan_to_num(7), y.nan_to_num(7)) for x, y in pairs
        ):
            yield field.name
