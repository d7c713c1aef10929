"""Actor and critic of Dreamer v3, on dreams that are made up."""

import types

import pytest
import torch
from torch import nn

from agents.parts import block_dream, block_scan, block_world, twohot, twohot_behaviour
from agents.parts.percentiles import Percentiles

BINS = twohot.bins()
DISCOUNT = 1 - 1 / 333


class Constant(nn.Module):
    """A head that says the same of every state."""

    def __init__(self, logits):
        super().__init__()
        self.logits = nn.Parameter(torch.as_tensor(logits, dtype=torch.float32))

    def forward(self, feature):
        return self.logits.expand(*feature.shape[:-1], -1)


def says(number):
    """Returns logits whose mean is a number, as far as float32 has it."""
    return twohot.encode(torch.tensor([float(number)]), BINS)[0].clamp(min=1e-30).log()


def behaviour(reward=1.0, proceed=DISCOUNT, critic=None, slow=None, **changes):
    settings = {"discount_horizon": 333.0, "lam": 0.95, "entropy_scale": 0.0, "slow_scale": 0.0}
    odds = torch.tensor([proceed / (1 - proceed)]).log()
    nets = {
        "reward": Constant(says(reward)),
        "proceed": Constant(odds),
        "critic": critic or Constant(torch.zeros(255)),
        "slow": slow or Constant(torch.zeros(255)),
    }
    scale = Percentiles(1.0, 1e-6)
    held = types.SimpleNamespace(**settings | changes)
    return twohot_behaviour.Behaviour(held, nets, nets, scale, BINS)


def dream(steps=15, count=4, logits=None):
    feature = torch.zeros(steps + 1, count, 3)
    logits = torch.zeros(steps, count, 2) if logits is None else logits
    action = torch.arange(steps * count).view(steps, count) % 2
    return block_dream.Dream(feature, logits, action)


def test_in_a_world_of_one_state_and_a_reward_of_one_the_value_becomes_the_horizon():
    critic = Constant(torch.zeros(255))
    actor_critic = behaviour(critic=critic, lam=1.0)
    opt = torch.optim.Adam(critic.parameters(), 0.1)
    for _ in range(300):
        losses, _, _ = actor_critic.losses(dream(100, count=1))
        opt.zero_grad()
        losses["value"].mean().backward()
        opt.step()
    value = twohot.mean(critic.logits[None], BINS).item()
    assert value == pytest.approx(333, rel=0.02)


def test_returns_take_the_reward_of_arriving_and_the_value_of_where_play_stops():
    critic = Constant(says(10.0))
    _, _, judged = behaviour(reward=1.0, proceed=0.5, critic=critic, lam=1.0).losses(dream(2))
    torch.testing.assert_close(judged.target[:, 0], torch.tensor([4.0, 6.0]), rtol=1e-4, atol=0)
    wanted = torch.tensor([0.5, 0.25])
    torch.testing.assert_close(judged.weight[:, 0], wanted)  # The first is no 1: it may be an end.


def test_the_policy_loss_pushes_towards_what_was_better_than_the_value():
    logits = torch.zeros(3, 4, 2, requires_grad=True)
    losses, metrics, judged = behaviour(critic=Constant(says(5.0))).losses(dream(3, logits=logits))
    advantage = (judged.target - judged.value[:-1]) / metrics["train/return_scale"]
    wanted = -judged.weight * advantage * torch.tensor(0.5).log()
    torch.testing.assert_close(losses["policy"], wanted)
    (grad,) = torch.autograd.grad(losses["policy"].sum(), logits)
    taken = grad.gather(-1, dream(3).action[..., None])[..., 0]
    torch.testing.assert_close(taken, -0.5 * judged.weight * advantage)


def test_entropy_is_paid_for_with_the_weight_of_the_state():
    plain, paid = (
        behaviour(entropy_scale=scale).losses(dream(3))[0]["policy"] for scale in (0.0, 0.1)
    )
    _, _, judged = behaviour().losses(dream(3))
    torch.testing.assert_close(plain - paid, 0.1 * judged.weight * torch.tensor(2.0).log())


def test_the_critic_is_pulled_towards_its_slow_copy_and_to_nothing_else_of_it():
    slow, critic = Constant(says(7.0)), Constant(torch.zeros(255))
    actor_critic = behaviour(critic=critic, slow=slow, slow_scale=2.0)
    losses, _, judged = actor_critic.losses(dream(3))
    target, uniform = judged.target, torch.zeros(*judged.target.shape, 255)
    error = twohot.plain_cross_entropy(uniform, target, BINS)
    error = error + 2.0 * twohot.plain_cross_entropy(uniform, torch.full_like(target, 7.0), BINS)
    torch.testing.assert_close(losses["value"], judged.weight * error, rtol=1e-5, atol=1e-5)
    (grad,) = torch.autograd.grad(losses["value"].sum(), slow.logits, allow_unused=True)
    assert grad is None


def test_what_is_judged_has_no_gradients():
    logits = torch.zeros(3, 4, 2, requires_grad=True)
    losses, metrics, judged = behaviour().losses(dream(3, logits=logits))
    assert not any(each.requires_grad for each in (*judged, *metrics.values()))
    assert losses["policy"].requires_grad and losses["value"].requires_grad


def test_rows_that_end_an_episode_teach_the_critic_nothing():
    last = torch.tensor([[False, True, False], [False, False, True]])
    rows = {"reward": torch.ones(2, 3), "is_last": last, "is_terminal": last}
    found = behaviour().replay_loss(rows, as_seen(torch.zeros(2, 3, 4)), torch.arange(6.0))
    assert found.shape == (2, 2)
    assert (found == 0).tolist() == [[False, True], [False, False]]


def as_seen(feature):
    """Returns filtered rows of which nothing but the features is known."""
    nothing = torch.zeros(*feature.shape[:2], 1)
    index = torch.zeros(*feature.shape[:2], 1, dtype=torch.int64)
    states = block_scan.Observed(nothing, nothing[..., None], index)
    return block_world.Seen(nothing, states, feature)
