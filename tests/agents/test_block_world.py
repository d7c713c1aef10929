"""The world model's losses on rows that were played."""

import numpy as np
import pytest
import torch

from agents.parts import norms, unimix
from tests.agents import toys


@pytest.fixture(scope="module")
def filtered():
    """An agent, its rows, and what they are filtered to."""
    agent = toys.little("dreamerv3", "float32", view__size=[16, 16], free_nats=0.1)
    rng = np.random.default_rng(0)
    batch = toys.served(agent, rng)
    data = {name: torch.from_numpy(array) for name, array in batch.items()}
    data["is_terminal"][0, -1] = True
    return agent, agent.trained(data), agent.filter(data, agent.draw_posterior(agent.noise()))


def test_every_loss_has_a_number_for_every_row(filtered):
    agent, rows, seen = filtered
    losses, metrics = agent.world.losses(rows, seen)
    names = {"image", "reward", "continue", "dynamics", "representation"}
    assert losses.keys() == names
    assert {loss.shape for loss in losses.values()} == {rows["reward"].shape}
    assert all(loss.isfinite().all() for loss in losses.values())
    assert metrics.keys() == {"train/divergence", "train/prior_entropy", "train/posterior_entropy"}
    assert not any(value.requires_grad for value in metrics.values())


def test_both_sides_of_the_divergence_are_equal_and_never_below_the_free_nats(filtered):
    agent, rows, seen = filtered
    losses, _ = agent.world.losses(rows, seen)
    prior = unimix.mixed(agent.networks["model"].prior_logits(seen.states.deter))
    wanted = unimix.divergence(seen.states.probs, prior).clamp(min=0.1)
    for name in ("dynamics", "representation"):
        torch.testing.assert_close(losses[name], wanted)


def test_the_error_of_images_is_of_pixels_between_zero_and_one(filtered):
    agent, rows, seen = filtered
    losses, _ = agent.world.losses(rows, seen)
    flat, size = seen.feature.flatten(0, 1), agent.config.deter
    image = norms.spread(agent.networks["decoder"](flat[:, :size], flat[:, size:]).sigmoid())
    error = (image - rows["image"].flatten(0, 1) / 255).square().sum((1, 2, 3))
    torch.testing.assert_close(losses["image"], error.view(losses["image"].shape))


def test_the_continue_head_learns_the_discount_and_zero_at_terminals(filtered):
    agent, rows, seen = filtered
    losses, _ = agent.world.losses(rows, seen)
    logit = agent.networks["proceed"](seen.feature)[..., 0]
    alive = (1 - 1 / agent.config.discount_horizon) * (~rows["is_terminal"]).float()
    wanted = -(alive * logit.sigmoid().log() + (1 - alive) * (1 - logit.sigmoid()).log())
    torch.testing.assert_close(losses["continue"], wanted, rtol=1e-4, atol=1e-5)
    assert rows["is_terminal"].any() and not rows["is_terminal"].all()


def test_features_hold_the_drawn_latents_and_carry_gradients(filtered):
    agent, _, seen = filtered
    stoch = seen.feature[..., agent.config.deter :].unflatten(-1, (-1, agent.config.classes))
    assert torch.equal(stoch.argmax(-1), seen.states.index)
    assert seen.feature.requires_grad and seen.states.probs.requires_grad
