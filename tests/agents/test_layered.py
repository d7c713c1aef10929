"""Initial weights, and heads of normed layers, by hand."""

import math

import pytest
import torch

from agents.parts import layered, padded
from tests.agents.january import SHAPE, silu_norm, small


@pytest.mark.parametrize("layer", ["dense", "conv", "transposed"])
def test_weights_begin_with_the_variance_of_the_average_fan(layer):
    torch.manual_seed(0)
    weight, fans = {
        "dense": lambda: (layered.Linear(300, 700, bias=True).weight, (300, 700)),
        "conv": lambda: (padded.Encoder(SHAPE, 16).convs[2].weight, (16 * 32, 16 * 64)),
        "transposed": lambda: (padded.Decoder(4, SHAPE, 16).convs[1].weight, (16 * 64, 16 * 32)),
    }[layer]()
    std = 1 / math.sqrt(sum(fans) / 2)
    assert weight.std().item() == pytest.approx(std, rel=0.02)
    assert abs(weight.mean().item()) < 0.03 * std
    assert 2.1 * std < weight.abs().max() <= 2 * 1.1368 * std, "cut at two standard deviations"


def test_heads_have_as_many_normed_layers_as_configured():
    agent = small(layers=3)
    for name in ("reward", "proceed", "actor", "critic"):
        head = getattr(agent, name)
        assert [block.linear.bias is None for block in head.blocks] == [True] * 3, name
        assert head.out.bias is not None
    x = torch.randn(4, agent.rssm.features)
    wanted = x
    for block in agent.proceed.blocks:
        wanted = silu_norm(wanted @ block.linear.weight.T, block.norm)
    wanted = wanted @ agent.proceed.out.weight.T + agent.proceed.out.bias
    torch.testing.assert_close(agent.proceed(x), wanted)
