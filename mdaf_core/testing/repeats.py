"""Is the same done again the same? Answers, trainings, resumed trainings, saved weights, another process."""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from mdaf_core.base.errors import StudioError
from mdaf_core.base.process import environment, module_command
from mdaf_core.data.batches.loader import Batch
from mdaf_core.models.base import CTRModel
from mdaf_core.models.weights import load_model, save_weights
from mdaf_core.runs.config import RunConfig
from mdaf_core.runs.progress import Cancelled, Monitor, Progress
from mdaf_core.runs.results import EpochMetrics
from mdaf_core.testing.base import Note, check, largest_difference
from mdaf_core.testing.data import clone, others_replaced, without_histories
from mdaf_core.testing.learning import plain_attributes
from mdaf_core.testing.subject import TRAINING, Subject, ask, python_randomness, step_loss, watchable

SEEDED = "Draw from torch's global generator (torch.rand, nn.Dropout), which the run's seed sets, and only in training."


@check("state", "Nothing is kept between batches.")
def state(subject: Subject) -> Iterable[str]:
    """A batch is predicted first, again, and after others: other rows, the same rows with other contents or histories,
    training batches. Answers must be the same bits, and the saved state must not move in evaluation."""
    found: list[str] = []
    rows = subject.batch()
    first = ask(subject.restored(), rows)

    model = subject.restored()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    sizes = [_sizes(model)]
    for _ in range(4):
        again = ask(model, rows)
        sizes.append(_sizes(model))
    moved = [name for name, tensor in model.state_dict().items() if not _equal(tensor, before.get(name))]
    for name in moved:
        found.append(f"{name} changes while evaluating: update buffers only where self.training is true.")
    for name, counts in _growing(sizes):
        found.append(
            f"{name} grows with every batch ({counts[0]} to {counts[-1]} entries in {len(counts) - 1} batches): "
            f"keep nothing of a batch."
        )
    attribute = _attribute_that_moved(subject, rows)
    where = f" Suspect: {attribute}." if attribute else ""
    if gap := largest_difference(first, again):
        found.append(
            f"The same batch asked again is answered otherwise (by up to {gap:.2g}): the model keeps something "
            f"of a batch.{where}"
        )

    nobody = torch.zeros(len(rows), dtype=torch.bool)
    replaced = others_replaced(rows, nobody, subject.features)
    numbered = clone(replaced, row_id_B=rows.row_id_B, user_B=rows.user_B, timestamp_B=rows.timestamp_B)
    others = {
        "other rows": subject.batch("test"),
        "the same rows with other contents": numbered,
        "the same rows without histories": without_histories(rows) if rows.history else rows,
    }
    for words, other in others.items():
        model = subject.restored()
        ask(model, other)
        if not found and (gap := largest_difference(first, ask(model, rows))):
            found.append(
                f"A batch is predicted otherwise after {words} (by up to {gap:.2g}): the model keeps something "
                f"of a batch.{where}"
            )
    model = subject.restored().train()
    before_steps, sizes, graphs = _modes(model), [_sizes(model)], [_graphs(model)]
    for _ in range(4):
        torch.manual_seed(0)
        step_loss(model, subject.batch("train"))
        sizes.append(_sizes(model))
        graphs.append(_graphs(model))
    for name, counts in [] if found else _growing(sizes):
        found.append(
            f"{name} grows with every batch of training ({counts[0]} to {counts[-1]} entries in {len(counts) - 1} "
            f"batches): keep nothing of a batch."
        )
    for name, counts in _growing(graphs):
        found.append(
            f"{name} keeps the graph of every batch so far ({counts[1]} to {counts[-1]} operations in "
            f"{len(counts) - 1} batches of training): memory grows until it is gone. Keep a number (item, detach)."
        )
    switched = [name or "the model itself" for name, mode in _modes(model).items() if mode != before_steps[name]]
    if switched:
        found.append(
            f"forward puts {switched[0]} into another mode than the trainer did: dropout and normalisation there are "
            "from then on those of the evaluation. Leave train() and eval() to the trainer."
        )
        model.train()
    saved = subject.build(6)
    saved.load_state_dict(model.state_dict())
    if not found and (gap := largest_difference(ask(model.eval(), rows), ask(saved.eval(), rows))):
        found.append(
            f"After training batches a model predicts otherwise than one with the same state_dict (by up to "
            f"{gap:.2g}): "
            f"keep what training learns in parameters or buffers.{where}"
        )
    found += _evaluation_in_training(subject, where) if not found else []
    return found


