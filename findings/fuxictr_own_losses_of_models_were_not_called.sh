#!/usr/bin/env bash
# Package: fuxictr 2.0.2, 2.0.3, 2.3.3, 2.3.4 (Python 3.11, Linux; torch 2.13.0), the base class of its models.
#
# What one would guess: a model with a loss of its own defines `add_loss`, as the library's own do (DIEN; from 2.1.3 on
# FinalNet, in 2.3.3 DCNv3), and `train_step` descends on it, in each version alike. A figure of such a model of any
# version is then of the loss its file shows.
#
# What is seen: 2.0.2 calls it with the batch. From 2.0.3 to 2.3.3 nothing calls it: `train_step` takes the base class's
# compute_loss, plain cross-entropy of y_pred, and says nothing; auxiliary losses, Tri-BCE and self-distillation are dead
# code. From 2.3.4 on it is called with other arguments (outputs and labels), so that a model written for 2.0 stops with
# a TypeError.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip() { "$folder/venv/bin/pip" install --quiet --disable-pip-version-check "$@"; }
pip torch==2.13.0 polars==1.44.2 pandas==2.3.3 numpy==2.4.6 scikit-learn==1.9.1 h5py PyYAML==6.0.2 tqdm pyarrow requests
for version in 2.0.2 2.0.3 2.3.3 2.3.4; do pip --no-deps --target "$folder/$version" "fuxictr==$version"; done
cd "$folder"
cat > check.py <<'PY'
import collections
import sys
import types

import numpy

sys.modules.setdefault("ray", types.ModuleType("ray"))
numpy.Inf = numpy.inf  # gone from numpy 2, which versions up to 2.3.9 do not know

import fuxictr  # noqa: E402
import torch  # noqa: E402
from fuxictr.pytorch.models import BaseModel  # noqa: E402

given, version = sys.argv[1], getattr(fuxictr, "__version__", "?")
assert version == given, version


class Taught(BaseModel):
    """One number is the prediction; the loss of its own is zero whatever it is."""

    def __init__(self, features):
        super().__init__(features, model_id="taught", gpu=-1, verbose=0, model_root=".", metrics=["AUC"])
        self.logit, self.calls = torch.nn.Parameter(torch.zeros(1)), []
        self._max_gradient_norm = 10.0
        self.compile("adam", "binary_crossentropy", 0.1)

    def get_labels(self, inputs):
        return inputs["label"]

    def forward(self, inputs):
        return {"y_pred": torch.sigmoid(self.logit).expand(4, 1)}

    def add_loss(self, *given):
        self.calls.append(len(given))
        return 0 * self.logit.sum()


features = collections.namedtuple("Features", "dataset_id labels")("none", ["label"])
model = Taught(features)
loss = model.train_step({"label": torch.ones(4, 1)})
loss = getattr(loss, "item", lambda: loss)()
arguments = model.calls[0] if model.calls else None
print(f"fuxictr {version}: add_loss " + (f"called with {arguments} argument(s)" if arguments else "not called")
      + f"; loss {loss:.4f}, the logit moved to {model.logit.item():.3f}")
expected = {"2.0.2": 1, "2.0.3": None, "2.3.3": None, "2.3.4": 2}[version]
assert arguments == expected
assert (abs(loss) < 1e-9) == bool(expected) and (abs(model.logit.item()) < 1e-6) == bool(expected)
PY
for version in 2.0.2 2.0.3 2.3.3 2.3.4; do PYTHONPATH="$folder/$version" "$folder/venv/bin/python" -W ignore check.py "$version"; done
