#!/usr/bin/env bash
# recbole 1.2.1 (numpy 1.26.4, pandas 2.3.3, torch 2.13.0), its context-aware recommenders (LR, FM, DeepFM, DCNV2, …).
#
# A column of a click log is declared in the file's head (price:float) and asked for (load_col). RecBole loads it, fills what
# is missing and shows it in the data set's summary. One would guess that a model which reads all fields then reads it.
#
# Seen: a float column is embedded only if numerical_features names it once more, and by default that list is empty. Without
# it the model is built without the column and says nothing. Where the price decides the click, the AUC of logistic regression
# is that of chance, and with the column named it is above 0.9. A comparison with a model that does read numbers (trees,
# FuxiCTR) compares inputs.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 recbole==1.2.1 numpy==1.26.4 pandas==2.3.3
mkdir -p "$folder/data/clicks"
cd "$folder"
cat > check.py <<'PY'
import logging
import sys
from importlib.metadata import version

import numpy as np
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model, get_trainer, init_seed

sys.argv = sys.argv[:1]
rng = np.random.default_rng(0)
with open("data/clicks/clicks.inter", "w") as file:
    file.write("user_id:token\titem_id:token\tlabel:float\tprice:float\ttimestamp:float\n")
    for i in range(6000):
        price = rng.random()
        file.write(f"u{rng.integers(50)}\ti{rng.integers(40)}\t{int(price > 0.5)}\t{price:.4f}\t{1_700_000_000 + i}\n")
SETTINGS = {
    "data_path": "data", "load_col": {"inter": ["user_id", "item_id", "label", "price", "timestamp"]},
    "LABEL_FIELD": "label", "train_neg_sample_args": None, "metrics": ["AUC"], "valid_metric": "AUC", "epochs": 20,
    "eval_args": {"split": {"RS": [8, 1, 1]}, "order": "TO", "group_by": None, "mode": "labeled"},
    "learning_rate": 0.05, "use_gpu": False, "show_progress": False, "seed": 1,
}  # fmt: skip


def auc(**more):
    config = Config(model="LR", dataset="clicks", config_dict=SETTINGS | more)
    init_seed(config["seed"], True)
    dataset = create_dataset(config)
    assert "price" in str(dataset)
    train, valid, test = data_preparation(config, dataset)
    model = get_model("LR")(config, train.dataset)
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    trainer.fit(train, valid, saved=False, show_progress=False)
    found = trainer.evaluate(test, load_best_model=False, show_progress=False)["auc"]
    print(f"{more or 'as loaded'}: AUC {found:.3f}, numbers the model reads: {model.float_field_names}")
    return found


words = []
logging.getLogger().addHandler(type("Keep", (logging.Handler,), {"emit": lambda self, r: words.append(r)})())
print("recbole", version("recbole"))
plain, named = auc(), auc(numerical_features=["price"])
assert not [record.getMessage() for record in words if record.levelno >= logging.WARNING and "price" in record.getMessage()]
assert abs(plain - 0.5) < 0.08 and named > 0.9, (plain, named)
PY
"$folder/venv/bin/python" -W ignore check.py 2>err || { cat err; exit 1; }