def _evaluation_in_training(subject: Subject, where: str) -> Iterable[str]:
    """What an evaluation leaves behind for the training that goes on."""
    logits = []
    for evaluated in (False, True):
        model = subject.restored()
        if evaluated:
            ask(model, subject.batch("test"))
        torch.manual_seed(0)
        logits.append(model.train()(subject.batch("train")).logit_B.detach())
    if gap := largest_difference(*logits):
        yield (
            f"A training batch is answered otherwise after an evaluation (by up to {gap:.2g}): the model keeps "
            f"something of it.{where}"
        )


def _modes(model: nn.Module) -> dict[str, bool]:
    return {name: module.training for name, module in model.named_modules()}


def _graphs(model: nn.Module) -> dict[str, int]:
    """Operations that led to each tensor that a module keeps beside its parameters and buffers."""
    found = {}
    for place, value in plain_attributes(model):
        waiting = [value.grad_fn] if isinstance(value, Tensor) else []
        seen = set()
        while waiting:
            node = waiting.pop()
            if node is not None and node not in seen:
                seen.add(node)
                waiting += [following for following, _ in node.next_functions]
        found[place] = len(seen)
    return found


def _sizes(model: nn.Module) -> dict[str, int]:
    """Entries of every list, dictionary and set that a module, its class or the class's file holds."""
    found: dict[str, int] = {}
    for name, module in model.named_modules():
        held = {
            f"{name}.{key}" if name else f"self.{key}": v
            for key, v in vars(module).items()
            if key not in _TORCHS_OWN or key.endswith("_hooks")
        }
        for kind in type(module).__mro__:
            if kind.__module__.split(".")[0] not in ("builtins", "torch", "mdaf_core"):
                held |= {f"{kind.__name__}.{key}": value for key, value in vars(kind).items()}
                held |= {key: v for key, v in vars(sys.modules[kind.__module__]).items() if not key.startswith("__")}
        found |= {place: len(value) for place, value in held.items() if isinstance(value, list | dict | set)}
    return found


_TORCHS_OWN = frozenset(vars(nn.Module()))


def _growing(sizes: list[dict[str, int]]) -> list[tuple[str, list[int]]]:
    counts = {name: [s.get(name, 0) for s in sizes] for name in sizes[-1]}
    return [(n, c) for n, c in counts.items() if all(b > a for a, b in pairwise(c[1:]))]


def _attribute_that_moved(subject: Subject, rows: Batch) -> str:
    """A plain attribute whose value is another one after a batch."""
    model = subject.restored()
    before = _plain(model)
    ask(model, rows)
    after = _plain(model)
    return ", ".join([name for name, text in after.items() if before.get(name) != text][:3])


def _plain(model: nn.Module) -> dict[str, str]:
    return {
        f"{name}.{key}" if name else f"self.{key}": _digest(value)
        for name, module in model.named_modules()
        for key, value in vars(module).items()
        if key not in _TORCHS_OWN and key != "training"
    }


