"""Each event encoded once, or anew for each row that reads it: `python -m benchmarks.stream --data ub`.

    python -m mdaf_core data prepare user-behavior --path UserBehavior.csv --name ub

For each preset and history length, training steps and evaluated batches of the two encodings take turns, so that both
meet the same machine; microseconds a row, medians over the batches.
"""

from __future__ import annotations

import time
from itertools import cycle
from statistics import median
from typing import Any

import torch

from benchmarks.measure import parser, report
from mdaf_core.data.batches.loader import Batch
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.models.base import smooth_targets
from mdaf_core.models.registry import build_model
from mdaf_core.ops.products import products_of
from mdaf_core.runs.config import TrainingConfig
from mdaf_core.runs.presets import get_preset
from mdaf_core.training.batches import loader_for
from mdaf_core.training.memory import keep_freed_memory
from mdaf_core.training.optimizer import build_optimizer, clip_gradients

ENCODINGS = ("window", "stream")
WARM = 2


class Trial:
    """One encoding of one model: its batches without end, and the time of each."""

    def __init__(self, preset: str, dataset: PreparedDataset, encoding: str, most: int, block: int, precision: str):
        config = get_preset(preset).with_overrides(
            {
                "training.history_encoding": encoding,
                "training.max_history": most,
                "training.stream_block": block,
                "training.precision": precision,
            }
        )
        torch.manual_seed(0)
        self.training = config.training
        self.model = build_model(config.model, dataset.meta.features())
        self.optimizer = build_optimizer(self.model, self.training)
        size = self.training.batch_size
        train = loader_for(self.model, dataset, "train", self.training, size, shuffle_seed=(0, 0))
        held_out = loader_for(self.model, dataset, "val", self.training, self.training.eval_batch_size)
        self.batches = {"training": cycle(train), "evaluation": cycle(held_out)}
        self.times: dict[str, list[float]] = {name: [] for name in self.batches}
        self.events: list[float] = []

    def turn(self, what: str) -> None:
        """One batch, made and used."""
        start = time.perf_counter()
        batch = next(self.batches[what])
        with products_of(self.training.precision if what == "training" else "float32"):
            self.step(batch) if what == "training" else self.ask(batch)
        self.times[what].append((time.perf_counter() - start) / len(batch) * 1e6)
        if what == "training":
            self.events.append(float(batch.cu_seqlens[-1]) / len(batch))

    def step(self, batch: Batch) -> None:
        self.model.train()
        self.optimizer.zero_grad()
        output = self.model(batch)
        self.model.loss(output, smooth_targets(batch.label_B, self.training.label_smoothing)).backward()
        clip_gradients(self.model, self.training.gradient_clip)
        self.optimizer.step()

    @torch.inference_mode()
    def ask(self, batch: Batch) -> None:
        self.model.eval()
        self.model(batch)

    def result(self) -> dict[str, float]:
        return {name: median(times[WARM:]) for name, times in self.times.items()} | {"events": median(self.events)}


def main() -> None:
    arguments = parser(__doc__, steps=8)
    arguments.add_argument("--data", required=True, help="a prepared data set with histories")
    arguments.add_argument("--presets", default="mdaf-sequential,mdaf-full")
    arguments.add_argument("--histories", default="50", help="history lengths, such as 50,1000")
    arguments.add_argument("--block", type=int, default=TrainingConfig().stream_block, help="stream_block")
    arguments.add_argument("--precision", default="float32", help="of the stream's training steps: bf16")
    given = arguments.parse_args()
    keep_freed_memory()
    dataset = PreparedDataset.open(given.data)
    rows: list[list[Any]] = [
        ["preset", "history", "events a row: window", "stream", "training: window", "stream", "ratio",
         "evaluation: window", "stream", "ratio"]
    ]  # fmt: skip
    for preset in given.presets.split(","):
        for most in map(int, given.histories.split(",")):
            trials = [
                Trial(preset, dataset, encoding, most, given.block, precision)
                for encoding, precision in zip(ENCODINGS, ("float32", given.precision), strict=True)
            ]
            for _ in range(given.steps + WARM):
                for what in ("training", "evaluation"):
                    for trial in trials:
                        trial.turn(what)
            window, stream = (trial.result() for trial in trials)
            pairs = [(window[what], stream[what]) for what in ("training", "evaluation")]
            timed = [value for one, other in pairs for value in (one, other, one / other)]
            rows.append([preset, most, window["events"], stream["events"], *timed])
    report({"rows": rows}, {"Microseconds a row": rows}, given.json)


if __name__ == "__main__":
    main()
