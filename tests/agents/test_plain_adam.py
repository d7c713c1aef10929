"""Adam with torch's epsilon: the vector of the specification, and torch beside it."""

import pytest
import torch

from agents.parts import plain_adam
from tests.agents import vectors

VECTORS = vectors.load()


@pytest.mark.parametrize("step", ["fused", "written"])
def test_adam_adds_epsilon_to_the_corrected_root(step):
    v, weight = VECTORS["adam_variants"], torch.nn.Parameter(torch.ones(1))
    opt = plain_adam.PlainAdam([weight], 1e-3, 1e-5, 100.0)
    opt.fused_step = getattr(opt, f"{step}_step")
    for gradient, wanted in zip(v["grads"], v["torch"], strict=True):
        opt.step([torch.tensor([gradient])])
        assert weight.item() == pytest.approx(wanted, abs=1e-7)


def test_adam_clips_the_norm_of_all_gradients_together():
    params = [torch.nn.Parameter(torch.randn(3)), torch.nn.Parameter(torch.randn(2, 2))]
    twins = [torch.nn.Parameter(p.detach().clone()) for p in params]
    ours, theirs = plain_adam.PlainAdam(params, 0.1, 1e-8, 1.0), torch.optim.Adam(twins, 0.1)
    for step in range(5):
        gradients = [torch.randn(p.shape) * 10**step for p in params]
        for twin, gradient in zip(twins, gradients, strict=True):
            twin.grad = gradient.clone()
        total = torch.nn.utils.clip_grad_norm_(twins, 1.0, norm_type=2)
        torch.testing.assert_close(ours.step(gradients), total)
        theirs.step()
        for param, twin in zip(params, twins, strict=True):
            torch.testing.assert_close(param, twin, rtol=1e-4, atol=1e-5)
