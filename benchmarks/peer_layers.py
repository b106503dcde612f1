"""The static models' layers beside FuxiCTR's with the same weights: are the outputs the same?

    python -m benchmarks.peer_layers --zoo FUXICTR

FUXICTR is a clone of its repository at 2.3.10, for `model_zoo`; the environment holds this program and fuxictr 2.3.10.
Everything is float64 on random inputs; where the two are known to differ (docs/models.md, footnotes) the peer's part
is set to what they share: no bias in CIN, no ReLU behind Wukong's products. Exits with 1 above a difference of 1e-12.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mdaf_core.models import finalmlp, finalnet, gdcn, masknet, wukong, xdeepfm

ROWS, FIELDS, DIM = 64, 7, 6
TOLERANCE = 1e-12


def zoo(folder: Path, model: str) -> Any:
    """The file of a model of FuxiCTR's zoo."""
    path = folder / "model_zoo" / model / "src" / f"{model}.py"
    spec = importlib.util.spec_from_file_location(f"zoo_{model}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def give(ours: nn.Module, theirs: nn.Module) -> None:
    ours.load_state_dict(theirs.state_dict())


def pairs(folder: Path) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Name, output here, output there."""
    x_BFD = torch.randn(ROWS, FIELDS, DIM)
    x_BE, whole = x_BFD.flatten(1), FIELDS * DIM
    yield "xdeepfm: CIN", *cin(x_BFD)

    theirs = zoo(folder, "MaskNet").MaskBlock(whole, whole, 9, reduction_ratio=0.5)
    block = masknet.MaskBlock(whole, whole, 9, 0.5, 0.0)
    give(block.aggregate.layers[0], theirs.mask_layer[0])
    give(block.mask, theirs.mask_layer[2])
    give(block.linear, theirs.hidden_layer[0])
    give(block.norm, theirs.hidden_layer[1])
    masked_BE = torch.randn(ROWS, whole)
    yield "masknet: block", block(x_BE, masked_BE), theirs(x_BE, masked_BE)

    theirs = zoo(folder, "GDCN").GateCorssLayer(whole, 3)
    y_BE = x_BE
    for weight, bias, gate in zip(theirs.w, theirs.b, theirs.wg, strict=True):
        cross = gdcn.GatedCross(whole)
        cross.linear.weight.data, cross.linear.bias.data = weight.weight.data, bias.data
        give(cross.gate, gate)
        y_BE = cross(x_BE, y_BE)
    yield "gdcn: crosses", y_BE, theirs(x_BE)

    theirs = zoo(folder, "FinalMLP").InteractionAggregation(6, 4, 1, 2)
    fusion = finalmlp.BilinearFusion(6, 4, 2)
    fusion.linear.weight.data = torch.cat([theirs.w_x.weight.data, theirs.w_y.weight.data], dim=1)
    fusion.linear.bias.data = theirs.w_x.bias.data + theirs.w_y.bias.data
    fusion.W_HXY.data = theirs.w_xy.data.view_as(fusion.W_HXY)
    first_BX, second_BY = torch.randn(ROWS, 6), torch.randn(ROWS, 4)
    yield "finalmlp: fusion", fusion(first_BX, second_BY), theirs(first_BX, second_BY).squeeze(1)

    file = zoo(folder, "FinalNet")
    for residual in ("sum", "concat"):
        theirs = file.FinalBlock(whole, [8, 4], ["relu", "relu"], 0, True, residual)
        config = finalnet.FinalNetConfig.model_validate({"residual": residual, "activation": "relu", "dropout": 0.0})
        layers = finalnet.Block(whole, [8, 4], config).layers
        for i, (linear, norm) in enumerate(zip(theirs.layer, theirs.norm, strict=True)):
            give(layers[4 * i].linear, linear.linear)  # type: ignore[arg-type]
            give(layers[4 * i + 1], norm)
        yield f"finalnet: block, {residual}", layers(x_BE), theirs(x_BE)
    theirs, field_gate = file.FeatureGating(FIELDS), finalnet.FieldGate(FIELDS)
    give(field_gate.linear, theirs.linear)
    yield "finalnet: gate", field_gate(x_BFD), theirs(x_BFD)

    theirs = zoo(folder, "WuKong").WuKongLayer(FIELDS, 2, 3, DIM, 4, [9], "relu", 0.0, True)
    theirs.residual_proj.bias.data.zero_()
    shape = {"fm_tokens": 3, "linear_tokens": 2, "rank": 4, "fm_hidden_units": [9], "dropout": 0.0}
    layer = wukong.InteractionLayer(FIELDS, DIM, wukong.WukongConfig.model_validate(shape))
    hidden, out = (module for module in theirs.fmb.mlp.mlp if isinstance(module, nn.Linear))
    layer.products.project_NK.data = theirs.fmb.proj_Y.data
    give(layer.products.norm, theirs.fmb.layer_norm)
    give(layer.products.tower.layers[0], hidden)
    give(layer.products.out, out)
    give(layer.sums, theirs.lcb.linear)
    layer.residual.weight.data = theirs.residual_proj.weight.data  # type: ignore[union-attr]
    give(layer.norm, theirs.layer_norm)
    theirs.fmb.mlp.mlp = theirs.fmb.mlp.mlp[:-1]
    yield "wukong: layer", layer(x_BFD), theirs(x_BFD)


def cin(x_BFD: Tensor) -> tuple[Tensor, Tensor]:
    layers = importlib.import_module("fuxictr.pytorch.layers")
    theirs, ours = layers.CompressedInteractionNet(FIELDS, [5, 5]), xdeepfm.CompressedInteraction(FIELDS, 5, 2)
    for compress, peer in zip(ours.maps, theirs.cin_layer.values(), strict=True):
        peer.bias.data.zero_()
        weight = peer.weight.data.view(5, FIELDS, -1)  # pairs as (field, map); here (map, field)
        compress.weight.data = weight.transpose(1, 2).reshape(5, -1)
    return theirs.fc(ours(x_BFD)), theirs(x_BFD)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--zoo", type=Path, required=True, help="clone of FuxiCTR's repository")
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    far = False
    for name, ours, theirs in pairs(arguments.parse_args().zoo):
        apart = float(((ours - theirs).abs().max() / theirs.abs().max()).detach())
        far |= not apart <= TOLERANCE
        print(f"{name}: largest difference {apart:.1e} of the largest output")
    sys.exit(bool(far))


if __name__ == "__main__":
    main()
