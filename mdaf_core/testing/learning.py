"""Does all of it learn, and from the loss it says?"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from types import CodeType
from typing import Any

import torch
from torch import Tensor, nn

from mdaf_core.data.batches.loader import Batch
from mdaf_core.models.base import CTRModel, Output
from mdaf_core.models.layers import NumericVectors
from mdaf_core.testing.base import check
from mdaf_core.testing.data import take
from mdaf_core.testing.settings import choices, with_setting
from mdaf_core.testing.subject import Subject, Trained, ask, python_randomness, require_output

_LOSS_LIKE = re.compile(r"loss|criterion|objective|penalt|regulari[sz]", re.IGNORECASE)
_OF_A_TRAINER = frozenset({"training_step", "validation_step", "test_step", "configure_optimizers", "backward",
                           "optimizer_step", "on_train_batch_end", "on_train_epoch_end"})  # fmt: skip
OTHER_STEPS, OTHER_ROWS = 4, 24

THE_CALL = (
    "The trainer calls loss(self, output, target_B) of the model and nothing else: make it, or call it from, that."
)


@check("gradients", "Every parameter gets a gradient.")
def gradients(subject: Subject) -> Iterable[str]:
    """Over a few steps of training, with the settings given and with each other choice; rows of a table that no id of
    the data reads do not count."""
    model = subject.build()
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    dead = _dead(subject, subject.trained, model)
    others = dict(_other_settings(subject))
    for name in _by_module(dead - frozen, model):
        where = [setting for setting, alive in others.items() if any(_within(n, name) for n in alive[1])]
        only = f" It gets one with {where[0]}: build it only there." if where else ""
        also = "" if where else " Let it enter the logit or the loss, or delete it."
        yield (
            f"{_parameter(name, model)} gets no gradient in {len(subject.trained.touched) and 'any of the'} "
            f"steps of training.{only}{also}"
        )
    for name in _by_module(frozen, model):
        yield (
            f"{_parameter(name, model)} is frozen (requires_grad=False): no step moves it. "
            "Make a constant a buffer (register_buffer), or let it learn."
        )
    for setting, (silent, _) in others.items():
        for name in sorted(silent - dead):
            yield f"With {setting}, {name} gets no gradient: build it only where it is used."
    for tensor in subject.trained.unregistered:
        yield (
            f"{_place_of(tensor, subject)} learns by its gradient and is no parameter of the model: the "
            f"optimiser never "
            "moves it and it is not saved. Keep modules in nn.ModuleList or nn.ModuleDict, tensors in nn.Parameter."
        )
    for name in sorted(subject.trained.late):
        said = f"Parameter {name} is made after the model was built: the optimiser does not know it."
        yield f"{said} Make it in __init__."
    yield from (
        f"{place} holds a module that is not registered: its weights are neither trained nor saved. "
        "Use nn.ModuleList or nn.ModuleDict."
        for place in _hidden_modules(model)
        if not subject.trained.unregistered
    )


def _dead(subject: Subject, trained: Trained, model: CTRModel) -> set[str]:
    """Parameters that never had a gradient; the vector of missing numbers is no fault where none reach it."""
    gaps = {f"{name}.missing_GD" for name, module in model.named_modules() if isinstance(module, NumericVectors)}
    return {name for name, p in model.named_parameters() if p.numel()} - trained.touched - gaps


def _other_settings(subject: Subject) -> Iterator[tuple[str, tuple[set[str], set[str]]]]:
    """Of each other choice: parameters without and with a gradient."""
    for path, value in choices(subject.config):
        config = with_setting(subject.config, path, value)
        if config is None or config.grown:
            continue
        trained = subject.train(config, OTHER_STEPS, OTHER_ROWS, watch=False)
        model = subject.build(config=config)
        frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
        shown = getattr(value, "kind", value)
        yield f"{path}={shown}", (_dead(subject, trained, model) - frozen, trained.touched)


def _by_module(names: set[str], model: nn.Module) -> list[str]:
    """Parameters, or the module of which no parameter is left out, in its place."""
    out: list[str] = []
    for name in sorted(names):
        owner = name
        for parent in _parents(name):
            below = [n for n, _ in model.named_parameters() if _within(n, parent)]
            if below and all(n in names for n in below) and len(below) > 1:
                owner = parent
                break
        if owner not in out:
            out.append(owner)
    return out


def _parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:i]) for i in range(1, len(parts))]


def _within(name: str, place: str) -> bool:
    return name == place or name.startswith(f"{place}.")


def _parameter(name: str, model: nn.Module) -> str:
    modules = dict(model.named_modules())
    return f"Module {name} ({type(modules[name]).__name__})" if name in modules else f"Parameter {name}"


def _place_of(tensor: Tensor, subject: Subject) -> str:
    """Where a tensor lies that is no parameter, by its shape in a model of the same kind."""
    shape = tuple(tensor.shape)
    for place, value in plain_attributes(subject.build()):
        inside = value.parameters() if isinstance(value, nn.Module) else [value] if isinstance(value, Tensor) else []
        if any(tuple(t.shape) == shape for t in inside):
            return place
    return f"A tensor of shape {shape}"


def _hidden_modules(model: nn.Module) -> list[str]:
    own = {id(m) for m in model.modules()}
    return [
        place
        for place, value in plain_attributes(model)
        if isinstance(value, nn.Module) and id(value) not in own and any(True for _ in value.parameters())
    ]


def plain_attributes(model: nn.Module) -> Iterator[tuple[str, Any]]:
    """Modules and tensors in plain attributes, lists and dictionaries of a model's modules, and where they are."""
    for name, module in model.named_modules():
        for key, value in vars(module).items():
            if key.startswith("_") and key in ("_parameters", "_buffers", "_modules"):
                continue
            place = f"{name}.{key}" if name else f"self.{key}"
            entries = (
                value.items()
                if isinstance(value, dict)
                else enumerate(value)
                if isinstance(value, list | tuple)
                else ()
            )
            if isinstance(value, nn.Module | Tensor):
                yield place, value
            yield from ((f"{place}[{i!r}]", v) for i, v in entries if isinstance(v, nn.Module | Tensor))


