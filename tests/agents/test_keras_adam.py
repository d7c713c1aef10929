"""Keras' Adam on flat storage against the formula, tensor by tensor."""

import math

import pytest
import torch
from torch import nn

from agents.parts import keras_adam, torch_agent

SHAPES = ((5, 4), (4,), (3, 2, 4, 4), ())


def tensors(seed, last=False):
    torch.manual_seed(seed)
    found = [torch.randn(shape) for shape in SHAPES]
    if last:
        found[2] = found[2].contiguous(memory_format=torch.channels_last)
    return found


def plain(params, steps, rate, eps, clip, decay):
    """Returns parameters after steps as the formula is written."""
    params = [p.double().clone() for p in params]
    means, squares = ([torch.zeros_like(p) for p in params] for _ in range(2))
    for k, gradients in enumerate(steps, 1):
        gradients = [g.double() for g in gradients]
        norm = math.sqrt(sum(float(g.square().sum()) for g in gradients))
        scale = clip / max(norm, clip) if clip else 1.0
        size = rate * math.sqrt(1 - 0.999**k) / (1 - 0.9**k)
        for p, g, m, v in zip(params, gradients, means, squares, strict=True):
            g = g * scale
            m.mul_(0.9).add_(0.1 * g)
            v.mul_(0.999).add_(0.001 * g * g)
            p.mul_(1 - decay).sub_(size * m / (v.sqrt() + eps))
    return params


SETTINGS = [(1e-3, 1e-5, 100.0, 1e-6), (0.05, 1e-2, 1.0, 0.02), (0.01, 1e-7, None, 0.0)]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("last", [False, True], ids=["", "channels last"])
@pytest.mark.parametrize("step", ["fused", "written"])
def test_every_step_is_that_of_the_formula(settings, last, step):
    params = [nn.Parameter(each) for each in tensors(0, last)]
    before, steps = tensors(0), [tensors(seed) for seed in range(1, 6)]
    adam = keras_adam.KerasAdam(params, *settings)
    adam.fused_step = getattr(adam, f"{step}_step")
    for gradients in steps:
        norm = adam.step(gradients)
        total = sum(float(each.double().square().sum()) for each in gradients)
        assert float(norm) == pytest.approx(math.sqrt(total), rel=1e-6)
    for found, wanted in zip(params, plain(before, steps, *settings), strict=True):
        torch.testing.assert_close(found.double(), wanted, rtol=1e-5, atol=1e-6)


def test_parameters_keep_values_and_order_and_become_views():
    params = [nn.Parameter(each) for each in tensors(0, last=True)]
    adam = keras_adam.KerasAdam(params, 1e-3, 1e-5, None, 0.0)
    for param, wanted in zip(params, tensors(0), strict=True):
        assert torch.equal(param, wanted)
    assert params[2].is_contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        adam.flat.zero_()
    assert not any(param.any() for param in params)


def test_a_loss_moves_its_own_parameters_only():
    mine, other = nn.Linear(3, 2), nn.Linear(2, 1)
    adam = keras_adam.KerasAdam(mine.parameters(), 1e-3, 1e-5, None, 0.0)
    before = other.weight.detach().clone(), mine.weight.detach().clone()
    adam.minimise(other(mine(torch.ones(1, 3))).sum())
    assert torch.equal(other.weight, before[0])
    assert not torch.equal(mine.weight, before[1])
    assert other.weight.grad is None


def test_no_gradient_is_a_gradient_of_zero():
    pairs = [[nn.Parameter(each) for each in tensors(0)] for _ in range(2)]
    steps = [tensors(1), tensors(2)]
    for params, nothing in zip(pairs, (None, torch.zeros(SHAPES[1])), strict=True):
        adam = keras_adam.KerasAdam(params, 1e-3, 1e-5, None, 1e-6)
        for gradients in steps:
            adam.step([gradients[0], nothing, *gradients[2:]])
    assert all(torch.equal(one, other) for one, other in zip(*pairs, strict=True))


def test_a_loaded_state_goes_on_bit_for_bit():
    params = [nn.Parameter(each) for each in tensors(0)]
    adam = keras_adam.KerasAdam(params, 0.05, 1e-3, 1.0, 0.02)
    for seed in (1, 2):
        adam.step(tensors(seed))
    tree = torch_agent.to_tree(adam.state_dict())
    copies = [nn.Parameter(param.detach().clone()) for param in params]
    other = keras_adam.KerasAdam(copies, 0.05, 1e-3, 1.0, 0.02)
    other.load_state_dict(torch_agent.from_tree(tree))
    for each in (adam, other):
        each.step(tensors(3))
    assert all(torch.equal(one, two) for one, two in zip(params, copies, strict=True))
