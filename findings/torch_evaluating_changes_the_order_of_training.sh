#!/usr/bin/env bash
# torch 2.13.0 (numpy 2.4.6), torch.utils.data.DataLoader after torch.manual_seed.
#
# A model is trained for three epochs in shuffled order and evaluated on held-out rows that are read in order (shuffle=False), with
# model.eval() and no_grad. One would guess that what only reads rows in order draws nothing: whether one evaluates after each epoch or
# at the end, the same seed trains the same model. And that workers, and whether they are kept, are matters of speed.
#
# Seen: a loader draws a number from torch's generator each time it is begun, also one without shuffling and without workers. The
# shuffled order of the next epoch comes from the same generator, so the model that is evaluated after each epoch is not the model of the
# same seed that is evaluated at the end: from the second epoch on it sees other batches, and here its click rates differ by 0.002.
# A generator of its own for the training's loader keeps the order, but not the dropout, which draws from torch's. With
# persistent_workers a loader draws this number once and not each epoch, so the second epoch is in another order than without, even
# with its own generator and the same seed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
cd "$folder"
OMP_NUM_THREADS=1 "$folder/venv/bin/python" - <<'PYTHON'
import torch
from torch.nn.functional import binary_cross_entropy_with_logits as loss
from torch.utils.data import DataLoader, TensorDataset

draw = torch.Generator().manual_seed(1)
features = torch.randn(4_000, 5, generator=draw)
clicks = (torch.rand(4_000, generator=draw) < torch.sigmoid(features.sum(1) - 2)).float()
rows = TensorDataset(torch.arange(4_000), features, clicks)
training, held_out = torch.utils.data.Subset(rows, range(3_000)), torch.utils.data.Subset(rows, range(3_000, 4_000))


def trained(evaluate: bool = False, own: bool = False, dropout: float = 0.0, seed: int = 0, **workers):
    """The first rows of each epoch, and what the model gives for the held-out rows."""
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(5, 16), torch.nn.ReLU(), torch.nn.Dropout(dropout), torch.nn.Linear(16, 1))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    generator = torch.Generator().manual_seed(seed) if own else None
    shuffled = DataLoader(training, batch_size=100, shuffle=True, generator=generator, **workers)
    in_order = DataLoader(held_out, batch_size=100)
    first = []
    for _ in range(3):
        for step, (row, feature, click) in enumerate(shuffled):
            if step == 0:
                first.append(row[:3].tolist())
            optimizer.zero_grad()
            loss(model(feature)[:, 0], click).backward()
            optimizer.step()
        if evaluate:
            model.eval()
            with torch.no_grad():
                for _, feature, _ in in_order:
                    model(feature)
            model.train()
    with torch.no_grad():
        return first, torch.sigmoid(model.eval()(features[3_000:])[:, 0])


def apart(one, other) -> float:
    return float((one[1] - other[1]).abs().mean())


plain = trained()
print("torch", torch.__version__, "- first rows of three epochs, and how far predictions are from the first line's")
others = {
    "again": trained(),
    "evaluated after each epoch": trained(evaluate=True),
    "another seed": trained(seed=1),
}
for name, found in {"evaluated at the end": plain, **others}.items():
    print(f"  {name}: {found[0]}, {apart(found, plain):.5f}")
assert others["again"][0] == plain[0] and apart(others["again"], plain) == 0
looked = others["evaluated after each epoch"]
assert looked[0][0] == plain[0][0] and looked[0][1] != plain[0][1] and apart(looked, plain) > 1e-4

own, own_looked = trained(own=True), trained(own=True, evaluate=True)
dropped, dropped_looked = trained(own=True, dropout=0.2), trained(own=True, dropout=0.2, evaluate=True)
print(f"own generator, evaluated each epoch: same order {own[0] == own_looked[0]}, apart {apart(own, own_looked)}", end="")
print(f"; with dropout: same order {dropped[0] == dropped_looked[0]}, apart {apart(dropped, dropped_looked):.5f}")
assert own[0] == own_looked[0] == dropped_looked[0] and apart(own, own_looked) == 0 < apart(dropped, dropped_looked)

worker = trained(own=True, num_workers=1)
kept = trained(own=True, num_workers=1, persistent_workers=True)
print(f"own generator, one worker: {worker[0]}; kept from epoch to epoch: {kept[0]}")
assert worker[0] == own[0] and kept[0][0] == own[0][0] and kept[0][1] != own[0][1]
PYTHON
