"""FuxiCTR's models on the rows of a data set, as its zoo sets them and as our presets do: which reaches what?

    python -m benchmarks.peer_models --data NAME --python VENV/bin/python --zoo FUXICTR --out FILE.json

VENV and FUXICTR are `peer_fuxictr`'s; with PYTHONPATH=FUXICTR the repository's own package is taken, which needs
keras_preprocessing. Embeddings of 16, batches of 1,024, Adam at 0.001; two epochs without a better validation AUC end a
training. `zoo` is otherwise the model's `_default` section in the repository, `preset` has the widths, dropout and
penalties of our preset. Histories, of the newest `--max-history` events, are read by dien, sim and eta alone. The first
seed's validation AUC says which of the two is trained with all seeds, and of that alone test AUC is printed. FILE keeps
what is trained: the next call goes on there.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import yaml

from benchmarks.peer_fuxictr import train_apart
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.data.store.export_fuxictr import export_fuxictr
from mdaf_core.data.store.schema import MAX_HISTORY

LONG: dict[str, Any] = {
    "zoo": "LongCTR", "dnn_hidden_units": [64, 32], "dnn_activations": "relu", "attention_dim": 64, "num_heads": 2,
    "attention_dropout": 0, "topk": 50, "short_seq_len": 50,
    "searched": {"item": "history_item", "category": "history_category"},
    "feature_specs": [{"name": ["item", "category"], "source": "item"}],
}  # fmt: skip
"""What SIM and ETA share. `short_seq_len` counts the target: of 21 the newest 20 events are read."""
LIKE_OURS = {
    "dnn_hidden_units": [200, 80], "dnn_activations": "Dice", "num_heads": 4, "short_seq_len": 21, "net_dropout": 0.3,
}  # fmt: skip
ZOO = {
    "finalnet": {
        "model": "FinalNet", "block_type": "2B", "batch_norm": True, "use_feature_gating": True,
        "block1_hidden_units": [64, 64, 64], "block1_hidden_activations": None, "block1_dropout": 0,
        "block2_hidden_units": [64, 64, 64], "block2_hidden_activations": None, "block2_dropout": 0,
        "residual_type": "concat",
    },
    "gdcn": {
        "model": "GDCN", "dnn_hidden_units": [1024, 512, 256], "dnn_activations": "relu", "num_cross_layers": 3,
    },
    "finalmlp": {
        "model": "FinalMLP", "mlp1_hidden_units": [1024, 512], "mlp2_hidden_units": [1024, 512, 256],
        "mlp1_dropout": 0, "mlp2_dropout": 0, "use_fs": True, "fs_hidden_units": [1024, 512],
        "fs1_context": [], "fs2_context": [], "num_heads": 2,
    },
    "masknet": {
        "model": "MaskNet", "dnn_hidden_units": [400, 400, 400], "model_type": "SerialMaskNet", "reduction_ratio": 1,
        "parallel_num_blocks": 1, "parallel_block_dim": 64, "emb_layernorm": True, "net_layernorm": True,
    },
    "deepfm": {"model": "DeepFM", "zoo": "DeepFM/DeepFM_torch", "hidden_units": [300, 300, 300]},
    "xdeepfm": {"model": "xDeepFM", "dnn_hidden_units": [500, 500, 500], "cin_hidden_units": [32, 32, 32]},
    "wukong": {
        "model": "WuKong", "num_wukong_layers": 3, "lcb_features": 40, "fmb_features": 40,
        "fmb_mlp_units": [512, 256], "fmp_rank_k": 8, "mlp_hidden_units": [512, 256], "mlp_batch_norm": True,
        "layer_norm": True,
    },
    "dien": {
        "model": "DIEN", "dnn_hidden_units": [1024, 512, 256], "dnn_activations": "Dice", "batch_norm": True,
        "gru_type": "AUGRU", "attention_type": "bilinear_attention", "use_attention_softmax": True,
        "enable_sum_pooling": False, "aux_loss_alpha": 0, "dien_target_field": [["item", "category"]],
        "dien_sequence_field": [["history_item", "history_category"]], "dien_neg_seq_field": [],
        "feature_specs": [{"name": ["history_item", "history_category"], "feature_encoder": None}],
    },
    "sim": {"model": "SIM", "package": "SIM", "gsu_type": "soft", "alpha": 1, "beta": 1} | LONG,
    "eta": {"model": "ETA", "package": "ETA", "use_scale": True, "reuse_hash": True, "hash_bits": 32} | LONG,
}  # fmt: skip
PADDING = {"dien": "post", "sim": "pre", "eta": "pre"}
"""Models that read histories, and on which side of a short one each of them takes padding to be."""
PENALTIES = {"embedding_regularizer": 2e-3, "net_regularizer": 5e-5}
PRESET = {
    "finalnet": {
        "block1_hidden_units": [128, 64], "block2_hidden_units": [128, 64], "residual_type": "sum",
        "block1_dropout": 0.3, "block2_dropout": 0.3,
    },
    "gdcn": {"model": "GDCNP", "zoo": "GDCN", "dnn_hidden_units": [256, 128, 64], "net_dropout": 0.3},
    "finalmlp": {
        "mlp1_hidden_units": [256, 128, 64], "mlp2_hidden_units": [128, 64], "fs_hidden_units": [64],
        "num_heads": 1, "mlp1_dropout": 0.3, "mlp2_dropout": 0.3,
    },
    "masknet": {
        "model_type": "ParallelMaskNet", "parallel_num_blocks": 3, "dnn_hidden_units": [128, 64], "net_dropout": 0.5,
    },
    "deepfm": {"hidden_units": [256, 128, 64], "net_dropout": 0.3},
    "xdeepfm": {"dnn_hidden_units": [256, 128, 64], "cin_hidden_units": [32, 32], "net_dropout": 0.3},
    "wukong": {
        "num_wukong_layers": 2, "lcb_features": 8, "fmb_features": 8, "fmb_mlp_units": [128],
        "mlp_hidden_units": [128, 64], "net_dropout": 0.5,
    },
    "dien": {"dnn_hidden_units": [200, 80], "net_dropout": 0.3},
    "sim": LIKE_OURS,
    "eta": LIKE_OURS,
}  # fmt: skip
SETTINGS: dict[str, dict[str, dict[str, Any]]] = {
    name: {"zoo": zoo, "preset": zoo | PENALTIES | PRESET[name]} for name, zoo in ZOO.items()
}


def exported(dataset: PreparedDataset, names: list[str], max_history: int, place: Path) -> dict[str, Path]:
    """For each model a folder of the data set's rows, one for all that read the same columns: histories padded as the
    model reads them, or none."""
    folders = {}
    for padding in {PADDING.get(name) for name in names}:
        those = [name for name in names if PADDING.get(name) == padding]
        folder = place / (padding or "without")
        export_fuxictr(dataset, folder, max_history=max_history if padding else 1)
        file = folder / "dataset_config.yaml"
        config = yaml.safe_load(file.read_text())
        columns = config[dataset.name]["feature_cols"]
        if not padding:
            columns[:] = [column for column in columns if column["type"] != "sequence"]
        for column in columns:
            if column["type"] == "sequence":
                column["padding"] = padding
        file.write_text(yaml.safe_dump(config, sort_keys=False))
        with (folder / "model_config.yaml").open("a") as models:
            yaml.safe_dump({name: {"dataset_id": dataset.name} | SETTINGS[name]["zoo"] for name in those}, models)
        folders |= dict.fromkeys(those, folder)
    return folders


def spread(values: list[float]) -> str:
    return f"{fmean(values):.4f}" + (f" ± {stdev(values):.4f}" if len(values) > 1 else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="prepared data set")
    parser.add_argument("--python", required=True, help="the Python that has fuxictr")
    parser.add_argument("--zoo", required=True, type=Path, help="clone of FuxiCTR's repository")
    parser.add_argument("--out", required=True, type=Path, help="JSON file that keeps what is trained")
    parser.add_argument("--models", default=",".join(SETTINGS))
    parser.add_argument("--settings", default="zoo,preset")
    parser.add_argument("--seeds", default="42,43,44")
    parser.add_argument("--max-history", type=int, default=MAX_HISTORY, help="newest events of a row's history")
    args = parser.parse_args()
    models, seeds = args.models.split(","), [int(seed) for seed in args.seeds.split(",")]
    found: dict[str, dict[str, Any]] = json.loads(args.out.read_text()) if args.out.exists() else {}
    with tempfile.TemporaryDirectory() as place:
        folders = exported(PreparedDataset.open(args.data), models, args.max_history, Path(place))

        def trained(name: str, setting: str, seed: int) -> dict[str, Any]:
            key = f"{name} {setting} {seed}" + (f" of {args.max_history} events" if name in PADDING else "")
            if key not in found:
                changes = SETTINGS[name][setting] | {"seed": seed, "epochs": 100, "num_workers": 0}
                found[key] = train_apart(args.python, folders[name], args.zoo, name, changes, Path(place))
                args.out.write_text(json.dumps(found, indent=1))
            print(f"{key}: validation AUC {found[key]['val']:.4f}, {found[key]['epochs']} epochs, "
                  f"{found[key]['seconds']:.0f} s", flush=True)  # fmt: skip
            return found[key]

        for name in models:
            best = max(args.settings.split(","), key=lambda setting: trained(name, setting, seeds[0])["val"])
            runs = [trained(name, best, seed) for seed in seeds]
            val, test = ([facts[split] for facts in runs] for split in ("val", "test"))
            print(f"{name}, {best}: validation AUC {spread(val)}, test AUC {spread(test)}", flush=True)


if __name__ == "__main__":
    main()