@check("loss", "The loss that is written is the loss that trains.")
def loss(subject: Subject) -> Iterable[str]:
    """`loss(output, target_B)` is what the trainer calls: what looks like a loss is called, and what it returns is a
    number that depends on the targets and through which the outputs learn."""
    model = subject.build(1)
    yield from _never_called(model, subject)
    model = subject.restored().train()
    batch = subject.batch("train")
    torch.manual_seed(0)
    output = model(batch)
    require_output(output, len(batch))
    leaves = _leaves(output)
    target_B = (0.9 * batch.label_B + 0.05).clone()
    value = model.loss(_with(output, leaves), target_B)
    written = f"{type(model).__name__}.loss"
    if not isinstance(value, Tensor):
        yield f"{written} returns a {type(value).__name__}, not a tensor: the trainer cannot learn from it."
        return
    if value.dim():
        yield f"{written} returns a tensor of shape {tuple(value.shape)}: return one number, such as its mean."
        return
    if not torch.isfinite(value):
        yield f"{written} returns {float(value.detach())} on usual data."
        return
    if not value.requires_grad:
        yield f"{written} returns a tensor cut off from the model (detached, or a constant): nothing learns from it."
        return
    grads = torch.autograd.grad(value, list(leaves.values()), allow_unused=True)
    learns = {name for name, g in zip(leaves, grads, strict=True) if g is not None and bool(g.any())}
    if not learns:
        yield (
            f"{written} returns a number through which nothing of the output learns: its terms are detached or "
            f"constant."
        )
    for name in [n for n in leaves if n not in learns]:
        if _depends(model, output, leaves, name, target_B, 0.01):
            yield (
                f"{written} reads Output.{name} and nothing learns from it there: that term is detached "
                f"(detach, item, no_grad)."
            )
        elif name.startswith("parts[") and not _depends(model, output, leaves, name, target_B, 1.0):
            yield (
                f"Output.{name} does not enter {written}: it is made and never used. Add it to the loss, or "
                f"leave it out."
            )
    if learns and _value(model, output, target_B) == _value(model, output, 1 - target_B):
        yield f"{written} does not depend on target_B: the labels do not enter the training."
        return
    gradient = dict(zip(leaves, grads, strict=True))["logit_B"]
    if gradient is not None and "logit_B" in learns:
        for label, words in ((0, "without a click"), (1, "with a click")):
            if not bool(gradient[batch.label_B == label].any()):
                yield f"{written} is flat for every row {words}: nothing is learned from those rows."
    yield from _directions(model, output, target_B, batch.label_B, written)
    if _sums_rows(subject, batch):
        yield (
            f"{written} is a sum over the rows: in a batch twice as large every row moves the weights as far, so the "
            "size of the batch sets the step, and gradient_clip cuts every one of them. Return the mean."
        )
    if _probabilities(subject):
        yield (
            "Output.logit_B is in [0, 1] whatever the weights are: it seems to be a probability, and is taken for its "
            "log-odds everywhere. Return the value before the sigmoid."
        )


def _directions(model: CTRModel, output: Output, target_B: Tensor, label_B: Tensor, written: str) -> Iterator[str]:
    """Whether the loss is smaller where logits agree with the labels, and goes on from the labels to smoothed ones."""
    right_B = 3.0 * (2 * label_B - 1)
    agree, contradict = (_value(model, _with(output, {"logit_B": z_B}), target_B) for z_B in (right_B, -right_B))
    if agree > contradict:
        yield (
            f"{written} is larger where logits agree with the labels ({agree:.3g}) than where they contradict them "
            f"({contradict:.3g}): it teaches the opposite. Look at its sign and at target_B."
        )
    exact, near = (_value(model, output, t_B) for t_B in (label_B, label_B + 1e-6 * (1 - 2 * label_B)))
    if abs(exact - near) > 1e-3 * max(abs(exact), abs(near)):
        yield (
            f"{written} asks whether a target is exactly 0 or 1 (for labels {exact:.4g}, a millionth beside them "
            f"{near:.4g}): targets are smoothed (training.label_smoothing) and never are. Compare with one half."
        )


