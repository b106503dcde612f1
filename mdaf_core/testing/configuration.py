"""Do the settings say what they allow, and does everything they allow work, on every kind of data?"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import torch
from pydantic import ValidationError
from torch.nn.parameter import UninitializedParameter

from mdaf_core.base.errors import StudioError
from mdaf_core.data.batches.loader import Batch
from mdaf_core.data.store.schema import UNKNOWN, FeatureSpec
from mdaf_core.models.registry import build_model
from mdaf_core.testing.base import Note, check
from mdaf_core.testing.data import LAYOUTS, GeneratedData, clone, take, without_histories
from mdaf_core.testing.everywhere import changed_everywhere, process_wide
from mdaf_core.testing.settings import choices, ends, limits, unlimited_below, with_setting
from mdaf_core.testing.subject import TRAINING, Subject, answer, require_output, step_loss
from mdaf_core.training.optimizer import build_optimizer

HUGE = 710.0
"""The largest that the preparation makes of a number: the logarithm of the largest there is (standardised: 10)."""


@check("builds", "It is built, predicts and takes a step of training.")
def builds(subject: Subject) -> Iterable[str]:
    """With its default settings, on the generated data: what nothing else can be examined without. Neither building nor
    asking changes the settings, the data's fields or what holds for the whole process."""
    everywhere, config = process_wide(), subject.config.model_dump()
    try:
        features = subject.features
        given = copy.deepcopy(features)
        model = subject.build(features=features)
        yield from _left_changed(subject, config, given, features)
        lazy = [name for name, p in model.named_parameters() if isinstance(p, UninitializedParameter)]
        if lazy:
            yield f"{lazy[0]} is made by the first batch (a Lazy module): make it in __init__, from the features."
            return
        answer(model.eval(), subject.batch())
        if changed := changed_everywhere(everywhere):  # told before what else fails for it
            yield from changed
            return
        optimizer = build_optimizer(model.train(), TRAINING)
        loss = step_loss(model, subject.batch("train"))
        if not isinstance(loss, torch.Tensor):
            yield f"{type(model).__name__}.loss returns a {type(loss).__name__}: return a tensor of one number."
            return
        if loss.requires_grad and not loss.dim():  # else `loss` says what is wrong with it
            loss.backward()
            optimizer.step()
    except Exception as error:
        yield f"The model does not run. {subject.said(error)}"
        return
    yield from changed_everywhere(everywhere)


def _left_changed(subject: Subject, config: dict[str, Any], given: FeatureSpec, features: FeatureSpec) -> Iterable[str]:
    name = type(subject.config).__name__
    now = subject.config.model_dump()
    different = [setting for setting in config if now.get(setting) != config[setting]]
    if different:
        yield (
            f"Building the model changes {', '.join(different)} of its {name}: the run would be stored with other "
            "settings than it was given. Keep what is computed in attributes of the network."
        )
    if features != given:
        yield (
            "Building the model changes the features that it is given, which others read too: work on a copy "
            "(dict(features.categorical))."
        )


@check("settings", "Every setting is described, and its limits hold.", kinds="both")
def settings(subject: Subject) -> Iterable[str]:
    """The smallest and largest values and each choice build and answer; settings that do not go together are refused
    by the configuration, not by an error later. The configuration survives being written as JSON."""
    config = subject.config
    kind = type(config).__name__
    try:
        type(config)()
    except ValidationError as error:
        yield (
            f"{kind}() cannot be made without settings ({error.error_count()} are missing or wrong): give every "
            f"field a default."
        )
    try:
        if type(config).model_validate_json(config.model_dump_json()) != config:
            yield f"{kind} written as JSON and read again is another configuration: use fields that JSON holds."
    except (ValidationError, ValueError) as error:
        yield f"{kind} does not survive JSON, as which runs are stored: {subject.said(error)}"
    for path, info, value in limits(config):
        if not info.description:
            yield (
                f"Setting {path} of {kind} has no description: Field({value!r}, description=…) is what forms "
                f"and help show."
            )
        if subject.grown:
            continue
        for which, end in ends(info, value).items():
            yield from _works(subject, path, end, f"its {which} value", allocate=which == "smallest")
        if unlimited_below(info):
            for low in (-1, 0):
                yield from _works(subject, path, low, f"{low}, which nothing forbids,")
    if not subject.grown:
        for path, value in choices(config):
            yield from _works(subject, path, value, "a choice")


