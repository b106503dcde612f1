"""The model under examination: built, trained a few steps, asked, watched."""

from __future__ import annotations

import random
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mdaf_core.base.errors import StudioError
from mdaf_core.data.batches.loader import Batch
from mdaf_core.data.store.schema import MAX_HISTORY, FeatureSpec
from mdaf_core.models.base import CTRModel, ModelSettings, Output, smooth_targets
from mdaf_core.models.registry import build_model
from mdaf_core.runs.config import TrainingConfig
from mdaf_core.testing.data import LAYOUTS, GeneratedData, clone
from mdaf_core.training.optimizer import build_optimizer, clip_gradients

STEPS, STEP_ROWS = 12, 64
TRAINING = TrainingConfig(
    batch_size=128, eval_batch_size=128, max_epochs=2, warmup_epochs=0, learning_rate=5e-3, min_learning_rate=1e-3
)
"""How a subject is trained: a few steps, at a rate at which they show."""


@dataclass
class Trained:
    """What a few steps of training, as the trainer takes them, showed.

    Attributes:
        weights: the state afterwards.
        touched: names of parameters that had a gradient other than zero at some step.
        called: code of every Python function that ran.
        ran: names of the modules whose `forward` ran.
        unregistered: tensors that the loss depends on and that are no parameters of the model.
        late: names of parameters that were not there before the first step.
    """

    weights: dict[str, Tensor]
    touched: set[str] = field(default_factory=set)
    called: set[CodeType] = field(default_factory=set)
    ran: set[str] = field(default_factory=set)
    unregistered: list[Tensor] = field(default_factory=list)
    late: set[str] = field(default_factory=set)


class Subject:
    """A model's configuration, and everything that checks ask of it.

    Args:
        config: the settings it is examined with.
        max_history: newest events given of each history.
        files: where faults are said to be in: the user's files. Those of its classes are added.
    """

    def __init__(self, config: ModelSettings, files: tuple[Path, ...] = (), max_history: int = MAX_HISTORY):
        self.config, self.given_files, self.max_history = config, files, max_history
        self.elsewhere: str | None = None  # how another process finds the model

    # What it is ---------------------------------------------------------------------------------------------------

    @property
    def grown(self) -> bool:
        return self.config.grown

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """The files whose lines are named in sentences."""
        own = getattr(sys.modules.get(type(self.config).__module__), "__file__", None)
        return tuple(dict.fromkeys([*self.given_files, *([Path(own)] if own else [])]))

    def said(self, error: BaseException) -> str:
        return sentence_of(error, self.files)

    @cached_property
    def data(self) -> GeneratedData:
        """The first layout on which the model can be built: the one with everything, unless it refuses."""
        refusal: StudioError | None = None
        for layout in LAYOUTS:
            data = GeneratedData(layout)
            try:
                model = self.build(features=data.meta.features()).eval()
            except StudioError as error:
                refusal = refusal or error
                continue
            rows = data.batch("val", None, self.history_of(model))
            with torch.no_grad():
                lost = not bool(torch.isfinite(model(rows).logit_B).all())
            return data.without_gaps() if lost else data  # what else is wrong shows where numbers are all there
        raise refusal or StudioError("The model cannot be built on any kind of data.")

    @property
    def features(self) -> FeatureSpec:
        return self.data.meta.features()

    def build(
        self, seed: int = 0, config: ModelSettings | None = None, features: FeatureSpec | None = None
    ) -> CTRModel:
        """A fresh model, as the trainer builds it."""
        features = features or self.features  # may build one itself: before the seed is set
        torch.manual_seed(seed)
        return build_model(self.config if config is None else config, features)

    def history_of(self, model: CTRModel) -> int:
        """Newest events that the program would give it."""
        return model.events_read(self.max_history)

    # What it is asked on ------------------------------------------------------------------------------------------

    @cached_property
    def read(self) -> int:
        """Events that it is given of each history."""
        return self.history_of(self.build())

    def batch(self, split: Any = "val", rows: int = 64) -> Batch:
        """Rows of several users, each with several rows in the order of time, and histories of all lengths."""
        return self.data.batch(split, self.data.by_user(split, rows), self.read)

    # What is done to it -------------------------------------------------------------------------------------------

    @cached_property
    def trained(self) -> Trained:
        return self.train(self.config)

    def train(self, config: ModelSettings, steps: int = STEPS, rows: int = STEP_ROWS, watch: bool = True) -> Trained:
        """A few steps from scratch, on batches of rows drawn anew each time. Without `watch`, only what has a gradient
        is told, and no step is taken once everything has had one."""
        model = self.build(1, config).train()
        names = dict(model.named_parameters())
        learning = {name for name, parameter in names.items() if parameter.requires_grad and parameter.numel()}
        seen = Trained({})
        optimizer = build_optimizer(model, TRAINING)
        rng = np.random.default_rng(0)
        total, history = len(self.data.rows("train")), self.history_of(model)
        hooks = [
            module.register_forward_hook(lambda _m, _i, _o, name=name: seen.ran.add(name))
            for name, module in (watchable(model) if watch else ())
        ]
        torch.manual_seed(2)
        with _calls(seen.called) if watch else _nothing():
            for step in range(steps):
                chosen = rng.choice(total, min(rows, total), replace=False)
                batch = self.data.batch("train", chosen, history)
                loss = step_loss(model, batch)
                optimizer.zero_grad()
                loss.backward()
                for name, parameter in names.items():
                    gradient = parameter.grad
                    if gradient is not None and bool(
                        (gradient.coalesce().values() if gradient.is_sparse else gradient).any()
                    ):
                        seen.touched.add(name)
                if not watch and learning <= seen.touched:
                    break
                if step == 0:
                    seen.unregistered = _leaves_outside(loss, model)
                if seen.touched:  # else there is nothing to step with: the checks say so
                    clip_gradients(model, TRAINING.gradient_clip)
                    optimizer.step()
        for hook in hooks:
            hook.remove()
        optimizer.finish()
        seen.late = set(dict(model.named_parameters())) - set(names)
        seen.weights = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        return seen

    def restored(self, seed: int = 5, moved: bool = False) -> CTRModel:
        """A model built anew with the trained weights, in evaluation mode; with `moved`, every parameter is moved a
        little, so that nothing holds only because of how weights start."""
        model = self.build(seed)
        model.load_state_dict(self.trained.weights)
        if moved:
            draw = torch.Generator().manual_seed(3)
            with torch.no_grad():
                for parameter in model.parameters():
                    if parameter.is_floating_point():
                        parameter.add_(0.1 * torch.randn(parameter.shape, generator=draw))
                for module in model.modules():
                    if isinstance(module, nn.Embedding) and module.padding_idx is not None:
                        module.weight[module.padding_idx] = 0.0
        return model.eval()