def _sums_rows(subject: Subject, batch: Batch) -> bool:
    """Whether a row's gradient is as large in a batch that holds every row twice: of a mean it is half of that."""
    sizes = []
    for times in (1, 2):
        model = subject.restored().train()
        torch.manual_seed(0)
        output = model(take(batch, list(range(len(batch))) * times))
        logit_B = output.logit_B.detach().requires_grad_()
        value = model.loss(_with(output, {"logit_B": logit_B}), 0.9 * batch.label_B.repeat(times) + 0.05)
        (gradient,) = torch.autograd.grad(value, [logit_B], allow_unused=True)
        sizes.append(0.0 if gradient is None else float(gradient.abs().mean()))
    return sizes[1] > 0.85 * sizes[0] > 0


def _probabilities(subject: Subject) -> bool:
    """Whether all logits lie in [0, 1] though weights are moved far, again and again."""
    rows, model = subject.batch(), subject.restored()
    for number in range(8):
        logit_B = ask(model, rows)
        if not bool(((logit_B >= 0) & (logit_B <= 1)).all()):
            return False
        draw = torch.Generator().manual_seed(number)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.is_floating_point():
                    parameter.add_(torch.randn(parameter.shape, generator=draw))
    return True


def _leaves(output: Output) -> dict[str, Tensor]:
    tensors = {name: getattr(output, name) for name in vars(output) if name != "parts"}
    tensors |= {f"parts[{name!r}]": value for name, value in (output.parts or {}).items()}
    return {
        n: t.detach().clone().requires_grad_()
        for n, t in tensors.items()
        if isinstance(t, Tensor) and t.is_floating_point()
    }


def _with(output: Output, leaves: dict[str, Tensor]) -> Output:
    fields = {name: leaves.get(name, getattr(output, name)) for name in vars(output)}
    parts = None if output.parts is None else {k: leaves.get(f"parts[{k!r}]", v) for k, v in output.parts.items()}
    return type(output)(**{**fields, "parts": parts})


def _depends(
    model: CTRModel, output: Output, leaves: dict[str, Tensor], name: str, target_B: Tensor, step: float
) -> bool:
    """Whether the loss moves when this tensor does, by up to `step`: a hinge may be flat near by and not far away."""
    plain = _value(model, _with(output, leaves), target_B)
    for sign in (-1, 1):
        move = sign * step * torch.linspace(0.5, 1, leaves[name].numel()).view_as(leaves[name])
        moved = {n: t.detach() + (move if n == name else 0) for n, t in leaves.items()}
        if _value(model, _with(output, moved), target_B) != plain:
            return True
    return False


def _value(model: CTRModel, output: Output, target_B: Tensor) -> float:
    torch.manual_seed(0)
    with torch.no_grad(), python_randomness(0):
        return float(model.loss(output, target_B))


def _never_called(model: CTRModel, subject: Subject) -> Iterator[str]:
    """What is written like a loss, or like a step of another trainer, and never runs in training."""
    called = set(subject.trained.called)
    for path, value in choices(subject.config) if any(_silent(model, called)) else ():
        config = with_setting(subject.config, path, value)
        if config is not None and not config.grown:
            called |= subject.train(config, 1, OTHER_ROWS).called
    for place in _silent(model, called):
        yield f"{place} is never called in training. {THE_CALL}"
    modules = dict(model.named_modules())
    for name, module in modules.items():
        last = name.rpartition(".")[2]
        if (_LOSS_LIKE.search(last) or isinstance(module, nn.modules.loss._Loss)) and name not in subject.trained.ran:
            more = " A module named `loss` does not replace the method `loss`." if name == "loss" else ""
            yield f"self.{name} ({type(module).__name__}) never runs in training.{more} {THE_CALL}"


def _silent(model: CTRModel, called: set[CodeType]) -> Iterator[str]:
    seen = set()
    for module in model.modules():
        for kind in type(module).__mro__:
            if kind in seen or kind.__module__.split(".")[0] in ("torch", "builtins") or kind in (CTRModel, nn.Module):
                continue
            seen.add(kind)
            for name, method in vars(kind).items():
                method = getattr(method, "__func__", method)
                if inspect.isfunction(method) and _looks_like_a_loss(name) and method.__code__ not in called:
                    if name == "loss" and any(
                        "loss" in vars(k) for k in type(module).__mro__[: type(module).__mro__.index(kind)]
                    ):
                        continue  # overridden by a subclass
                    yield f"{kind.__name__}.{name} (line {method.__code__.co_firstlineno})"
        for name, value in vars(module).items():
            if inspect.isfunction(value) and _looks_like_a_loss(name) and value.__code__ not in called:
                yield f"self.{name} ({value.__name__})"


def _looks_like_a_loss(name: str) -> bool:
    return bool(_LOSS_LIKE.search(name)) or name in _OF_A_TRAINER
