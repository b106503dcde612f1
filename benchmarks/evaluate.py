"""How fast rows are scored, and an exact AUC: `python -m benchmarks.evaluate --data report`."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from benchmarks.epoch import measure_steps
from benchmarks.measure import parser, report, seconds
from mdaf_core.data.batches.loader import BatchLoader
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.metrics.auc import auc
from mdaf_core.models.registry import build_model
from mdaf_core.runs.presets import get_preset
from mdaf_core.training.memory import keep_freed_memory


def scoring(preset: str, dataset: PreparedDataset, count: int) -> float:
    """Rows a second of evaluation, gather included."""
    config = get_preset(preset)
    torch.manual_seed(0)
    model = build_model(config.model, dataset.meta.features()).eval()
    history = model.events_read(config.training.max_history)
    loader = iter(BatchLoader(dataset, "val", config.training.eval_batch_size, max_history=history))
    rows = 0
    with torch.inference_mode():
        model(next(loader))
        start = time.perf_counter()
        for _, batch in zip(range(count), loader, strict=False):
            model(batch)
            rows += len(batch)
    return rows / (time.perf_counter() - start)


def main() -> None:
    arguments = parser(__doc__, steps=10)
    arguments.add_argument("--data", default="report", help="prepared data set")
    arguments.add_argument("--presets", default="mamba4rec-v2-report,mdaf-full")
    args = arguments.parse_args()
    keep_freed_memory()
    dataset = PreparedDataset.open(args.data)
    result: dict[str, Any] = {"rows a second": {}}
    rows: list[list[Any]] = [["preset", "training, rows/s", "evaluation, rows/s", "ratio"]]
    for preset in args.presets.split(","):
        training = measure_steps(get_preset(preset), dataset, args.steps)["rows a second"]
        evaluation = scoring(preset, dataset, args.steps)
        result["rows a second"][preset] = {"training": training, "evaluation": evaluation}
        rows.append([preset, training, evaluation, evaluation / training])
    draw = np.random.default_rng(0)
    label, score = draw.random(1_000_000) < 0.05, draw.normal(size=1_000_000)
    ours = seconds(lambda: auc(label, score), args.steps)
    theirs = seconds(lambda: roc_auc_score(label, score), max(2, args.steps // 3))
    result["AUC of 1,000,000 rows, s"] = {"ours": ours, "scikit-learn": theirs}
    tables = {
        "Scoring": rows,
        "Exact AUC of 1,000,000 rows": [["", "seconds"], ["ours", ours], ["scikit-learn", theirs]],
    }
    report(result, tables, args.json)


if __name__ == "__main__":
    main()
