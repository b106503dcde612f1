"""Rows exported for FuxiCTR, trained there, predictions imported back: is the AUC FuxiCTR's own?

    python -m benchmarks.peer_fuxictr --data NAME --python VENV/bin/python --zoo FUXICTR

VENV holds fuxictr 2.3.10 with `polars<2` and torch, FUXICTR is a clone of its repository, for `model_zoo`. With
`--train` this file is what that Python runs: it imports nothing of this program then.
"""

from __future__ import annotations

import argparse
import json
import logging
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TOLERANCE = 1e-6


def train(folder: Path, zoo: Path, model: str, epochs: int) -> None:
    """In FuxiCTR's Python: train on an exported folder; scores and FuxiCTR's own metrics beside it."""
    sys.path[0] = str(zoo / "model_zoo" / model)  # its `src`; not this folder
    import numpy as np
    import polars as pl
    import src
    from fuxictr.features import FeatureMap
    from fuxictr.preprocess import FeatureProcessor, build_dataset
    from fuxictr.pytorch.dataloaders import RankDataLoader
    from fuxictr.pytorch.torch_utils import seed_everything
    from fuxictr.utils import load_config, set_logger

    settings = load_config(str(folder), model) | {"gpu": -1, "epochs": epochs, "verbose": 0}
    set_logger(settings)
    logging.getLogger().setLevel(logging.WARNING)
    seed_everything(seed=settings["seed"])
    parts = ("train_data", "valid_data", "test_data")
    settings |= dict(zip(parts, build_dataset(FeatureProcessor(**settings), **settings), strict=True))
    encoded = Path(settings["data_root"], settings["dataset_id"])
    features = FeatureMap(settings["dataset_id"], str(encoded))
    features.load(str(encoded / "feature_map.json"), settings)
    network = getattr(src, model)(features, **settings)
    rows, valid = RankDataLoader(features, stage="train", **settings)
    begin = time.perf_counter()
    network.fit(rows, validation_data=valid, **settings)
    facts = {"seconds": time.perf_counter() - begin, "seed": settings["seed"]}
    test = RankDataLoader(features, stage="test", **settings)
    for split, batches in (("val", valid), ("test", test)):
        ids = np.concatenate([batch["row_id"].numpy().reshape(-1) for batch in batches]).astype(np.int64)
        scores = pl.DataFrame({"row_id": ids, "score": network.predict(batches)})
        scores.write_csv(folder / f"{model}.{split}.csv")
        facts[split] = network.evaluate(batches)["AUC"]
        given = pl.read_csv(folder / f"{'valid' if split == 'val' else 'test'}.csv", columns=["row_id"])
        facts[f"{split} in order"] = bool((given["row_id"] == scores["row_id"]).all())
    (folder / f"{model}.json").write_text(json.dumps(facts))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="prepared data set")
    parser.add_argument("--python", help="the Python that has fuxictr")
    parser.add_argument("--zoo", required=True, type=Path, help="clone of FuxiCTR's repository")
    parser.add_argument("--models", default="DCNv2,DIN", help="of those in the exported model_config.yaml")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--train", nargs=2, metavar=("FOLDER", "MODEL"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.train:
        train(Path(args.train[0]), args.zoo, args.train[1], args.epochs)
        return

    from mdaf_core.data.store.dataset import PreparedDataset
    from mdaf_core.data.store.export_folders import FOLDERS
    from mdaf_core.studies.imports import import_predictions

    dataset, far = PreparedDataset.open(args.data), []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "rows"
        FOLDERS["fuxictr"](dataset, folder)
        for model in args.models.split(","):
            child = [args.python, __file__, "--zoo", str(args.zoo.resolve()), "--epochs", str(args.epochs)]
            subprocess.run([*child, "--train", str(folder), model], check=True, cwd=place, stdout=subprocess.DEVNULL)
            facts = json.loads((folder / f"{model}.json").read_text())
            scores = {split: folder / f"{model}.{split}.csv" for split in ("val", "test")}
            found = import_predictions(
                scores["test"], val=scores["val"], data=args.data, study="new", name=model, seed=facts["seed"]
            ).result
            for split, ours in (("val", found.val.auc), ("test", found.test.auc)):
                theirs, order = facts[split], "as exported" if facts[f"{split} in order"] else "another"
                far += [split] * (abs(ours - theirs) > TOLERANCE)
                print(f"{args.data}, {model}, {split}: FuxiCTR {theirs:.10f}, here {ours:.10f}, apart "
                      f"{abs(ours - theirs):.1e}; order of rows {order}; trained {facts['seconds']:.0f} s")  # fmt: skip
    sys.exit(bool(far))


if __name__ == "__main__":
    main()