def _works(subject: Subject, path: str, value: Any, words: str, allocate: bool = True) -> list[str]:
    """Nothing where the model with one setting changed builds and answers, or the configuration refuses it."""
    config = with_setting(subject.config, path, value)
    if config is None or config.grown:
        return []
    shown = getattr(value, "kind", value)
    try:
        if not allocate:
            with torch.device("meta"):
                build_model(config, subject.features)
            return []
        model = subject.build(config=config)
        rows = subject.data.batch("val", subject.data.by_user("val", 6), subject.history_of(model))
        require_output(model.eval()(rows), len(rows))
    except Exception as error:
        return [
            f"With {path}={shown} ({words}) the model fails: {subject.said(error)} Limit the field (ge=, le=), "
            f"or refuse it in a validator."
        ]
    return []


@check("inputs", "Every input that data may hold gives a finite logit.")
def inputs(subject: Subject) -> Iterable[str]:
    """Numbers of 0, missing (NaN) and huge; ids that training never saw; one row; rows without events, with one, with
    more than are kept."""
    model, rows = subject.restored(), subject.batch()
    cases: dict[str, Batch] = {
        "as they are": rows,
        "of one row alone": take(rows, [0]),
        "of the training": subject.batch("train"),
    }
    if rows.numeric_BG.shape[1]:
        cases |= {
            "with numbers of 0": clone(rows, numeric_BG=torch.zeros_like(rows.numeric_BG)),
            "with missing numbers (NaN)": clone(rows, numeric_BG=torch.full_like(rows.numeric_BG, torch.nan)),
            f"with numbers of {HUGE:g}": clone(rows, numeric_BG=torch.full_like(rows.numeric_BG, HUGE)),
            f"with numbers of {-HUGE:g}": clone(rows, numeric_BG=torch.full_like(rows.numeric_BG, -HUGE)),
        }
    unknown = clone(
        rows,
        categorical_BF=torch.full_like(rows.categorical_BF, UNKNOWN),
        history={name: torch.full_like(codes_T, UNKNOWN) for name, codes_T in rows.history.items()},
        equal_TH=torch.zeros_like(rows.equal_TH),
        match_BM=torch.zeros_like(rows.match_BM),
        outcome_BK=torch.zeros_like(rows.outcome_BK),
    )
    cases["with unknown ids alone (code 1)"] = unknown
    if rows.history:
        empty = without_histories(rows)
        filled = [row for row, length in enumerate(rows.lengths_B.tolist()) if length]
        cases |= {"with empty histories alone": empty, "of one row with an empty history": take(empty, [0]),
                  "with full histories alone": take(rows, filled)}  # fmt: skip
    kind = answer(model, rows).logit_B.dtype
    if torch.finfo(kind).bits < 32:
        yield f"Output.logit_B is {kind}: rows tie that the model tells apart. Return float32 (logit_B.float())."
    elif kind != torch.float32:
        yield Note(f"Output.logit_B is {kind}: what is more than float32 costs memory and is rounded anyway.")
    for words, given in cases.items():
        for training in (False, True) if len(given) > 1 else (False,):
            try:
                if training:
                    torch.manual_seed(0)
                    value = step_loss(model.train(), clone(given))
                    finite = value.detach()
                else:
                    finite = answer(model.eval(), given).logit_B
            except Exception as error:
                yield f"A batch {words} fails{' in training' if training else ''}: {subject.said(error)}"
                break
            if not bool(torch.isfinite(finite).all()):
                bad = int((~torch.isfinite(finite)).sum())
                what = "the loss is not finite" if training else f"{bad} of {len(given)} logits are not finite"
                yield f"In a batch {words} {what}: guard against it (nan_to_num, a clamp, a length of at least 1)."
                break


@check("data", "It works on every kind of data, or refuses it with a sentence.")
def data(subject: Subject) -> Iterable[str]:
    """Data without numbers, categories, histories, users, or with numbers alone: one step of training and a prediction,
    or a StudioError when built that says what is missing."""
    for layout in LAYOUTS:
        made = GeneratedData(layout)
        spec = made.meta.features()
        if subject.config.reads_history and not spec.history:
            continue  # the program does not offer it such data
        try:
            try:
                model = subject.build(features=spec).train()
            except StudioError:
                continue
            rows = made.batch("train", made.by_user("train", 48), subject.history_of(model))
            step_loss(model, rows).backward()
            answer(model.eval(), rows)
        except Exception as error:
            said = f"On data with {layout} the model fails: {subject.said(error)} "
            said += "Handle it, or raise a StudioError in __init__ that says what it needs."
            yield Note(said) if layout in _ODD else said


_ODD = ("no users and no history", "numbers alone")
"""Data that many a model is not meant for."""
