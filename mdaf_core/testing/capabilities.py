"""Is what a model declares true: that it reads histories, that it has a gate?"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from mdaf_core.models.base import GatedModel
from mdaf_core.testing.base import NotApplicable, apart, check
from mdaf_core.testing.data import clone, others_replaced, without_histories
from mdaf_core.testing.subject import Subject, answer, ask


@check("history", "It reads histories where it says so, and only there.")
def history(subject: Subject) -> Iterable[str]:
    """A model that declares histories must move with them; one that declares none gets none, and must not move where
    there are some."""
    if not subject.data.meta.history_fields:
        raise NotApplicable("The model was built on data without histories.")
    model, kind = subject.restored(moved=True), type(subject.config).__name__
    rows = subject.data.batch("val", subject.data.by_user("val", 64))
    nobody = torch.zeros(len(rows), dtype=torch.bool)
    replaced = others_replaced(rows, nobody, subject.features)
    other = clone(rows, history=replaced.history, history_age_T=replaced.history_age_T, equal_TH=replaced.equal_TH,
                  gap_T=replaced.gap_T, match_BM=replaced.match_BM, outcome_BK=replaced.outcome_BK)  # fmt: skip
    if subject.config.reads_history:
        before = ask(model, rows)
        if any(apart(before, ask(model, given)) for given in (other, without_histories(rows))):
            return
        yield (
            f"{kind} declares that it reads histories (reads_history, which is True unless it says False), and "
            f"no event ever "
            "moves its prediction: set reads_history = False, or read batch.history."
        )
        return
    try:
        moves = apart(ask(model, rows), ask(model, other))
    except Exception as error:
        yield (
            f"{kind} declares reads_history = False, and reads a batch's history all the same: {subject.said(error)}"
        )
        return
    if moves:
        yield (
            f"{kind} declares reads_history = False, and its prediction moves with the history (by "
            f"{moves:.2g}): in a run it "
            "finds none. Set reads_history = True."
        )
        return


@check("gate", "g is a weight: in [0, 1], replaceable, and the answer from the branches' vectors is the prediction.")
def gate(subject: Subject) -> Iterable[str]:
    model, rows = subject.restored(moved=True), subject.batch()
    kind, output = type(model).__name__, answer(subject.restored(moved=True), rows)
    if not subject.config.gated:
        if output.gate_B is not None:
            yield (
                f"{kind} returns Output.gate_B, and its configuration says that it "
                f"{subject.config.lacks_gate}: Gates would not "
                "show it. Make the network a GatedModel and let lacks_gate return an empty "
                "text."
            )
            return
        if not isinstance(model, GatedModel):
            raise NotApplicable("It declares no gate.")
    if not isinstance(model, GatedModel):
        yield f"{kind} is declared as gated and is no GatedModel: derive it from mdaf_core.models.base.GatedModel."
        return
    with torch.inference_mode():
        static_BD, sequential_BD = (v.clone() for v in model.branches(clone(rows)))
        yield from _branches(model, static_BD, sequential_BD, output.logit_B, subject)
        if subject.config.gated:
            yield from _gate(model, static_BD, sequential_BD, subject)


def _branches(
    model: GatedModel, static_BD: Tensor, sequential_BD: Tensor, logit_B: Tensor, subject: Subject
) -> Iterable[str]:
    name = type(model).__name__
    if static_BD.shape != sequential_BD.shape or static_BD.dim() != 2 or len(static_BD) != len(logit_B):
        yield (
            f"{name}.branches returns {tuple(static_BD.shape)} and {tuple(sequential_BD.shape)}: return two "
            f"(rows, D) of one width."
        )
        return
    if gap := apart(logit_B, model.fuse(static_BD, sequential_BD).logit_B):
        yield (
            f"{name}.fuse(*branches(batch)) is not forward(batch) (by up to {gap:.2g}): what Gates takes apart "
            f"is another model."
        )
    if gap := apart(logit_B, model.answer(static_BD, sequential_BD)):
        yield f"{name}.answer(static, sequential) is not forward(batch) (by up to {gap:.2g})."
    order = torch.arange(len(logit_B)).flip(0)
    if gap := apart(logit_B[order], model.answer(static_BD[order], sequential_BD[order])):
        yield f"{name}.answer depends on the other rows it is asked with (by up to {gap:.2g})."


def _gate(model: GatedModel, static_BD: Tensor, sequential_BD: Tensor, subject: Subject) -> list[str]:
    name, found = type(model).__name__, []
    output = model.fuse(static_BD, sequential_BD)
    rows, g_B = len(static_BD), output.gate_B
    if g_B is None or g_B.shape != (rows,):
        return [
            f"{name} is declared as gated and Output.gate_B is "
            f"{'missing' if g_B is None else tuple(g_B.shape)}: return one g a row."
        ]
    g_BK = g_B.unsqueeze(1) if output.gate_BD is None else output.gate_BD
    for words, values in (("gate_B", g_B), ("gate_BD", g_BK)):
        if not bool(((values >= 0) & (values <= 1)).all()):  # NaN is none either
            found.append(
                f"Output.{words} of {name} reaches from {float(values.min()):.3g} to {float(values.max()):.3g}: "
                f"g is a weight in [0, 1] (a sigmoid, a softmax)."
            )
            break
    for scale in (-100.0, 100.0):
        far_B = model.fuse(scale * static_BD, scale * sequential_BD).gate_B
        if not found and far_B is not None and not bool(((far_B >= 0) & (far_B <= 1)).all()):
            found.append(
                f"Output.gate_B of {name} leaves [0, 1] for vectors far from zero ({float(far_B.min()):.3g} to "
                f"{float(far_B.max()):.3g}): g is a weight (a sigmoid, a softmax)."
            )
    if output.gate_BD is not None and (gap := apart(g_B, g_BK.mean(1))):
        found.append(f"Output.gate_B of {name} is not the mean of gate_BD (by up to {gap:.2g}).")
    if gap := apart(output.logit_B, model.answer(static_BD, sequential_BD, g_BK)):
        found.append(
            f"{name}.answer(static, sequential, g) with its own g is not the prediction (by up to {gap:.2g}): "
            f"the g that is shown is not the one that mixes."
        )
    ends = {}
    for value, words in ((0.0, "logit_static_B"), (1.0, "logit_sequential_B"), (0.3, "")):
        given_B = torch.full((rows,), value)
        replaced = model.fuse(static_BD, sequential_BD, given_B)
        asked = model.answer(static_BD, sequential_BD, given_B.unsqueeze(1))
        ends[value] = asked
        if gap := apart(replaced.logit_B, asked):
            found.append(
                f"{name}.fuse with g = {value:g} is not answer with g = {value:g} (by up to {gap:.2g}): "
                f"replacing g works in one of them alone."
            )
        if replaced.gate_B is None or apart(replaced.gate_B, given_B):
            found.append(f"{name}.fuse with g = {value:g} returns another gate_B: return the g that was given.")
        branch = getattr(output, words) if words else None
        if words and branch is None:
            found.append(f"Output.{words} of {name} is missing in evaluation: return the answer for g = {value:g}.")
        elif branch is not None and (gap := apart(branch, asked)):
            found.append(f"Output.{words} of {name} is not the answer for g = {value:g} (by up to {gap:.2g}).")
    if not apart(ends[0.0], ends[1.0]):
        found.append(f"Replacing g in {name}.answer changes nothing: g = 0 and g = 1 predict the same.")
    other = torch.flip(sequential_BD, [0]) + 1.0, torch.flip(static_BD, [0]) + 1.0
    zero, one = torch.zeros(rows, 1), torch.ones(rows, 1)
    if gap := apart(ends[0.0], model.answer(static_BD, other[0], zero)):
        found.append(
            f"With g = 0 the answer of {name} still moves with the sequential branch (by up to {gap:.2g}): g is "
            f"not its weight."
        )
    if gap := apart(ends[1.0], model.answer(other[1], sequential_BD, one)):
        found.append(
            f"With g = 1 the answer of {name} still moves with the static branch (by up to {gap:.2g}): 1 − g is "
            f"not its weight."
        )
    return found