def watchable(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The modules that take hooks, by their names: all but those that torch.jit has compiled."""
    return ((name, module) for name, module in model.named_modules() if not isinstance(module, torch.jit.ScriptModule))


def step_loss(model: CTRModel, batch: Batch) -> Tensor:
    """Forward and loss, as in the trainer."""
    loss: Tensor = model.loss(model(batch), smooth_targets(batch.label_B, TRAINING.label_smoothing))
    return loss


def ask(model: CTRModel, batch: Batch, seed: int = 0) -> Tensor:
    """Logits (B,) as evaluation asks for them: of a copy of the batch, under a given global seed.

    Raises:
        TypeError: what comes back is no `Output` with a logit a row.
    """
    output = answer(model, batch, seed)
    return output.logit_B.detach().float().clone()


def answer(model: CTRModel, batch: Batch, seed: int = 0) -> Output:
    torch.manual_seed(seed)
    with torch.inference_mode():
        output = model(clone(batch))
    require_output(output, len(batch))
    return output


def require_output(output: Any, rows: int) -> None:
    if not isinstance(output, Output):
        raise NotAnOutput(f"forward returns {_kind(output)}: return Output(logit_B=…).")
    if not isinstance(output.logit_B, Tensor) or output.logit_B.shape != (rows,):
        shape = tuple(output.logit_B.shape) if isinstance(output.logit_B, Tensor) else _kind(output.logit_B)
        raise NotAnOutput(f"Output.logit_B is {shape} for {rows} rows: return one logit a row, ({rows},).")


class NotAnOutput(StudioError):
    """What `forward` returns is not what the program reads."""


def _kind(value: Any) -> str:
    return f"a {type(value).__name__}"


@contextmanager
def python_randomness(seed: int) -> Iterator[None]:
    """The global states of `random` and numpy as given here, and put back."""
    states = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


@contextmanager
def _calls(into: set[CodeType]) -> Iterator[None]:
    """The code of every Python function that is called within."""
    before = sys.getprofile()

    def note(frame: FrameType, event: str, _argument: Any) -> None:
        if event == "call":
            into.add(frame.f_code)

    sys.setprofile(note)
    try:
        yield
    finally:
        sys.setprofile(before)


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def _leaves_outside(loss: Tensor, model: nn.Module) -> list[Tensor]:
    """Leaf tensors that the loss was computed from, that want a gradient, and that are no parameters of the model."""
    own = {id(p) for p in model.parameters()}
    found: dict[int, Tensor] = {}
    waiting, seen = [loss.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        leaf = getattr(node, "variable", None)
        if leaf is not None and id(leaf) not in own:
            found[id(leaf)] = leaf
        waiting += [following for following, _ in node.next_functions]
    return list(found.values())


def sentence_of(error: BaseException, files: Iterable[Path | str]) -> str:
    """An error as a sentence with file, line and function: the innermost of `files` it passed through, or else the
    innermost at all."""
    if isinstance(error, StudioError):
        return str(error)
    said = " ".join(str(error).split())
    said = f"{type(error).__name__}: {said[:300]}{'…' if len(said) > 300 else ''}" if said else type(error).__name__
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}: {type(error).__name__}: {error.msg}."
    own = {str(Path(file).resolve()) for file in files}
    frames = traceback.extract_tb(error.__traceback__)
    mine = [frame for frame in frames if str(Path(frame.filename).resolve()) in own] or frames[-1:]
    if not mine:
        return f"{said}."
    return f"{mine[-1].filename}, line {mine[-1].lineno}, in {mine[-1].name}: {said.rstrip('.')}."
