"""Training steps of two versions of the program, turn by turn: `python -m benchmarks.sides OTHER --data NAME`.

    python -m benchmarks.sides ../other --data movielens-100k --definition peers --presets dcnv2,autoint,dcnv3

OTHER is a clone or worktree of the other version. Each side is a process of its own, which waits while the other
measures: whatever else the machine does meets both alike. A turn is some training steps on batches gathered before
(forward, backward, clipping, optimiser, the loss read), or with `--evaluate` some validation batches, scored; with
`--set` this version has other settings than its preset's, such as training.history_encoding=stream or
training.precision=bf16, and with `--whole` gathering the batches is part of the turn, which walks on through the data.
The quickest turn of each side counts, by processor time and by the clock, and the median of the turns' ratios.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from itertools import count, islice
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).resolve()


def serve(preset: str, definition: str, data: str, threads: int, steps: int, options: dict[str, Any]) -> None:
    """One side: a line in, a turn, its seconds out."""
    import torch

    from benchmarks import epoch as side  # each version's own names for the same things

    side.keep_freed_memory()
    torch.set_num_threads(threads)
    config = side.starting_point(side.get_definition(definition), preset) if definition else side.get_preset(preset)
    config = config.with_overrides(options["set"])
    training, dataset = config.training, side.PreparedDataset.open(data)
    torch.manual_seed(0)
    model = side.build_model(config.model, dataset.meta.features())
    optimizer = side.build_optimizer(model, training)
    products: Callable[[], Any] = nullcontext
    if getattr(training, "precision", "float32") != "float32" and not options["evaluate"]:
        from mdaf_core.ops.products import products_of

        products = partial(products_of, training.precision)

    def batches() -> Iterator[Any]:
        """Batches without end, as this version makes them."""
        for epoch in count():
            split, size, seed = ("val", training.eval_batch_size, None) if options["evaluate"] else (
                "train", training.batch_size, (0, epoch)
            )  # fmt: skip
            if hasattr(side, "loader_for"):
                yield from side.loader_for(model, dataset, split, training, size, shuffle_seed=seed)
            else:
                events = model.events_read(training.max_history)
                yield from side.BatchLoader(dataset, split, size, shuffle_seed=seed, max_history=events)

    def train(batch: Any) -> None:
        optimizer.zero_grad()
        loss = model.loss(model(batch), side.smooth_targets(batch.label_B, training.label_smoothing))
        loss.backward()
        float(loss.detach())
        side.clip_gradients(model, training.gradient_clip)
        optimizer.step()

    @torch.inference_mode()
    def score(batch: Any) -> None:
        model(batch)

    step = score if options["evaluate"] else train
    model.train(not options["evaluate"])
    endless = batches()
    gathered = list(islice(endless, steps))

    def turn() -> int:
        rows = 0
        with products():
            for batch in islice(endless, steps) if options["whole"] else gathered:
                step(batch)
                rows += len(batch)
        return rows

    turn()
    print("ready", flush=True)
    for _ in sys.stdin:
        clock, processor = time.perf_counter(), time.process_time()
        rows = turn()
        found = {"clock": time.perf_counter() - clock, "processor": time.process_time() - processor}
        found = {name: seconds / rows for name, seconds in found.items()}
        print(json.dumps(found | {"memory": side.memory_kib("VmHWM") / 1e3}), flush=True)


class Side:
    def __init__(self, folder: Path, home: str, arguments: list[str], options: dict[str, Any]):
        threads = dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "MDAF_THREADS"), arguments[3])
        environment = os.environ | threads | {"PYTHONPATH": str(folder)} | ({"MDAF_HOME": home} if home else {})
        command = [sys.executable, "-P", str(HERE), "serve", *arguments, json.dumps(options)]
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.line()

    def line(self) -> str:
        assert self.process.stdout
        found = self.process.stdout.readline()
        if not found:
            raise SystemExit(f"A side ended with exit code {self.process.wait()}: what it said stands above.")
        return found

    def turn(self) -> dict[str, float]:
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        found: dict[str, float] = json.loads(self.line())
        return found

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


def measure(folders: dict[Path, tuple[str, dict[str, Any]]], arguments: list[str], turns: int) -> dict[str, float]:
    sides = [Side(folder, home, arguments, options) for folder, (home, options) in folders.items()]
    found = [[side.turn() for side in sides] for _ in range(turns)]
    for side in sides:
        side.close()
    result: dict[str, float] = {}
    for what in ("processor", "clock"):
        here, there = (min(turn[i][what] for turn in found) for i in (0, 1))
        result |= {f"rows a second of {what}, here": 1 / here, f"{what}, other": 1 / there}
        result |= {f"{what}, ratio": there / here}
        result |= {f"{what}, median ratio of turns": median(b[what] / a[what] for a, b in found)}
    return result | {"memory, here, MB": found[-1][0]["memory"], "memory, other, MB": found[-1][1]["memory"]}


def main() -> None:
    from benchmarks.measure import parser, report

    arguments = parser(__doc__, steps=20)
    arguments.add_argument("other", type=Path, help="folder of the other version")
    arguments.add_argument("--other-home", default="", help="its MDAF_HOME, where it cannot read this one's data sets")
    arguments.add_argument("--data", required=True, help="prepared data set")
    arguments.add_argument("--definition", default="", help="with the settings of this study definition, e.g. peers")
    arguments.add_argument("--presets", default="dcnv2,autoint,dcnv3")
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--turns", type=int, default=12)
    arguments.add_argument("--evaluate", action="store_true", help="score validation rows instead of training")
    arguments.add_argument("--whole", action="store_true", help="with the time that gathering the batches takes")
    arguments.add_argument("--set", action="append", default=[], help="KEY=VALUE, of this version alone")
    arguments.add_argument("--set-both", action="append", default=[], help="KEY=VALUE of both")
    args = arguments.parse_args()
    options = {"evaluate": args.evaluate, "whole": args.whole, "set": args.set_both}
    here, other = options | {"set": args.set_both + args.set}, args.other.resolve()
    folders, result = {HERE.parents[1]: ("", here), other: (args.other_home, options)}, {}
    for preset in args.presets.split(","):
        given = [preset, args.definition, args.data, str(args.threads), str(args.steps)]
        result[preset] = measure(folders, given, args.turns)
    tables: dict[str, list[list[Any]]] = {
        f"{preset}, {args.threads} threads": [["", "measured"], *([name, value] for name, value in found.items())]
        for preset, found in result.items()
    }
    report(result, tables, args.json)


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        threads, steps = map(int, sys.argv[5:7])
        serve(*sys.argv[2:5], threads, steps, json.loads(sys.argv[7]))  # type: ignore[misc]
    else:
        main()
