"""Compile the CPU kernels before the first job needs them: about a minute of one core, once for each version.

Compiled code is kept on disk beside the kernels (`ops.compiled`). The job launcher, which the app's first page starts,
starts this in a process of its own while it loads its libraries: a first training need not begin with compiling.
"""

from __future__ import annotations

import os
import subprocess
import sys

from mdaf_core.base.locks import try_lock
from mdaf_core.base.process import environment, module_command
from mdaf_core.ops.compiled import complete

_BEHIND = "--behind"  # what people do meanwhile goes first
_PRESETS = ("mdaf-full", "autoint", "dcnv2", "mean")  # every kernel but those of slices and large tables


def compile_kernels() -> None:
    """Run every kernel once on a few rows."""
    import torch

    from mdaf_core.data.store.schema import FeatureSpec
    from mdaf_core.models.layers import Table
    from mdaf_core.models.summary import probe
    from mdaf_core.ops.slices import slice_attention
    from mdaf_core.runs.presets import get_preset
    from mdaf_core.training.optimizer import Adam, build_optimizer, clip_gradients

    for preset in _PRESETS:
        model, batch = probe(
            get_preset(preset).model, FeatureSpec.from_vocabulary({"item": 9, "category": 9}), length=3
        )
        optimizer = build_optimizer(model, get_preset(preset).training)
        model.loss(model.train()(batch), batch.label_B).backward()
        clip_gradients(model, 1.0)
        optimizer.step()
        if model.causal:
            state, one = model.begin(), {name: codes_T[:1] for name, codes_T in batch.history.items()}
            for part, events in ((batch.history, len(batch.gap_T)), (one, 1)):
                model.eval().read(part, batch.gap_T[:events], state)
    query, token = (torch.randn(2, 64, requires_grad=True) for _ in range(2))
    scores, ids = torch.zeros(4, requires_grad=True), torch.ones(2, 2, dtype=torch.int64)
    begin, end, cu = torch.tensor([0, 0]), torch.tensor([1, 2]), torch.tensor([0, 2])
    pooled, left = slice_attention(query, token, ids, ids, scores[:2], scores[2], scores[3], begin, end, cu)
    (pooled.sum() + left.sum()).backward()
    table = Table([9], 4, std=0.1)
    adam = Adam([{"params": [table.weight], "weight_decay": 0.1}], 1e-3, [table])
    for rows in ([1, 2], [2, 3]):
        table(torch.tensor([rows]).T).sum().backward()
        adam.step()
    adam.finish()
    if complete().parent.is_dir():
        complete().touch()


def alone() -> bool:
    """Whether no other process compiles in the background, for as long as this one lives."""
    try:
        return try_lock(complete().with_name(".compiling.lock")) is not None
    except OSError:  # installed where one may not write: numba keeps its code elsewhere
        return True


def start() -> None:
    """`compile_kernels` in the background; nothing where this version's have all been compiled before."""
    if complete().exists():
        return
    subprocess.Popen(
        [*module_command(__name__), _BEHIND],
        env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip


if __name__ == "__main__":
    if _BEHIND in sys.argv:
        os.nice(5)
    if _BEHIND not in sys.argv or alone():
        compile_kernels()
