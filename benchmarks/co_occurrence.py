"""What other users' logs add to match features, asked of LightGBM: validation AUC with and without the log-ratios of
`models.co_occurrence`.

    python -m benchmarks.co_occurrence --data next-click

The trees are those of the preset `gbdt` without the encodings of ids; test rows are not read.
"""

from __future__ import annotations

import argparse

import lightgbm as lgb
import numpy as np
import torch

from mdaf_core.data.batches.gather import match_features
from mdaf_core.data.batches.loader import BatchLoader
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.data.store.schema import Split
from mdaf_core.metrics.auc import auc
from mdaf_core.models.co_occurrence import NAMES, NEWEST, CoOccurrence

TREES = {
    **{"objective": "binary", "num_leaves": 31, "learning_rate": 0.05, "min_data_in_leaf": 50, "verbosity": -1},
    **{"feature_fraction": 0.8, "bagging_fraction": 0.8, "bagging_freq": 1, "num_threads": 1},
}


def ratios(part: CoOccurrence, dataset: PreparedDataset, split: Split) -> np.ndarray:
    return np.concatenate([part.ratios(batch).numpy() for batch in BatchLoader(dataset, split, 2048, None, NEWEST)])


def best_auc(x: list[np.ndarray], y: list[np.ndarray], seed: int) -> float:
    """Of validation rows, after as many trees as are best for them."""
    booster = lgb.train(TREES | {"seed": seed}, lgb.Dataset(x[0], y[0]), 400)
    return max(auc(y[1], booster.predict(x[1], num_iteration=trees)) for trees in range(20, 401, 20))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--seeds", default="42,43,44")
    parser.add_argument("--events", type=int, default=500, help="that match features are counted of")
    options = parser.parse_args()
    torch.set_num_threads(1)
    dataset = PreparedDataset.open(options.data)
    part = CoOccurrence(dataset.meta.features())
    part.count(dataset)
    splits: tuple[Split, ...] = ("train", "val")
    y = [dataset.rows(split).label for split in splits]
    match = [match_features(dataset, split, max_history=options.events) for split in splits]
    told = [ratios(part.eval(), dataset, split) for split in splits]
    print("of validation rows, alone:", {name: round(auc(y[1], told[1][:, i]), 4) for i, name in enumerate(NAMES)})
    both = [np.concatenate(pair, axis=1) for pair in zip(match, told, strict=True)]
    for name, x in (("match features", match), ("and log-ratios", both)):
        found = [best_auc(x, y, int(seed)) for seed in options.seeds.split(",")]
        print(f"{name}: {np.mean(found):.4f} ± {np.std(found, ddof=1):.4f}", flush=True)


if __name__ == "__main__":
    main()
