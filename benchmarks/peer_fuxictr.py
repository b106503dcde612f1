"""Rows exported for FuxiCTR, trained there, predictions imported back: is the AUC FuxiCTR's own?

    python -m benchmarks.peer_fuxictr --data NAME --python VENV/bin/python --zoo FUXICTR

VENV holds fuxictr 2.3.10 with `polars<2` and torch, FUXICTR is a clone of its repository, for `model_zoo`. With
`--train` this file is what that Python runs: it imports nothing of this program then.
"""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TOLERANCE = 1e-6


class SearchedBatches:
    """Batches as FuxiCTR's models for long histories (LongCTR) take them, which its own loader makes of files of users
    and items: (fields that are not the item's; fields of the item, (B · (L + 1),), each history with the target behind
    it; 1 where there is an event, (B, L)), L the longest history of the batch.

    Args:
        batches: of columns, histories with padding (0) in front.
        histories: field of the target → the column of its history.
    """

    def __init__(self, batches: Any, histories: dict[str, str]):
        self.batches, self.histories = batches, histories

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[tuple[dict[str, Any], dict[str, Any], Any]]:
        import torch

        for batch in self.batches:
            others = dict(batch)
            events = {field: others.pop(history) for field, history in self.histories.items()}
            mask = (next(iter(events.values())) > 0).float()
            longest = max(1, int(mask.sum(1).max()))
            items = {
                field: torch.cat([codes[:, -longest:], others.pop(field).view(-1, 1)], dim=1).flatten()
                for field, codes in events.items()
            }
            yield others, items, mask[:, -longest:]


def train(folder: Path, zoo: Path, name: str, changes: dict[str, object]) -> None:
    """In FuxiCTR's Python: train a section of an exported folder's `model_config.yaml`, with some settings changed.

    `NAME.val.csv` and `NAME.test.csv` are its scores, `NAME.json` has FuxiCTR's own metrics. The setting `zoo` says
    where in `model_zoo` the model is, if not in a folder of its name, and `package` what holds it there, if not `src`.
    `searched` names the histories that a model of LongCTR searches, by the field of the target that each is of.
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
    package = importlib.import_module(settings.get("package", "src"))

    vars(np).setdefault("unicode_", np.str_)  # keras_preprocessing, which pads sequences there, is of NumPy before 2
    set_logger(settings)
    logging.getLogger().setLevel(logging.WARNING)
    seed_everything(seed=settings["seed"])
    parts = ("train_data", "valid_data", "test_data")
    settings |= dict(zip(parts, build_dataset(FeatureProcessor(**settings), **settings), strict=True))
    encoded = Path(settings["data_root"], settings["dataset_id"])
    features = FeatureMap(settings["dataset_id"], str(encoded))
    features.load(str(encoded / "feature_map.json"), settings)
    searched: dict[str, str] = settings.get("searched", {})
    inputs = FeatureMap(settings["dataset_id"], str(encoded))
    fields = [name for name in features.features if name not in searched.values()]
    inputs.load(str(encoded / "feature_map.json"), settings | {"use_features": fields})
    network = getattr(package, model)(inputs, **settings)

    def batches(stage: str) -> Any:
        found = RankDataLoader(features, stage=stage, **settings)
        return found.make_iterator() if hasattr(found, "make_iterator") else found  # its repository's, and PyPI's

    def read(part: Any) -> Any:
        return SearchedBatches(part, searched) if searched else part

    rows, valid = batches("train")
    begin = time.perf_counter()
    network.fit(read(rows), validation_data=read(valid), **settings)
    facts = {"seconds": time.perf_counter() - begin, "seed": settings["seed"], "epochs": network._epoch_index + 1}
    for split, part in (("val", valid), ("test", batches("test"))):
        ids = np.concatenate([batch["row_id"].numpy().reshape(-1) for batch in part]).astype(np.int64)
        scores = pl.DataFrame({"row_id": ids, "score": network.predict(read(part))})
        scores.write_csv(folder / f"{name}.{split}.csv")
        facts[split] = network.evaluate(read(part))["AUC"]
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
