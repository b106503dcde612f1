#!/usr/bin/env bash
# torch 2.13.0, torch.onnx.export of a torch.nn.Embedding; onnx 1.23.2, onnxscript 0.7.2, onnxruntime 1.32.0.
#
# -1 is what encoders give an id that is missing or not known (scikit-learn's OrdinalEncoder as it is often asked to, the codes of
# pandas.factorize and of pandas' categories). A torch.nn.Embedding refuses it (IndexError), so a model that was evaluated
# with torch has never seen one. One would guess that the exported model refuses it too, as both refuse an id
# past the end.
#
# Seen: the exporter writes a Gather, for which -1 is the last row. An ad that is not known is scored as the ad with the
# largest id, -2 as the one before, without a word; serving says nothing where training would have stopped.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 onnx==1.23.2 onnxscript==0.7.2 onnxruntime==1.32.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - 2>err <<'PYTHON' || { cat "$folder/err"; exit 1; }
import numpy as np
import onnxruntime
import torch

ADS = 1000


class Clicks(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.ad, self.head = torch.nn.Embedding(ADS, 8), torch.nn.Linear(8, 1)

    def forward(self, ad):
        return torch.sigmoid(self.head(self.ad(ad))).squeeze(-1)


torch.manual_seed(0)
model = Clicks().eval()
shapes = ({0: torch.export.Dim("rows")},)
torch.onnx.export(model, (torch.arange(4),), "clicks.onnx", dynamo=True, dynamic_shapes=shapes, verbose=False)
session = onnxruntime.InferenceSession("clicks.onnx")
name = session.get_inputs()[0].name


def by_torch(ads):
    with torch.no_grad():
        return model(torch.tensor(ads)).numpy()


def by_onnx(ads):
    return session.run(None, {name: np.array(ads)})[0]


def refused(score, ads):
    try:
        score(ads)
    except Exception as error:
        return type(error).__name__
    return None


print("torch", torch.__version__, "onnxruntime", onnxruntime.__version__)
known = list(range(ADS))
assert np.allclose(by_torch(known), by_onnx(known), atol=1e-6)
for ad in (-1, -2, ADS):
    seen = {"torch": refused(by_torch, [ad]), "onnxruntime": refused(by_onnx, [ad])}
    print(f"ad {ad}:", ", ".join(f"{who} {'scores it' if error is None else error}" for who, error in seen.items()))
    assert seen["torch"] == "IndexError" and (seen["onnxruntime"] is None) == (ad < 0)
last = by_torch([ADS - 1, ADS - 2])
print(f"ads -1 and -2 in onnxruntime: {by_onnx([-1, -2])}, ads {ADS - 1} and {ADS - 2} in torch: {last}")
assert np.allclose(by_onnx([-1, -2]), last, atol=1e-6)
PYTHON
