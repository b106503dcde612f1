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
from typing import Any

TOLERANCE = 1e-6


def train(folder: Path, zoo: Path, name: str, changes: dict[str, object]) -> None:
    """In FuxiCTR's Python: train a section of an exported folder's `model_config.yaml`, with some settings changed.

    `NAME.val.csv` and `NAME.test.csv` are its scores, `NAME.json` has FuxiCTR's own metrics. The setting `zoo` says
    where in `model_zoo` the model is, if not in a folder of its name.
    """
    del sys.path[0]  # this folder
    import numpy as np
    import polars as pl
    from fuxictr.features import FeatureMap
    from fuxictr.preprocess import FeatureProcessor, build_dataset
    from fuxictr.pytorch.dataloaders import RankDataLoader
    from fuxictr.pytorch.torch_utils import seed_everything
    from fuxictr.utils import load_config, set_logger

    settings = load_config(str(folder), name) | {"gpu": -1, "verbose": 0} | changes
    for key in {"dien_target_field", "dien_sequence_field"} & settings.keys():  # JSON has lists, FuxiCTR wants tuples
        settings[key] = [tuple(fields) for fields in settings[key]]
    model = settings["model"]
    sys.path.insert(0, str(zoo / "model_zoo" / settings.get("zoo", model)))
    import src

    vars(np).setdefault("unicode_", np.str_)  # keras_preprocessing, which pads sequences there, is of NumPy before 2
    set_logger(settings)
    logging.getLogger().setLevel(logging.WARNING)
    seed_everything(seed=settings["seed"])
    parts = ("train_data", "valid_data", "test_data")
    settings |= dict(zip(parts, build_dataset(FeatureProcessor(**settings), **settings), strict=True))
    encoded = Path(settings["data_root"], settings["dataset_id"])
    features = FeatureMap(settings["dataset_id"], str(encoded))
    features.load(str(encoded / "feature_map.json"), settings)
    network = getattr(src, model)(features, **settings)

    def batches(stage: str) -> Any:
        found = RankDataLoader(features, stage=stage, **settings)
        return found.make_iterator() if hasattr(found, "make_iterator") else found  # its repository's, and PyPI's

    rows, valid = batches("train")
    begin = time.perf_counter()
    network.fit(rows, validation_data=valid, **settings)
    facts = {"seconds": time.perf_counter() - begin, "seed": settings["seed"], "epochs": network._epoch_index + 1}
    for split, part in (("val", valid), ("test", batches("test"))):
        ids = np.concatenate([batch["row_id"].numpy().reshape(-1) for batch in part]).astype(np.int64)
        scores = pl.DataFrame({"row_id": ids, "score": network.predict(part)})
        scores.write_csv(folder / f"{name}.{split}.csv")
        facts[split] = network.evaluate(part)["AUC"]
        given = pl.read_csv(folder / f"{'valid' if split == 'val' else 'test'}.csv", columns=["row_id"])
        facts[f"{split} in order"] = bool((given["row_id"] == scores["row_id"]).all())
    (folder / f"{name}.json").write_text(json.dumps(facts))


def train_apart(
    python: str, folder: Path, zoo: Path, name: str, changes: dict[str, object], place: Path
) -> dict[str, Any]:
    """`train` in another Python, with `place` as its working folder; FuxiCTR's metrics."""
    child = [python, __file__, "--zoo", str(zoo.resolve()), "--train", str(folder), name, json.dumps(changes)]
    subprocess.run(child, check=True, cwd=place, stdout=subprocess.DEVNULL)
    facts: dict[str, Any] = json.loads((folder / f"{name}.json").read_text())
    return facts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="prepared data set")
    parser.add_argument("--python", help="the Python that has fuxictr")
    parser.add_argument("--zoo", required=True, type=Path, help="clone of FuxiCTR's repository")
    parser.add_argument("--models", default="DCNv2,DIN", help="of those in the exported model_config.yaml")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--train", nargs=3, metavar=("FOLDER", "NAME", "CHANGES"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.train:
        folder, name, changes = args.train
        train(Path(folder), args.zoo, name, json.loads(changes))
        return

    from mdaf_core.data.store.dataset import PreparedDataset
    from mdaf_core.data.store.export_folders import FOLDERS
    from mdaf_core.studies.imports import import_predictions

    dataset, far = PreparedDataset.open(args.data), []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "rows"
        FOLDERS["fuxictr"](dataset, folder)
        for model in args.models.split(","):
            facts = train_apart(args.python, folder, args.zoo, model, {"epochs": args.epochs}, Path(place))
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
