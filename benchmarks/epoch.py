"""An epoch of training at the report's size, part by part: `python -m benchmarks.epoch --data report`.

    python -m mdaf_core data prepare synthetic --set size=report --name report

prepares the data (1,052,081 training rows). For each preset: a few steps with each part timed; then, without
--steps-only, one whole epoch with its evaluation by the program's own training. With --mambapy ROWS, some steps of the
same model with `mambapy`'s blocks on histories padded to 50 and `torch.optim.Adam` on whole tables, as one would
write it.
"""

from __future__ import annotations

import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.measure import memory_kib, parser, report, seconds
from mdaf_core.data.batches.loader import BatchLoader
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.models.base import CTRModel, smooth_targets
from mdaf_core.models.registry import build_model
from mdaf_core.models.summary import multiply_adds
from mdaf_core.runs.config import RunConfig
from mdaf_core.runs.presets import get_preset
from mdaf_core.runs.progress import Monitor
from mdaf_core.studies.definitions import get_definition, starting_point
from mdaf_core.training.batches import loader_for
from mdaf_core.training.memory import keep_freed_memory
from mdaf_core.training.neural import train_neural
from mdaf_core.training.optimizer import Adam, build_optimizer, clip_gradients

WARM = 3


class Parts:
    """Seconds by part."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] += time.perf_counter() - start


def steps(
    model: CTRModel, optimizer: torch.optim.Optimizer, loader: BatchLoader, smoothing: float, count: int
) -> dict[str, float]:
    """Train `count` steps after a few warm ones; milliseconds a step by part, and `rows a second`."""
    model.train()
    parts, batches, rows = Parts(), iter(loader), 0
    for i in range(WARM + count):
        if i == WARM:
            if isinstance(optimizer, Adam):
                optimizer.finish()
            parts, rows, start = Parts(), 0, time.perf_counter()
        with parts.part("gather"):
            batch = next(batches)
        with parts.part("forward"):
            loss = model.loss(model(batch), smooth_targets(batch.label_B, smoothing))
        with parts.part("backward"):
            optimizer.zero_grad()
            loss.backward()
        with parts.part("clip"):
            clip_gradients(model, 1.0)
        with parts.part("optimiser"):
            optimizer.step()
        rows += len(batch)
    elapsed = time.perf_counter() - start
    found = {name: 1000 * seconds / count for name, seconds in parts.seconds.items()}
    if isinstance(optimizer, Adam):  # what the untouched rows owe, spread over the steps
        with parts.part("postponed"):
            optimizer.finish()
        found["postponed rows"] = 1000 * parts.seconds["postponed"] / count
        elapsed += parts.seconds["postponed"]
    return found | {"rows a second": rows / elapsed}


def measure_steps(config: RunConfig, dataset: PreparedDataset, count: int) -> dict[str, float]:
    torch.manual_seed(0)
    model = build_model(config.model, dataset.meta.features())
    loader = loader_for(model, dataset, "train", config.training, config.training.batch_size, shuffle_seed=(0, 0))
    return steps(model, build_optimizer(model, config.training), loader, config.training.label_smoothing, count)


def measure_limits(config: RunConfig, dataset: PreparedDataset, step: float) -> dict[str, float]:
    """What a step of `step` milliseconds would take if it did nothing but its products, at the rate of a large one."""
    side = 2048
    a, b = torch.randn(side, side), torch.randn(side, side)
    rate = 2 * side**3 / seconds(lambda: a @ b, 5)
    table = torch.randn(64 << 20)
    copied = 8 * table.numel() / seconds(lambda: table.clone(), 5)
    rows = dataset.rows("train")
    length = float(np.minimum(rows.history_end - rows.history_start, config.training.max_history).mean())
    adds = multiply_adds(config.model, dataset.meta.features(), length) * config.training.batch_size
    products = 1000 * 3 * 2 * adds / rate  # forward, and twice that backward
    return {
        "a large product, billion operations a second": rate / 1e9,
        "copying, GB/s": copied / 1e9,
        "products of a step at that rate, ms": products,
        "share of the step": products / step,
    }


def measure_epoch(config: RunConfig, dataset: PreparedDataset) -> dict[str, float]:
    """One epoch by the program's own training, in a process of its own: seconds with evaluation, rows a second in
    training, memory.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
        return alone.submit(_epoch, config, dataset).result()


def _epoch(config: RunConfig, dataset: PreparedDataset) -> dict[str, float]:
    keep_freed_memory()
    config = config.with_overrides(["training.max_epochs=1"])
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        hooks: dict[str, Any] = {"run_id": "", "epochs": [], "monitor": Monitor(None, None), "on_epoch": lambda _: None}
        module = train_neural(config, dataset, 0, Path(folder), **hooks)
        seconds = time.perf_counter() - start
    epoch = module.epochs[0]
    return {
        "epoch with evaluation and checkpoint, s": seconds,
        "training, s": module.train_seconds,
        "rows a second": epoch.rows_per_second,
        "peak memory, GB": memory_kib("VmHWM") / 1e6,
        "validation AUC": epoch.val_auc or float("nan"),
    }


def measure_mambapy(config: RunConfig, dataset: PreparedDataset, count: int, rows: int) -> dict[str, float]:
    """The same model with padded blocks; batches of `rows`, for a full one does not fit into memory."""
    from benchmarks.padded_mamba import PaddedBlock

    torch.manual_seed(0)
    model = build_model(config.model, dataset.meta.features())
    for layer in model.encoder.layers:  # type: ignore[union-attr]
        layer.mixer = PaddedBlock(config.model.hidden_dim, config.model.state_dim, 50)  # type: ignore[union-attr]
    loader = BatchLoader(dataset, "train", rows, shuffle_seed=(0, 0))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=config.training.weight_decay)
    return steps(model, optimizer, loader, config.training.label_smoothing, count)


def main() -> None:
    arguments = parser(__doc__, steps=20)
    arguments.add_argument("--data", default="report", help="prepared data set")
    arguments.add_argument("--presets", default="mamba4rec-v2-report,mdaf-full")
    arguments.add_argument("--definition", help="with the settings of this study definition, e.g. peers")
    arguments.add_argument("--steps-only", action="store_true")
    arguments.add_argument("--mambapy", type=int, default=0, metavar="ROWS", help="compare; rows a batch (256)")
    args = arguments.parse_args()
    keep_freed_memory()
    dataset = PreparedDataset.open(args.data)
    result: dict[str, Any] = {}
    for preset in args.presets.split(","):
        config = starting_point(get_definition(args.definition), preset) if args.definition else get_preset(preset)
        found = measure_steps(config, dataset, args.steps)
        step = 1000 * config.training.batch_size / found["rows a second"]
        result[preset] = {"milliseconds a step": found, "limits": measure_limits(config, dataset, step)}
        if args.mambapy and hasattr(config.model, "state_dim"):
            count = max(2, args.steps // 8)
            result[preset]["mambapy, padded to 50"] = measure_mambapy(config, dataset, count, args.mambapy)
        if not args.steps_only:
            result[preset]["one epoch"] = measure_epoch(config, dataset)
    tables: dict[str, list[list[Any]]] = {}
    for preset, found in result.items():
        for title, values in found.items():
            tables[f"{preset}: {title}"] = [["", "measured"], *([name, value] for name, value in values.items())]
    report(result, tables, args.json)


if __name__ == "__main__":
    main()
