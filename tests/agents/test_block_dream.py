"""Play inside the model of Dreamer v3, beside the model's plain step."""

import pytest
import torch
import torch.nn.functional as F

from agents.parts import block_dream, block_rssm, blocks, unimix

SIZES = [block_rssm.Sizes(16, 8, 4, 4, 8), block_rssm.Sizes(24, 5, 3, 7, 4)]
ACTIONS, STEPS, COUNT = 3, 4, 6


def played(sizes, kind):
    torch.manual_seed(0)
    model = block_rssm.BlockRSSM(sizes, ACTIONS, 9).requires_grad_(False)
    actor = blocks.MLP(sizes.features, 2, 8, ACTIONS, 1.0)
    deter = torch.randn(COUNT, sizes.deter).to(kind)
    start = torch.randint(0, sizes.classes, (COUNT, sizes.latents))
    actions = torch.randint(0, ACTIONS, (STEPS, COUNT))
    index = torch.randint(0, sizes.classes, (STEPS, COUNT, sizes.latents))
    act, step = (lambda _, k: actions[k]), (lambda _, k: index[k])
    dream = block_dream.imagine(model, actor, deter, start, STEPS, act, step)
    return model, actor, dream, deter, start, actions, index


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize(("kind", "near"), [(torch.float32, 1e-5), (torch.bfloat16, 0.05)])
def test_a_dream_is_the_model_stepped_with_the_drawn_actions_and_latents(sizes, kind, near):
    model, actor, dream, deter, start, actions, index = played(sizes, kind)
    for step in range(STEPS):
        latent = unimix.one_hot(start if not step else index[step - 1], sizes.classes, kind)
        feature = torch.cat([deter, latent], -1)
        torch.testing.assert_close(dream.feature[step], feature, atol=near, rtol=near)
        torch.testing.assert_close(dream.logits[step], actor(feature).float(), atol=near, rtol=near)
        deter = model.step(deter, latent, F.one_hot(actions[step], ACTIONS).to(kind))
    assert torch.equal(dream.action, actions)
    assert dream.feature.shape == (STEPS + 1, COUNT, sizes.features)


def test_only_the_actor_has_gradients_of_a_dream():
    model, actor, dream, *_ = played(SIZES[0], torch.float32)
    assert not dream.feature.requires_grad and dream.logits.dtype == torch.float32
    dream.logits.square().sum().backward()
    assert all(param.grad is not None and param.grad.any() for param in actor.parameters())
    assert all(param.grad is None for param in model.parameters())
