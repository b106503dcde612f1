"""BST's encoder against torch's own Transformer layer, run on one padded sequence at a time."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mdaf_core.models.bst import BSTConfig, TransformerBlock
from mdaf_core.models.registry import build_model
from tests.models.batches import USUAL, random_batch


@pytest.mark.parametrize("last_only", [False, True])
def test_block_equals_torch_encoder_layer(last_only: bool) -> None:
    torch.manual_seed(0)
    dim, heads = 16, 4
    block = TransformerBlock(dim, heads, dropout=0.0).double().eval()
    layer = nn.TransformerEncoderLayer(dim, heads, 4 * dim, dropout=0.0, batch_first=True).double().eval()
    layer.activation = nn.LeakyReLU()
    with torch.no_grad():
        layer.self_attn.in_proj_weight.copy_(torch.cat([block.query.weight, block.key_value.weight]))
        layer.self_attn.in_proj_bias.copy_(torch.cat([block.query.bias, block.key_value.bias]))
        layer.self_attn.out_proj.load_state_dict(block.out.state_dict())
        layer.linear1.load_state_dict(block.ffn[0].state_dict())
        layer.linear2.load_state_dict(block.ffn[2].state_dict())
        layer.norm1.load_state_dict(block.attention_norm.state_dict())
        layer.norm2.load_state_dict(block.ffn_norm.state_dict())
        layer.norm1.weight.mul_(1.3), block.attention_norm.weight.mul_(1.3)
    lengths = [3, 1, 20, 7]
    cu = torch.tensor([0, *lengths]).cumsum(0).to(torch.int32)
    x = torch.randn(sum(lengths), dim, dtype=torch.float64)
    got = block(x, cu, last_only=last_only)
    for row in range(len(lengths)):
        expected = layer(x[cu[row] : cu[row + 1]].unsqueeze(0)).squeeze(0)
        mine = got[row : row + 1] if last_only else got[cu[row] : cu[row + 1]]
        torch.testing.assert_close(mine, expected[-1:] if last_only else expected)


def test_positions_count_from_the_target() -> None:
    """A history's newest event has the same position whatever came before; beyond `positions` all share one."""
    torch.manual_seed(0)
    model = build_model(BSTConfig(positions=3), USUAL).eval()
    batch = random_batch(USUAL, [6], first_code=2)
    seen = []
    model.encoder.norm.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    model(batch)
    tokens = torch.cat([batch.history["item"], batch.categorical_BF[:, 0]])
    groups = torch.cat([batch.history["category"], batch.categorical_BF[:, 1]])
    tables = model.encoder.tables
    vectors = torch.cat([tables[0].weight[tokens], tables[1].weight[groups]], dim=1)
    added = seen[0] - model.encoder.project(vectors)
    places = [3, 3, 3, 3, 2, 1, 0]
    torch.testing.assert_close(added, model.encoder.position_PD[places], rtol=1e-4, atol=1e-5)