def _digest(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"{tuple(value.shape)} {float(value.double().sum()) if value.numel() else 0}"
    if isinstance(value, dict | list | set | tuple):
        return f"{type(value).__name__} of {len(value)}"
    return repr(value)[:200] if isinstance(value, int | float | str | bool | None) else type(value).__name__


def _equal(first: Tensor, second: Tensor | None) -> bool:
    return second is not None and first.shape == second.shape and torch.equal(first.nan_to_num(7), second.nan_to_num(7))


@check("answers", "An answer is no matter of chance.")
def answers(subject: Subject) -> Iterable[str]:
    """The same weights and batch under other seeds, of torch and of Python, in a model built anew: the same bits."""
    rows, model = subject.batch(), subject.restored()
    with python_randomness(1):
        first = ask(model, rows, seed=1)
    with python_randomness(2):
        second = ask(model, rows, seed=2)
    if gap := largest_difference(first, second):
        place = place_of_difference_by_seed(model, rows)
        said = f"In evaluation an answer depends on chance (it moves by up to {gap:.2g} with the seed)"
        yield f"{said}, {place}. {SEEDED}"
    elif gap := largest_difference(first, ask(subject.restored(seed=11), rows)):
        kept = _unsaved(subject)
        yield (
            f"Two models with the same weights predict otherwise (by up to {gap:.2g}): something beside the state_dict "
            f"was drawn, numbered or timed when they were built{kept}. Make it a parameter or a buffer."
        )


def place_of_difference_by_seed(model: CTRModel, rows: Batch) -> str:
    """The innermost module that draws: its inputs agree under both seeds and its output does not."""
    drawn = []
    for name, module in watchable(model):
        module.register_forward_hook(lambda _m, _i, _o, name=name: drawn.append((name, torch.get_rng_state().sum())))
    torch.manual_seed(0)
    start = torch.get_rng_state().sum()
    with torch.inference_mode():
        model(clone(rows))
    modules = dict(model.named_modules())
    first = next((name for name, state in drawn if state != start), "")
    return f"in module {first} ({type(modules[first]).__name__})" if first else f"in {type(model).__name__}.forward"


def _unsaved(subject: Subject) -> str:
    first, second = _plain(subject.restored(seed=5)), _plain(subject.restored(seed=11))
    names = [name for name, text in first.items() if second.get(name) != text]
    return f" ({', '.join(names[:3])})" if names else ""


@check("seed", "Every draw follows the seed of the run.")
def seed(subject: Subject) -> Iterable[str]:
    """Building, forward and loss draw from torch's global generator alone and do not set it; the same seed gives the
    same model and the same step."""
    rows = subject.batch("train")

    def building(seed: int) -> CTRModel:
        return subject.build(seed)

    def stepping(seed: int) -> Tensor:
        model = subject.restored(seed).train()
        torch.manual_seed(seed)
        return step_loss(model, clone(rows)).detach()

    for words, act in (("Building the model", building), ("A training step", stepping)):
        found = list(_generators(words, act))
        yield from found
        if found:
            break
    with python_randomness(1):
        first, one = building(3).state_dict(), stepping(4)
    with python_randomness(2):
        second, two = building(3).state_dict(), stepping(4)
    different = [name for name, tensor in first.items() if not _equal(tensor, second.get(name))]
    if different:
        yield f"Built twice with the same seed, {different[0]} starts otherwise: {SEEDED}"
    elif not torch.equal(one, two):
        yield f"The same step with the same seed has another loss ({float(one):.8g} and {float(two):.8g}): {SEEDED}"
    third = dict(building(5).named_parameters())
    for name in (n for n, tensor in third.items() if _looks_drawn(tensor) and _equal(tensor, first[n])):
        yield Note(
            f"Parameter {name} starts as the same numbers with every seed, and they look drawn (numpy's default_rng "
            "with a seed of its own?): runs with other seeds then differ less than they should."
        )


def _looks_drawn(parameter: Tensor) -> bool:
    """Numbers that are all different and in which no place tells its neighbour: no ones, ramps or waves."""
    values = parameter.detach().double()
    if values.numel() < 64 or values.unique().numel() < 0.9 * values.numel():
        return False
    values = (values - values.mean()) / values.std()
    for dim in range(values.dim()):
        if values.shape[dim] > 1:
            products = values.narrow(dim, 1, values.shape[dim] - 1) * values.narrow(dim, 0, values.shape[dim] - 1)
            if abs(float(products.mean())) > 4 / products.numel() ** 0.5:
                return False
    return True


def _generators(words: str, act: Callable[[int], Any]) -> Iterable[str]:
    ends, drawn = [], []
    for number in (101, 202):
        python, vector = random.getstate(), np.random.get_state()[1].copy()  # type: ignore[index]
        with _Generators() as own:
            act(number)
        drawn.append(own.drawn)
        ends.append(torch.get_rng_state())
        if random.getstate() != python:
            yield f"{words} draws from Python's random, which the seed of a run does not set. {SEEDED}"
            break
        if not np.array_equal(np.random.get_state()[1], vector):  # type: ignore[index]
            yield f"{words} draws from numpy's global random state, which the seed of a run does not set. {SEEDED}"
            break
    if len(ends) == 2 and torch.equal(ends[0], ends[1]):
        yield (
            f"{words} sets torch's seed (torch.manual_seed): every run then draws the same, whatever its seed. "
            f"Leave the seed to the run."
        )
    if again := [name for name, digest in drawn[0] if (name, digest) in drawn[1]]:
        yield (
            f"{words} draws by a generator of its own ({again[0]}), the same whatever the run's seed: runs with other "
            f"seeds differ less than they should. {SEEDED}"
        )


class _Generators(TorchDispatchMode):
    """What is drawn by another generator than torch's global one: the operator, and a digest of what it gave."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn: list[tuple[str, str]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if (kwargs or {}).get("generator") is not None and isinstance(out, Tensor):
            digest = sha256(out.detach().double().numpy().tobytes()).hexdigest()
            self.drawn.append((f"torch.{func._schema.name.split('::')[1].rstrip('_')}", digest))
        return out


@dataclass
class _Stop(Monitor):
    """Asks a training to stop as soon as an epoch is done."""

    epochs: list[EpochMetrics] | None = None

    def tick(self, progress: Callable[[], Progress], force: bool = False) -> None:
        if self.epochs:
            raise Cancelled("")


@check("resume", "A resumed training repeats an uninterrupted one bit for bit.")
def resume(subject: Subject) -> Iterable[str]:
    """Two epochs; one epoch, stopped, and gone on with from its checkpoint, as the trainer does it; where these differ,
    the two epochs again, which tells what is not repeated from what is not kept."""
    with tempfile.TemporaryDirectory() as folder, python_randomness(1):
        whole, weights = fit(subject, Path(folder, "whole"))
        directory = Path(folder, "parts")
        epochs: list[EpochMetrics] = []
        with suppress(Cancelled):
            _fit(subject, directory, epochs, _Stop(epochs=epochs))
        resumed, weights_resumed = fit(subject, directory, epochs)
        difference = _difference(whole, resumed, weights, weights_resumed)
        if not difference:
            return
        again, weights_again = fit(subject, Path(folder, "again"))
        if repeated := _difference(whole, again, weights, weights_again):
            yield f"Trained twice with the same seed, {repeated}: {SEEDED} Keep nothing outside of the model."
            return
        attribute = _attribute_that_moved(subject, subject.batch("train")) or _moved_in_training(subject)
        yield (
            f"Interrupted after an epoch and resumed, {difference}. What changes while training must be in parameters "
            f"or buffers, which the checkpoint keeps{f' (suspect: {attribute})' if attribute else ''}."
        )


def fit(
    subject: Subject, directory: Path, epochs: list[EpochMetrics] | None = None
) -> tuple[list[EpochMetrics], dict[str, Tensor]]:
    """Train with the program's own trainer; metrics of the epochs and the last weights."""
    epochs = [] if epochs is None else epochs
    model = _fit(subject, directory, epochs, Monitor())
    return epochs, {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def _fit(subject: Subject, directory: Path, epochs: list[EpochMetrics], monitor: Monitor) -> CTRModel:
    from mdaf_core.training.neural import train_neural

    directory.mkdir(exist_ok=True)
    config = RunConfig.model_construct(name="examined", preset="", model=subject.config, training=TRAINING)
    module = train_neural(
        config,
        subject.data,
        3,
        directory,
        run_id="examination",
        epochs=epochs,
        monitor=monitor,
        on_epoch=lambda _: None,
    )
    return module.model


def _difference(
    first: list[EpochMetrics], second: list[EpochMetrics], weights: dict[str, Tensor], others: dict[str, Tensor]
) -> str:
    for one, two in zip(first, second, strict=True):
        for name in ("train_loss", "val_logloss", "val_auc", "train_auc_eval", "grad_norm", "gate_mean"):
            if getattr(one, name) != getattr(two, name):
                return f"epoch {one.epoch} has another {name} ({getattr(one, name)} and {getattr(two, name)})"
    name = next((n for n, tensor in weights.items() if not _equal(tensor, others.get(n))), "")
    return f"{name} ends otherwise" if name else ""


def _moved_in_training(subject: Subject) -> str:
    model = subject.restored().train()
    before = _plain(model)
    step_loss(model, subject.batch("train"))
    return ", ".join([name for name, text in _plain(model).items() if before.get(name) != text][:3])


@check("weights", "Saved weights give the same predictions.")
def weights(subject: Subject) -> Iterable[str]:
    """Written as the program writes them and read into a model built anew: the same bits."""
    model, rows = subject.restored(), subject.batch()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "weights.safetensors")
        try:
            save_weights(model, path)
            torch.manual_seed(99)
            loaded = load_model(subject.config, subject.features, path)
        except (RuntimeError, StudioError) as error:
            said = " ".join(str(error).split())[:300]
            yield f"The weights cannot be saved and read again: {said}"
            return
    if gap := largest_difference(ask(model, rows), ask(loaded, rows)):
        yield (
            f"Saved and read again, the model predicts otherwise (by up to {gap:.2g}): part of it is not in the "
            f"state_dict{_unsaved(subject)}."
        )


@check("process", "Another process gives the same model.")
def process(subject: Subject) -> Iterable[str]:
    """Built, trained a few steps and asked in a fresh Python with another hash seed: the same weights and answers."""
    if subject.elsewhere is None:
        return
    done = subprocess.run(
        module_command("mdaf_core.testing.elsewhere"),
        input=subject.elsewhere,
        env=environment() | {"PYTHONHASHSEED": "4711"},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        last = [line for line in done.stderr.splitlines() if line.strip()][-1:] or ["no word"]
        yield f"In another process the model cannot be examined: {last[0][:300]}"
        return
    mine, theirs = fingerprints(subject), dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)
    different = [name for name, digest in mine.items() if theirs.get(name) != digest]
    if not different:
        return
    yield (
        f"In another process, {different[0]} is another one, with the same seed: something depends on the "
        f"process, such as "
        "hash() of a text, the order of a set, id(), the time. A saved model would be read wrongly."
    )


def fingerprints(subject: Subject) -> dict[str, str]:
    """What another process must repeat: a digest of each weight after some steps, and of answers."""
    found = {name: tensor for name, tensor in subject.trained.weights.items()}
    found["the-prediction"] = ask(subject.restored(), subject.batch())
    return {name: sha256(tensor.numpy().tobytes()).hexdigest() for name, tensor in found.items()}
