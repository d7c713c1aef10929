"""Dense layers of Dreamer v3."""

import math

import pytest
import torch
import torch.nn.functional as F

from agents.parts import blocks, norms


def test_a_layer_in_groups_is_a_dense_one_with_blocks_on_its_diagonal():
    torch.manual_seed(0)
    layer = blocks.GroupLinear(12, 20, 4)
    torch.nn.init.normal_(layer.bias)
    x = torch.randn(7, 12)
    whole = torch.block_diag(*layer.weight)
    torch.testing.assert_close(layer(x), x @ whole + layer.bias)


def test_initial_weights_have_the_scale_of_all_inputs_and_are_cut_off():
    torch.manual_seed(0)
    for weight, inputs, scale in (
        (blocks.Linear(400, 300).weight, 400, 1.0),
        (blocks.Linear(400, 300, 0.01).weight, 400, 0.01),
        (blocks.GroupLinear(400, 800, 8).weight, 400, 1.0),
    ):
        assert weight.std().item() == pytest.approx(scale / math.sqrt(inputs), rel=0.02)
        limit = 2 * blocks.TRUNCATED * scale / math.sqrt(inputs)
        assert 0.98 * limit <= weight.abs().max() <= limit * (1 + 1e-6)
    assert not blocks.Linear(4, 3, 0.0).weight.any() and not blocks.Linear(4, 3).bias.any()


def test_a_block_is_a_layer_then_its_norm_then_silu():
    torch.manual_seed(0)
    block, x = blocks.Block(5, 8), torch.randn(3, 2, 5)
    wanted = F.silu(norms.rms(F.linear(x, block.linear.weight, block.linear.bias), block.norm.gain))
    torch.testing.assert_close(block(x), wanted)


def test_products_run_in_the_type_of_their_input_and_weights_stay_float32():
    net = blocks.MLP(5, 2, 8, 3, 1.0)
    x = torch.randn(4, 5)
    found = net(x.bfloat16())
    assert found.dtype == torch.bfloat16
    assert {param.dtype for param in net.parameters()} == {torch.float32}
    torch.testing.assert_close(found.float(), net(x), atol=0.05, rtol=0.05)
    found.sum().backward()
    assert all(param.grad.dtype == torch.float32 for param in net.parameters())
