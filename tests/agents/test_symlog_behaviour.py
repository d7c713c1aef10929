"""Continues, weights, returns and losses of DreamerV3 of January 2023, by hand."""

import pytest
import torch
import torch.nn.functional as F

from agents.parts import symlog_behaviour, symlog_twohot
from tests.agents import vectors
from tests.agents.january import ACTIONS, GAMMA

VECTORS = vectors.load()


def test_play_goes_on_or_not_and_the_start_is_known():
    logit = torch.tensor([[5.0, -5.0], [0.1, -0.1], [-3.0, 3.0]])
    found = symlog_behaviour.continues(logit, torch.tensor([True, False]))
    assert found.tolist() == [[0, 1], [1, 0], [0, 1]]


def test_weights_are_products_of_discounted_continues_without_the_first_discount():
    v = VECTORS["imagination_weights"]
    alive, nothing = torch.tensor(v["p"])[:, None], torch.zeros(4, 1)
    found = symlog_behaviour.judge(nothing, alive, nothing, GAMMA, 0.95).weight[:, 0]
    wanted = torch.tensor(v["v3_2023_with_gamma_332_333"][:3])
    torch.testing.assert_close(found, wanted)
    dead = torch.tensor([[0.0], [1.0], [1.0], [1.0]])
    assert not symlog_behaviour.judge(nothing, dead, nothing, GAMMA, 0.95).weight.any()


def test_returns_multiply_the_discount_and_leave_at_an_end():
    reward = torch.tensor([[9.0], [1.0], [2.0]])
    alive, value = torch.tensor([[0.0], [1.0], [0.0]]), torch.tensor([[7.0], [3.0], [5.0]])
    last = 2.0  # Nothing follows s_2, so that its value counts for nothing.
    first = 1.0 + 0.9 * (0.05 * 3.0 + 0.95 * last)
    found = symlog_behaviour.judge(reward, alive, value, 0.9, 0.95).target[:, 0]
    assert found.tolist() == pytest.approx([first, last])


def test_the_losses_of_actor_and_critic_are_the_formula():
    logits = (0.99 * torch.randn(2, 1, ACTIONS).softmax(-1) + 0.01 / ACTIONS).log()
    action = F.one_hot(torch.tensor([[0], [2]]), ACTIONS).float()
    advantage, weight = torch.tensor([[2.0], [-1.0]]), torch.tensor([[1.0], [0.5]])
    loss, entropy = symlog_behaviour.policy_loss(logits, action, advantage, weight, 3e-4)
    p = logits.exp()
    h = -(p * p.log()).sum(-1)
    logp = torch.stack([p[0, :, 0], p[1, :, 2]]).log()
    torch.testing.assert_close(entropy, h)
    torch.testing.assert_close(loss, -weight * (logp * advantage + 3e-4 * h))
    judged = symlog_behaviour.Judged(torch.tensor([[3.0], [0.0]]), weight)
    critic, bins = torch.randn(2, 1, 255), symlog_twohot.bins()
    slow = torch.tensor([[1.0], [-4.0]])
    found = symlog_behaviour.value_loss(critic, bins, judged, slow, 1.0)
    one, two = (symlog_twohot.cross_entropy(critic, bins, x) for x in (judged.target, slow))
    torch.testing.assert_close(found, weight * (one + two))
